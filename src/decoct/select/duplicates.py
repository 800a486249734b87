"""Near-duplicates: of the two rows that are nearest to each other one goes, again and again."""

import heapq
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from decoct.select.nearest import as_features, neighbours

LISTED = 16  # nearest rows that are found at once


def duplicates(features: ArrayLike | Tensor, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows that go until ``n`` are left: one of the two that are nearest to each other, again and again.

    Of the two the one that is farther from the mean of all rows goes; the higher index where both are as far. So of a
    group of copies one stays, each row that goes was near to one that was still there, and the distances never fall:
    those up to some limit are all duplicates by that limit. Exact, in n² d operations and one list of neighbours a row.

    Args:
        features: [N, d], finite; numpy, memory map or tensor, on any device.
        n: rows that stay, 1 ≤ n ≤ N.

    Returns:
        [N − n] rows, in the order in which they go; and the distance of each to the row that made it go.

    Raises:
        ValueError: ``n`` out of range, features not [N, d], or one that is not finite.

    Example:
        >>> rows, distances = decoct.select.duplicates(np.array([[0.0], [5.0], [5.1], [9.0], [0.0]]), 2)
        >>> rows.tolist(), distances.round(1).tolist()
        ([4, 2, 3], [0.0, 0.1, 4.0])
    """
    x = as_features(features, "the").cpu().numpy()
    if not 1 <= n <= len(x):
        raise ValueError(f"n must be from 1 to the {len(x)} rows, not {n}")
    away = np.linalg.norm(x - x.mean(0, dtype=np.float64), axis=1)
    there = _There(x)
    gone: list[int] = []
    distances: list[float] = []
    heap = [there.nearest(row) for row in range(len(x))] if n < len(x) else []
    heapq.heapify(heap)
    while len(gone) < len(x) - n:
        distance, first, second, row = heapq.heappop(heap)
        if not there.left[row]:
            continue
        if there.left[first] and there.left[second]:
            gone.append(max((first, second), key=lambda each: (away[each], each)))
            distances.append(distance)
            there.left[gone[-1]] = False
        # What is left now lies no nearer, so a row whose neighbour went may wait its turn again.
        if there.left[row] and len(gone) < len(x) - n:
            heapq.heappush(heap, there.nearest(row))
    return np.array(gone, np.int64), np.array(distances)


class _There:
    """The rows that are left, and who is nearest to each of them."""

    def __init__(self, x: NDArray[Any]) -> None:
        self.x, self.left = x, np.ones(len(x), bool)
        self.rows, self.distances = neighbours(x, LISTED)
        self.at = np.zeros(len(x), np.int64)  # how much of its list each row has used up

    def nearest(self, row: int) -> tuple[float, int, int, int]:
        """Distance to the nearest other row that is left, the pair with the lower index first, and the row."""
        later = np.flatnonzero(self.left[self.rows[row, self.at[row] :]])
        if not len(later):
            self._list(row)
            later = np.array([0])
        self.at[row] += later[0]
        other, distance = int(self.rows[row, self.at[row]]), float(self.distances[row, self.at[row]])
        return distance, min(row, other), max(row, other), row

    def _list(self, row: int) -> None:
        """List the nearest of the rows that are left, where all that were listed have gone; the last may come twice."""
        others = np.flatnonzero(self.left)
        others = others[others != row]
        distances = np.sqrt(np.square(self.x[others].astype(np.float64) - self.x[row]).sum(1))
        order = np.argsort(distances, kind="stable")[: self.rows.shape[1]]
        order = np.pad(order, (0, self.rows.shape[1] - len(order)), mode="edge")
        self.rows[row], self.distances[row], self.at[row] = others[order], distances[order], 0
