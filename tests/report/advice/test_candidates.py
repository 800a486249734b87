"""The set that holds the best: against a naive rewrite, and its promise over many studies."""

import math

import numpy as np
import pytest
from scipy.special import ndtri, stdtrit

from decoct.report.accuracy import Accuracy, Setting
from decoct.report.advice.candidates import Candidate, borrowed, unbeaten
from decoct.report.stats import intervals, moderated
from decoct.report.stats.crossed import Crossed
from decoct.report.stats.intervals import Interval
from decoct.report.stats.pairwise import Pairs, pairwise


def pairs(better, n=5.0):
    """Of differences that are sure where they are above 0, in as many sets."""
    mean = np.array(better, dtype=np.float64)
    sets = np.full(mean.shape, 1e-6)
    return Pairs(np.full(mean.shape, n), mean, sets, np.full(mean.shape, n - 1), sets * math.nan, 0)


def test_what_something_beats_is_left_out_among_those_in_question():
    found = pairs([[0, 1, -1], [-1, 0, -1], [1, 1, 0]])
    assert unbeaten(found, [0, 1, 2]) == [False, True, False]
    assert unbeaten(found, [0, 2]) == [True, False] and unbeaten(found, [2]) == [True] and unbeaten(found, []) == []
    assert unbeaten(pairs([[0, 1], [-1, 0]], n=2.0), [0, 1]) == [True, True]


def test_the_level_is_shared_among_the_rivals():
    """One-sided p of .03 by the t of four degrees of freedom: shown with one rival, not with two."""
    t = float(stdtrit(4, 0.97)) * math.sqrt(1e-6 / 5)
    found = pairs([[0, t, 0], [-t, 0, 0], [0, 0, 0]])
    assert unbeaten(found, [0, 1]) == [False, True] and unbeaten(found, [0, 1, 2]) == [True, True, True]


def study(rng, truth, sets, images):
    """Answers of sets to shared test images, sd of sets .7 points: [methods, sets, images]."""
    wanted = np.asarray(truth)[:, None] + 0.007 * rng.standard_normal((len(truth), sets))
    hard = 0.7 * rng.standard_normal(images) + 0.4 * rng.standard_normal((len(truth), 1, images))
    own = math.sqrt(1 - 0.7**2 - 0.4**2) * rng.standard_normal((len(truth), sets, images))
    return hard + own < ndtri(wanted)[:, :, None]


def kept(right):
    runs = [{(c, 0): float(x.mean()) for c, x in enumerate(own)} for own in right]
    found = pairwise(runs, lambda i, at: right[i][at[0]], intervals.grid_floor(right.shape[2])).borrowed()
    return unbeaten(found, range(len(right)))


@pytest.mark.parametrize("studies", [200, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sets", [3, 5])
def test_the_best_is_left_out_in_one_study_of_twenty_at_most(studies, sets):
    """All alike, so that any is the best: over sets and over test images, four standard errors allowed."""
    rng = np.random.default_rng(sets)
    lost = sum(not kept(study(rng, [0.6] * 4, sets, 400))[0] for _ in range(studies))
    assert lost / studies < 0.05 + 4 * math.sqrt(0.05 * 0.95 / studies)


def test_what_is_far_behind_is_left_out():
    found = kept(study(np.random.default_rng(1), [0.4, 0.4, 0.7, 0.7], 5, 400))
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
