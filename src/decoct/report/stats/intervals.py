"""Means over condensed sets, and their intervals: pure functions of plain numbers.

The unit of inference is the condense-level mean: a set's students are averaged first, because they share the set.
``crossed`` adds the variance from the test images.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.special import ndtri, stdtrit

By = Literal["both", "sets", "images", "wilson"]
Replicates = Mapping[tuple[int, int], float]  # (condense, train) replicate -> accuracy as a fraction
ALPHA = 0.05


@dataclass(frozen=True)
class Interval:
    """A mean with its interval; the bounds are NaN where one value gives none.

    Attributes:
        mean, lo, hi: mean and bounds; the mean is NaN where n is 0.
        n: condense-level means; test images where it is by "wilson" or "images".
        by: what varies: sets with their students and test images both, sets alone, images alone, or the images of one
            student ("wilson").
    """

    mean: float
    lo: float
    hi: float
    n: int
    by: By = "sets"

    def to_json(self) -> dict[str, Any]:
        """Its bounds, n and source; NaN where one value gives no bounds."""
        return {"ci95": [self.lo, self.hi], "n": self.n}


def condense_means(replicates: Replicates) -> list[float]:
    """Mean over the students of each condensed set, by condense replicate."""
    sets = sorted({condense for condense, _ in replicates})
    return [float(np.mean([a for (c, _), a in sorted(replicates.items()) if c == s])) for s in sets]


def paired(a: Replicates, b: Replicates) -> list[float]:
    """Condense-level means of a − b over the (condense, train) replicates that both have."""
    return combined([(1, a), (-1, b)])


def combined(terms: Sequence[tuple[float, Replicates]]) -> list[float]:
    """Condense-level means of Σ weight · accuracy over the (condense, train) replicates that all terms have."""
    return condense_means(common(terms))


def common(terms: Sequence[tuple[float, Replicates]]) -> dict[tuple[int, int], float]:
    """Σ weight · accuracy by (condense, train) replicate, of those that all terms have."""
    keys = set.intersection(*(set(replicates) for _, replicates in terms))
    return {key: sum(weight * a[key] for weight, a in terms) for key in sorted(keys)}


def t_interval(values: Sequence[float], level: float = 1 - ALPHA, floor: float = 0.0) -> Interval:
    """mean ± t · sd / √n, with n − 1 degrees of freedom.

    Args:
        values: independent values, such as condense-level means.
        level: coverage.
        floor: the smallest standard deviation to believe.

    Raises:
        ValueError: a value is not finite.
    """
    n, mean, sd = moments(values, floor)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * sd / math.sqrt(n) if n > 1 else math.nan
    return Interval(mean, mean - half, mean + half, n)


def clip(interval: Interval, lo: float, hi: float) -> Interval:
    """The interval with bounds clipped to the quantity's range; NaN stays NaN."""
    low, high = (x if math.isnan(x) else min(hi, max(lo, x)) for x in (interval.lo, interval.hi))
    return replace(interval, lo=low, hi=high)


def wilson(right: float, n: int, level: float = 1 - ALPHA) -> Interval:
    """Interval of a proportion over n test images (Wilson, 1927, without continuity correction).

    Args:
        right, n: how many were right, of how many; 0 gives NaN.
        level: coverage.
    """
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0, "wilson")
    z, p = float(ndtri((1 + level) / 2)), right / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval(p, max(0.0, centre - half), min(1.0, centre + half), n, "wilson")


def grid_floor(test_images: int) -> float:
    """Standard deviation that counting whole test images alone puts into a difference of two accuracies: √(1/6) / n.

    Five equal accuracies on 300 images do not prove a spread of zero; a smaller sample deviation is the grid's.
    """
    return math.sqrt(1 / 6) / test_images if test_images else 0.0


def moments(values: Sequence[float], floor: float) -> tuple[int, float, float]:
    """How many, their mean, and their standard deviation, not below the floor; NaN where there is none."""
    x = np.asarray(values, dtype=np.float64)
    if not np.isfinite(x).all():
        raise ValueError("cannot compare values that are not finite")
    sd = max(float(x.std(ddof=1)), floor) if len(x) > 1 else math.nan
    return len(x), float(x.mean()) if len(x) else math.nan, sd
