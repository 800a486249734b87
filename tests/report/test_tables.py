"""The tables beside the page: their numbers are the report's, and they come and go with them."""

import csv
import math
import shutil

import pytest

from decoct.report import tables, wording
from decoct.report.accuracy import Setting
from decoct.report.write import write_report

NAMES = {f"{name}.{ending}" for name in ("accuracy", "verdict", "metrics") for ending in ("md", "tex")} | {
    "classes.csv"
}


def test_all_are_written_each_in_one_step_and_the_same_again(builder):
    folder = builder.build()
    write_report(folder)
    first = {file.name: file.read_bytes() for file in (folder / "tables").iterdir()}
    write_report(folder)
    assert set(first) == NAMES
    assert {file.name: file.read_bytes() for file in (folder / "tables").iterdir()} == first


def test_accuracies_are_those_of_the_report_with_interval_and_n(builder):
    summary = write_report(builder.build())
    table = tables.accuracy(summary)
    assert table.head == ["method", "protocol", "student", "IPC 1", "IPC 10"]
    rows = {(row[0], row[1]): row[3:] for row in table.rows}
    assert len(rows) == len(table.rows) == 3 * (5 + 1)
    own = summary.accuracy("rded", Setting("erm", "convnet3_w32", "ipc=10")).interval
    assert rows["rded", "erm"][1] == f"{wording.accuracy(own)} (n = 5)"
    assert all(cell.endswith("(n = 360)") for cell in rows["full data", "erm"])
    assert ("herding†", "erm") in rows and tables.DAGGER in table.notes


def test_verdicts_give_word_difference_interval_and_n(builder):
    summary = write_report(builder.build())
    (row,) = [r for r in tables.verdict(summary).rows if r[:2] == ["rded", "erm"]]
    v = summary.verdict("rded", Setting("erm", "convnet3_w32", "ipc=1"))
    assert row[3].startswith(f"random: better {wording.points(v.random.mean)} [") and "(n = 5)" in row[3]
    assert row[3].endswith(f"best coreset: {v.against_coresets}")
    assert not any(r[0] == "random" for r in tables.verdict(summary).rows)


def test_metrics_give_interval_n_and_what_random_gives(builder):
    table = tables.metrics(write_report(builder.build()))
    assert table.head[3:] == ["random", "herding†", "k_center†", "rded", "sre2l", "random sets"]
    (row,) = [r for r in table.rows if r[0].startswith("mmd") and r[1] == "IPC 10"]
    assert row[0].endswith("↓") and row[2] == "teacher" and row[-1] == "0.0200 (n = 20)"
    assert all("(n = " in cell for cell in row[3:])


def test_classes_are_all_there_in_full(builder):
    builder.class_names = ("a,b", '"c"', "=1+1")
    folder = builder.build()
    write_report(folder)
    with (folder / "tables" / "classes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 3 * 2 * 3 and {row["class"] for row in rows} == set(builder.class_names)
    assert all(float(row["lo"]) <= float(row["accuracy"]) <= float(row["hi"]) for row in rows)


@pytest.mark.parametrize(
    ("change", "there"),
    [
        ({"holes": lambda labels: True}, set()),
        ({"holes": lambda labels: labels["kind"] == "train"}, {"metrics.md", "metrics.tex"}),
        ({"holes": lambda labels: labels["kind"] == "measure"}, NAMES - {"metrics.md", "metrics.tex"}),
        ({"methods": {"rded": ("distillation", True)}}, NAMES - {"verdict.md", "verdict.tex"}),
        ({"replicates": 1}, NAMES),
    ],
)
def test_what_a_run_lacks_is_taken_away(builder, change, there):
    write_report(builder.build())
    builder.jobs = []
    for name, value in change.items():
        setattr(builder, name, value)
    shutil.rmtree(builder.folder / "store")
    write_report(builder.build())
    files = list((builder.folder / "tables").iterdir())
    assert {file.name for file in files} == there
    assert not any(word in file.read_text("utf-8") for file in files for word in ("nan", "None", "inf"))


def test_one_replicate_has_no_bounds(builder):
    builder.replicates = 1
    summary = write_report(builder.build())
    rows = [row for row in tables.accuracy(summary).rows if row[0] != "full data"]
    assert all("[" not in cell and cell.endswith("(n = 1)") for row in rows for cell in row[3:])
    assert math.isnan(summary.accuracies[0].interval.lo)
