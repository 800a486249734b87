"""Means of independent groups, such as readings of two methods' sets: their difference by Welch's t."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from decoct.report.stats.estimate import Estimate
from decoct.report.stats.intervals import ALPHA, moments


@dataclass(frozen=True)
class Contrast:
    """Mean of one group minus mean of another.

    Attributes:
        mean: NaN if a group is empty.
        lo, hi: 95 % interval; NaN where no spread is known.
        n: values in each group.
        p_better: one-sided p of "the first is no higher".
        p_worse: one-sided p of "the first is no lower".
    """

    mean: float
    lo: float
    hi: float
    n: tuple[int, int]
    p_better: float
    p_worse: float


def apart(values: Sequence[float], mean: float, sd: float, n: int) -> float:
    """Two-sided p of "the values are drawn like n others": Student's t with the pooled spread.

    Exact, even for one value, where the values spread as the others do; too sure where they spread more.

    Args:
        values: independent.
        mean, sd: of the n others.
        n: at least 2, else NaN.
    """
    m, own, spread = moments(values, 0.0)
    if m == 0 or n < 2 or not math.isfinite(sd):
        return math.nan
    squares = (n - 1) * sd**2 + ((m - 1) * spread**2 if m > 1 else 0.0)
    return 2 * Estimate(abs(own - mean), ((squares / (m + n - 2) * (1 / m + 1 / n), m + n - 2.0),)).above()


def welch(
    a: Sequence[float], b: Sequence[float], floor: float = 0.0, known: tuple[bool, bool] = (False, False)
) -> Contrast:
    """mean(a) − mean(b), t with the degrees of freedom of Welch (1947) and Satterthwaite (1946).

    A group of one value has no spread. If that value is *known*, such as the reading of a deterministic method's only
    set, it counts as exact, and the t is that of the other group alone: the contrast then conditions on that value. Two
    single values, or one that is not known, give a difference without an interval.

    Args:
        a, b: independent values.
        floor: the smallest standard deviation to believe, of a group of two or more.
        known: whether a single value of the first, and of the second, group counts as exact.

    Raises:
        ValueError: a value is not finite.
    """
    groups = [np.asarray(group, dtype=np.float64) for group in (a, b)]
    if not all(np.isfinite(x).all() for x in groups):
        raise ValueError("cannot compare values that are not finite")
    n, nan = (len(groups[0]), len(groups[1])), math.nan
    mean = float(groups[0].mean() - groups[1].mean()) if all(n) else nan
    if min(n) == 0 or max(n) < 2 or any(size < 2 and not sure for size, sure in zip(n, known, strict=True)):
        return Contrast(mean, nan, nan, n, nan, nan)
    parts = [(max(float(x.std(ddof=1)), floor) ** 2 / len(x), len(x) - 1) for x in groups if len(x) > 1]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Contrast(mean, mean, mean, n, *((0.5, 0.5) if mean == 0 else (float(mean < 0), float(mean > 0))))
    df = 1 / sum((part / variance) ** 2 / own for part, own in parts)  # in shares: squares of a tiny variance are 0
    se = math.sqrt(variance)
    half, t = float(stdtrit(df, 1 - ALPHA / 2)) * se, mean / se
    return Contrast(mean, mean - half, mean + half, n, float(stdtr(df, -t)), float(stdtr(df, t)))
