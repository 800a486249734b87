"""ZCore: real images that cover random pairs of feature dimensions without repeating each other.

The k nearest by |v − x| + |w − y| lie where |v − x| is at most the distance of the last: a window of the order of v.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from decoct.core.interfaces import Draft, Inputs
from decoct.methods.coresets._shared.coreset import FeatureCoreset, Group

SAMPLE = 4096  # images about, whose distances tell how far to look
WINDOWS = 64  # times as many images as are looked for: with fewer it is quicker to look at all than to gather a window


class ZCore(FeatureCoreset):
    """Zero-shot coreset selection (Griffin et al., 2024, arXiv:2411.15349): no labels, no training.

    A draw takes two random dimensions and a point in them, triangular between minimum, median and maximum of each. The
    image nearest to the point (L1) covers it and gains 1; its ``redundant`` nearest images lose 1 together, in
    proportion to d^−``exponent``, or one of them all of it where it has the same coordinates. Images begin with a
    number from [0, 1) and are kept from the highest score down, so a smaller set is the beginning of a larger one.

    As in the paper, all classes are pooled and not balanced; ``pooled = false`` ranks each class by itself, with its
    share of the draws. The lowest index wins a tie, where the authors' code leaves it to the sorting. Of many images, a
    draw looks at those alone that can be the nearest, about √(2 · ``redundant`` · N) of them.

    Attributes:
        draws: in all; the authors' plug-in takes at most ten an image.
        redundant: images that a draw can take from.
        exponent: of the distance.
    """

    stochastic = True
    quick = {"draws": 2000}

    pooled: bool = True
    draws: int = Field(1_000_000, ge=1)
    redundant: int = Field(1000, ge=1)
    exponent: float = Field(4.0, ge=0)

    def __call__(self, inputs: Inputs) -> Draft:
        """Score and rank all images, or each class by itself."""

        def pick(group: Group, features: NDArray[Any]) -> NDArray[np.int64]:
            share = max(1, round(self.draws * len(group.rows) / len(inputs.data.train.labels)))
            score = coverage(features, share, self.redundant, self.exponent, np.random.default_rng(group.seed))
            return np.argsort(-score, kind="stable")[: group.quota]

        return self.picked(inputs, pick)


def coverage(
    features: NDArray[Any], draws: int, redundant: int, exponent: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """[N] scores of images: how often one is the nearest to a random point, less how near it is to those that are.

    The rule of ZCore (Griffin et al., 2024, arXiv:2411.15349): a draw takes two dimensions and a triangular point in
    them; the image nearest to it gains 1, the ``redundant`` images nearest to that one lose 1 together. Images begin
    with a number from [0, 1). Threads are those of torch, and do not change a score.

    Holds a copy of the features, dimension by dimension, and per thread O(N). A draw takes two searches, among all
    images or, of more than 64 k, in a window of about √(2 k N) of the order of one dimension; where many share a
    coordinate, a window holds them all.

    Args:
        features: [N, d], finite.
        draws: how many.
        redundant: nearest images that lose.
        exponent: of the distance.
        rng: of what images begin with and of the draws.

    Raises:
        ValueError: a feature that is not finite.
    """
    columns = np.ascontiguousarray(features.T, np.promote_types(features.dtype, np.float32))
    if not np.isfinite(columns).all():
        raise ValueError("features hold values that are not finite")
    score = rng.random(len(features))
    dimensions, points = drawn(columns, draws, rng)
    # The order of the dimension along which images lie wider apart has the smaller windows.
    width = np.array([column.std(dtype=np.float64) for column in columns])
    wide = (width[dimensions[:, 1]] > width[dimensions[:, 0]]).astype(np.int64)
    (first, second), (x, y) = _along(dimensions, wide), _along(points, wide)
    order = np.lexsort((second, first))  # the second column is still in the cache for the next draw
    used, starts = np.unique(first[order], return_index=True)

    def changes(dimension: int, draws: NDArray[np.int64]) -> NDArray[np.float64]:
        change, line = np.zeros(len(features)), Line.of(columns[dimension])
        for i in draws:
            other = columns[second[i]]
            (best,), _ = line.nearest(other, float(x[i]), float(y[i]), 1)
            change[best] += 1
            near, distance = line.nearest(other, float(line.column[best]), float(other[best]), redundant, best)
            change[near] -= penalties(distance, exponent)
        return change

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for change in pool.map(changes, used, np.split(order, starts[1:])):
            score += change
    return score


def drawn(columns: NDArray[Any], draws: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """[draws, 2] different dimensions of [d, N] columns, and a point in each pair; both the same where d is 1."""
    d = len(columns)
    first = rng.integers(d, size=draws)
    dimensions = np.stack([first, (first + rng.integers(min(1, d - 1), d, size=draws)) % d], 1)
    ends = [[np.min(column), np.median(column), np.max(column)] for column in columns]
    low, mode, high = np.moveaxis(np.array(ends, np.float64)[dimensions], 2, 0)
    u, span = rng.random((draws, 2)), high - low
    # The inverse of the distribution function of the triangle; of no width where low = high.
    rising, falling = low + np.sqrt(u * span * (mode - low)), high - np.sqrt((1 - u) * span * (high - mode))
    points: NDArray[np.float64] = np.where(u * span < mode - low, rising, falling)
    return dimensions, points[:, [0, 0]] if d == 1 else points


def penalties(distances: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """What each of the nearest images loses, 1 in all: in proportion to d^−exponent; all by the first if its d is 0."""
    if len(distances) and distances[0] == 0:
        share = np.zeros(len(distances))
        share[0] = 1
        return share
    share = (distances / distances[:1]) ** -exponent
    share /= share.sum()
    return share


class Line(NamedTuple):
    """Images in the order of one coordinate.

    Attributes:
        column: [N] coordinates by image.
        rows: [N] images in order.
        values: [N] their coordinates.
    """

    column: NDArray[Any]
    rows: NDArray[np.int64]
    values: NDArray[Any]

    @classmethod
    def of(cls, column: NDArray[Any]) -> "Line":
        """The order of [N] coordinates."""
        rows = np.argsort(column, kind="stable")
        return cls(column, rows, column[rows])

    def nearest(
        self, other: NDArray[Any], x: float, y: float, k: int, besides: int = -1
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The ``k`` images nearest to a point by |v − x| + |w − y|, nearest first; of a tie, the lowest index first.

        Args:
            other: [N] the other coordinate w, by image, of the dtype of ``values``.
            x: the point's coordinate v.
            y: its coordinate w.
            k: all images where there are not as many.
            besides: an image that is not wanted.
        """
        wanted = min(k + (besides >= 0), len(self.rows))
        some = len(self.rows) > WINDOWS * wanted
        rows = self._about(other, x, y, wanted) if some else self._among_all(other, x, y, wanted)
        rows = rows[rows != besides]
        exact = np.abs(self.column[rows] - np.float64(x)) + np.abs(other[rows] - np.float64(y))
        order = np.argsort(exact, kind="stable")[: wanted - (besides >= 0)]
        return rows[order], exact[order]

    def _among_all(self, other: NDArray[Any], x: float, y: float, wanted: int) -> NDArray[np.int64]:
        """Images that may be the nearest, by index: of few, nothing is gathered."""
        distance = np.abs(other - other.dtype.type(y))
        distance += np.abs(self.column - self.column.dtype.type(x))
        reach = np.partition(distance, wanted - 1)[wanted - 1]
        return np.flatnonzero(distance <= reach + _rounding(distance, x, y, reach))

    def _about(self, other: NDArray[Any], x: float, y: float, wanted: int) -> NDArray[np.int64]:
        """Images that may be the nearest, by index, from a window of the order."""
        half = int((wanted * len(self.rows)) ** 0.5)  # were they spread evenly, the square of this side would hold them
        at = self._place(x, "left")
        around = slice(max(0, at - half), at + half + 1)
        for stride in (1 + half // SAMPLE, 1):
            # All images within some reach lie in the window of that reach. Is it enough? A sample guesses, all know.
            _, distance = self._distances(other, x, y, slice(around.start, around.stop, stride))
            rank = wanted - 1 if stride == 1 else int(wanted / stride + 3 * (wanted / stride) ** 0.5) + 3
            rank = min(rank, len(distance) - 1)
            reach = np.partition(distance, rank)[rank]
            rounding = _rounding(distance, x, y, reach)
            window = slice(self._place(x - reach - rounding, "left"), self._place(x + reach + rounding, "right"))
            rows, distance = self._distances(other, x, y, window)
            inside = np.flatnonzero(distance <= reach + rounding)
            if np.count_nonzero(distance[inside] <= reach) >= wanted:
                break
        return np.sort(rows[inside])

    def _place(self, value: Any, side: Literal["left", "right"]) -> int:
        return int(np.searchsorted(self.values, self.values.dtype.type(value), side))

    def _distances(
        self, other: NDArray[Any], x: float, y: float, window: slice
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        rows = self.rows[window]
        distance, along = other[rows], self.values[window] - self.values.dtype.type(x)
        distance -= distance.dtype.type(y)
        np.abs(distance, out=distance)
        distance += np.abs(along, out=along)
        return rows, distance


def _rounding(distance: NDArray[Any], x: float, y: float, reach: float) -> float:
    """By how much a distance may be off, at the precision that it was computed in."""
    return float(8 * np.finfo(distance.dtype).eps * (abs(x) + abs(y) + reach))


def _along(pairs: NDArray[Any], second: NDArray[np.int64]) -> NDArray[Any]:
    """[2, n] of [n, 2] pairs, turned round where ``second`` is 1."""
    return np.take_along_axis(pairs, np.stack([second, 1 - second], 1), axis=1).T
