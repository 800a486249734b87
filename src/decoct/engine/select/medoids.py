"""k-medoids by k-means: of each cluster the row nearest to its centre."""

import warnings

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from decoct.engine.select.rows import TIE, Rows


def k_medoids(features: ArrayLike | Tensor, n: int, seed: int = 0) -> Tensor:
    """Cluster the rows into ``n`` by k-means, and pick of each cluster the row nearest to its centre.

    The largest cluster comes first, so the picks are ordered, but fewer picks are not the first of more. Where fewer
    than ``n`` rows are distinct, the lowest rows left fill up. Clustering is scikit-learn's, on the CPU, from one
    k-means++ start; it holds two copies of the features in memory.

    Args:
        features: [N, d], finite; numpy, memory map or tensor. Half precision computes in float32.
        n: number of picks, 1 ≤ n ≤ N.
        seed: of k-means++.

    Returns:
        [n] int64 on the CPU.

    Raises:
        ValueError: ``n`` out of range, features not [N, d], or one that is not finite.

    Source:
        Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    rows = Rows(features, n)
    array = rows.features.to("cpu", rows.dtype).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of clusters that duplicates leave empty
        found = KMeans(n, n_init=1, random_state=seed % 2**32).fit(array)
    away = np.empty(len(array))
    for at in range(0, len(array), 4096):
        here = slice(at, at + 4096)
        away[here] = np.linalg.norm(
            array[here] - found.cluster_centers_[found.labels_[here]].astype(np.float64), axis=1
        )
    sizes = np.bincount(found.labels_, minlength=n)
    picked = [_nearest(away, np.flatnonzero(found.labels_ == c)) for c in np.argsort(-sizes, kind="stable") if sizes[c]]
    rest = np.setdiff1d(np.arange(len(array)), picked)
    return torch.from_numpy(np.concatenate([np.array(picked, np.int64), rest[: n - len(picked)]]))


def _nearest(away: np.ndarray, members: np.ndarray) -> int:
    near = away[members]
    return int(members[np.flatnonzero(near <= near.min() * (1 + TIE))[0]])
