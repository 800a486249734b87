"""The terminal's order: the verdict, the four claims, where the points come from, and at the end what to take."""

import io

from rich.console import Console

from decoct.report import terminal
from decoct.report.read import frame
from decoct.report.sections.verdict import correction
from decoct.report.summary import summarise


def printed(builder):
    folder = builder.build()
    summary = summarise(frame.read(folder))
    console = Console(width=400, file=io.StringIO())
    console.print(terminal.render(summary))
    return summary, console.file.getvalue()


def test_the_four_claims_come_right_after_the_verdict(builder):
    summary, shown = printed(builder)
    lines = [line.strip() for line in shown.splitlines()]
    first = lines.index(summary.worth.because)
    asked = [f"{claim.question} {claim.answer}." for claim in summary.claims.all]
    assert lines[first + 1] == f"{correction(summary.verdicts)}."
    assert lines[first + 2 : first + 6] == asked
    assert lines[first + 6].startswith("Where do the points come from? Soft labels add ")
    assert not any(line in shown for claim in summary.claims.all for line in claim.methods)


def test_what_to_take_has_a_row_for_every_stretch_of_limits(builder):
    _, shown = printed(builder)
    advice = shown[shown.index("What to take with convnet3_w32") :]
    assert "10 images" in advice and "100 images" in advice and "rded under single_teacher at IPC 10" in advice


def test_one_replicate_recommends_nothing(builder):
    builder.replicates = 1
    _, shown = printed(builder)
    assert "What to take" not in shown and "nan" not in shown and "One replicate shows no difference" in shown
