"""A run's files: the tables of a paper, and what stands in bold there."""

import csv
import json
import math
import shutil

import pytest

from decoct.core.sheets import unquoted
from decoct.report import standing, wording, write
from decoct.report.accuracy import Setting
from decoct.report.sections.evidence import controls
from decoct.report.verdict import correction
from decoct.report.write import write_report

NAMES = {f"{name}.{ending}" for name in ("accuracy", "ranking", "verdict", "metrics") for ending in ("md", "tex")} | {
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
    table = write.accuracy(summary)
    assert table.head == ["method", "protocol", "student", "IPC 1", "IPC 10"]
    rows = {(row[0], row[1]): row[3:] for row in table.rows}
    assert len(rows) == len(table.rows) == 3 * (5 + 1)
    own = summary.accuracy("rded", Setting("erm", "convnet3_w32", "ipc=10")).interval
    assert rows["rded", "erm"][1] == f"{wording.accuracy(own)} (n = 5)"
    assert all(cell.endswith("(n = 360)") for cell in rows["full data", "erm"])
    assert ("herding†", "erm") in rows and write.DAGGER in table.notes


def test_a_ranking_has_the_best_first_in_each_setting(builder):
    summary = write_report(builder.build())
    table = write.ranking(summary)
    assert table.head == ["method", "protocol", "budget", "accuracy", "against random", "against the best coreset"]
    assert table.title == "Methods by accuracy on digits, convnet3_w32"
    for setting in summary.settings:
        place = [setting.protocol, wording.budget(setting.budget)]
        rows = [row for row in table.rows if row[1:3] == place]
        means = [float(row[3].split()[0]) for row in rows]
        assert len(rows) == 6 and rows[-1][0] == "full data" and means[:-1] == sorted(means[:-1], reverse=True)
        (own,) = [row for row in rows if row[0] == "rded"]
        v = summary.verdict("rded", setting)
        assert own[4:] == [f"{wording.difference(v.random)}, {v.random.verdict}", v.against_coresets]
        assert rows[-1][4:] == ["", ""] and not next(row for row in rows if row[0] == "random")[4]


def test_verdicts_give_word_difference_interval_and_n(builder):
    summary = write_report(builder.build())
    (row,) = [r for r in write.verdict(summary).rows if r[:2] == ["rded", "erm"]]
    v = summary.verdict("rded", Setting("erm", "convnet3_w32", "ipc=1"))
    assert row[3].startswith(f"random: better {wording.points(v.random.mean)} [") and "(n = 5)" in row[3]
    assert row[3].endswith(f"best coreset: {v.against_coresets}")
    assert not any(r[0] == "random" for r in write.verdict(summary).rows)


def test_verdicts_say_what_their_words_mean(builder):
    builder.truth = dict.fromkeys(builder.truth, 0.12)
    folder = builder.build()
    run = json.loads((folder / "run.json").read_text())
    run["study"]["margin"] = None
    (folder / "run.json").write_text(json.dumps(run))
    notes = " ".join(write.verdict(summary := write_report(folder)).notes)
    assert f"Same: within {100 * min(summary.margins.values()):.2g} to 1 point by two one-sided tests" in notes
    assert "95 % intervals over sets and test images" in notes and "Open is not equal" in notes
    assert f"{correction(summary.verdicts)}." in notes


def test_controls_give_what_a_method_adds_under_each_protocol(builder):
    builder.controls = {"rded": "random"}
    summary = write_report(builder.build())
    table = write.controls(summary)
    assert table.head == ["method − control", "student", "budget", "erm", "single_teacher", "multi_teacher"]
    assert [row[:3] for row in table.rows] == [["rded − random", "convnet3_w32", f"IPC {n}"] for n in (1, 10)]
    own = {c.setting: c.comparison for c in summary.found(controls.find)}
    c = own[Setting("single_teacher", "convnet3_w32", "ipc=10")]
    assert table.rows[1][4] == f"{c.verdict} {wording.difference(c)} (n = 5)"
    assert "over these 6 comparisons" in table.notes[1]
    assert (builder.folder / "tables" / "controls.md").is_file()
    builder.controls, builder.jobs = {}, []
    shutil.rmtree(builder.folder / "store")
    assert write.controls(write_report(builder.build())) is None
    assert not (builder.folder / "tables" / "controls.md").exists()


def test_metrics_give_interval_n_and_what_random_gives(builder):
    table = write.metrics(write_report(builder.build()))
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
    assert len(rows) == 5 * 3 * 2 * 3 and {unquoted(row["class"]) for row in rows} == set(builder.class_names)
    assert "'=1+1" in {row["class"] for row in rows}
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
    rows = [row for row in write.accuracy(summary).rows if row[0] != "full data"]
    assert all("[" not in cell and cell.endswith("(n = 1)") for row in rows for cell in row[3:])
    assert math.isnan(summary.accuracies[0].interval.lo)


def bold(table):
    return {(*table.rows[row][:3], table.head[column]) for row, column in table.bold}


def test_the_highest_mean_of_a_column_is_bold(builder):
    builder.methods = builder.methods | {"sre2l": ("control", True)}  # which competes with none, nor do the full data
    builder.truth = builder.truth | {"sre2l": 0.96}
    summary = write_report(builder.build())
    table = write.accuracy(summary)
    for setting in summary.settings:
        means = {a.method: a.interval.mean for a in summary.accuracies if a.setting == setting}
        best = max((m for m in means if m != "sre2l"), key=lambda m: means[m])
        column = wording.budget(setting.budget)
        (found,) = [row for row in bold(table) if row[1:] == (*setting.panel, column)]
        assert found[0].rstrip("†") == best
    assert any(note.startswith("Bold: the highest mean") for note in table.notes)
    text = (builder.folder / "tables" / "accuracy.tex").read_text("utf-8")
    assert text.count("\\textbf{") == len(summary.settings)
    assert "\\label{tab:accuracy}" in text and "\\begin{tabular}{lllrr}" in text
    assert "\\begin{tabular}{lllll}" in (builder.folder / "tables" / "verdict.tex").read_text("utf-8")


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ({"a": 0.5, "b": 0.7}, ["b"]),
        ({"a": 0.70001, "b": 0.70002, "c": 0.6}, ["a", "b"]),  # both read 70.0
        ({"a": 0.5, "b": math.nan}, []),  # the best of one
        ({"a": 0.5, "b": math.nan, "c": 0.1}, ["a"]),
        ({}, []),
    ],
)
def test_those_who_show_the_same_number_share_it(values, best):
    assert write._best(values, wording.percent) == best


def test_nothing_is_bold_where_nothing_can_be_read(builder):
    builder.truth = dict.fromkeys(builder.truth, 0.1)
    summary = write_report(builder.build())
    table, out = write.accuracy(summary), {u.setting for u in summary.unreadable}
    assert out
    inside = {(*s.panel, wording.budget(s.budget)) for s in summary.settings if s not in out}
    assert {row[1:] for row in bold(table)} == inside
    assert any("that can be read" in note for note in table.notes)


def test_the_best_reading_is_the_lowest_where_lower_is_better(builder):
    summary = write_report(builder.build())
    table = write.metrics(summary)
    read = summary.found(standing.find)
    means = {(s.budget, s.name, s.method): s.interval.mean for s in read if s.lead and s.interval.n}
    seen = set()
    for row, (budget, name) in enumerate(dict.fromkeys((b, n) for b, n, _ in means)):
        own = {m: mean for (b, n, m), mean in means.items() if (b, n) == (budget, name)}
        higher = next(s.higher_is_better for s in read if s.name == name)
        seen.add(higher)
        methods = list(summary.methods)
        found = [own[methods[column - 3]] for r, column in table.bold if r == row]
        assert (found == []) == (higher is None)
        best = (max if higher else min)(own.values())
        assert not found or (best in found and {wording.reading(value) for value in found} == {wording.reading(best)})
    assert {True, False} <= seen


def test_a_reading_that_no_set_has_has_no_row(builder):
    builder.shift = lambda method, metric, extractor: None if metric == "coverage" else 0
    summary = write_report(builder.build())
    lead = [s for s in summary.found(standing.find) if s.lead]
    there = {(s.budget, s.name) for s in lead if s.interval.n}
    assert {s.name.metric for s in lead} - {name.metric for _, name in there} == {"coverage"}
    rows = write.metrics(summary).rows
    assert len(rows) == len(there) and not any(set(row[3:-1]) == {wording.NONE} for row in rows)
