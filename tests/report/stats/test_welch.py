"""Welch's t against scipy, and what is left of it where a group is one value."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from decoct.report.stats.welch import welch

groups = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8).filter(lambda x: np.std(x) > 1e-3)


@given(a=groups, b=groups)
def test_it_is_scipys(a, b):
    got, theirs = welch(a, b), scipy_stats.ttest_ind(a, b, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert (got.lo, got.hi) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-6)
    assert got.mean == pytest.approx(np.mean(a) - np.mean(b), abs=1e-9) and got.n == (len(a), len(b))
    assert got.p_better == pytest.approx(scipy_stats.ttest_ind(a, b, equal_var=False, alternative="greater").pvalue)
    assert got.p_better + got.p_worse == pytest.approx(1)


@given(a=groups, value=st.floats(-1e3, 1e3))
def test_a_known_value_leaves_the_t_of_the_other_group(a, value):
    got, theirs = welch(a, [value], known=(False, True)), scipy_stats.ttest_1samp(a, value)
    interval = theirs.confidence_interval(0.95)
    assert (got.lo, got.hi) == pytest.approx((interval.low - value, interval.high - value), rel=1e-6, abs=1e-6)
    assert got.p_worse == pytest.approx(scipy_stats.ttest_1samp(a, value, alternative="less").pvalue)
    turned = welch([value], a, known=(True, False))
    assert (turned.mean, turned.p_better, turned.n) == (pytest.approx(-got.mean), got.p_worse, (1, len(a)))


@pytest.mark.parametrize(("a", "b", "known"), [([1.0], [2.0, 3.0], (False, True)), ([1.0], [2.0], (True, True))])
def test_one_value_of_unknown_spread_has_a_difference_and_no_interval(a, b, known):
    got = welch(a, b, known=known)
    assert got.mean == np.mean(a) - np.mean(b)
    assert all(map(math.isnan, (got.lo, got.hi, got.p_better, got.p_worse)))


def test_an_empty_group_says_nothing():
    got = welch([], [1.0, 2.0])
    assert math.isnan(got.mean) and math.isnan(got.p_better) and got.n == (0, 2)


def test_equal_values_are_certain_without_a_floor_and_not_with_one():
    assert welch([2.0, 2.0], [1.0, 1.0]).p_better == 0
    assert welch([1.0, 1.0], [1.0, 1.0]).p_better == 0.5
    wide = welch([2.0, 2.0], [1.0, 1.0], floor=1.0)
    assert wide.lo < 0 < wide.hi and 0.05 < wide.p_better < 0.5


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        welch([1.0, math.nan], [1.0, 2.0])
