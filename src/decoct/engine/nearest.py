"""Which points lie nearest, or inside which ball: a float32 matrix product screens, float64 differences decide.

‖a‖² + ‖b‖² − 2a·b loses near-identical points to cancellation, and for sets of real images ties are the rule: a member
is at distance 0 from itself and exactly on the k-NN sphere of some neighbour. So the product only yields a lower bound
of every squared distance, and whatever the bound leaves open is computed from the rows themselves.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

BLOCK = 2**22  # distances held at once: 16 MiB in float32, four to six times that with what is worked out from them
CACHED = 2**17  # float64 differences at once: 1 MiB, so that they are summed while in cache


@dataclass(frozen=True)
class Points:
    """Rows as given, and as the screen sees them: shifted to a common centre and scaled into [−1, 1].

    Attributes:
        rows: [n, d], any floating type.
        screened: [n, d] the same for the matrix product.
        squares: [n] squared norms of ``screened``.
        error: relative error c of the screen: |‖a‖² + ‖b‖² − 2a·b − true| ≤ c(‖a‖² + ‖b‖²) + ``underflow``.
        underflow: its absolute part.
        unit: squared length of 1 in ``screened``.
    """

    rows: Tensor
    screened: Tensor
    squares: Tensor
    error: float
    underflow: float
    unit: float

    def __len__(self) -> int:
        return len(self.rows)


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
    if not features.isfinite().all():
        raise ValueError(f"{name} features hold values that are not finite")
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


def screened(*sets: Tensor) -> list[Points]:
    """The sets, ready to be compared with each other; the first gives the centre."""
    # Reduced precision products would break the error bound.
    dtype = torch.float32 if torch.get_float32_matmul_precision() == "highest" else torch.float64
    centre, d = sets[0].mean(0), sets[0].shape[1]
    shifted = [s.to(torch.promote_types(s.dtype, dtype)) - centre for s in sets]
    scale = max(max(s.abs().max().item() for s in shifted), np.finfo(np.float64).tiny)
    # A dot product of d terms errs by d roundings at most, a squared norm likewise; the rest is shift and scale.
    info = torch.finfo(dtype)
    error, underflow = (2 * d + 32) * info.eps / 2, 16 * d * info.tiny
    near = [(s / scale).to(dtype) for s in shifted]
    return [Points(s, p, p.square().sum(1), error, underflow, scale**2) for s, p in zip(sets, near, strict=True)]


def blocks(x: Points, y: Points) -> Iterator[tuple[slice, Tensor]]:
    """Rows of ``x``, and lower bounds [rows, M] of their squared distances to ``y``, in units of ``unit``."""
    keep = 1 - x.error
    step = max(1, BLOCK // len(y))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        lower = torch.addmm(y.squares * keep - x.underflow, x.screened[rows], y.screened.T, alpha=-2)
        yield rows, lower.add_((x.squares[rows] * keep)[:, None])


def nearest(x: Points, y: Points, k: int) -> Tensor:
    """Squared distances [N, k] float64 from each row of ``x`` to its k nearest rows of ``y``, ascending; k ≤ M."""
    found = torch.empty(len(x), k, dtype=torch.float64, device=x.rows.device)
    for rows, lower in blocks(x, y):
        numbers = torch.arange(rows.start, rows.stop, device=lower.device)
        found[rows] = _smallest(lower, numbers, x, y, k, min(k + 4, len(y)))
    return found


def below(lower: Tensor, rows: slice, x: Points, y: Points, limit: Tensor) -> tuple[Tensor, Tensor]:
    """The pairs of a block whose squared distance is less than ``limit``; equal to float64 rounding is not less.

    Args:
        lower: [n, M], as ``blocks`` gives it for ``rows``.
        rows: rows of ``x``.
        x: the one set.
        y: the other.
        limit: float64 [n, 1] or [1, M].

    Returns:
        rows of ``x`` and rows of ``y``, one of each per pair.
    """
    local, j = torch.nonzero(lower < (limit / x.unit).to(lower.dtype), as_tuple=True)
    i = local + rows.start
    most = limit.expand(lower.shape)[local, j]
    upper = lower[local, j].double() + 2 * (x.error * (x.squares[i] + y.squares[j]).double() + x.underflow)
    inside = upper < most / x.unit
    open_ = ~inside & (most > 0)
    # Two orders of summing d terms, and a square root squared, differ by no more.
    tie = (x.rows.shape[1] + 4) * torch.finfo(torch.float64).eps
    inside[open_] = _squared(x, i[open_], y, j[open_]) < most[open_] * (1 - tie)
    return i[inside], j[inside]


def _smallest(lower: Tensor, numbers: Tensor, x: Points, y: Points, k: int, width: int) -> Tensor:
    bound, j = lower.topk(width, largest=False)
    exact = _squared(x, numbers.repeat_interleave(width), y, j.flatten()).view(-1, width).sort().values[:, :k]
    # What was left out is at least as far as the last bound: done, unless that bound is below the k-th distance.
    open_ = (bound[:, -1].double() * x.unit < exact[:, -1]) & (exact[:, -1] > 0)
    if width < len(y) and bool(open_.any()):
        exact[open_] = _smallest(lower[open_], numbers[open_], x, y, k, min(4 * width, len(y)))
    return exact


def _squared(x: Points, i: Tensor, y: Points, j: Tensor) -> Tensor:
    """‖x_i − y_j‖² of each pair, float64."""
    exact = torch.empty(len(i), dtype=torch.float64, device=x.rows.device)
    step = max(1, CACHED // x.rows.shape[1])
    for start in range(0, len(i), step):
        pairs = slice(start, start + step)
        difference = x.rows[i[pairs]].double() - y.rows[j[pairs]].double()
        exact[pairs] = difference.square_().sum(1)
    return exact
