"""Which pictures of a pool are the same, and which nearly: of each group the image that stays comes first."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from decoct.shrinking import alike
from decoct.shrinking.pool import Pool
from decoct.shrinking.sorted_keys import Pairs, all_pairs, likely_pairs

NEAR = 0.25  # largest difference of a block, in deviations: re-encoded copies are below it, other pictures rarely
CROPPED = 5  # times that far apart may two pictures be whose crops are still compared: 90 % of the crops are nearer
COARSE = 0.9  # correlation of 6 × 6 blocks below which nothing else is looked at: 98 % of the crops are above 0.93
ALL = 2000  # images of which every pair is compared
ROUNDS = 8  # of the search at most, as a large group is joined bit by bit
SETTLED = 0.002  # of the images that stay join another in a round: the next would find little
BATCH = 4096  # images or pairs at once

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Near:
    """An image and those that nearly equal it.

    Attributes:
        rows: the image that stays, then the others in the order of preference.
        apart: how much each differs from the first, 0 for itself.
    """

    rows: Rows
    apart: NDArray[np.float32]


def preferred(pool: Pool) -> Rows:
    """[N] all rows: most pixels first, of equal ones the first path."""
    by_path = np.empty(len(pool), np.int64)
    by_path[sorted(range(len(pool)), key=pool.paths.__getitem__)] = np.arange(len(pool))
    return np.lexsort((by_path, -(pool.width.astype(np.int64) * pool.height)))


def equal(pool: Pool, order: Rows) -> list[Rows]:
    """Groups of all rows: equal files, or equal thumbnails of pictures of one size.

    The thumbnail of an empty picture, or nearly, is no evidence unless it holds all pixels.

    Args:
        pool: the images.
        order: all rows, by preference; groups and their rows are in this order.
    """
    key = np.empty(len(pool), np.uint64)
    for start in range(0, len(pool), BATCH):
        images = np.asarray(pool.images[start : start + BATCH])
        empty = alike.flat(alike.blocks(images))
        for row, image in enumerate(images, start):
            shape = (int(pool.width[row]), int(pool.height[row]))
            whole = shape[0] == shape[1] <= pool.size
            what = image.tobytes() if whole or not empty[row - start] else pool.content[row].tobytes()
            key[row] = int.from_bytes(hashlib.blake2b(b"%d %d " % shape + what, digest_size=8).digest())
    _, group = np.unique(key, return_inverse=True)
    by_group = order[np.argsort(group[order], kind="stable")]
    cuts = np.flatnonzero(np.diff(group[by_group])) + 1
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return sorted(np.split(by_group, cuts), key=lambda rows: int(rank[rows[0]]))


def nearly_equal(images: NDArray[np.uint8], order: Rows, near: float = NEAR) -> list[Near]:
    """Groups of two rows and more: in the order of preference each image joins one that stays and is within ``near``.

    Two pictures are compared by the means of 12 × 12 blocks, less their mean and divided by their deviation over
    blocks and colours: ``near`` limits the largest difference of a block. Of the pictures themselves and of crops by 3 %
    of either, the most alike count. Mean and deviation may differ by as much as a change of brightness makes. Pictures
    that are empty, or nearly, are in no group. Beyond ``ALL`` images only likely pairs are compared (``sorted_keys``).

    Args:
        images: [N, C, S, S] uint8, also as a memory map.
        order: rows, by preference.
        near: 0 gives no groups.
    """
    if not near or len(order) < 2:
        return []
    seen = _Seen(images, order, near)
    leader, apart = np.arange(len(order)), np.zeros(len(order), np.float32)
    for turn in range(ROUNDS):
        kept = _staying(leader, seen.full)
        first, second, differ = seen.near(kept, turn)
        _join(first, second, differ, leader, apart)
        _no_chains(seen, leader, apart)
        if len(kept) <= ALL or len(kept) - len(_staying(leader, seen.full)) <= SETTLED * len(kept):
            break
    groups = np.argsort(leader, kind="stable")
    parts = np.split(groups, np.flatnonzero(np.diff(leader[groups])) + 1)
    return [Near(order[part], apart[part]) for part in parts if len(part) > 1]


def _staying(leader: Rows, full: NDArray[np.bool_]) -> Rows:
    return np.flatnonzero((leader == np.arange(len(leader))) & full)


def _join(first: Rows, second: Rows, differ: NDArray[np.float32], leader: Rows, apart: NDArray[np.float32]) -> None:
    """In order, each image that has joined none takes in all later ones that have not, and are near to it."""
    by_first = np.lexsort((second, first))
    first, second, differ = first[by_first], second[by_first], differ[by_first]
    cuts = [*np.flatnonzero(np.diff(first, prepend=-1)), len(first)]
    for start, end in pairwise(cuts):
        image, others = first[start], second[start:end]
        if leader[image] == image:
            free = leader[others] == others
            leader[others[free]], apart[others[free]] = image, differ[start:end][free]


def _no_chains(seen: "_Seen", leader: Rows, apart: NDArray[np.float32]) -> None:
    """Those whose image has itself joined another join that one where they are near to it, else they stay."""
    moved = np.flatnonzero(leader[leader] != leader)
    if len(moved):
        to = leader[leader[moved]]
        differ = seen.apart(to, moved)
        joined = differ <= seen.limit
        leader[moved] = np.where(joined, to, moved)
        apart[moved] = np.where(joined, differ, 0)


class _Seen:
    """Pictures as they are compared; numbers are positions in the order of preference."""

    def __init__(self, images: NDArray[np.uint8], order: Rows, limit: float) -> None:
        self.images, self.order, self.limit = images, order, limit
        parts = [alike.blocks(self._read(rows)) for rows in _batches(order)]
        self.full = ~np.concatenate([alike.flat(part) for part in parts])
        self.look = np.concatenate([part.astype(np.float16) for part in parts])

    def near(self, rows: Rows, seed: int) -> tuple[Rows, Rows, NDArray[np.float32]]:
        """Pairs of some rows that are near to each other, and how far they are apart."""
        if len(rows) < 2:
            return rows[:0], rows[:0], np.empty(0, np.float32)
        coarse = self._coarse(rows)
        pairs: Iterable[Pairs] = all_pairs(len(rows)) if len(rows) <= ALL else likely_pairs(coarse, seed)
        alike_too = [i * len(rows) + j for i, j in _correlated(coarse, pairs)]
        once = np.unique(np.concatenate([np.empty(0, np.int64), *alike_too]))
        first, second = rows[once // len(rows)], rows[once % len(rows)]
        differ = self.apart(first, second)
        near = differ <= self.limit
        return first[near], second[near], differ[near]

    def apart(self, first: Rows, second: Rows) -> NDArray[np.float32]:
        """[P] how far pairs are apart; infinity where brightness or contrast is another, or crops are out of reach."""
        differ = np.full(len(first), np.inf, np.float32)
        for part in _batches(np.arange(len(first))):
            a, b = self.look[first[part]], self.look[second[part]]
            whole = alike.apart(alike.standard(a), alike.standard(b))
            differ[part] = np.where(alike.same_light(a, b), whole, np.inf)
        cropped = np.flatnonzero((differ > self.limit) & (differ <= CROPPED * self.limit))
        for part in _batches(cropped, BATCH // 16):
            differ[part] = np.minimum(differ[part], self._cropped(first[part], second[part]))
        return differ

    def _cropped(self, first: Rows, second: Rows) -> NDArray[np.float32]:
        """[P] the least difference of a crop of either and the whole of the other."""
        rows, at = np.unique(np.concatenate([first, second]), return_inverse=True)
        crops = alike.standard(alike.crops(self._read(self.order[rows])))
        whole = alike.standard(self.look[rows])
        a, b = at[: len(first)], at[len(first) :]
        return np.minimum(
            alike.apart(crops[a], whole[b][:, None]).min(1), alike.apart(crops[b], whole[a][:, None]).min(1)
        )

    def _coarse(self, rows: Rows) -> NDArray[np.float32]:
        """[n, C · 36] blocks of twice the side, in which a crop shows less."""
        look = self.look[rows].astype(np.float32)
        half = alike.GRID // 2
        coarse = look.reshape(*look.shape[:2], half, 2, half, 2).mean((3, 5))
        return alike.standard(coarse)

    def _read(self, rows: Rows) -> NDArray[np.uint8]:
        """The thumbnails of some rows; read in ascending order, as they lie on the disk."""
        by_place = np.argsort(rows, kind="stable")
        images = np.empty((len(rows), *self.images.shape[1:]), np.uint8)
        images[by_place] = self.images[rows[by_place]]
        return images


def _correlated(coarse: NDArray[np.float32], pairs: Iterable[Pairs]) -> Iterator[Pairs]:
    """Of some pairs those whose coarse blocks correlate."""
    for first, second in pairs:
        for part in _batches(np.arange(len(first)), 16 * BATCH):
            i, j = first[part], second[part]
            there = np.einsum("pd,pd->p", coarse[i], coarse[j]) >= COARSE * coarse.shape[1]
            yield i[there], j[there]


def _batches(rows: Rows, size: int = BATCH) -> list[Rows]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
