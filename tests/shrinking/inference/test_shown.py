"""The test: bounds by hand, the fixed sequence, margins, and classes."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.core.errors import UsageError
from decoct.shrinking.inference import shown as subject
from decoct.shrinking.inference.expected import expected
from decoct.shrinking.inference.shown import Margin, Outcome, decide

judge = subject.tested  # under a name that pytest does not collect


def outcome(seed, full=0.9, small=0.88, rows=4, images=800, labels=None, fixed=False):
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=images)
    a, b = (
        hard + 0.4 * rng.normal(size=(rows, images)) < math.sqrt(1.16) * reference.norm.ppf(p) for p in (full, small)
    )
    return Outcome(a, b, labels, fixed)


def of(size, shown, hi=0.02, least=0.015):
    """A test that says what it is told to."""
    one = judge(size, [outcome(0)], Margin(0.03))
    return replace(one, shown=shown, inside=shown, within=0.03, smallest_margin=least, loss=replace(one.loss, hi=hi))


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), margin=st.floats(0.001, 0.1))
def test_a_size_is_shown_where_its_bound_is_below_the_margin(seed, margin):
    o = outcome(seed)
    found = judge(100, [o], Margin(margin))
    d = o.full.astype(float) - o.small
    error = expected([d], True, [False])
    (students, df), (images, _) = error.estimate.parts
    half = math.sqrt(reference.t.ppf(0.95, df) ** 2 * students + reference.t.ppf(0.95, 799) ** 2 * images)
    assert found.loss.mean == pytest.approx(d.mean(), abs=1e-6)
    assert (found.loss.hi, found.loss.lo) == pytest.approx((d.mean() + half, d.mean() - half), abs=1e-6)
    assert found.shown is (found.loss.hi < margin) and found.within == margin and not found.failed
    assert found.smallest_margin == pytest.approx(half, abs=1e-6)
    assert found.full.mean == pytest.approx(o.full.mean()) and found.full.lo < found.full.mean < found.full.hi


def test_folds_count_every_image_once():
    folds = [outcome(seed, rows=2, images=n) for seed, n in ((1, 300), (2, 250), (3, 350))]
    found = judge(100, folds, Margin(0.03))
    assert found.loss.images == 900 and found.loss.n == 2
    right = sum(o.full.mean(0).sum() for o in folds)
    assert found.full.mean == pytest.approx(right / 900)
    alone = judge(100, folds[:1], Margin(0.03))
    assert found.smallest_margin < alone.smallest_margin


def test_a_share_of_the_full_accuracy_is_asked_of_each_image():
    o = outcome(4, 0.8, 0.79)
    found = judge(100, [o], Margin(0.05, relative=True))
    error = expected([0.95 * o.full.astype(np.float32) - o.small], True, [False])
    assert found.inside is (error.mean + error.half() < 0)
    assert found.within == pytest.approx(0.05 * o.full.mean())
    sure = Outcome(np.ones((1, 500), np.bool_), o.small[:1, :500], fixed=True)  # 2 % of all is 2 points
    both = [judge(9, [sure], Margin(0.3, relative)) for relative in (True, False)]
    assert both[0].within == both[1].within and both[0].shown is both[1].shown is True


def test_without_a_question_there_are_intervals_alone():
    found = judge(100, [outcome(5)])
    assert found.shown is found.inside is found.within is found.images_needed is None
    with pytest.raises(ValueError, match="with a margin"):
        decide([found])


def test_the_sequence_stops_at_the_first_that_is_not_shown():
    assert decide([of(9, True), of(5, True), of(2, False)]).tested.size == 5
    assert decide([of(9, True), of(5, False), of(2, True)]).tested.size == 9
    assert decide([of(9, True)]).decided == "shown"
    for wrong in ([of(2, True), of(5, True)], [of(5, True), of(5, True)], []):
        with pytest.raises(ValueError, match="largest down"):
            decide(wrong)


def test_too_few_images_and_too_much_loss_are_two_answers():
    lost = decide([of(9, False, hi=0.05, least=0.015)])
    assert (lost.decided, lost.because, lost.images_needed) == ("not_shown", "margin", None)
    few = decide([judge(9, [outcome(6, 0.9, 0.9, images=300)], Margin(0.01))])
    assert few.decided == "not_decidable" and few.smallest_margin > 0.01 and few.images_needed > 300
    clear = decide([judge(9, [outcome(6, 0.9, 0.6, images=300)], Margin(0.01))])
    assert clear.decided == "not_shown" and clear.smallest_margin > 0.01  # few images suffice to see so much
    lucky = replace(of(9, True), smallest_margin=0.04)  # a set that seems better than all images
    assert decide([lucky]).decided == "shown"


def test_every_class_must_be_shown():
    rng = np.random.default_rng(7)
    labels = np.repeat([0, 1, 2], (600, 300, 40))
    o = outcome(8, 0.9, 0.9, rows=5, images=940, labels=labels)
    names = ["a", "b", "rare"]
    found = judge(9, [o], Margin(0.05), 0.06, names)
    for label, one in enumerate(found.classes):
        own = labels == label
        alone = judge(9, [Outcome(o.full[:, own], o.small[:, own])], Margin(0.06))
        assert (one.name, one.images) == (names[label], own.sum())
        assert (one.loss, one.bound) == pytest.approx((alone.loss.mean, alone.loss.hi))
        assert (one in found.failed) is not alone.shown
    assert [c.name for c in found.failed] == ["rare"] and found.inside and not found.shown
    assert found.failed[0].images_needed > 40
    assert (decide([found]).decided, decide([found]).because) == ("not_decidable", "classes")
    assert found.worst.loss == max(c.loss for c in found.classes)
    order = rng.permutation(940)
    mixed = judge(9, [Outcome(o.full[:, order], o.small[:, order], labels[order])], Margin(0.05), 0.06, names)
    assert [c.bound for c in mixed.classes] == pytest.approx([c.bound for c in found.classes])


def test_classes_cannot_be_asked_without_their_labels():
    for o, names in ((outcome(1), ["a"]), (outcome(1, labels=np.zeros(800, np.int64)), [])):
        with pytest.raises(ValueError, match="class of each image"):
            judge(9, [o], Margin(0.05), 0.1, names)


@pytest.mark.parametrize(("asked", "margin"), [(1, Margin(0.01)), ("2%", Margin(0.02, True)), (" .5 ", Margin(0.005))])
def test_a_margin_is_read(asked, margin):
    found = Margin.of(asked)
    assert (found.value, found.relative) == (pytest.approx(margin.value), margin.relative)


@pytest.mark.parametrize("asked", ["", "one", "0", -1, "100", "%", "nan", "2 %%"])
def test_what_is_no_margin_is_refused(asked):
    with pytest.raises(UsageError, match="such as 2%"):
        Margin.of(asked)


def test_a_class_of_no_or_one_test_image_fails_by_name():
    labels = np.repeat([0, 2], (399, 1))
    found = judge(9, [outcome(9, 0.95, 0.95, images=400, labels=labels)], None, 0.2, ["many", "none", "one"])
    assert [c.name for c in found.failed] == ["none", "one"] and found.shown is False
    assert math.isnan(found.classes[1].full) and found.classes[2].bound == math.inf
    assert found.worst.name in ("many", "one")
    assert decide([found]).because == "classes"


def test_a_class_that_truly_loses_is_not_a_matter_of_images():
    labels = np.repeat([0, 1], 2000)
    full = np.ones((3, 4000), np.bool_)
    rng = np.random.default_rng(10)
    small = np.where(labels == 1, rng.random((3, 4000)) < 0.7, True)
    found = judge(9, [Outcome(full, small, labels)], Margin(0.2), 0.1, ["kept", "lost"])
    assert [c.name for c in found.failed] == ["lost"] and found.failed[0].images_needed is None
    assert decide([found]).decided == "not_shown"


def test_the_class_that_loses_most_is_bounded_in_nineteen_of_twenty_studies():
    rng = np.random.default_rng(11)
    labels, losses = np.repeat(np.arange(6), 80), np.array([0.0, 0.02, 0.02, 0.05, 0.05, 0.05])
    own = 0
    for _ in range(400):
        full, small = (rng.random((1, 480)) < 0.9 - share for share in (0, losses[labels]))
        found = judge(9, [Outcome(full, small, labels, True)], class_names=list("abcdef"))
        own += losses["abcdef".index(found.worst.name)] > found.worst.bound
    assert own <= 0.05 * 400 + 2 * math.sqrt(0.05 * 0.95 * 400)


@pytest.mark.parametrize("bad", [((3, 9), (2, 9), 9), ((3, 9), (3, 8), 9), ((3, 9), (3, 9), 8)])
def test_full_and_small_cover_the_same_students_and_images(bad):
    full, small, labels = bad
    with pytest.raises(ValueError, match=r"same students|one entry"):
        Outcome(np.ones(full), np.ones(small), np.zeros(labels, np.int64))


def test_one_student_is_enough_only_where_another_would_answer_the_same():
    with pytest.raises(ValueError, match="takes two"):
        judge(9, [outcome(12, rows=1)], Margin(0.03))
    assert judge(9, [outcome(12, rows=1, fixed=True)], Margin(0.2)).shown


def test_groups_of_images_are_the_sample_in_every_part():
    o = outcome(13, rows=1, fixed=True, images=200)
    labels, groups = np.arange(200) % 2, np.arange(200)
    many = Outcome(np.repeat(o.full, 9, 1), np.repeat(o.small, 9, 1), np.repeat(labels, 9), True, np.repeat(groups, 9))
    one, nine = (judge(5, [x], Margin(0.05), 0.1, ["a", "b"]) for x in (replace(o, labels=labels), many))
    assert nine.loss.hi == pytest.approx(one.loss.hi, abs=0.003) and nine.loss.images == 1800
    assert [c.bound for c in nine.classes] == pytest.approx([c.bound for c in one.classes], abs=0.01)
