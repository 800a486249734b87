"""Against simulation, statsmodels' closed forms, and each other."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats as reference

from decoct.report.stats import power
from decoct.report.stats.crossed import Crossed
from decoct.report.stats.estimate import Estimate
from decoct.report.stats.power import Spread


def naive(mean, sd, margin, alpha=0.05):
    """The smallest n, one after another."""
    for n in range(3, 1001):
        error = Spread(sd**2).error(n)
        if max(power.difference_power(mean, error, alpha), power.same_power(mean, error, margin, alpha)) >= 0.8:
            return n
    return None


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 54])
@pytest.mark.parametrize(("mean", "sd"), [(0.02, 0.018), (0.0, 0.008), (0.03, 0.012), (0.2, 0.01), (0.0101, 0.5)])
def test_the_number_of_sets_is_the_first_that_decides(mean, sd, alpha):
    assert power.sets_to_decide(mean, Spread(sd**2), 0.01, alpha) == naive(mean, sd, 0.01, alpha)


@pytest.mark.parametrize("n", [3, 5, 12])
def test_the_power_is_what_simulation_finds(n):
    rng, sd = np.random.default_rng(n), 0.012
    error = Spread(sd**2).error(n)
    nct = reference.nct.sf(reference.t.ppf(0.975, n - 1), n - 1, 0.02 * math.sqrt(n) / sd)
    assert power.difference_power(0.02, error) == pytest.approx(nct, abs=2e-3)
    drawn = rng.normal(0.02, sd, (20_000, n))
    found = reference.ttest_1samp(drawn, 0, axis=1, alternative="greater").pvalue < 0.025
    assert power.difference_power(0.02, error) == pytest.approx(found.mean(), abs=0.01)
    below = reference.ttest_1samp(rng.normal(0, sd, (20_000, n)), 0.01, axis=1, alternative="less").pvalue < 0.05
    assert power.not_better_power(0.0, error, 0.01) == pytest.approx(below.mean(), abs=0.01)


@pytest.mark.parametrize("borrowed", [0.0, 8.0])
def test_with_test_images_and_what_the_family_lends_it_is_what_simulation_finds(borrowed):
    """Sets spread by 1.2 points, the test images add 0.5, at the level of one of 50; binomial error 0.9 points."""
    rng, n, alpha = np.random.default_rng(0), 5, 0.05 / 50
    spread = Spread(1.2e-2**2, 0.5e-2**2, 2000, borrowed)
    expected = power.difference_power(0.03, spread.error(n), alpha)
    seen = rng.chisquare(n - 1 + borrowed, 3000) / (n - 1 + borrowed) * spread.sets
    means = 0.03 + rng.normal(0, math.sqrt(spread.sets / n + spread.images), 3000)
    tails = [
        Estimate(m, ((s / n, n - 1 + borrowed), (spread.images, 1999.0))).above()
        for m, s in zip(means.tolist(), seen.tolist(), strict=True)
    ]
    assert expected == pytest.approx(np.mean(np.array(tails) < alpha / 2), abs=0.05)


@pytest.mark.parametrize("n", [3, 5, 20, 200])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_the_detectable_difference_is_the_inverse_of_the_power(n, alpha):
    spread = Spread(0.012**2, 0.004**2, 360)
    found = power.detectable(spread, n, alpha)
    assert power.difference_power(found, spread.error(n), alpha) == pytest.approx(0.8, abs=1e-4)


def test_too_few_sets_detect_nothing_and_no_spread_everything():
    assert math.isnan(power.detectable(Spread(1e-4), 2)) and math.isnan(power.detectable(Spread(math.nan), 5))
    assert power.detectable(Spread(0.0), 5) == 0.0


def test_out_of_reach_is_none():
    assert power.sets_to_decide(0.0101, Spread(0.5**2), 0.01) is None
    assert power.sets_to_decide(0.02, Spread(math.nan), 0.01) is None
    # Test images alone blur it: no number of sets would decide.
    assert power.sets_to_decide(0.02, Spread(1e-4, 0.02**2, 360), 0.01) is None


def test_more_spread_never_needs_fewer():
    needed = [power.sets_to_decide(0.02, Spread(sd**2), 0.01) for sd in (0.0, 0.01, 0.02, 0.04)]
    assert all(a <= b for a, b in pairwise(needed))


def test_the_interval_of_nested_replicates_keeps_its_coverage_at_five():
    """Five sets of two students; students share their seed across methods; the true difference is 2 points."""
    from decoct.report.stats import intervals
    from decoct.report.stats.crossed import crossed

    rng = np.random.default_rng(2)
    hits, studies = 0, 2000
    for _ in range(studies):
        student = rng.normal(0, 0.03, (5, 2))  # common to both methods, so it cancels in the pair
        sets, noise = rng.normal(0, 0.01, (2, 5, 1)), rng.normal(0, 0.01, (2, 5, 2))
        values = np.array([0.62, 0.60])[:, None, None] + student + sets + noise
        a, b = ({(c, t): v[c, t] for c in range(5) for t in range(2)} for v in values)
        found: Crossed = crossed(intervals.common([(1, a), (-1, b)]))
        hits += found.interval.lo <= 0.02 <= found.interval.hi
    assert hits / studies == pytest.approx(0.95, abs=0.02)


def simulated(kind, sd, n, alpha, number=4000):
    """How often so many sets show it, by scipy's t of each study's own spread."""
    truth, rng = 0.03 if kind == "better" else 0.0, np.random.default_rng(5)
    values = rng.normal(truth, sd, (number, n))

    def p(against, side):
        return reference.ttest_1samp(values, against, axis=1, alternative=side).pvalue

    if kind == "better":
        return np.mean(p(0.0, "greater") < alpha / 2)
    below = p(0.01, "less") < alpha
    return np.mean(below & (p(-0.01, "greater") < alpha) if kind == "same" else below)


@pytest.mark.parametrize(("kind", "alpha"), [("better", 0.05 / 3), ("same", 0.05 / 3), ("not better", 0.05 / 2)])
def test_so_many_sets_show_what_a_plan_says(kind, alpha):
    """Three comparisons lend each other nothing, so that each study has its own spread alone."""
    needed = power.sets_to_show(kind, 0.012, 0.01, comparisons=3, references=2)
    assert simulated(kind, 0.012, needed, alpha) > 0.78
    assert needed == 3 or simulated(kind, 0.012, needed - 1, alpha) < 0.82


def test_sameness_takes_many_sets_and_not_better_few():
    found = [power.sets_to_show(kind, 0.012, 0.01, 42, 3) for kind in ("better", "not better", "same")]
    assert found == sorted(found) and found[2] > 20
    assert power.sets_to_show("same", 0.5, 0.01, 42, 3) is None
