"""All pairwise differences, with the variance from sets and test images: ``crossed`` for all pairs at once.

One product of matrices over the images covers all pairs: Σ (a − b)² = Σ a² + Σ b² − 2 Σ ab. Memory holds two arrays of
answers, 8 · K · images bytes (80 MB for 200 methods on 50,000 images), however many sets there are.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from decoct.report.grouped import grouped
from decoct.report.stats import moderated
from decoct.report.stats.answers import Correct
from decoct.report.stats.crossed import FEWEST
from decoct.report.stats.intervals import Replicates

Place = tuple[int, int]  # a (condense, train) replicate
Load = Callable[[int, Place], Correct | None]  # which test images one of K had right; None where not known
Square = NDArray[np.float64]  # [K, K]
ROWS = 16  # pairs whose images are compared one by one


@dataclass(frozen=True)
class Pairs:
    """Of each pair (i, j) the difference j − i over the (condense, train) replicates that both have.

    Attributes:
        n: sets; 0 where they share none.
        mean: NaN where they share none.
        sets: variance of the means of single sets; NaN below two.
        df: degrees of freedom of that variance.
        images: variance that the test images add to the mean; NaN where the answers of one are not known.
        tested: test images; 0 where no answers are known.
    """

    n: Square
    mean: Square
    sets: Square
    df: Square
    images: Square
    tested: int

    def borrowed(self, fixed: Sequence[bool] = ()) -> "Pairs":
        """With variances that borrow from pairs with as many fixed sides, see ``moderated``.

        Args:
            fixed: whether each has one set whatever the seed; none by default.
        """
        side = np.array(fixed or [False] * len(self.n), dtype=np.int64)
        kinds = side[:, None] + side[None, :]
        upper = np.triu(np.ones_like(kinds, dtype=np.bool_), 1)
        variance, df = self.sets.copy(), self.df.copy()
        for kind in np.unique(kinds):
            known = upper & (kinds == kind) & (self.n > 1)
            prior = moderated.prior(self.sets[known].tolist(), self.df[known].tolist())
            if prior.df:
                lent = (kinds == kind) & (self.n >= moderated.FEWEST_SETS)
                variance[lent], df[lent] = moderated.moderated(variance[lent], df[lent], prior)
        return replace(self, sets=variance, df=df)

    def better(self, level: float) -> NDArray[np.bool_]:
        """[K, K]: whether j is shown to be better than i, one-sided, see ``Estimate.half``; False below ``FEWEST``.

        Args:
            level: chance to say so where j is no better, up to 0.5.
        """
        tested = (self.n >= FEWEST) & ~np.eye(len(self.n), dtype=np.bool_)
        squares = np.full(self.n.shape, math.nan)
        squares[tested] = _quantiles(self.df[tested], level) ** 2 * (self.sets / np.maximum(self.n, 1))[tested]
        squares += float(stdtrit(max(self.tested - 1.0, 1.0), 1 - level)) ** 2 * np.nan_to_num(self.images)
        better: NDArray[np.bool_] = tested & (self.mean > np.sqrt(squares))
        return better


def pairwise(runs: Sequence[Replicates], load: Load | None = None, floor: float = 0.0) -> Pairs:
    """All pairs of K.

    Args:
        runs: accuracies of each by (condense, train) replicate.
        load: their answers by image; None where none are known.
        floor: the smallest standard deviation between sets to believe, see ``intervals.grid_floor``.
    """
    shape = (len(runs), len(runs))
    n, mean, sets, images = np.zeros(shape), *(np.full(shape, math.nan) for _ in range(3))
    alike = grouped(range(len(runs)), lambda i: tuple(sorted(runs[i])))
    tested = 0
    for (one, a), (other, b) in combinations_with_replacement(alike.items(), 2):
        shared = sorted(set(one) & set(other))
        if not shared:
            continue
        own = sorted({*a, *b})
        by_set = list(grouped(shared, lambda place: place[0]).values())
        x = np.array([[np.mean([runs[i][place] for place in s]) for s in by_set] for i in own])
        parts = [np.full((len(own), len(own)), float(len(by_set))), x.mean(1)[None] - x.mean(1)[:, None]]
        parts.append(np.maximum(np.sqrt(_variance(x)), floor) ** 2)
        seen, over = _images(own, by_set, load) if load else (0, np.full((len(own), len(own)), math.nan))
        tested = max(tested, seen)
        rows, columns = [own.index(i) for i in a], [own.index(i) for i in b]
        for whole, part in zip((n, mean, sets, images), (*parts, over), strict=True):
            whole[np.ix_(a, b)] = part[np.ix_(rows, columns)]
            whole[np.ix_(b, a)] = part[np.ix_(columns, rows)]
    return Pairs(n, mean, sets, n - 1.0, images, tested)


def _quantiles(df: Square, level: float) -> Square:
    """Quantiles of Student's t, computed once for each distinct number of degrees of freedom."""
    unlike, at = np.unique(df, return_inverse=True)
    quantiles: Square = stdtrit(unlike, 1 - level)[at]
    return quantiles


def _variance(x: Square) -> Square:
    """Between sets, of each difference of two rows [K, R]; NaN with one set."""
    if x.shape[1] < 2:
        return np.full((len(x), len(x)), math.nan)
    spread: Square = (x[:, None] - x[None]).var(2, ddof=1)
    return spread


def _images(own: Sequence[int], by_set: Sequence[Collection[Place]], load: Load) -> tuple[int, Square]:
    """How many images there are, and what they add to the variance of each difference, as ``answers.Tally`` has it."""
    k, r = len(own), len(by_set)
    nothing = np.full((k, k), math.nan)
    first = next((x for i in own if (x := load(i, next(iter(by_set[0])))) is not None), None)
    if first is None or len(first) < 2:
        return 0, nothing
    n = len(first)
    known = np.ones(k, dtype=np.bool_)
    total, block = (np.zeros((k, n), dtype=np.float32) for _ in range(2))
    squares, means = np.zeros((k, k)), np.empty((k, r))
    for at, places in enumerate(by_set):
        block[:] = 0
        for row, i in enumerate(own):
            for place in places:
                answers = load(i, place)
                if answers is None or len(answers) != n:
                    known[row] = False
                else:
                    block[row] += answers
        block /= np.float32(len(places))
        squares += _distances(block)
        means[:, at] = block.mean(1, dtype=np.float64)
        total += block
    apart = _distances(total) / r**2  # Σ over images of the squared mean difference
    sizes = _sizes(total) / r
    most = np.divide(apart, sizes, out=np.ones((k, k)), where=sizes > 0)
    centre = (means.mean(1)[None] - means.mean(1)[:, None]) * n / (n + 2)
    images = np.maximum((apart + 2 * most**2) / (n + 2) - centre**2, 0.0) / (n + 2)
    if r > 1:
        own_spread = (squares - r * apart) / (n * (r - 1)) - _variance(means)
        images -= np.maximum(own_spread * n / (n - 1), 0.0) / (r * n)
    return n, np.where(known[:, None] & known[None], np.maximum(images, 0.0), math.nan)


def _distances(x: NDArray[np.float32]) -> Square:
    """Σ (a − b)² of each two rows."""
    products = (x @ x.T).astype(np.float64)
    own = np.diag(products)
    return np.maximum(own[:, None] + own[None] - 2 * products, 0.0)


def _sizes(x: NDArray[np.float32]) -> Square:
    """Σ |a − b| of each two rows."""
    sizes = np.zeros((len(x), len(x)))
    for i in range(len(x)):
        for j in range(i + 1, len(x), ROWS):
            sizes[i, j : j + ROWS] = np.abs(x[j : j + ROWS] - x[i]).sum(1, dtype=np.float64)
    return sizes + sizes.T
