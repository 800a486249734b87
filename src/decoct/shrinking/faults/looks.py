"""The thumbnails of a pool as they are compared, and which of them are near to each other."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from decoct.shrinking.faults import alike
from decoct.shrinking.faults.sorted_keys import Pairs, all_pairs, likely_pairs

COARSE = 0.9  # correlation of 6 × 6 blocks below which nothing else is looked at: 98 % of crops by 3 % are above 0.93
CROPPED = 6  # times the limit may two pictures be apart that are compared as crops: 3 of 4 crops by 3 % are nearer
FINER = 3  # times the limit may they still be apart in a crop by 3 %: 9 of 10 crops by 1 to 4 % are nearer
ROUGH, FINE = ((0.03,), 3), ((0.01, 0.02, 0.03, 0.04, 0.05), 5)  # shares that are lost, places along a side
NEAREST = 4  # pairs of a row beyond ``ALL`` that are compared as crops, so that time grows as the number of images
BATCH = 4096  # images or pairs at once

Rows = NDArray[np.int64]


class Looks:
    """Blocks of all thumbnails, 2 bytes each.

    Attributes:
        full: [N] whether a picture is not empty, nor nearly so.

    Args:
        images: [N, C, S, S] uint8, also as a memory map.
    """

    ALL = 2000  # images of which every pair is compared

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images
        side = alike.GRID
        self.look = np.empty((len(images), images.shape[1], side, side), np.float16)
        self.light = np.empty((len(images), 2), np.float32)
        for start in range(0, len(images), BATCH):
            blocks = alike.blocks(images[start : start + BATCH]).astype(np.float16)
            self.look[start : start + BATCH], self.light[start : start + BATCH] = blocks, alike.light(blocks)
        self.full = ~alike.flat(self.light)

    def near(self, rows: Rows, limit: float, seed: int) -> tuple[Rows, Rows, NDArray[np.float32]]:
        """Positions i < j of pairs of ``rows`` that are apart by ``limit`` or less, and by how much."""
        coarse = self._coarse(rows)
        pairs: Iterable[Pairs] = all_pairs(len(rows)) if len(rows) <= self.ALL else likely_pairs(coarse, seed)
        alike_too = [i * len(rows) + j for i, j in _correlated(coarse, pairs)]
        once = np.unique(np.concatenate([np.empty(0, np.int64), *alike_too]))
        first, second = once // len(rows), once % len(rows)
        differ = self.apart(rows[first], rows[second], limit, None if len(rows) <= self.ALL else NEAREST)
        near = differ <= limit
        return first[near], second[near], differ[near]

    def apart(self, first: Rows, second: Rows, limit: float, nearest: int | None = None) -> NDArray[np.float32]:
        """[P] the largest difference of two pictures in any block.

        Blocks, 12 × 12 per channel, are taken less their mean and divided by their deviation over blocks and channels;
        where mean or deviation differ by more than a change of brightness makes, the difference is infinite. Where it
        is above ``limit``, crops of either are compared with the whole of the other, and the least difference counts:
        nine crops by 3 % up to ``CROPPED`` times the limit, then 125 by 1 to 5 % up to ``FINER`` times.

        Args:
            first, second: [P] rows.
            limit: of interest.
            nearest: compare crops only of so many pairs of each row, the least different ones; None for all.
        """
        differ = np.full(len(first), np.inf, np.float32)
        lit = np.flatnonzero(alike.same_light(self.light[first], self.light[second]))
        for part in _batches(lit):
            differ[part] = alike.apart(self._standard(first[part]), self._standard(second[part]))
        for most, crops, batch in ((CROPPED, ROUGH, BATCH // 16), (FINER, FINE, BATCH // 32)):
            cropped = np.flatnonzero((differ > limit) & (differ <= most * limit))
            if nearest is not None:
                cropped = cropped[_among(first[cropped], second[cropped], differ[cropped], nearest)]
            for part in _batches(cropped, batch):
                differ[part] = np.minimum(differ[part], self._cropped(first[part], second[part], *crops))
        return differ

    def _cropped(self, first: Rows, second: Rows, lost: Sequence[float], places: int) -> NDArray[np.float32]:
        """[P] the least difference of a crop of either and the whole of the other."""
        rows, at = np.unique(np.concatenate([first, second]), return_inverse=True)
        crops, whole = alike.standard(alike.crops(self.images[rows], lost, places)), self._standard(rows)
        a, b = at[: len(first)], at[len(first) :]
        of_first, of_second = alike.apart(crops[a], whole[b][:, None]), alike.apart(crops[b], whole[a][:, None])
        least: NDArray[np.float32] = np.minimum(of_first.min(1), of_second.min(1))
        return least

    def _standard(self, rows: Rows) -> NDArray[np.float32]:
        return alike.scaled(self.look[rows], self.light[rows])

    def _coarse(self, rows: Rows) -> NDArray[np.float32]:
        """[n, C · 36] blocks of twice the side, in which a crop shows less."""
        half, coarse = alike.GRID // 2, np.empty((len(rows), self.look.shape[1] * 36), np.float32)
        for part in _batches(np.arange(len(rows))):
            look = self.look[rows[part]].astype(np.float32)
            coarse[part] = alike.standard(look.reshape(*look.shape[:2], half, 2, half, 2).mean((3, 5)))
        return coarse


def _among(first: Rows, second: Rows, differ: NDArray[np.float32], nearest: int) -> NDArray[np.bool_]:
    """[P] which pairs are among the least different ones of either row."""
    ends = np.concatenate([first, second])
    order = np.lexsort((np.tile(differ, 2), ends))
    starts = np.flatnonzero(np.diff(ends[order], prepend=-1))
    rank = np.empty(len(ends), np.int64)
    rank[order] = np.arange(len(ends)) - np.repeat(starts, np.diff(starts, append=len(ends)))
    near: NDArray[np.bool_] = rank < nearest
    return near[: len(first)] | near[len(first) :]


def _correlated(coarse: NDArray[np.float32], pairs: Iterable[Pairs]) -> Iterator[Pairs]:
    """Of some pairs those whose coarse blocks correlate."""
    for first, second in pairs:
        for part in _batches(np.arange(len(first)), 16 * BATCH):
            i, j = first[part], second[part]
            there = np.einsum("pd,pd->p", coarse[i], coarse[j]) >= COARSE * coarse.shape[1]
            yield i[there], j[there]


def _batches(rows: Rows, size: int = BATCH) -> list[Rows]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
