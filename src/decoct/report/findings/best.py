"""Which of many are not shown to be worse than the best: a confidence set, so that no maximum is picked and tested."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from decoct.report.stats.intervals import ALPHA, Replicates


def ahead(runs: Sequence[Replicates], floor: float = 0.0) -> NDArray[np.float64]:
    """One-sided p [K, K] of "j is no better than i", paired t over the condense-level means that both have.

    Args:
        runs: accuracies by (condense, train) replicate of each of K.
        floor: the smallest standard deviation to believe, see ``intervals.grid_floor``.

    Returns:
        NaN where two share fewer than two sets, and on the diagonal.
    """
    places = sorted({key for run in runs for key in run})
    sets = sorted({condense for condense, _ in places})
    x = np.array([[run.get(place, math.nan) for place in places] for run in runs]).reshape(len(runs), len(places))
    members = [[i for i, (condense, _) in enumerate(places) if condense == one] for one in sets]
    p = np.full((len(runs), len(runs)), math.nan)
    for i in range(len(runs) if places else 0):
        difference = x - x[i]
        means = np.stack([_mean(difference[:, own], 1) for own in members], 1)
        n = np.isfinite(means).sum(1)
        centre = _mean(means, 1)
        squares = np.where(np.isfinite(means), (means - centre[:, None]) ** 2, 0.0).sum(1)
        sd = np.maximum(np.sqrt(squares / np.maximum(n - 1, 1)), floor)
        certain = np.where(centre == 0, 0.5, np.where(centre > 0, 0.0, 1.0))  # with no spread at all the sign decides
        t = np.divide(centre * np.sqrt(n), sd, out=np.zeros_like(centre), where=sd > 0)
        own = np.where(sd > 0, stdtr(np.maximum(n - 1, 1), -t), certain)
        p[i] = np.where(n > 1, own, math.nan)
        p[i, i] = math.nan
    return p


def unbeaten(p: NDArray[np.float64], alpha: float = ALPHA) -> list[bool]:
    """A set that holds the truly best with probability 1 − α or more, whichever it is.

    i is left out if it is shown that some j is better: if p_ij < α / (K − 1), which is the first step of Holm (1979)
    over its K − 1 rivals. The truly best has only true hypotheses among its own, so that it is left out with
    probability α at most; no further correction over i is needed. That is comparison with the best by subset selection
    (Gupta, 1965; Hsu, 1996, chapter 4), with Holm in place of a multivariate t, since differences are paired and spread
    unequally.

    Args:
        p: [K, K], as ``ahead`` gives it; a NaN shows nothing and counts as a test made.
        alpha: chance to leave the best out.
    """
    rivals = max(len(p) - 1, 1)
    return [not bool((row[np.isfinite(row)] * rivals < alpha).any()) for row in p]


def _mean(x: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Mean of what is finite; NaN where nothing is."""
    there = np.isfinite(x)
    count: NDArray[np.int64] = there.sum(axis)
    mean: NDArray[np.float64] = np.full(count.shape, math.nan)
    np.divide(np.where(there, x, 0.0).sum(axis), count, out=mean, where=count > 0)
    return mean
