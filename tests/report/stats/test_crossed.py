"""Against the analysis of variance by hand, and simulations in which sets, students and test images are drawn anew."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.report.stats.answers import tally
from decoct.report.stats.crossed import FEWEST, Crossed, crossed
from decoct.report.stats.moderated import Prior


def reduced(answers):
    """Of answers [sets, images] of one student a set, plain accuracies."""
    return crossed({(c, 0): float(a.mean()) for c, a in enumerate(answers)}, tally(enumerate(answers)))


def test_the_variance_is_that_of_gallas_by_hand():
    rng = np.random.default_rng(0)
    x = (rng.random((5, 4000)) < rng.beta(2, 1, 4000)).astype(np.float32)
    r, n = x.shape
    rest = x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()
    interaction = float((rest**2).sum()) / ((r - 1) * (n - 1))
    variance = x.mean(1).var(ddof=1) / r + x.mean(0).var(ddof=1) / n - interaction / (r * n)
    found = reduced(x)
    assert found.mean == pytest.approx(x.mean()) and (found.n, found.tested) == (5, 4000)
    assert found.estimate().se ** 2 == pytest.approx(variance, rel=0.01)  # two added images are all that differs


def test_without_answers_it_is_the_t_over_sets():
    values = [0.61, 0.64, 0.60, 0.66]
    found = crossed({(c, 0): v for c, v in enumerate(values)})
    assert (found.interval.lo, found.interval.hi) == pytest.approx(
        reference.t.interval(0.95, 3, np.mean(values), reference.sem(values))
    )
    assert found.interval.by == "sets" and found.over_images is None and found.interval == found.over_sets


@pytest.mark.parametrize("sets", [0, 1, 2])
def test_below_the_fewest_sets_there_are_the_parts_alone(sets):
    rng = np.random.default_rng(1)
    found = reduced((rng.random((sets, 50)) < 0.5).astype(np.float32))
    assert sets < FEWEST and math.isnan(found.estimate().above())
    assert found.interval.by == "sets" and math.isfinite(found.interval.lo) == (sets == 2)
    assert (found.over_images is not None) == (sets > 0)


@given(seed=st.integers(0, 1000))
def test_from_the_other_side_it_is_the_mirror(seed):
    rng = np.random.default_rng(seed)
    answers = [(c, rng.integers(-1, 2, 40).astype(np.float32)) for c in range(4)]
    there = crossed({(c, 0): float(a.mean()) for c, a in answers}, tally(answers, signed=True))
    back = there.turned()
    naive = crossed({(c, 0): float(-a.mean()) for c, a in answers}, tally([(c, -a) for c, a in answers], signed=True))
    for mine in (back, naive):
        assert (mine.interval.lo, mine.interval.hi) == pytest.approx((-there.interval.hi, -there.interval.lo))
        assert (mine.over_images.lo, mine.mean) == pytest.approx((-there.over_images.hi, -there.mean))


def test_the_family_is_heard_from_five_sets_on():
    few, many = Crossed(4, 0.0, 1e-4), Crossed(5, 0.0, 1e-4)
    prior = Prior(4e-4, 8.0)
    assert few.estimate(prior) == few.estimate()
    pooled = many.estimate(prior)
    assert pooled.df == 12 and pooled.se**2 == pytest.approx((8 * 4e-4 + 4 * 1e-4) / 12 / 5)


def chance(rng, sets, images, of_sets, own):
    """Answers of one study, and the truth: images of unlike difficulty, sets of unlike quality, and what is left."""
    level = rng.normal(0, 1, images) + of_sets * rng.normal(size=(sets, 1)) + own * rng.normal(size=(sets, images))
    return (level > 0).astype(np.float32)


@pytest.mark.parametrize("sets", [3, 5, 10])
@pytest.mark.parametrize(("of_sets", "images"), [(0.02, 200), (0.15, 200), (0.15, 2000)])
def test_it_covers_as_it_says_whichever_source_dominates(sets, of_sets, images):
    """The truth, over sets and images, is one half; binomial error of the coverage over 1,500 studies: 1.1 points."""
    rng, hits = np.random.default_rng(sets), []
    for _ in range(1500):
        i = reduced(chance(rng, sets, images, of_sets, 0.7)).interval
        hits.append(i.lo <= 0.5 <= i.hi)
    assert 0.93 <= np.mean(hits) <= 0.985


def test_a_plain_sum_of_both_variances_would_be_too_wide():
    rng, ratio = np.random.default_rng(7), []
    for _ in range(200):
        found = reduced(chance(rng, 5, 500, 0.02, 2.0))
        x = found.over_images
        plain = found.sets / 5 + ((x.hi - x.lo) / (2 * 1.96)) ** 2
        ratio.append(found.estimate().se ** 2 / plain)
    assert np.mean(ratio) < 0.8
