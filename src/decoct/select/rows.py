"""The array that a kernel picks from: screened at its own precision, settled in float64."""

import math
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

BLOCK = 2**17  # numbers that are looked at together: they stay in the cache from one operation to the next
LIMIT = 2**28  # bytes that a kernel may hold besides its features and O(N)
TIE = 1e-12  # relative; values in float64 that are nearer than this are equal, and the lowest index wins
SUM = 4e-15  # what rounding may make of equal sums over all rows in float64, in shares of the sum of their sizes


class Rows:
    """Features [N, d], finite, that are read in blocks and never copied as a whole, unless they are of half precision
    and small.

    Dot products are those of ``features`` in float32 or float64, so each comes with a bound on its rounding error, and
    what a bound leaves open is settled in float64 (``settled``). Therefore neither blocks nor threads nor the device
    change a pick, and bit-equal rows are equal.

    Args:
        features: numpy, memory map or tensor, on any device.
        n: picks that it has to give.
        centred: put the origin near the mean where that is far from 0, so that distances do not cancel.

    Attributes:
        origin: [d]; None for 0.
        squared: [N] ‖f − origin‖².
        longest: a bound on every ‖f‖.
        about: [d] float64, the mean but for rounding of the features' own precision, at most ``drift`` away from it.

    Raises:
        ValueError: ``n`` out of range, features not [N, d], not finite, or too large to be squared.
    """

    def __init__(self, features: ArrayLike | Tensor, n: int, centred: bool = True) -> None:
        self.features = as_features(features, n)
        self.dtype = torch.float64 if self.features.dtype == torch.float64 else torch.float32
        if self.features.dtype != self.dtype and self.features.numel() * 4 <= LIMIT:
            self.features = self.features.to(self.dtype)
        self.device = self.features.device
        self.home = torch.device("cpu") if self.device.type == "mps" else self.device  # of float64
        self.origin = self._origin() if centred else None
        self.squared = torch.empty(len(self), dtype=self.dtype, device=self.device)
        total = self.zeros()
        for at, part in self.blocks(2 * BLOCK):
            torch.linalg.vector_norm(self.moved(part), dim=1, out=self.squared[at : at + len(part)])
            total += part.sum(0).to(self.home)
        self.about = total / len(self)
        self.squared.square_()
        self.widest = float(self.squared.max())  # NaN if anything is
        if not self.widest < torch.inf:
            raise ValueError("features hold values that are not finite, or too large to be squared")
        self.longest = self.widest**0.5 + (0.0 if self.origin is None else float(self.origin.norm()))

    def __len__(self) -> int:
        return len(self.features)

    def blocks(self, numbers: int = BLOCK) -> Iterator[tuple[int, Tensor]]:
        """The first row of each block, and its rows in the dtype of computation."""
        step = max(1, numbers // self.features.shape[1])
        for at in range(0, len(self), step):
            yield at, self.features[at : at + step].to(self.dtype)

    def moved(self, part: Tensor) -> Tensor:
        """Some rows as seen from the origin."""
        return part if self.origin is None else part - self.origin.to(part)

    def wide(self, part: Tensor) -> Tensor:
        """Some rows in float64."""
        return part.to(self.home).double()

    @cached_property
    def mean(self) -> Tensor:
        """[d] in float64."""
        return self.total(self.wide) / len(self)

    @cached_property
    def length(self) -> Tensor:
        """[N] bounds on ‖f‖."""
        return self.squared.sqrt() + (0.0 if self.origin is None else self.origin.norm())

    @cached_property
    def rounding(self) -> float:
        """γ with |computed f·w − f·w| ≤ γ ‖f‖ ‖w‖: min(d, 4 √d) roundings, a few of what is added to it, and a tie.

        Errors of either sign add up like the root of their number: Higham and Mary, 2019, doi:10.1137/18M1226312.
        """
        d = self.features.shape[1]
        unit_roundoff: float = torch.finfo(self.dtype).eps / 2
        return unit_roundoff * (min(d, 4 * math.sqrt(d)) + 4) + TIE  # or float64 would part what a tie leaves open

    @cached_property
    def drift(self) -> float:
        """A bound on ‖about − mean‖: the sum of a block is a cascade of few roundings."""
        return float(32 * torch.finfo(self.dtype).eps / 2 * self.longest)

    def zeros(self) -> Tensor:
        """[d] in float64."""
        return torch.zeros(self.features.shape[1], dtype=torch.float64, device=self.home)

    def total(self, of: Callable[[Tensor], Tensor]) -> Tensor:
        """[d] Σ over all rows of what ``of`` makes of some, [m, d] in float64; what adding blocks loses is added."""
        total, lost = self.zeros(), self.zeros()
        for _, part in self.blocks():
            term = of(part).sum(0)
            grown = total + term
            lost += torch.where(total.abs() >= term.abs(), total - grown + term, term - grown + total)
            total = grown
        return total + lost

    def compute(self, point: Tensor) -> Tensor:
        """Points of any precision in that of the computation."""
        return point.to(self.device, self.dtype)

    def plus_product(self, bias: Tensor, point: Tensor) -> Tensor:
        """[N] bias + f · w of all rows with a point [d] = w, but for rounding."""
        if self.features.dtype == self.dtype:
            return torch.addmv(bias, self.features, self.compute(point))
        return self.products(point[None])[0].add_(bias)

    def products(self, points: Tensor) -> Tensor:
        """[m, N] products f · w of all rows with points [m, d] = w, but for rounding."""
        near = self.compute(points)
        if len(near) == 1 and self.features.dtype == self.dtype:
            return torch.mv(self.features, near[0])[None]
        products = torch.empty(len(points), len(self), dtype=self.dtype, device=self.device)
        for at, part in self.blocks(2**24):
            here = slice(at, at + len(part))
            products[:, here] = (part @ near.T).T
        return products

    def away(self, index: Tensor) -> Tensor:
        """[m, N] squared distances of all rows to some, but for rounding: ‖f‖² − 2 f·p + ‖p‖², from the origin."""
        points = self.compute(self.features[index])
        points = points if self.origin is None else points - self.origin
        constant = self.squared[index] if self.origin is None else self.squared[index] + 2 * (points @ self.origin)
        return self.products(points).mul_(-2).add_(self.squared).add_(constant[:, None])

    def distances(self, index: Tensor, points: Tensor) -> Tensor:
        """[m, k] squared distances in float64, from direct differences, of some rows to points [k, d]."""
        squared = torch.empty(len(index), len(points), dtype=torch.float64, device=self.home)
        step = max(1, BLOCK // points.numel())
        for at in range(0, len(index), step):
            part = self.wide(self.features[index[at : at + step].to(self.device)])
            squared[at : at + step] = (part[:, None] - points).square_().sum(2)
        return squared

    def _origin(self) -> Tensor | None:
        sample = self.features[:: max(1, len(self) // 64)].to(self.dtype)
        mean = sample.mean(0)
        spread = (sample - mean).square_().sum(1).mean()
        return mean if 16 * float(spread) < float(mean @ mean) < torch.inf else None


def settled(
    score: Tensor, worst: float, error: Callable[[], Tensor], exact: Callable[[Tensor], Tensor], tie: float = 0.0
) -> int:
    """The row with the largest score; rows within rounding are compared by their values in float64.

    Args:
        score: [N] computed; −∞ for rows that are out of the question.
        worst: a bound on how far any of them is from the truth.
        error: makes [N] bounds, row by row; asked only where ``worst`` leaves something open.
        exact: row numbers [m], ascending -> values in float64.
        tie: values in float64 that are nearer than this are equal as well; ``worst`` and ``error`` are no less.
    """
    if score.is_cpu:  # NumPy's small steps cost less, and its view is the same memory
        values = score.numpy()
        best = int(values.argmax())
        top = values[best]
        values[best] = -np.inf
        alone = values.max() < top - 2 * worst
        values[best] = top
        if alone:
            return best
    close = (score >= score.max() - 2 * worst).nonzero()[:, 0]
    if len(close) > 1:
        bound, near = error()[close], score[close]
        close = close[near + bound >= (near - bound).max()]
    if len(close) > 1:
        value = exact(close)
        top = value.max()
        close = close[(value >= top - (TIE * top.abs()).clamp_min(tie)).nonzero()[:, 0].to(close.device)]
    return int(close[0])


def unit(rows: Tensor) -> Tensor:
    """Rows [m, d] scaled to length 1; a row of zeros stays."""
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return torch.where(length > 0, rows / length, 0.0)


def as_features(features: ArrayLike | Tensor, n: int) -> Tensor:
    """The array as a floating-point tensor [N, d] that can give ``n`` rows; no copy where none is needed.

    Raises:
        ValueError: ``n`` out of range, or features not [N, d].
    """
    with warnings.catch_warnings():
        # A read-only memory map is welcome: no kernel writes to its features.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        tensor = torch.as_tensor(features).detach()
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise ValueError(f"features must be [N, d], not {list(tensor.shape)}")
    if not 1 <= n <= len(tensor):
        raise ValueError(f"cannot pick {n} of {len(tensor)} rows")
    return tensor if tensor.is_floating_point() else tensor.float()
