"""What several runs say together: each data set first, then all; parts of one data set confirm nothing."""

import io
import json
import re

import pytest
from rich.console import Console

from decoct.report.read import frame
from decoct.report.several import terminal
from decoct.report.several.leaderboard import leaderboard
from decoct.report.several.page import render

SMALL = {"protocols": ("erm",), "class_names": tuple("0123"), "replicates": 4}
BELOW = {"random": 0.50, "herding": 0.52, "k_center": 0.45, "rded": 0.40, "sre2l": 0.30}


@pytest.fixture
def board(builder, tmp_path, on_other_data, edited):
    """``board(NAME=changes of its builder)``: a board of a run on a data set of each name."""

    def make(change=lambda run: None, **runs):
        folders = [
            edited(on_other_data(type(builder)(tmp_path / name, **{**SMALL, **own}).build(), name), change)
            for name, own in runs.items()
        ]
        return leaderboard([frame.read(folder) for folder in folders])

    return make


def printed(found):
    console = Console(width=300, file=io.StringIO())
    console.print(terminal.board(found))
    return console.file.getvalue()


def test_all_data_sets_then_each(board):
    found = board(one={"truth": BELOW}, two={"truth": BELOW}, three={"truth": BELOW})
    own = found.together
    assert [c.answer for c in own.each.values()] == ["none"] * 3 and own.over.answer == "none"
    first = (
        "On all three data sets, no distilled set beats the best coreset by more than 1 point: this is shown in "
        "all 12 comparisons (method × setting), and in 12 the set is worse. This holds for these two distillation "
        "methods (rded, sre2l) and these three coresets (random, herding, k_center)"
    )
    assert own.first() == first and own.dependent == ()
    page, text = render(found), printed(found)
    assert first in page and f"{first}." in text
    for said in own.sentences():
        assert f"{said}." in page and f"{said}." in text
    assert text.index(first) < text.index("On one, no distilled set") < text.index("On two, no")
    assert not re.search(r"4 not better \(\d+ worse\)", page) and "2 not better (2 worse)" in page
    told = json.loads(json.dumps(found.to_json("x"), allow_nan=False))["verdicts"]
    assert told["over_all"]["answer"] == "none" and len(told["each"]) == 3


def test_one_data_set_on_which_it_is_otherwise_is_enough(board):
    found = board(one={"truth": BELOW}, two={})
    own = found.together
    assert [c.answer for c in own.each.values()] == ["none", "some"]
    assert own.over.answer == "some"
    assert own.over.text.startswith("Over both data sets together, distilled sets beat every coreset: rded in 2 of 4 ")


def test_random_is_beside_each(board):
    own = board(one={"truth": BELOW}, two={}).together
    start = "On one, distilled sets against random, with a margin of 1 point: "
    said = f"{start}under erm, 0 better, 4 not better (4 of them worse), 0 open"
    assert said in str(own.sentences())


def test_parts_of_imagenet_and_shared_teachers_confirm_nothing(board, builder):
    wnids = {"class_names": tuple(f"n0144076{i}" for i in range(4)), "truth": BELOW}
    parts = board(imagenette=wnids, mine=wnids, digits={"truth": BELOW}).together
    (line,) = parts.dependent
    assert line.startswith("imagenette and mine are parts of ImageNet") and "do not confirm one another" in line
    loaded = {"checkpoint": "net.pt", "truth": BELOW}
    shared = board(one=loaded, two=loaded, three={"truth": BELOW})
    (line,) = shared.together.dependent
    assert line.startswith("one and two share the teacher convnet3_bn of net.pt")
    assert line in printed(shared) and line in render(shared)


def test_runs_on_the_same_data_are_one_data_set(builder, tmp_path):
    folders = [
        type(builder)(tmp_path / budget, **{**SMALL, "truth": BELOW, "budgets": (budget,)}).build()
        for budget in ("ipc=1", "ipc=10")
    ]
    found = leaderboard([frame.read(folder) for folder in folders])
    assert list(found.together.each) == ["digits"] and found.together.over.text.startswith("On digits, no")
    assert len(found.together.over.each) == 4


def test_what_cannot_be_read_is_left_out_on_each_data_set(board):
    chance = {"truth": BELOW, "class_names": ("0", "1")}  # random sets are at chance with one image a class
    found = board(one=chance, two=chance).together
    assert [c.outside for c in found.each.values()] == [1, 1] and found.over.outside == 2
    assert "left out: 2 settings" in found.over.text and len(found.over.each) == 4


def test_selections_alone_conclude_nothing_and_say_so(board):
    methods = {"random": ("coreset", True), "herding": ("coreset", False)}
    found = board(one={"methods": methods, "truth": BELOW}, two={"methods": methods, "truth": BELOW})
    assert found.together.over.answer == "untold" and "no distillation method" in printed(found)
    assert "no distillation method" in render(found)
