"""Means over sets and their intervals, against scipy and closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.report.stats import intervals

accuracies = st.lists(st.floats(0, 1), min_size=2, max_size=12).filter(lambda x: np.std(x) > 1e-6)


@given(values=accuracies, level=st.sampled_from([0.9, 0.95, 0.99]))
def test_a_t_interval_is_scipys(values, level):
    found = intervals.t_interval(values, level)
    lo, hi = reference.t.interval(level, len(values) - 1, np.mean(values), reference.sem(values))
    assert (found.lo, found.hi, found.n) == (pytest.approx(lo), pytest.approx(hi), len(values))


def test_one_value_has_a_mean_and_no_interval():
    found = intervals.t_interval([0.7])
    assert (found.mean, found.n) == (0.7, 1)
    assert math.isnan(found.lo) and math.isnan(found.hi)


@given(n=st.integers(1, 5000), share=st.floats(0, 1))
def test_wilson_is_scipys(n, share):
    right = round(share * n)
    expected = reference.binomtest(right, n).proportion_ci(method="wilson")
    found = intervals.wilson(right, n)
    assert (found.lo, found.hi) == (pytest.approx(expected.low, abs=1e-9), pytest.approx(expected.high, abs=1e-9))


def test_the_grid_floor_is_what_rounding_does():
    rng = np.random.default_rng(0)
    raw = rng.uniform(0.2, 0.9, (2, 200_000))
    error = np.round(raw * 100) / 100 - raw
    assert intervals.grid_floor(100) == pytest.approx((error[0] - error[1]).std(), rel=0.01)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="not finite"):
        intervals.t_interval([0.1, bad, 0.2])


def test_an_interval_says_what_varies():
    assert intervals.t_interval([0.1, 0.2]).by == intervals.clip(intervals.t_interval([0.1, 0.2]), 0, 1).by == "sets"
    assert intervals.wilson(3, 4).by == intervals.wilson(0, 0).by == "wilson"


def test_pairs_are_averaged_within_a_set_and_only_common_replicates_count():
    a = {(0, 0): 0.9, (0, 1): 0.7, (1, 0): 0.8, (2, 0): 0.1}
    b = {(0, 0): 0.5, (0, 1): 0.5, (1, 0): 0.5, (1, 1): 0.0, (3, 0): 0.9}
    assert intervals.paired(a, b) == pytest.approx([0.3, 0.3])
