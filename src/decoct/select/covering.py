"""Rows that leave no row far from a pick: k-center; and k-medoids, by k-means."""

import warnings
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from decoct.select.rows import BLOCK, SUM, TIE, Rows, settled

AHEAD = 16  # rows whose distances are computed together


def k_center(features: ArrayLike | Tensor, n: int, start: int | None = None) -> Tensor:
    """Pick ``n`` rows that leave no row far from its nearest pick: a 2-approximation of the smallest covering radius.

    Pick t maximises  min_{s picked} ‖f_i − f_s‖  over the rows not yet picked; the lowest index wins a tie. At most
    one product of features and one vector per pick; O(N) memory.

    Args:
        features: [N, d], finite; numpy, memory map or tensor, on any device. Half precision computes in float32.
        n: number of picks, 1 ≤ n ≤ N.
        start: the first pick; by default the row nearest the mean.

    Returns:
        [n] int64 on the CPU, in order of picking.

    Raises:
        ValueError: ``n`` or ``start`` out of range, features not [N, d], or one that is not finite.

    Source:
        Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985; as a coreset: Sener and
        Savarese, 2018, arXiv:1708.00489.

    Example:
        >>> picks = decoct.select.k_center(np.array([[0.0], [1.0], [2.0], [9.0]]), 2)
        >>> picks.tolist()  # the row nearest to the mean, 3, then the farthest from it
        [2, 3]
    """
    rows = Rows(features, n)
    if start is not None and not 0 <= start < len(rows):
        raise ValueError(f"start must be a row of the {len(rows)}, not {start}")
    picked = [_nearest_mean(rows) if start is None else start]
    nearest = torch.full_like(rows.squared, torch.inf)  # squared distances; −∞ once picked
    exact = _Nearest(rows, picked)
    reach = 0.0  # of the picks from the origin
    ahead: dict[int, Tensor] = {}
    while len(picked) < n:
        row = picked[-1]
        nearest[row] = -torch.inf
        if row not in ahead:
            # The next picks are likely among the rows that are farthest now: one look at the features serves several.
            likely = nearest.topk(min(AHEAD, n - len(picked)) - 1).indices.tolist() if len(picked) > 1 else []
            looked = torch.tensor([row, *likely], device=rows.device)
            ahead = dict(zip(looked.tolist(), rows.away(looked), strict=True))
        torch.minimum(nearest, ahead[row], out=nearest)
        reach = max(reach, float(rows.squared[row]) ** 0.5)
        worst = rows.rounding * (rows.widest + reach**2 + 2 * reach * rows.longest)
        picked.append(settled(nearest, worst, partial(_error, rows, reach), exact))
    return torch.tensor(picked)


def _error(rows: Rows, reach: float) -> Tensor:
    """[N] bounds on the rounding error of squared distances to points that are at most ``reach`` from the origin."""
    return rows.squared.add(reach**2).add_(rows.length, alpha=2 * reach).mul_(rows.rounding)


def _nearest_mean(rows: Rows) -> int:
    point = rows.about if rows.origin is None else rows.about - rows.origin.to(rows.home)
    reach = (
        float(point.norm()) + rows.drift / rows.rounding
    )  # how far ``about`` may be from the mean, as what is rounded
    return settled(
        rows.products(2 * point[None])[0].sub_(rows.squared),
        rows.rounding * (rows.widest + reach**2 + 2 * reach * rows.longest),
        partial(_error, rows, reach),
        lambda close: -rows.distances(close, rows.mean[None])[:, 0],
    )


class _Nearest:
    """Squared distances to the nearest pick in float64, of the rows that are asked for, each pick looked at once."""

    def __init__(self, rows: Rows, picked: list[int]) -> None:
        self.rows, self.picked = rows, picked
        self.value = torch.full((len(rows),), torch.inf, dtype=torch.float64, device=rows.home)
        self.seen = torch.zeros(len(rows), dtype=torch.int64, device=rows.home)

    def __call__(self, close: Tensor) -> Tensor:
        close = close.to(self.rows.home)
        step = max(1, BLOCK // self.rows.features.shape[1])
        for seen in self.seen[close].unique().tolist():
            late = close[self.seen[close] == seen]
            for part in torch.tensor(self.picked[seen:], dtype=torch.int64).split(step):
                points = self.rows.wide(self.rows.features[part.to(self.rows.device)])
                self.value[late] = self.value[late].minimum(self.rows.distances(late, points).amin(1))
            self.seen[late] = len(self.picked)
        return self.value[close]


def k_means(rows: NDArray[Any], clusters: int, seed: int) -> KMeans:
    """scikit-learn's clustering of [N, d] rows (Lloyd, 1982) from one k-means++ start; it holds two copies of them.

    Where fewer rows are distinct than there are clusters, some centres come twice, without a warning.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(clusters, n_init=1, random_state=seed % 2**32).fit(rows)


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

    Example:
        >>> picks = decoct.select.k_medoids(np.array([[0.0], [1.0], [2.0], [9.0]]), 2)
        >>> picks.tolist()  # the middle of the larger cluster first
        [1, 3]
    """
    rows = Rows(features, n)
    array = rows.features.to("cpu", rows.dtype).numpy()
    clusters = k_means(array, n, seed)
    sizes = np.bincount(clusters.labels_, minlength=n)
    members = np.split(np.argsort(clusters.labels_, kind="stable"), np.cumsum(sizes)[:-1])
    picked = [_medoid(rows, members[c]) for c in np.argsort(-sizes, kind="stable") if sizes[c]]
    rest = np.setdiff1d(np.arange(len(array)), picked)
    return torch.from_numpy(np.concatenate([np.array(picked, np.int64), rest[: n - len(picked)]]))


def _medoid(rows: Rows, members: NDArray[np.int64]) -> int:
    """The row nearest to the mean of some, which is taken anew in float64; the lowest of a tie."""
    own = rows.moved(rows.wide(rows.features[torch.from_numpy(members).to(rows.device)]))
    away = torch.linalg.vector_norm(own - own.mean(0), dim=1)
    near = away <= away.min() * (1 + TIE) + SUM * torch.linalg.vector_norm(own, dim=1).max()
    return int(members[int(near.nonzero()[0])])
