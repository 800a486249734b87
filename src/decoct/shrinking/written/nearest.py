"""The kept image that is nearest to each other image of its class: what stands for what was left out."""

import numpy as np
from numpy.typing import NDArray

from decoct.select.nearest import as_features, nearest_others, nearest_rows
from decoct.shrinking.pool import Pool

SIDE = 8  # pixels of the thumbnails that are compared where there are no features
BLOCK = 2**14  # images that are looked at together


def nearest_kept(pool: Pool, rows: NDArray[np.int64], kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of ``rows`` the nearest other image among ``kept`` of its class, −1 where there is none.

    By the pool's features, or else by the pixels of its images, averaged to ``SIDE`` × ``SIDE``. Exact, in blocks; of a
    tie, the first of ``kept`` in the pool's order. No matrix of all pairs is built.
    """
    found = np.full(len(rows), -1, np.int64)
    where = _by_class(pool.labels[rows])
    for label, targets in _by_class(pool.labels[kept]).items():
        if label not in where:
            continue
        own = np.sort(kept[targets])
        known = as_features(looks(pool, own), "the")
        inside = np.isin(rows[where[label]], own)
        among, others = where[label][inside], where[label][~inside]
        if len(own) > 1 and len(among):
            nearest = nearest_others(known, 1).rows[:, 0].numpy()
            found[among] = own[nearest[np.searchsorted(own, rows[among])]]
        for start in range(0, len(others), BLOCK):
            part = others[start : start + BLOCK]
            nearest = nearest_rows(as_features(looks(pool, rows[part]), "the"), known).rows.numpy()
            found[part] = own[nearest]
    return found


def looks(pool: Pool, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """What images are compared by, [len(rows), d]."""
    if pool.features is not None:
        return np.asarray(pool.features[rows], np.float32)
    channels, side = pool.images.shape[1], pool.size
    edges = np.linspace(0, side, min(SIDE, side) + 1).astype(int)
    small = np.empty((len(rows), channels, len(edges) - 1, len(edges) - 1), np.float32)
    for start in range(0, len(rows), BLOCK):  # as floats, images take four times as much
        part = pool.images[rows[start : start + BLOCK]].astype(np.float32)
        sums = np.add.reduceat(np.add.reduceat(part, edges[:-1], axis=2), edges[:-1], axis=3)
        small[start : start + BLOCK] = sums / np.outer(np.diff(edges), np.diff(edges))
    return small.reshape(len(rows), -1)


def _by_class(labels: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """Positions of each class, ascending."""
    order = np.argsort(labels, kind="stable")
    names, starts = np.unique(labels[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))
