"""A run's tables on terminals of any width, with and without Unicode."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from decoct.report import wording
from decoct.report.read import frame
from decoct.report.summary import summarise
from decoct.report.terminal import accuracies, everything, narrow


def printed(parts, width=80):
    console = Console(width=width, file=io.StringIO(), highlight=False)
    for part in parts:
        console.print(part)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_every_accuracy_stands_whole_in_its_row_however_narrow(builder, width):
    builder.budgets = tuple(f"ipc={n}" for n in (1, 5, 10))
    summary = summarise(frame.read(builder.build()))
    said = printed(accuracies(summary, width), width)
    assert max(map(len, said.splitlines())) <= width
    for a in summary.accuracies:
        name = {"full": "full data"}.get(a.method, a.method)
        rows = [line for line in said.splitlines() if line.strip().startswith(name)]
        assert any(wording.accuracy(a.interval) in row for row in rows), a


def test_methods_stand_below_their_protocol_and_a_dagger_marks_one_set(builder):
    summary = summarise(frame.read(builder.build()))
    lines = [line.rstrip() for line in printed(accuracies(summary, 100), 100).splitlines()]
    headings = [line for line in lines[2:] if re.fullmatch(r"\w+", line)]
    assert headings == ["erm", "single_teacher", "multi_teacher"]
    assert "† one set" in lines[0] and sum("herding†" in line for line in lines) == 3
    assert sum("full data" in line for line in lines) == 3


@pytest.mark.parametrize("width", [40, 100])
def test_of_one_budget_protocols_stand_side_by_side(builder, width):
    builder.budgets = ("ipc=10",)
    summary = summarise(frame.read(builder.build()))
    lines = [line.split() for line in printed(accuracies(summary, width), width).splitlines()]
    heads = [i for i, line in enumerate(lines) if line[:2] == ["IPC", "10"]]
    assert [p for i in heads for p in lines[i][2:]] == ["erm", "single_teacher", "multi_teacher"]
    assert len(heads) == (1 if width == 100 else 3)
    herding = [" ".join(line[1:]) for line in lines if line[:1] == ["herding†"]]
    own = [a for a in summary.accuracies if a.method == "herding"]
    assert " ".join(herding) == " ".join(wording.accuracy(a.interval) for a in own)


def test_two_students_are_named(builder):
    builder.students = ("convnet3_w32", "resnet10t")
    said = printed(accuracies(summarise(frame.read(builder.build())), 100), 100)
    assert "erm, resnet10t" in said


def test_a_run_without_a_student_has_no_table(builder):
    builder.holes = lambda job: job["kind"] == "train"
    assert list(accuracies(summarise(frame.read(builder.build())), 80)) == []


def test_everything_has_the_verdicts_the_readings_and_what_failed(builder):
    builder.failures, builder.holes = {"sre2l": "out of memory"}, lambda job: job.get("method") == "sre2l"
    summary = summarise(frame.read(builder.build()))
    said = printed(everything(summary, 100), 100)
    assert all(str(setting) in said for setting in summary.settings) and "Metrics on digits" in said
    flat = " ".join(said.split())
    assert all(f"{line}." in flat for v in summary.verdicts for line in v.sentences())
    assert "out of memory" in said


@given(
    st.lists(st.lists(st.text("ab1", min_size=1, max_size=12), min_size=4, max_size=4), min_size=1), st.integers(28, 90)
)
def test_no_cell_is_lost(rows, width):
    said = printed(narrow("title", ["", "one", "two", "three"], rows, width), width)
    words = said.split()
    for row in rows:
        for cell in row:
            assert cell in words
