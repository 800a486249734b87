"""k-center: rows that leave no row far from its nearest pick."""

from functools import partial

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from decoct.engine.select.rows import BLOCK, Rows, settled

AHEAD = 16  # rows whose distances are computed together


def k_center(features: ArrayLike | Tensor, n: int, start: int | None = None) -> Tensor:
    """Pick ``n`` rows that leave no row far from its nearest pick: a 2-approximation of the smallest covering radius.

    Pick t maximises  min_{s picked} ‖f_i − f_s‖  over the rows not yet picked; the lowest index wins a tie. At most
    one product of features and a vector a pick; O(N) memory.

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
