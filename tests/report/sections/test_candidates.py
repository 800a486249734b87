"""The set that holds the best: against a naive rewrite, and its promise over many studies."""

import math

import numpy as np
import pytest
from scipy.special import ndtri

from decoct.report.accuracy import Accuracy, Setting
from decoct.report.sections.candidates import Candidate, borrowed, unbeaten
from decoct.report.stats import intervals, moderated
from decoct.report.stats.crossed import Crossed
from decoct.report.stats.intervals import Interval
from decoct.report.stats.pairwise import pairwise


def test_nothing_is_left_out_that_nothing_beats_and_a_missing_test_counts_as_made():
    nan = math.nan
    p = np.array([[nan, 0.03, nan], [0.97, nan, nan], [nan, nan, nan]])
    assert unbeaten(p) == [True, True, True]  # 2 × .03 is above 5 %
    assert unbeaten(p[:2, :2]) == [False, True]
    assert unbeaten(np.array([[nan]])) == [True] and unbeaten(np.empty((0, 0))) == []


def study(rng, truth, sets, images):
    """Answers of sets to shared test images, sd of sets .7 points: [methods, sets, images]."""
    wanted = np.asarray(truth)[:, None] + 0.007 * rng.standard_normal((len(truth), sets))
    hard = 0.7 * rng.standard_normal(images) + 0.4 * rng.standard_normal((len(truth), 1, images))
    own = math.sqrt(1 - 0.7**2 - 0.4**2) * rng.standard_normal((len(truth), sets, images))
    return hard + own < ndtri(wanted)[:, :, None]


def ahead(right):
    runs = [{(c, 0): float(x.mean()) for c, x in enumerate(own)} for own in right]
    return pairwise(runs, lambda i, at: right[i][at[0]], intervals.grid_floor(right.shape[2])).ahead()


@pytest.mark.parametrize("studies", [200, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sets", [3, 5])
def test_the_best_is_left_out_in_one_study_of_twenty_at_most(studies, sets):
    """All alike, so that any is the best: over sets and over test images, four standard errors allowed."""
    rng = np.random.default_rng(sets)
    lost = sum(not unbeaten(ahead(study(rng, [0.6] * 4, sets, 400)))[0] for _ in range(studies))
    assert lost / studies < 0.05 + 4 * math.sqrt(0.05 * 0.95 / studies)


def test_what_is_far_behind_is_left_out():
    found = unbeaten(ahead(study(np.random.default_rng(1), [0.4, 0.4, 0.7, 0.7], 5, 400)))
    assert found[:2] == [False, False] and any(found[2:])


def test_errors_borrow_from_those_with_as_many_sets_of_their_own():
    rng = np.random.default_rng(0)
    errors = [Crossed(5, 0.5, float(v), 1e-6, 400) for v in rng.chisquare(4, 10) * 1e-5]
    setting = Setting("erm", "net", "ipc=1")
    a = Accuracy("m", setting, Interval(0.5, 0.5, 0.5, 5), 5, 10, 1, 1, 10, 0)
    own = borrowed([Candidate(a, {}, 1.0, e, e.estimate(), i >= 5) for i, e in enumerate(errors)])
    for alike in (range(5), range(5, 10)):
        prior = moderated.prior([errors[i].sets for i in alike], [4.0] * 5)
        assert all(own[i].estimate == errors[i].estimate(prior) for i in alike)
    assert borrowed([]) == ()
