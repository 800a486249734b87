"""P(A > B) against plain counting and Wilson's formula; how often its interval holds the truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.report.stats.outperformance import ahead


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12))
def test_the_share_of_pairs_ahead_with_ties_half(differences):
    found = ahead({(i, 0): d / 100 for i, d in enumerate(differences)})
    share = (sum(d > 0 for d in differences) + sum(d == 0 for d in differences) / 2) / len(differences)
    assert found.mean == pytest.approx(share) and found.n == len(differences) and found.by == "sets"
    if all(differences):
        wins = sum(d > 0 for d in differences)
        ends = reference.binomtest(wins, len(differences)).proportion_ci(method="wilson")
        assert (found.lo, found.hi) == pytest.approx((ends.low, ends.high))


def test_five_pairs_that_agree_are_no_certainty():
    found = ahead({(i, 0): 0.1 for i in range(5)})
    assert (found.mean, found.hi) == (1.0, 1.0) and found.lo == pytest.approx(0.566, abs=1e-3)


def test_students_of_one_set_are_averaged_first():
    assert ahead({(0, 0): 0.3, (0, 1): -0.1, (1, 0): -0.2}).mean == 0.5
    assert ahead({(0, 0): 0.1 + 0.2, (0, 1): -0.3}).mean == 0.5  # rounding alone is a tie


def test_without_a_pair_there_is_nothing():
    assert math.isnan(ahead({}).mean)


@pytest.mark.parametrize("truth", [0.5, 0.7, 0.9])
def test_its_interval_holds_the_truth_as_often_as_it_says(truth):
    """At five pairs 90 to 99 %: so few wins and losses have few intervals."""
    rng, right = np.random.default_rng(0), 0
    shift = reference.norm.ppf(truth)
    for _ in range(1000):
        found = ahead({(i, 0): x for i, x in enumerate(shift + rng.normal(size=5))})
        right += found.lo <= truth <= found.hi
    assert 0.9 < right / 1000 < 0.995
