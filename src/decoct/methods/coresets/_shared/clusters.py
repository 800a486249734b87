"""Clusters of images, whatever their class."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.select.covering import k_means

SAMPLE = 2**18  # images that clusters are found from
BLOCK = 2**22  # products with centres that are held at once


def centres(
    features: NDArray[Any],
    clusters: int,
    rng: np.random.Generator,
    scaled: Callable[[NDArray[Any]], NDArray[Any]] = lambda rows: rows,
) -> NDArray[Any]:
    """[k, d] centres of a k-means clustering of [n, d] features, k at most n; of more than 2¹⁸ rows, 2¹⁸ are drawn.

    Args:
        features: an array or a memory map.
        clusters: their number.
        rng: of the drawn rows and of the clustering.
        scaled: what is clustered, of the drawn rows.
    """
    few = features[np.sort(rng.permutation(len(features))[:SAMPLE])] if len(features) > SAMPLE else features
    few = scaled(few).astype(np.promote_types(features.dtype, np.float32), copy=False)
    found: NDArray[Any] = k_means(few, min(clusters, len(few)), int(rng.integers(2**31))).cluster_centers_
    return found


def products(rows: NDArray[Any], centres: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """x · c of rows [n, d] and centres [k, d], block by block of rows, [b, k]."""
    for part in np.array_split(rows, -(-len(rows) * len(centres) // BLOCK)):
        yield part @ centres.T
