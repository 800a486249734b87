"""Orders of methods across students, on planted truths and against naive counts."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.report.accuracy import Setting
from decoct.report.read import frame
from decoct.report.sections.evidence import transfer
from decoct.report.sections.evidence.transfer import overall, transfers
from decoct.report.stats import intervals
from decoct.report.stats.answers import Answers
from decoct.report.summary import summarise

NOISE = (0.0, 0.002, -0.002, 0.001, -0.001)


def across(means, students=("a", "b"), noise=NOISE, floor=0.0):
    """Runs whose method means are given by student; noise differs between methods, so that pairs have a spread."""
    runs = {}
    for student, by_method in zip(students, means, strict=True):
        for i, (method, mean) in enumerate(by_method.items()):
            shifted = noise[i:] + noise[:i]
            runs[method, Setting("erm", student, "ipc=1")] = {(c, 0): mean + x for c, x in enumerate(shifted)}
    settings = [Setting("erm", student, "ipc=1") for student in students]
    methods = list(dict.fromkeys(m for by_method in means for m in by_method))
    (found,) = transfers(runs, settings, methods, floor)
    return found


def test_one_order_with_every_student():
    found = across([{"x": 0.5, "y": 0.6, "z": 0.7}, {"x": 0.2, "y": 0.3, "z": 0.4}])
    assert (found.kept, found.turned, found.open, found.taus) == (3, (), 0, (1.0,))
    assert found.ranks == {"x": 3.0, "y": 2.0, "z": 1.0}
    assert found.spread == pytest.approx({"x": 0.3, "y": 0.3, "z": 0.3})
    assert "is the same with every student" in found.sentence()
    assert "of 3 methods: 1.00" in found.sentence()


def test_a_pair_that_turns_round_is_named():
    found = across([{"x": 0.5, "y": 0.6}, {"x": 0.4, "y": 0.2}])
    assert (found.kept, len(found.turned), found.open, found.taus) == (0, 1, 0, (-1.0,))
    assert "is not the same with every student" in found.sentence()
    assert "x is ahead of y with b and behind with a" in found.sentence()
    assert "−1.00" in found.sentence()


def test_what_is_not_shown_is_open_and_not_equal():
    loud = (0.0, 0.2, -0.2, 0.1, -0.1)
    found = across([{"x": 0.5, "y": 0.51}, {"x": 0.5, "y": 0.49}], noise=loud)
    assert (found.kept, found.turned, found.open) == (0, (), 1)
    assert "is open: " in found.sentence()
    assert ", whether the order" in found.sentence() and "equal" not in found.sentence()


def test_a_difference_of_one_image_without_a_spread_is_open():
    means = [{"x": 30 / 60, "y": 31 / 60}] * 2
    assert across(means, noise=(0.0, 0.0)).kept == 1  # taken at face value
    found = across(means, noise=(0.0, 0.0), floor=intervals.grid_floor(60))
    assert (found.kept, found.turned, found.open) == (0, (), 1)


@pytest.mark.parametrize(("images", "kept"), [(20, 0), (2000, 1)])
def test_an_order_that_other_test_images_could_undo_is_open(images, kept):
    """Two sets agree that y has a tenth of the images more than x: of 20 that is two, of 2,000 it is 200."""
    right = {"x": np.arange(images) < images // 2, "y": np.arange(images) < images * 6 // 10}
    settings = [Setting("erm", student, "ipc=1") for student in ("a", "b")]
    keys = {(m, s): {(c, 0): m for c in range(5)} for m in right for s in settings}
    runs = {(m, s): {(c, 0): float(right[m].mean()) for c in range(5)} for m, s in keys}
    floor = intervals.grid_floor(images)
    (found,) = transfers(runs, settings, ["x", "y"], floor, Answers(keys, right.get))
    assert (found.kept, found.turned, found.open) == (kept, (), 1 - kept)
    (unasked,) = transfers(runs, settings, ["x", "y"], floor)
    assert unasked.kept == 1


def test_a_run_of_few_test_images_proves_no_order(builder):
    builder.students, builder.protocols, builder.replicates, builder.noise = ("a", "b"), ("erm",), 2, 0.0
    builder.methods = {method: builder.methods[method] for method in ("random", "herding", "rded")}
    builder.truth = {"random": 30 / 60, "herding": 31 / 60, "rded": 32 / 60}
    builder.test_images = 60
    folder = builder.build()
    found = summarise(frame.read(folder)).found(transfer.find)
    assert [(t.kept, t.turned, t.open) for t in found] == [(0, (), 3)] * 2


def test_three_students_have_three_taus_and_a_method_must_be_there_with_each():
    found = across(
        [{"x": 0.5, "y": 0.6, "z": 0.1}, {"x": 0.5, "y": 0.6}, {"x": 0.7, "y": 0.6}], students=("a", "b", "c")
    )
    assert set(found.ranks) == {"x", "y"} and found.pairs == 1
    assert found.taus == (1.0, -1.0, -1.0)
    assert "−1.00 to 1.00 between two students" in found.sentence()


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=2, max_size=4),
)
def test_every_pair_is_counted_once(rows):
    names = ("w", "x", "y", "z")
    means = [dict(zip(names, (v / 10 for v in row), strict=True)) for row in rows]
    found = across(means, students=tuple("abcd"[: len(rows)]))
    kept = turned = 0
    for i, j in combinations(range(4), 2):
        signs = {(row[i] > row[j]) - (row[i] < row[j]) for row in rows}  # the noise is far below a step of .1
        kept += len(signs) == 1 and 0 not in signs
        turned += {1, -1} <= signs
    assert (found.kept, len(found.turned), found.open) == (kept, turned, 6 - kept - turned)


def test_one_student_has_nothing_to_compare_with(run):
    found = summarise(frame.read(run))
    assert found.found(transfer.find) == () and overall(found.found(transfer.find)) == ""
    assert transfer.SECTION.show(found) == transfer.SECTION.say(found) == ""


def test_a_planted_turn_is_found_in_a_run(builder):
    builder.students, builder.protocols, builder.budgets = ("a", "b"), ("erm",), ("ipc=1",)
    builder.twist = lambda method, protocol, student: -0.3 if (method, student) == ("rded", "b") else 0
    folder = builder.build()
    (found,) = summarise(frame.read(folder)).found(transfer.find)
    turned = {frozenset((t.method, t.rival)) for t in found.turned}
    assert turned == {frozenset(("rded", m)) for m in ("random", "herding", "k_center")}  # .60 falls to .30
    assert found.pairs == 10
    assert overall([found]).startswith(
        "Over 1 combination of protocol and budget, the order of methods is not the same"
    )


def test_nothing_trained_is_not_an_order(builder):
    builder.students = ("a", "b")
    builder.holes = lambda labels: labels["kind"] == "train"
    folder = builder.build()
    found = summarise(frame.read(folder)).found(transfer.find)
    assert all(t.pairs == 0 and "there is no order to compare" in t.sentence() for t in found)
    assert overall(found) == ""
