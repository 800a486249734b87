"""Which sizes to try, where a curve over sizes bends, and how many random images reach an accuracy."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression

from decoct.core.errors import UsageError
from decoct.report.stats.estimate import Estimate
from decoct.report.stats.intervals import ALPHA
from decoct.shrinking.inference.expected import common
from decoct.shrinking.inference.shown import Outcome, loss, side

FRACTIONS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
APART = 50  # images between neighbours, where there are enough: closer ones no test distinguishes


def ladder(n: int, classes: int, fractions: Sequence[float] = FRACTIONS) -> tuple[int, ...]:
    """Sizes to try, rising: fractions of n images, at least one image per class, fewer where n is small.

    Neighbours are at least 50 images, or a quarter of n, apart.

    Raises:
        UsageError: there are not more images than classes.
    """
    if n <= classes:
        raise UsageError(f"{n} images of {classes} classes: a smaller set would lose a class; give more images")
    sizes: list[int] = []
    for fraction in sorted(fractions, reverse=True):
        size = max(classes, round(fraction * n))
        if size < n and (not sizes or sizes[-1] - size >= min(APART, n / 4)):
            sizes.append(size)
    return tuple(reversed(sizes)) or (classes,)


def knee(points: Mapping[int, float]) -> int | None:
    """The size beyond which more images pay least: where a rising, saturating curve is furthest above its chord.

    Kneedle (Satopää, Albrecht, Irwin and Raghavan, 2011, "Finding a 'kneedle' in a haystack"): sizes and accuracies
    are scaled to [0, 1], and the knee is where accuracy minus size is largest. Sizes count by their logarithm, and
    accuracies are made monotone first.

    Args:
        points: accuracy by size, all images among them.

    Returns:
        None where the curve is nowhere above its chord: fewer than three sizes, or no bend.
    """
    sizes = sorted(points)
    if len(sizes) < 3:
        return None
    x = np.log(sizes)
    y = isotonic_regression([points[size] for size in sizes])
    if y[-1] <= y[0]:
        return None
    above = (y - y[0]) / (y[-1] - y[0]) - (x - x[0]) / (x[-1] - x[0])
    best = int(np.argmax(above))
    return sizes[best] if above[best] > 1e-9 else None


def needed(curve: Mapping[int, Sequence[Outcome]]) -> tuple[float, float, float]:
    """How many random images reach the accuracy of the chosen set: mean, and 95 % interval.

    The difference "chosen − random" falls with random's size; it is made monotone (isotonic regression) and straight
    between sizes on the logarithm of n, and the mean is where it is 0. The interval holds every n whose difference is
    not distinguished from 0, by the two-sided 95 % interval of students and images; the students of the set and of each
    size lend each other degrees of freedom.

    Args:
        curve: by random's size, one outcome per stratum: ``full`` is the chosen set's students, the same at every size,
            ``small`` random's. A point at all images closes the curve.

    Returns:
        each infinite where the largest size does not reach it, and 0 where the smallest already does.

    Raises:
        ValueError: there is no size.
    """
    if not curve:
        raise ValueError("a curve has at least one size")
    sizes = sorted(curve)
    losses = [loss(curve[size]) for size in sizes]
    chosen, *drawn = (side("full", curve[sizes[0]]), *(side("small", curve[size]) for size in sizes))
    shared = common([chosen, *drawn])
    x, y = np.log(sizes), np.array([e.mean for e in losses])
    half = np.array(
        [
            Estimate(e.mean, (*chosen.lent(shared), *own.lent(shared), e.estimate.parts[-1])).half(ALPHA / 2)
            for e, own in zip(losses, drawn, strict=True)
        ]
    )
    mean, lo, hi = (_crossing(x, isotonic_regression(values, increasing=False)) for values in (y, y - half, y + half))
    return mean, lo, hi


def _crossing(x: NDArray[np.float64], falling: NDArray[np.float64]) -> float:
    """Where a falling curve reaches 0, on the logarithm of n."""
    reached = np.flatnonzero(falling <= 0)
    if len(reached) == 0:
        return math.inf
    i = int(reached[0])
    if i == 0:
        return 0.0
    share = falling[i - 1] / (falling[i - 1] - falling[i])
    return float(np.exp(x[i - 1] + share * (x[i] - x[i - 1])))
