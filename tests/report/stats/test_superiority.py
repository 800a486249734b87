"""Not better by more than the margin: against a naive rewrite, and its level at the boundary by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.report.stats import comparisons
from decoct.report.stats.crossed import Crossed, crossed
from decoct.report.stats.superiority import everywhere, not_better, sets_to_settle

MARGIN = 0.01


def made(values, margin=MARGIN):
    return comparisons.compare(crossed({(i, 0): v for i, v in enumerate(values)}), margin)


def planted(mean, sd=0.01, n=5):
    return comparisons.compare(Crossed(n, mean, sd**2), MARGIN)


@given(st.lists(st.lists(st.integers(-50, 50), min_size=3, max_size=6, unique=True), min_size=1, max_size=4))
@settings(deadline=None)
def test_it_is_the_smallest_t_over_the_references_times_their_number(rows):
    """Where the smallest is above 5 % by itself its own spread does not agree, and p is 1."""
    values = [[v / 1000 for v in row] for row in rows]
    naive = [reference.ttest_1samp(row, MARGIN, alternative="less").pvalue for row in values]
    naive = [p if p < 0.05 else 1.0 for p in naive]
    assert not_better([made(row) for row in values]) == pytest.approx(min(1.0, len(rows) * min(naive)), rel=1e-6)


def test_a_reference_without_a_test_counts_and_is_not_the_smallest():
    sure, none = planted(-0.05), made([])
    assert not_better([sure, none]) == pytest.approx(2 * not_better([sure]))
    assert math.isnan(not_better([none])) and math.isnan(not_better([]))


def test_it_holds_of_all_or_it_is_not_known():
    assert everywhere([0.01, 0.04, 0.02]) == 0.04
    assert math.isnan(everywhere([0.01, math.nan])) and math.isnan(everywhere([]))


def studies(rng, truth, number, n=5):
    """Methods minus each reference, where references differ from the method by ``truth`` and share its chance."""
    k = len(truth)
    method = rng.normal(0, 0.007, (number, n, 1))
    references = rng.normal(0, 0.007, (number, n, k)) - np.array(truth)
    return method - references + rng.normal(0, 0.003, (number, n, k))


def test_at_the_boundary_it_errs_in_five_percent_of_studies_at_most():
    """The method is better than all three by exactly the margin, or than the best of them: the worst cases. Testing the
    reference that came out best, without a correction, errs twice as often.
    """
    rng, wrong, picked = np.random.default_rng(0), {}, {}
    for truth in ((MARGIN,) * 3, (MARGIN, 0.05, 0.05)):
        values = studies(rng, truth, 2000)
        p = [not_better([made(column) for column in study.T]) for study in values]
        wrong[truth] = np.mean(np.array(p) < 0.05)
        best = values.mean(1).argmin(1)
        own = [
            reference.ttest_1samp(s[:, b], MARGIN, alternative="less").pvalue for s, b in zip(values, best, strict=True)
        ]
        picked[truth] = np.mean(np.array(own) < 0.05)
    assert max(wrong.values()) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 2000)
    assert picked[(MARGIN,) * 3] > 0.09


def test_over_a_family_the_largest_errs_in_five_percent_at_most():
    """One of four methods is better by the margin, the others are far worse."""
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(1000):
        shown = [made(rng.normal(mean, 0.01, 5)) for mean in (MARGIN, -0.1, -0.1, -0.1)]
        wrong += everywhere(not_better([c]) for c in shown) < 0.05
    assert wrong / 1000 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 1000)


def shown_in(rng, means, sd, n, number=1500):
    """How often a study shows all of several methods not to be better, by its own tests."""
    values = rng.normal(0, sd, (number, len(means), n)) + np.array(means)[None, :, None]
    p = reference.ttest_1samp(values, MARGIN, axis=2, alternative="less").pvalue
    return np.mean((p < 0.05).all(1))


def test_so_many_sets_settle_it_in_four_of_five_studies():
    rng, means = np.random.default_rng(2), (0.0, 0.002)
    needed = sets_to_settle([[planted(m, 0.012)] for m in means], 2, 5)
    assert needed is not None
    assert shown_in(rng, means, 0.012, needed) > 0.78 and shown_in(rng, means, 0.012, needed - 2) < 0.8


def test_what_settles_it_may_be_that_a_method_is_better():
    assert sets_to_settle([[planted(0.05), planted(0.04)]], 1, 3) == 4  # at three sets it was open, so at least four
    assert sets_to_settle([[planted(0.05), planted(0.01)]], 1, 5) > 8  # better than the second by little


def test_what_cannot_be_settled_has_no_number():
    assert sets_to_settle([], 1, 5) is None
    assert sets_to_settle([[made([])]], 1, 0) is None
    noisy = comparisons.compare(Crossed(5, 0.0099, 1e-4, images=1e-4, tested=50), MARGIN)
    assert sets_to_settle([[noisy]], 1, 5) is None  # no number of sets buys more test images
