"""The section of the four claims: answers first, then multiples and contrasts with n and intervals."""

import re

from decoct.report.page.claims import claims
from decoct.report.page.style import marks
from decoct.report.read import frame
from decoct.report.summary import summarise


def shown(builder):
    folder = builder.build()
    summary = summarise(frame.read(folder), folder / "report.html")
    return summary, claims(summary, marks(summary.methods))


def text(markup):
    return re.sub(r"<[^>]*>", " ", markup)


def test_every_question_has_its_answer_and_its_methods(builder):
    summary, section = shown(builder)
    for claim in summary.claims.all:
        assert claim.question in section and claim.answer in section
        assert all(line in section.replace("&amp;", "&") for line in claim.methods)
    assert section.count("<details>") == 4 and section.count("<table") == 2


def test_multiples_stand_with_interval_sets_and_the_construction_alone(builder):
    _, section = shown(builder)
    words = " ".join(text(section).split())
    assert (
        "36.0 s 16.0 s alone 900 [900, 900] sets: 5 and 5 400 [400, 400] alone 1.50 [1.50, 1.50] sets: 5 and 1" in words
    )
    assert "stands as it is, and contrasts condition on it" in words


def test_machines_unlike_leave_a_dash_that_says_why(builder):
    folder = builder.build()
    for file in (folder / "store" / "features").rglob("measured.json"):
        file.write_text(file.read_text().replace("Test CPU", "<b>Other"))
    summary = summarise(frame.read(folder), folder / "report.html")
    section = claims(summary, marks(summary.methods))
    assert "unlike machines" in section and "<b>Other" not in section


def test_a_study_of_selections_alone_has_answers_and_no_tables(builder):
    builder.methods = {m: builder.methods[m] for m in ("random", "herding")}
    _, section = shown(builder)
    assert section.count("no distillation method") == 4 and "<details>" not in section
    assert not re.search(r"\bnan\b|\bNone\b", text(section))
