"""Nested replicates, students within sets: intervals and comparisons by t or by bootstrap, and variance components.

The bootstrap is hierarchical: sets are drawn with replacement, then students within each set drawn. Its quantiles are
those of Student's ratio (bootstrap-t), since those of the mean itself are too narrow by far at the numbers of sets that
studies have. ``benchmarks/coverage.py`` holds them all against the t, and ``docs/statistics.md`` shows its table.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from decoct.report.stats import comparisons, intervals
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.intervals import ALPHA, Interval, Replicates

FEWEST = 20  # sets from which the bootstrap-t covers as the t or better and is hardly wider: docs/statistics.md
HOW = f"Student's t, from {FEWEST} of them on by a bootstrap of it"
DRAWS, SEED = 9_999, 20260  # draws + 1 is a multiple of 400, so that every quantile asked for is one of the draws

Floats = NDArray[np.float64]


def interval(replicates: Replicates, floor: float = 0.0) -> Interval:
    """95 % interval of the mean over condense-level means: bootstrap-t from ``FEWEST`` sets on, else t.

    Args:
        replicates: values by (condense, train) replicate.
        floor: the smallest standard deviation of a condense-level mean to believe.
    """
    means = intervals.condense_means(replicates)
    plain = intervals.t_interval(means, floor=floor)
    if not _resampled(means, floor):
        return plain
    ratios, se = pivots(*flat(replicates), floor), _se(means)
    lo, hi = (float(plain.mean - quantile(ratios, p) * se) for p in (1 - ALPHA / 2, ALPHA / 2))
    return replace(plain, lo=lo, hi=hi, by="bootstrap")


def compare(a: Replicates, b: Replicates, margin: float = 0.01, floor: float = 0.0) -> Comparison:
    """``comparisons.compare`` of a − b over their common replicates; from ``FEWEST`` sets on by the bootstrap-t.

    The p-values are then the shares of ratios beyond the observed one, so that word and intervals agree.
    """
    differences = intervals.common([(1, a), (-1, b)])
    means = intervals.condense_means(differences)
    plain = comparisons.compare(means, margin, floor)
    if not _resampled(means, floor):
        return plain
    ratios, se = pivots(*flat(differences), floor), _se(means)
    ratio, band = plain.mean / se, margin / se
    p_better = _share(ratios >= ratio, plain.p_better)
    p_worse = _share(ratios <= ratio, plain.p_worse)
    p_equivalent = max(
        _share(ratios >= ratio + band, plain.p_equivalent), _share(ratios <= ratio - band, plain.p_equivalent)
    )
    word = comparisons.decided(p_better, p_worse, p_equivalent)
    lo, hi, lo90, hi90 = (
        float(plain.mean - quantile(ratios, p) * se) for p in (1 - ALPHA / 2, ALPHA / 2, 1 - ALPHA, ALPHA)
    )
    own = {"p_better": p_better, "p_worse": p_worse, "p_equivalent": p_equivalent, "verdict": word}
    return replace(plain, lo=lo, hi=hi, lo90=lo90, hi90=hi90, by="bootstrap", **own)  # type: ignore[arg-type]


def flat(replicates: Replicates) -> tuple[Floats, tuple[int, ...]]:
    """Values set after set, and the number of students of each set."""
    keys = sorted(replicates)
    sets = [condense for condense, _ in keys]
    return np.array([replicates[key] for key in keys]), tuple(sets.count(s) for s in dict.fromkeys(sets))


@lru_cache(maxsize=2)
def picks(students: tuple[int, ...], draws: int = DRAWS) -> tuple[NDArray[np.int32], Floats]:
    """Positions in ``flat`` values, and their weights: [draws, sets, most students], the same for the same design."""
    rng, counts = np.random.default_rng(SEED), np.array(students)
    sets = rng.integers(len(counts), size=(draws, len(counts)))
    within, own = rng.random((*sets.shape, max(students))), counts[sets][..., None]
    positions = (np.cumsum(counts) - counts)[sets][..., None] + (within * own).astype(np.int64)
    weights = (np.arange(max(students)) < own) / own
    return positions.astype(np.int32), weights


def redrawn(values: Floats, students: tuple[int, ...], draws: int = DRAWS) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the condense-level means of every draw.

    Args:
        values: [Σ students, …], set after set; further axes are studies of the same design.
        students: of each set.
        draws: how many.

    Returns:
        two of [draws, …].
    """
    positions, weights = picks(students, draws)
    further = (1,) * (values.ndim - 1)
    block = max(1, 4_000_000 // (positions[0].size * values[0].size))
    means, sds = (np.empty((draws, *values.shape[1:])) for _ in range(2))
    for start in range(0, draws, block):
        rows = slice(start, start + block)
        chosen = values[positions[rows]]
        chosen *= weights[rows].reshape(*weights[rows].shape, *further)
        sets = chosen.sum(2)
        means[rows], sds[rows] = sets.mean(1), sets.std(1, ddof=1)
    return means, sds


def pivots(values: Floats, students: tuple[int, ...], floor: float = 0.0, draws: int = DRAWS) -> Floats:
    """Student's ratio of every draw, (mean* − mean) / (sd* / √sets), sorted along the first axis: [draws, …].

    Source:
        Efron, 1982; the hierarchical draws: Davison and Hinkley, 1997, section 3.8.
    """
    means, sds = redrawn(values, students, draws)
    cuts = np.cumsum((0, *students[:-1]))
    centre = (np.add.reduceat(values, cuts, axis=0) / np.array(students).reshape(-1, *(1,) * (values.ndim - 1))).mean(0)
    # A draw of one set over and over has no spread: the ratio is then as large as numbers get, on its side.
    least = max(floor, float(np.finfo(np.float64).tiny) ** 0.5)
    ratios: Floats = (means - centre) / (np.maximum(sds, least) / math.sqrt(len(students)))
    return np.sort(ratios, axis=0)


def quantile(ratios: Floats, p: float) -> Floats:
    """The draw beyond which fewer than p, or 1 − p, of them lie, so that it agrees with the p-values to the draw."""
    n = len(ratios) + 1
    at = round(n * p)
    return np.asarray(ratios[at] if p > 0.5 else ratios[at - 2])


@dataclass(frozen=True)
class Components:
    """What the values of nested replicates vary by: standard deviations, fractions; None where it cannot be told.

    Attributes:
        condense: between sets, without what their students add.
        train: between students of one set.
        together: of one student a set, sets and students at once; None where the two can be told apart.
        images: what a test set of as many other images would add, see ``answers.Tally.deviation``.
        sets: condense replicates; 1 where all students are of one set.
        students: in all.
    """

    condense: float | None
    train: float | None
    together: float | None
    images: float | None
    sets: int
    students: int


def components(replicates: Replicates, images: float | None = None, one_set: bool = False) -> Components:
    """Variance components by the method of moments: one-way analysis of variance, balanced or not.

    σ²(train) = MS within; σ²(condense) = (MS between − MS within) / n₀, n₀ = (N − Σ nᵢ² / N) / (sets − 1), or 0 where
    that is negative (Searle, Casella and McCulloch, 1992, section 3.6).

    Args:
        replicates: values by (condense, train) replicate: accuracies, or paired differences.
        images: what the test images add, where known.
        one_set: all students are of one set, whatever their replicates are called.
    """
    values, students = flat(replicates)
    if one_set:
        students = (len(values),) if len(values) else ()
    n, sets = len(values), len(students)
    nothing = Components(None, None, None, images, sets, n)
    if n < 2:
        return nothing
    if n == sets:
        return replace(nothing, together=float(values.std(ddof=1)))
    counts = np.array(students)
    means = np.add.reduceat(values, np.cumsum((0, *students[:-1]))) / counts
    within = float(np.square(values - np.repeat(means, counts)).sum()) / (n - sets)
    if sets == 1:
        return replace(nothing, train=math.sqrt(within))
    between = float((counts * np.square(means - values.mean())).sum()) / (sets - 1)
    size = (n - float(np.square(counts).sum()) / n) / (sets - 1)
    return replace(nothing, condense=math.sqrt(max(0.0, between - within) / size), train=math.sqrt(within))


def _share(beyond: NDArray[np.bool_], t: float) -> float:
    """p by the draws beyond; where there is none, the t's if that is smaller: draws alone end at 1 / (draws + 1), which
    Holm over 250 comparisons or more turns into nothing, however far the ratio.
    """
    share = (int(np.count_nonzero(beyond)) + 1) / (len(beyond) + 1)
    return share if beyond.any() else min(share, t)


def _resampled(means: Sequence[float], floor: float) -> bool:
    """Enough sets, and a spread that is more than the grid's."""
    return len(means) >= FEWEST and float(np.std(means, ddof=1)) > floor


def _se(means: Sequence[float]) -> float:
    return float(np.std(means, ddof=1)) / math.sqrt(len(means))
