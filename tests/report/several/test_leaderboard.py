"""Several runs on one board: what is there, what is refused, and a page on which text stays text."""

import csv
import io
import json

import pytest
from rich.console import Console

from decoct.core.errors import UsageError
from decoct.report.read import frame
from decoct.report.several import terminal
from decoct.report.several.leaderboard import leaderboard
from decoct.report.several.page import write_leaderboard

HOSTILE = "<script>alert(1)</script> [bold]x[/] \u202emirror"
SMALL = {"protocols": ("erm",), "class_names": ("0", "1"), "replicates": 2}


def printed(found, everything=True):
    console = Console(width=100, file=io.StringIO())
    console.print(terminal.board(found, everything))
    return console.file.getvalue()


@pytest.fixture
def runs(builder, tmp_path, on_other_data):
    """``runs(NAME=changes, …)``: a run on a data set of each name."""

    def make(**changes):
        return [
            on_other_data(type(builder)(tmp_path / name, **{**SMALL, **own}).build(), name)
            for name, own in changes.items()
        ]

    return make


def board(folders):
    return leaderboard([frame.read(folder) for folder in folders])


def test_ranks_over_data_and_budgets_and_over_data_alone(runs):
    found = board(runs(one={}, two={}, three={}))
    (panel,) = found.panels
    own = found.ranks[panel]
    assert (len(own.blocks), own.incomplete, own.absent) == (6, 0, ())
    assert next(iter(own.mean)) == "rded" and list(own.mean)[-1] == "sre2l"  # as planted
    assert not own.tested and found.over_data[panel].p < 0.05 and len(found.over_data[panel].blocks) == 3
    assert found.data == ("one", "two", "three") and set(found.full[panel]) == {"one", "two", "three"}
    assert "Average ranks over 3 data sets" in printed(found)


def test_a_method_that_one_data_set_lacks_is_not_ranked_and_a_hole_costs_its_block(runs):
    methods = {"random": ("coreset", True), "herding": ("coreset", False)}
    truth = {"random": 0.5, "herding": 0.6}
    found = board(
        runs(
            one={},
            two={"methods": methods, "truth": truth},
            three={
                "holes": lambda job: (
                    (job["kind"], job.get("method"), job.get("budget")) == ("train", "herding", "ipc=1")
                )
            },
        )
    )
    (own,) = found.ranks.values()
    assert set(own.mean) == {"random", "herding"} and set(own.absent) == {"k_center", "rded", "sre2l"}
    assert (len(own.blocks), own.incomplete) == (5, 1)
    assert "2 of 21 students missing" in printed(found)


def test_controls_compete_with_nobody(runs):
    methods = {"random": ("coreset", True), "rded": ("distillation", True), "bare": ("control", True)}
    truth = {"random": 0.5, "rded": 0.6, "bare": 0.9}
    found = board(runs(one={"methods": methods, "truth": truth}, two={"methods": methods, "truth": truth}))
    (own,) = found.ranks.values()
    assert set(own.mean) == {"random", "rded"}


def test_runs_on_the_same_data_complete_each_other_or_are_refused(builder, tmp_path, edited):
    def made(name, **changes):
        return type(builder)(tmp_path / name, **{**SMALL, **changes}).build()

    small, large = made("small", budgets=("ipc=1",)), made("large", budgets=("ipc=10",))
    found = board([small, large])
    assert found.data == ("digits",) and found.over_data == {}
    assert {block for own in found.panels.values() for block in own} == {("digits", "ipc=1"), ("digits", "ipc=10")}
    with pytest.raises(UsageError, match=r"takes once(.|\n)*decoct compare"):
        board([small, made("again", budgets=("ipc=1",))])
    with pytest.raises(UsageError, match="same run twice"):
        board([small, large, small])
    edited(large, lambda run: run["methods"]["rded"]["config"].update(factor=2))
    with pytest.raises(UsageError, match="method rded differently: factor"):
        board([small, large])


def test_what_is_set_otherwise_on_other_data_is_said(runs, edited):
    one, two = runs(one={}, two={})
    edited(two, lambda run: run["study"]["protocols"]["erm"].update(steps=9))
    for method in ("rded", "herding"):
        edited(two, lambda run, method=method: run["methods"][method]["config"].update(factor=2))
    found = board([one, two])
    assert found.unlike == ("The runs set differently: factor of herding and rded; steps of erm",)
    assert found.unlike[0] in printed(found)


def test_two_data_sets_of_one_name_stay_two(runs, edited):
    one, two = runs(one={}, two={"name": "other"})
    for folder in (one, two):
        edited(folder, lambda run: run["data"].update(name="photos"))
    assert board([one, two]).data == ("photos (digits)", "photos (other)")


def test_nothing_trained_yet(runs):
    found = board(runs(one={"holes": lambda job: job["kind"] == "train"}, two={"holes": lambda job: True}))
    assert "No student has been trained yet" in printed(found)
    json.dumps(found.to_json("x"), allow_nan=False)


@pytest.mark.parametrize("name", ["leaderboard.html", "leaderboard.csv"])
def test_files_that_are_no_leaderboard_of_ours_are_not_replaced(runs, tmp_path, name):
    frames = [frame.read(folder) for folder in runs(one={}, two={})]
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=f"holds {name}, which decoct did not write"):
        write_leaderboard(frames, tmp_path)
    (tmp_path / name).unlink()
    for _ in range(2):
        write_leaderboard(frames, tmp_path)


def test_the_files(runs, edited, tmp_path):
    one, two = runs(one={}, two={"replicates": 1})
    edited(one, lambda run: (run["data"].update(name=HOSTILE), run.update(name=HOSTILE)))
    found = write_leaderboard([frame.read(one), frame.read(two)], tmp_path / "new" / "board")
    out = tmp_path / "new" / "board"
    assert {path.name for path in out.iterdir()} == {"leaderboard.html", "leaderboard.csv", "leaderboard.parquet"}
    page = (out / "leaderboard.html").read_text("utf-8")
    body = page[page.index("<body>") : page.index("<script>\n")]
    assert "<script>alert" not in page and "&lt;script&gt;alert" in body
    assert "Average ranks over data sets alone" in body and "they are not independent blocks" in body
    assert ">nan" not in body and "NaN" not in body
    rows = list(csv.DictReader((out / "leaderboard.csv").read_text("utf-8").splitlines()))
    assert {row["data"] for row in rows} == {HOSTILE, "two"}
    told = json.loads(json.dumps(found.to_json(out / "leaderboard.html"), allow_nan=False))
    assert {row["ci95"] is None for row in told["accuracy"] if row["data"] == "two" and row["method"] == "rded"} == {
        True
    }
    assert "[bold]x[/]" in printed(found)
