"""Which pictures of a pool are the same, and which nearly: of each group the image that stays comes first."""

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from decoct.shrinking.faults.looks import Looks
from decoct.shrinking.pool import Pool

NEAR = 0.25  # largest difference of a block, in deviations: re-encoded copies are below it, other pictures rarely
ROUNDS = 8  # of the search at most, as a large group is joined bit by bit
SETTLED = 0.002  # of the images that stay join another in a round: the next would find little

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


def equal(pool: Pool, looks: Looks, order: Rows) -> list[Rows]:
    """Groups of all rows: equal files, or equal thumbnails of pictures of one size.

    The thumbnail of an empty picture, or nearly, is no evidence unless it holds all pixels.

    Args:
        pool: the images.
        looks: of them.
        order: all rows, by preference; groups and their rows are in this order.
    """
    key = np.empty(len(pool), np.uint64)
    for row, image in enumerate(pool.images):
        shape = (int(pool.width[row]), int(pool.height[row]))
        whole = shape[0] == shape[1] <= pool.size
        what = image.tobytes() if whole or looks.full[row] else pool.content[row].tobytes()
        key[row] = int.from_bytes(hashlib.blake2b(b"%d %d " % shape + what, digest_size=8).digest())
    _, group = np.unique(key, return_inverse=True)
    by_group = order[np.argsort(group[order], kind="stable")]
    cuts = np.flatnonzero(np.diff(group[by_group])) + 1
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return sorted(np.split(by_group, cuts), key=lambda rows: int(rank[rows[0]]))


def nearly_equal(looks: Looks, order: Rows, near: float = NEAR) -> list[Near]:
    """Groups of two rows and more: in the order of preference each image joins one that stays and is within ``near``.

    ``Looks.apart`` says how far two are apart. Empty pictures, or nearly empty ones, are in no group. Beyond
    ``Looks.ALL`` images only likely pairs are compared, in several rounds where masses of copies take them.

    Args:
        looks: of all images.
        order: rows of some, by preference.
        near: 0 gives no groups.
    """
    if not near or len(order) < 2:
        return []
    order = order[looks.full[order]]
    leader, apart = np.arange(len(order)), np.zeros(len(order), np.float32)
    for turn in range(ROUNDS):
        kept = _staying(leader)
        first, second, differ = looks.near(order[kept], near, turn)
        _join(kept[first], kept[second], differ, leader, apart)
        _no_chains(looks, order, near, leader, apart)
        if len(kept) <= looks.ALL or len(kept) - len(_staying(leader)) <= SETTLED * len(kept):
            break
    groups = np.argsort(leader, kind="stable")
    parts = np.split(groups, np.flatnonzero(np.diff(leader[groups])) + 1)
    return [Near(order[part], apart[part]) for part in parts if len(part) > 1]


def _staying(leader: Rows) -> Rows:
    return np.flatnonzero(leader == np.arange(len(leader)))


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


def _no_chains(looks: Looks, order: Rows, near: float, leader: Rows, apart: NDArray[np.float32]) -> None:
    """Those whose image has itself joined another join that one where they are near to it, else they stay."""
    moved = np.flatnonzero(leader[leader] != leader)
    if len(moved):
        to = leader[leader[moved]]
        differ = looks.apart(order[to], order[moved], near)
        joined = differ <= near
        leader[moved] = np.where(joined, to, moved)
        apart[moved] = np.where(joined, differ, 0)
