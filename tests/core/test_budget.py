"""Budgets: what each class gives, in each of the words."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from decoct.core.budget import Budget, equal, proportional
from decoct.core.errors import DecoctError, UsageError

COUNTS = st.lists(st.integers(0, 12), min_size=1, max_size=7).filter(any)
FRACTIONS = st.floats(0, 1, exclude_min=True)
SAID = st.one_of(
    st.builds(Budget, ipc=st.integers(1, 10**7)),
    st.builds(Budget, fraction=FRACTIONS, balanced=st.sampled_from([None, True, False])),
    st.builds(Budget, images=st.integers(1, 10**7), balanced=st.sampled_from([None, True, False])),
)


def quotas(budget, counts):
    return budget.per_class(counts, [f"c{i}" for i in range(len(counts))])


def test_every_class_gives_ipc_images_up_to_all_that_it_has():
    assert Budget(ipc=3).per_class([3, 10, 4], ["a", "b", "c"]) == [3, 3, 3]
    assert str(Budget(ipc=10)) == "ipc=10"


@pytest.mark.parametrize("have", [2, 0])
def test_a_class_with_too_few_images_is_named(have):
    with pytest.raises(DecoctError, match=f"class 'b' has {have} training images, fewer than ipc=3"):
        Budget(ipc=3).per_class([3, have], ["a", "b"])


@pytest.mark.parametrize("share", [equal, proportional])
@given(counts=COUNTS)
def test_one_image_more_is_one_class_more_by_one(share, counts):
    shares = [share(counts, total) for total in range(sum(counts) + 1)]
    assert shares[0] == [0] * len(counts)
    assert shares[-1] == counts
    for few, many in pairwise(shares):
        assert sorted(b - a for a, b in zip(few, many, strict=True)) == [0] * (len(counts) - 1) + [1]


@given(counts=COUNTS, data=st.data())
def test_equal_numbers_are_a_round_robin_over_the_classes_that_have_more(counts, data):
    total = data.draw(st.integers(0, sum(counts)))
    given_, c = [0] * len(counts), 0
    while sum(given_) < total:
        given_[c % len(counts)] += given_[c % len(counts)] < counts[c % len(counts)]
        c += 1
    assert equal(counts, total) == given_


@given(counts=COUNTS, data=st.data())
def test_proportional_numbers_are_the_first_of_all_images_in_websters_order(counts, data):
    total = data.draw(st.integers(0, sum(counts)))
    order = sorted(
        (Fraction(2 * s - 1, 2 * n) if s > 1 else 0, -n, c) for c, n in enumerate(counts) for s in range(1, n + 1)
    )
    first = [c for *_, c in order[:total]]
    assert proportional(counts, total) == [first.count(c) for c in range(len(counts))]


@given(counts=st.lists(st.integers(1, 2000), min_size=1, max_size=30), fraction=FRACTIONS)
def test_a_fraction_is_rounded_in_all_and_leaves_no_class_out_while_it_can(counts, fraction):
    total = max(1, round(fraction * sum(counts)))
    for found in (quotas(Budget(fraction=fraction, balanced=b), counts) for b in (None, True)):
        assert sum(found) == total
        assert all(0 <= q <= n for q, n in zip(found, counts, strict=True))
        assert all(found) or total < len(counts)


@given(counts=st.lists(st.integers(1, 2000), min_size=1, max_size=30), fractions=st.tuples(FRACTIONS, FRACTIONS))
def test_a_larger_fraction_gives_no_class_fewer(counts, fractions):
    for balanced in (False, True):
        low, high = (quotas(Budget(fraction=f, balanced=balanced), counts) for f in sorted(fractions))
        assert all(a <= b for a, b in zip(low, high, strict=True))


def test_where_the_largest_remainder_takes_an_image_away_nobody_loses_one():
    # 10 images by largest remainder: 4, 4, 2; 11: 5, 5, 1.
    assert (proportional([6, 6, 2], 10), proportional([6, 6, 2], 11)) == ([5, 4, 1], [5, 5, 1])


def test_shares_by_hand():
    assert quotas(Budget(fraction=0.1), [100, 50, 10]) == [10, 5, 1]
    assert quotas(Budget(fraction=0.1, balanced=True), [100, 50, 10]) == [6, 5, 5]
    assert quotas(Budget(fraction=0.5, balanced=True), [100, 50, 10]) == [35, 35, 10]  # the last gives all it has
    assert quotas(Budget(images=16), [100, 50, 10]) == [6, 5, 5]
    assert quotas(Budget(images=16, balanced=False), [100, 50, 10]) == [10, 5, 1]
    assert quotas(Budget(fraction=1), [7, 1, 3]) == quotas(Budget(fraction=1, balanced=True), [7, 1, 3]) == [7, 1, 3]
    assert quotas(Budget(fraction=1e-9), [7, 1, 3]) == [1, 0, 0]


def test_with_fewer_images_than_classes_the_first_give_one_or_in_proportion_the_largest():
    assert quotas(Budget(images=2), [5, 9, 9, 5]) == [1, 1, 0, 0]
    assert quotas(Budget(images=2), [0, 9, 0, 5]) == [0, 1, 0, 1]
    assert quotas(Budget(images=3, balanced=False), [5, 9, 9, 5]) == [1, 1, 1, 0]
    assert quotas(Budget(images=2, balanced=False), [5, 9, 9, 5]) == [0, 1, 1, 0]


@pytest.mark.parametrize("balanced", [None, False])
def test_more_images_than_there_are_is_an_error_that_says_so(balanced):
    with pytest.raises(DecoctError, match=r"there are 12 training images, fewer than images=13.*: lower --images"):
        quotas(Budget(images=13, balanced=balanced), [5, 7])


@given(budget=SAID)
def test_a_budget_is_read_again_from_its_text_and_from_its_key(budget):
    assert Budget.read(str(budget)) == budget
    assert Budget(**budget.model_dump()) == budget == Budget.model_validate_json(budget.model_dump_json())


@given(one=SAID, other=SAID)
def test_budgets_with_one_text_have_one_key(one, other):
    assert (str(one) == str(other)) == (one.model_dump() == other.model_dump())


@pytest.mark.parametrize(
    ("said", "key", "text"),
    [
        ({"ipc": 10}, {"ipc": 10}, "ipc=10"),
        ({"fraction": 0.1}, {"fraction": 0.1}, "fraction=0.1"),
        ({"fraction": 0.1, "balanced": False}, {"fraction": 0.1}, "fraction=0.1"),
        ({"fraction": 1, "balanced": True}, {"fraction": 1.0, "balanced": True}, "fraction=1.0 balanced"),
        ({"images": 500, "balanced": True}, {"images": 500}, "images=500"),
        ({"images": 500, "balanced": False}, {"images": 500, "balanced": False}, "images=500 unbalanced"),
    ],
)
def test_the_key_is_what_is_said_without_its_default(said, key, text):
    assert Budget(**said).model_dump() == key
    assert str(Budget(**said)) == text


@pytest.mark.parametrize(
    "text",
    ["all", "unknown", "", "ipc", "ipc=", "ipc=0", "ipc=01", "ipc=1 balanced", "fraction=2", "images=5 balanced", "=1"],
)
def test_a_text_that_is_no_budget_is_read_as_none(text):
    assert Budget.read(text) is None


@pytest.mark.parametrize(
    "wrong",
    [
        *({"ipc": n} for n in (0, -1, 1.5, "ten")),
        *({"fraction": f} for f in (0, -0.1, 1.01, float("nan"), float("inf"))),
        *({"images": n} for n in (0, 2.5)),
        {},
        {"balanced": True},
        {"ipc": 1, "fractoin": 0.1},
        {"ipc": 1, "images": 10},
        {"fraction": 0.1, "images": 10},
        {"ipc": 1, "balanced": True},
        {"ipc": 1, "balanced": False},
    ],
)
def test_what_is_no_budget_is_refused(wrong):
    with pytest.raises(ValidationError):
        Budget(**wrong)


def test_what_is_asked_for_is_ipc_10_unless_it_is_said():
    assert Budget.asked() == Budget(ipc=10)
    assert Budget.asked(images=5, balanced=False) == Budget(images=5, balanced=False)
    with pytest.raises(UsageError, match=r"exactly one of ipc, fraction and images \(got {'ipc': 1, 'images': 2}\)"):
        Budget.asked(ipc=1, images=2)
    with pytest.raises(UsageError, match="balanced goes with fraction or images"):
        Budget.asked(balanced=True)


def test_a_method_that_makes_as_many_of_each_gets_their_number_or_an_error_with_its_name():
    counts, names = [20, 40], ["cat", "dog"]
    assert Budget(ipc=2).of_each("m", counts, names) == 2
    assert Budget(fraction=0.1, balanced=True).of_each("m", counts, names) == 3
    assert Budget(fraction=0.5).of_each("m", [20, 20], names) == 10
    with pytest.raises(UsageError, match=r"m makes .* fraction=0.1 gives 2 of 'cat' and 4 of 'dog': use ipc, or bal"):
        Budget(fraction=0.1).of_each("m", counts, names)
    with pytest.raises(UsageError, match="images=1 gives 0 of 'dog' and 1 of 'cat'"):
        Budget(images=1).of_each("m", counts, names)


@given(counts=st.lists(st.integers(1, 50), min_size=1, max_size=8), budget=SAID)
def test_the_total_is_known_without_the_classes(counts, budget):
    total = budget.total(sum(counts), len(counts))
    try:
        assert sum(quotas(budget, counts)) == total
    except DecoctError:
        assert total > len(counts) * min(counts)
