"""Nearest points, and points inside balls: a float32 matrix product screens, float64 differences decide.

‖a‖² + ‖b‖² − 2a·b loses near-identical points to cancellation, and for sets of real images ties are the rule: a member
is at distance 0 from itself and exactly on the k-NN sphere of some neighbour. So the product only yields a lower bound
of every squared distance, and whatever the bound leaves open is computed from the rows themselves. Blocks, threads and
devices change no result.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

BLOCK = 2**22  # bounds held at once: 16 MiB in float32, and as much again with what is worked out from them
PANEL = 512  # rows of a block of a triangle at most: the half of its square that lies below the diagonal is wasted
STRIP = 32  # bounds that are first looked at through their minimum
CACHED = 2**16  # numbers in float64 at once, so that differences are summed while in cache
SMALL = 2**19  # numbers whose differences cost less than the screening


class Nearest(NamedTuple):
    """The nearest rows, nearest first; of a tie, the lowest number first.

    Attributes:
        rows: [N, k] or [N] int64 row numbers.
        squared: the same in float64, squared distances.
    """

    rows: Tensor
    squared: Tensor


def as_features(values: ArrayLike | Tensor, name: str) -> Tensor:
    """A non-empty, finite, floating-point [n, d] tensor; no copy where none is needed.

    Raises:
        ValueError: anything else; the message says ``name``.
    """
    with warnings.catch_warnings():  # a read-only memory map is fine: nothing here writes to it
        warnings.filterwarnings("ignore", message=".*not writable", category=UserWarning)
        features = values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(f"{name} features must be [n, d] with at least one row, not {list(features.shape)}")
    if not features.is_floating_point():
        features = features.double()
    elif features.dtype in (torch.float16, torch.bfloat16):
        features = features.float()
    if not all(abs(bound.item()) < 2.0**500 for bound in features.aminmax()):  # one pass; isfinite takes twenty as long
        raise ValueError(f"{name} features hold values that are not finite, or too large to be squared")
    return features.detach()


def as_pair(real: ArrayLike | Tensor, condensed: ArrayLike | Tensor) -> tuple[Tensor, Tensor]:
    """Both sets as features of one dimension, on the device of ``real``.

    Raises:
        ValueError: as in ``as_features``, or the dimensions differ.
    """
    x, y = as_features(real, "real"), as_features(condensed, "condensed")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"real features have {x.shape[1]} dimensions, condensed {y.shape[1]}: use one extractor")
    return x, y.to(x.device)


def nearest_rows(x: Tensor, y: Tensor) -> Nearest:
    """The nearest row of ``y`` [M, d] to each row of ``x`` [N, d], as [N]."""
    rows, squared = _nearest(x, y, 1, others=False)
    return Nearest(rows[:, 0], squared[:, 0])


def nearest_others(x: Tensor, k: int) -> Nearest:
    """The k nearest other rows of each row of ``x``, as [N, k]; 1 ≤ k < N. Symmetry saves half of the products."""
    return _nearest(x, x, k, others=True)


def inside(x: Tensor, y: Tensor, of_x: Tensor, of_y: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Who lies in whose open ball, block by block.

    Distances that are equal to a radius but for float64 rounding are not less.

    Args:
        x: [N, d].
        y: [M, d].
        of_x: [N] float64, squared radii of balls around the rows of ``x``; NaN or 0 for an empty one.
        of_y: [M] likewise.

    Yields:
        i and j, one of each per pair with y_j in the ball of x_i; and rows of ``x`` that are in the ball of a y_j.
    """
    # Two orders of summing d terms, and a square root squared, differ by no more.
    tie = 1 - (x.shape[1] + 4) * torch.finfo(torch.float64).eps
    if (squared := _direct(x, y)) is not None:
        i, j = (squared < of_x[:, None] * tie).nonzero(as_tuple=True)
        yield i, j, (squared < of_y * tie).any(1).nonzero()[:, 0]
        return
    for block in _blocks(*_screens(x, y)):
        i, j = block.inside(of_x, tie)
        yield i, j, block.T.inside(of_y, tie)[1]


def _nearest(x: Tensor, y: Tensor, k: int, others: bool) -> Nearest:
    if (squared := _direct(x, y)) is not None:
        if others:
            squared.fill_diagonal_(torch.inf)
        squared, rows = squared.sort(dim=1, stable=True)
        return Nearest(rows[:, :k], squared[:, :k])
    screens = _screens(x, x if others else y)
    search = _Search(*screens, k)
    for block in _blocks(*screens, triangle=others):
        if others:
            block.lower.fill_diagonal_(torch.inf)  # no row is its own neighbour
        search.look(block)
        if others:
            search.look(block.beyond())
    return search.found()


class _Screen:
    """A set as the screen sees it: shifted to a common centre and scaled into [−1, 1].

    Attributes:
        rows: [n, d] as given.
        near: [n, d] the same for the matrix product.
        squares: [n] squared norms of ``near``.
        error: relative error c of the screen: |‖a‖² + ‖b‖² − 2a·b − true| ≤ c(‖a‖² + ‖b‖²) + ``underflow``.
        underflow: its absolute part.
        unit: squared length of 1 in ``near``.
    """

    def __init__(self, rows: Tensor, near: Tensor, scale: float, dtype: torch.dtype) -> None:
        d, info = rows.shape[1], torch.finfo(dtype)
        self.rows, self.near, self.unit = rows, near.div_(scale).to(dtype), scale**2
        self.squares = torch.linalg.vector_norm(self.near, dim=1).square_()
        # A dot product of d terms errs by d roundings at most, a squared norm likewise; the rest is shift and sums.
        self.error, self.underflow = (2 * d + 64) * info.eps / 2, 16 * d * info.tiny

    def __len__(self) -> int:
        return len(self.rows)


def _screens(x: Tensor, y: Tensor) -> tuple[_Screen, _Screen]:
    """Both sets, the one centred."""
    dtype = torch.float32 if _full_products() else torch.float64
    wide = torch.promote_types(torch.promote_types(x.dtype, y.dtype), dtype)
    sets = (x,) if x is y else (x, y)
    centre = x.to(wide).mean(0)
    near = [rows.to(wide) - centre for rows in sets]
    bounds = [abs(bound.item()) for each in near for bound in each.aminmax()]
    if not all(map(math.isfinite, bounds)):
        raise ValueError(f"features are too large to be subtracted in {str(wide).removeprefix('torch.')}")
    scale = 2.0 ** max(math.frexp(max(bounds))[1], -500)  # a power of 2, by which dividing is exact, and a square > 0
    screens = [_Screen(*pair, scale, dtype) for pair in zip(sets, near, strict=True)]
    return screens[0], screens[-1]


def _full_products() -> bool:
    """Products in float32 are not of reduced precision, which would break the error bound."""
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # it was set by backend
        return False


@dataclass(frozen=True)
class _Block:
    """Lower bounds [rows, columns] of squared distances, in units of ``unit``."""

    x: _Screen
    y: _Screen
    rows: slice
    columns: slice
    lower: Tensor

    @property
    def T(self) -> "_Block":  # noqa: N802
        """Seen from the other set."""
        return _Block(self.y, self.x, self.columns, self.rows, self.lower.T)

    def beyond(self) -> "_Block":
        """Of a block on the diagonal what is beyond it, seen from the columns."""
        later = slice(self.rows.stop, self.columns.stop)
        return _Block(self.y, self.x, later, self.rows, self.lower[:, self.lower.shape[0] :].T)

    def strips(self, width: int) -> list[tuple[int, Tensor, Tensor]]:
        """Columns dealt to strips: first one, bounds [rows, width, strips], minima [rows, strips]; then the rest."""
        cut = self.lower.shape[1] // width * width
        parts = {0: self.lower[:, :cut].unflatten(1, (width, -1)), cut: self.lower[:, cut:, None]}
        along = self.lower.stride(1) == 1  # minima in the order of memory take a fifth of the time
        return [
            (first, part, part.amin(1) if along else part.permute(1, 2, 0).amin(0).T)
            for first, part in parts.items()
            if part.numel()
        ]

    def under(self, limit: Tensor, strips: list[tuple[int, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
        """i, j and bound of all pairs whose bound is less than the limit [rows] of the row."""
        hits = []
        for first, bounds, lowest in strips:
            row, strip = (lowest < limit[:, None]).nonzero(as_tuple=True)
            hit, at = (bounds[row, :, strip] < limit[row, None]).nonzero(as_tuple=True)
            hits.append((row[hit], first + at * bounds.shape[2] + strip[hit]))
        i, j = (torch.cat(part) for part in zip(*hits, strict=True))
        return i + self.rows.start, j + self.columns.start, self.lower[i, j]

    def inside(self, limit: Tensor, tie: float) -> tuple[Tensor, Tensor]:
        """i and j of all pairs whose squared distance is less than the limit of i, and no tie."""
        i, j, lower = self.under((limit[self.rows] / self.x.unit).to(self.lower.dtype), self.strips(STRIP))
        most = limit[i]
        slack = self.x.error * (self.x.squares[i] + self.y.squares[j]) + self.x.underflow
        sure = lower.double() + 2 * slack.double() < most / self.x.unit
        open_ = (~sure & (most > 0)).nonzero()[:, 0]
        sure[open_] = _squared(self.x.rows, i[open_], self.y.rows, j[open_]) < most[open_] * tie
        return i[sure], j[sure]


def _blocks(x: _Screen, y: _Screen, triangle: bool = False) -> Iterator[_Block]:
    """All pairs, in blocks that are overwritten by the next; of a triangle those from the diagonal on."""
    keep, start = 1 - x.error, 0
    room = x.near.new_empty(min(max(BLOCK, len(y)), len(x) * len(y)))
    while start < len(x):
        first = start if triangle else 0
        step = max(1, min(BLOCK // (len(y) - first), len(x) - start, PANEL if triangle else BLOCK))
        rows, columns = slice(start, start + step), slice(first, len(y))
        lower = room[: step * (len(y) - first)].view(step, -1)
        torch.addmm(y.squares[columns] * keep - x.underflow, x.near[rows], y.near[columns].T, alpha=-2, out=lower)
        yield _Block(x, y, rows, columns, lower.add_((x.squares[rows] * keep)[:, None]))
        start += step


class _Search:
    """The k nearest of each row of ``x``, while blocks come in; each row is shown the others in order of number."""

    def __init__(self, x: _Screen, y: _Screen, k: int) -> None:
        self.x, self.y, self.k = x, y, k
        self.best = x.near.new_full((len(x), k), torch.inf)  # upper bounds on distances to k others, the least so far
        self.pool: list[tuple[Tensor, Tensor, Tensor]] = []
        self.pooled = 0

    def look(self, block: _Block) -> None:
        """Take in a block."""
        if not block.lower.numel():
            return
        width = max(1, min(STRIP, block.lower.shape[1] // (4 * self.k)))
        squares, bounds, strips = block.y.squares[block.columns], [self.best[block.rows]], block.strips(width)
        for first, part, lowest in strips:
            largest = squares[first : first + part[0].numel()].view(part.shape[1:]).amax(0)
            slack = self.x.error * (block.x.squares[block.rows, None] + largest) + self.x.underflow
            bounds.append(slack.mul_(2).add_(lowest))
        self.best[block.rows] = best = torch.cat(bounds, 1).topk(self.k, largest=False).values
        self.pool.append(block.under(best[:, -1], strips))
        self.pooled += len(self.pool[-1][0])
        if self.pooled > max(BLOCK, 8 * self.best.numel()):  # ties in masses
            i, j, squared, rank = self._settled()
            self.pool, self.pooled = [(i, j, self.best.new_full((len(i),), -torch.inf))], len(i)
            # Who comes later has a higher number and loses a tie at 0; elsewhere no rounding may shut anyone out.
            bound = squared / self.x.unit * (1 + self.x.error) + self.x.underflow
            self.best.fill_(torch.inf)[i, rank] = torch.where(squared > 0, bound, -torch.inf).to(self.best.dtype)

    def found(self) -> Nearest:
        """What was found, when all blocks have come."""
        _, j, squared, _ = self._settled()
        return Nearest(j.view(-1, self.k), squared.view(-1, self.k))

    def _settled(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """i, j, squared distance and rank of the k nearest of each row, or of as many as it has, row by row."""
        i, j, lower = (torch.cat(part) for part in zip(*self.pool, strict=True))
        left = lower <= self.best[i, -1]
        i, j = i[left], j[left]
        squared = _squared(self.x.rows, i, self.y.rows, j)
        order = j.argsort()
        order = order[squared[order].argsort(stable=True)]
        order = order[i[order].argsort(stable=True)]
        i = i[order]
        counts = torch.bincount(i, minlength=len(self.x))
        rank = torch.arange(len(i), device=i.device) - (counts.cumsum(0) - counts)[i]
        kept = rank < self.k
        return i[kept], j[order][kept], squared[order][kept], rank[kept]


def _direct(x: Tensor, y: Tensor) -> Tensor | None:
    """‖x_i − y_j‖² of all pairs, float64, if they are few."""
    few = len(x) * y.numel() <= SMALL
    return (x.double()[:, None] - y.double()).square_().sum(2) if few else None


def _squared(x: Tensor, i: Tensor, y: Tensor, j: Tensor) -> Tensor:
    """‖x_i − y_j‖² of each pair, float64."""
    exact = torch.empty(len(i), dtype=torch.float64, device=x.device)
    step = max(1, CACHED // x.shape[1])
    for start in range(0, len(i), step):
        pairs = slice(start, start + step)
        difference = x.index_select(0, i[pairs]).double() - y.index_select(0, j[pairs])
        exact[pairs] = difference.square_().sum(1)
    return exact


def neighbours(features: ArrayLike | Tensor, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The ``k`` nearest other rows of each row, exactly, and how far they are; all where there are not as many.

    Takes n² d operations, one copy of the features in float32, two if they are of half precision, and some blocks.

    Args:
        features: [n, d], finite; numpy, memory map or tensor, on any device.
        k: at least 0.

    Returns:
        [n, k] row numbers, nearest first, of a tie the lowest first; and [n, k] Euclidean distances.

    Raises:
        ValueError: ``k`` below 0, features not [n, d] with a row, or one that is not finite.
    """
    if k < 0:
        raise ValueError(f"k must be at least 0, not {k}")
    x = as_features(features, "the")
    k = min(k, len(x) - 1)
    if not k:
        return np.empty((len(x), 0), np.int64), np.empty((len(x), 0))
    rows, squared = nearest_others(x, k)
    return rows.cpu().numpy(), squared.sqrt().cpu().numpy()
