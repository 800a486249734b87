"""The nearest neighbours of each row among the others: a matrix product screens, differences in float64 decide.

‖a‖² + ‖b‖² − 2 a·b loses what rows have in common to cancellation, and ties are the rule among images: so the product
only gives a lower bound of each squared distance, and whatever the bounds leave open is computed from the rows.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from decoct.engine.select.rows import as_features

BLOCK = 2**22  # bounds that are held at once
PAIRS = 2**18  # numbers of pairs of rows whose difference is taken at once


class Neighbours(NamedTuple):
    """The nearest other rows of each row, nearest first; of a tie, the lowest number first.

    Attributes:
        rows: [n, k] int64 row numbers.
        distances: [n, k] float64, Euclidean.
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.float64]


def neighbours(features: ArrayLike | Tensor, k: int) -> Neighbours:
    """The ``k`` nearest other rows of each row, exactly; all of them where there are not as many.

    Takes n² d operations, one copy of the features in float32 and ``BLOCK`` numbers.

    Args:
        features: [n, d], finite; numpy, memory map or tensor, on any device.
        k: at least 0.

    Raises:
        ValueError: ``k`` below 0, features not [n, d] with a row, or one that is not finite.
    """
    x = as_features(features, 1)
    if k < 0:
        raise ValueError(f"k must be at least 0, not {k}")
    screen = _Screen(x)
    k = min(k, len(x) - 1)
    rows = np.empty((len(x), k), np.int64)
    distances = np.empty((len(x), k))
    step = max(1, BLOCK // len(x))
    for at in range(0, len(x) if k else 0, step):
        own = torch.arange(at, min(at + step, len(x)), device=x.device)
        found, squared = screen.smallest(screen.bounds(own), own, k, k + 4)
        rows[at : at + step], distances[at : at + step] = found.cpu(), squared.sqrt().cpu()
    return Neighbours(rows, distances)


class _Screen:
    """Rows as given, and shifted to their mean and scaled into [−1, 1] for a product in float32."""

    def __init__(self, x: Tensor) -> None:
        self.x, d = x, x.shape[1]
        wide = torch.promote_types(x.dtype, torch.float32)  # half precision would overflow
        centre = x.mean(0, dtype=wide)
        self.near = x.to(wide) - centre
        scale = self.near.abs().max().item()
        if not np.isfinite(scale):
            raise ValueError("features hold values that are not finite, or too large to be subtracted")
        self.scale = scale or 1.0
        self.near = self.near.div_(self.scale).float()
        # A dot product of d terms errs by d roundings at most, a squared norm likewise; the rest is shift and scale.
        limits = torch.finfo(torch.float32)
        self.underflow = 16 * d * limits.tiny
        self.squares = self.near.square().sum(1) * (1 - (2 * d + 32) * limits.eps / 2)

    def bounds(self, own: Tensor) -> Tensor:
        """[m, n] from below, of the squared distances of some rows to all, in units of ``scale``²; ∞ to itself."""
        lower = torch.addmm(self.squares - self.underflow, self.near[own], self.near.T, alpha=-2)
        lower += self.squares[own, None]
        lower.scatter_(1, own[:, None], torch.inf)
        return lower

    def smallest(self, lower: Tensor, own: Tensor, k: int, width: int) -> tuple[Tensor, Tensor]:
        """[m, k] rows with the smallest squared distances, and those: of the ``width`` lowest bounds, or of more."""
        width = min(width, len(self.x) - 1)
        bound, candidates = lower.topk(width, largest=False)
        candidates = candidates.sort(1).values
        squared = self.squared(own, candidates)
        squared, order = squared.sort(dim=1, stable=True)  # stable: the lowest number first
        rows = candidates.gather(1, order)
        rows, squared = rows[:, :k].contiguous(), squared[:, :k].contiguous()
        # What was left out is at least as far as the highest bound: it may tie, or be nearer, from there on.
        open_ = bound[:, -1].double() * self.scale**2 <= squared[:, -1]
        if width < len(self.x) - 1 and bool(open_.any()):
            rows[open_], squared[open_] = self.smallest(lower[open_], own[open_], k, 4 * width)
        return rows, squared

    def squared(self, own: Tensor, others: Tensor) -> Tensor:
        """[m, w] squared distances in float64 from row ``own[i]`` to rows ``others[i]``."""
        found = torch.empty(others.shape, dtype=torch.float64, device=self.x.device)
        step = max(1, PAIRS // (others.shape[1] * self.x.shape[1]))
        for at in range(0, len(own), step):
            part = slice(at, at + step)
            difference = self.x[others[part]].double() - self.x[own[part], None].double()
            found[part] = difference.square_().sum(2)
        return found
