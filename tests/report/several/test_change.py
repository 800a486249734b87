"""Changes between two runs against scipy, and words that hold over a family."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.report.several.change import Change, change, worded
from decoct.report.stats import comparisons
from decoct.report.stats.intervals import Interval

values = st.lists(st.integers(0, 100), min_size=2, max_size=8, unique=True)


def replicates(x):
    return {(i, 0): v / 100 for i, v in enumerate(x)}


@given(values, values)
@settings(deadline=None)
def test_unpaired_is_welch_and_its_two_one_sided_tests(x, y):
    found = change(replicates(x), replicates(y), paired=False, margin=0.05)
    a, b = np.array(x) / 100, np.array(y) / 100
    ours = reference.ttest_ind(b, a, equal_var=False)
    assert found.p == pytest.approx(ours.pvalue, abs=1e-9)
    ends = ours.confidence_interval(0.95)
    assert (found.interval.lo, found.interval.hi) == pytest.approx((ends.low, ends.high))
    above = reference.ttest_ind(b + 0.05, a, equal_var=False, alternative="greater").pvalue
    below = reference.ttest_ind(b - 0.05, a, equal_var=False, alternative="less").pvalue
    assert found.p_equivalent == pytest.approx(max(above, below), abs=1e-9)
    assert found.n == (len(x), len(y)) and not found.paired


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=2, max_size=8))
@settings(deadline=None)
def test_paired_is_scipys_over_the_replicates_that_both_have(pairs):
    x, y = zip(*pairs, strict=True)
    a, b = replicates(x), replicates(y) | {(99, 0): 0.5}
    found = change(a, b, paired=True)
    differences = [(v - u) / 100 for u, v in pairs]
    assert found.n == (len(pairs), len(pairs)) and math.isnan(found.p_equivalent)
    if np.ptp(differences) > 1e-12:
        assert found.p == pytest.approx(reference.ttest_1samp(differences, 0).pvalue, abs=1e-9)


@pytest.mark.parametrize("paired", [True, False])
def test_one_replicate_gives_a_difference_and_no_word(paired):
    found = change({(0, 0): 0.5}, {(0, 0): 0.7}, paired, margin=0.01)
    assert found.interval.mean == pytest.approx(0.2)
    assert math.isnan(found.interval.lo) and math.isnan(found.p)
    assert [c.word for c in worded([found], [True])] == ["undecided"]


def made(mean, p, q=math.nan):
    return Change(Interval(mean, mean - 1, mean + 1, 5), (5, 5), True, p, q)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_words_hold_over_the_family_and_what_has_no_test_makes_no_other_harder(ps):
    family = [made(0.1, p) for p in ps]
    words = [c.word for c in worded(family, [True] * len(ps))]
    assert words == ["better" if p < 0.05 else "undecided" for p in comparisons.holm(ps)]
    beside = worded([*family, made(0.1, math.nan)], [True] * (len(ps) + 1))
    assert [c.word for c in beside] == [*words, "undecided"]


def test_direction_and_equivalence():
    family = [made(0.1, 1e-9), made(-0.1, 1e-9), made(0.1, 1e-9), made(0.001, 1e-9, 1e-9), made(0.1, 0.9, 0.9)]
    words = [c.word for c in worded(family, [True, True, False, True, True])]
    assert words == ["better", "worse", "worse", "equivalent", "undecided"]
    assert worded([], []) == []
