"""Variances of few replicates, shrunk upwards to the usual variance among comparisons of one kind.

    s̃² = max(s², (d₀ s₀² + d s²) / (d₀ + d)), with d₀ + d degrees of freedom

With five replicates a variance has four degrees of freedom, and after correction over dozens of comparisons a t test
with four finds next to nothing. All comparisons of a study together show which spread is usual (s₀²) and how much it
varies between them (d₀): the more alike they are, the more each borrows.

Source:
    Smyth, 2004, "Linear models and empirical Bayes methods", section 6.2 (limma's squeezeVar and fitFDist).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

CAP = 20.0  # most prior degrees of freedom: comparisons share methods, and look more alike than they are
FEWEST_SETS = 5  # a comparison of fewer borrows nothing: too little evidence would be its own
FEWEST = 4  # comparisons that a prior is fitted to


T = TypeVar("T", float, NDArray[np.float64])


class Prior(NamedTuple):
    """The prior of comparisons of one kind: a variance, and its degrees of freedom."""

    variance: float
    df: float


NONE = Prior(math.nan, 0.0)


def prior(variances: Sequence[float], dfs: Sequence[float]) -> Prior:
    """Fit s² ~ s₀² F(d, d₀) by the first two moments of log s²; NONE with fewer than ``FEWEST`` variances above 0.

    Args:
        variances: of comparisons of one kind.
        dfs: degrees of freedom of each.
    """
    s2, d = (np.asarray(x, dtype=np.float64) for x in (variances, dfs))
    known = np.isfinite(s2) & (s2 > 0) & (d > 0)
    if known.sum() < FEWEST:
        return NONE
    s2, d = s2[known], d[known]
    e = np.log(s2) - digamma(d / 2) + np.log(d / 2)
    excess = float(e.var(ddof=1) - polygamma(1, d / 2).mean())
    if excess <= 0:
        return Prior(float(np.exp(e.mean())), CAP)
    df = 2 * trigamma_inverse(excess)
    return Prior(float(np.exp(e.mean() + digamma(df / 2) - math.log(df / 2))), min(df, CAP))


def moderated(variance: T, df: T, prior: Prior) -> tuple[T, T]:
    """A variance, or an array of them, raised towards the prior, and the degrees of freedom.

    It is never lowered: a comparison that spreads more than usual keeps its variance, so that a few wide ones among
    many do not pass for usual ones.
    """
    if prior.df == 0:
        return variance, df
    drawn = (prior.df * prior.variance + df * variance) / (prior.df + df)
    return np.maximum(variance, drawn), prior.df + df


def trigamma_inverse(x: float) -> float:
    """y with trigamma(y) = x, by Newton's steps on 1 / trigamma, which is nearly straight (Smyth, 2004, appendix)."""
    if x > 1e7:
        return 1 / math.sqrt(x)
    if x < 1e-6:
        return 1 / x
    y = 0.5 + 1 / x
    for _ in range(50):
        t = float(polygamma(1, y))
        step = t * (1 - t / x) / float(polygamma(2, y))
        y += step
        if -step / y < 1e-8:
            break
    return y
