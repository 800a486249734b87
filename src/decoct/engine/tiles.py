"""Moments over tiles of 16 × 16 pixels, sides resized up to multiples of 16 first: the patch statistics of G-VBSM.

Shao et al., 2024, arXiv:2311.17950.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

TILE = 16  # side of a tile
TINY = 64  # pixels up to which a product with a matrix of their squares is cheaper than 256 resized ones


def tile_moments(x: Tensor, groups: int, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each group and tile, [G, P], over images, channels and the pixels of a tile.

    Args:
        x: [G·B, C, H, W]; group after group.
        groups: G.
        centre: scalar, a guess of the mean; sums run over x − centre, so that a large mean cancels before squaring.
    """
    with torch.autocast(x.device.type, enabled=False):  # it would take the product in half precision
        shifted = x - centre
        small = max(x.shape[2:]) <= TILE
        found = _SmallMoments.apply(shifted) if small else _TileMoments.apply(whole_tiles(shifted))  # type: ignore[no-untyped-call]
    first, second = (each.unflatten(0, (groups, -1)).mean(1) for each in found)
    return centre + first, (second - first.square()).clamp(min=0)


def tile_sums(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Σx and Σx² of each image and tile of [B, C, H, W], both [B, P] in float64, and of how many numbers each is."""
    height, width = x.shape[2:]
    if max(height, width) <= TILE and height * width <= TINY:
        weight, gram = _of_resize(height, width, torch.float64, x.device)
        flat = x.double().flatten(2)
        total, squares = flat.sum(1) @ weight, (flat * (flat @ gram)).sum((1, 2))
        return total[:, None], squares[:, None], x.shape[1] * TILE**2
    each = whole_tiles(x).to(torch.float64, copy=True)
    total = _over_tiles(each.sum(1))
    return total, _over_tiles(each.square_().sum(1)), x.shape[1] * TILE**2


def _over_tiles(x: Tensor) -> Tensor:
    """[B, H, W] of whole tiles -> [B, P]."""
    summed: Tensor = x.unflatten(2, (-1, TILE)).unflatten(1, (-1, TILE)).sum((2, 4))
    return summed.flatten(1)


def whole_tiles(x: Tensor) -> Tensor:
    """[B, C, H, W], resized bilinearly to the next multiples of 16, where it is none."""
    sides = [-(-side // TILE) * TILE for side in x.shape[2:]]
    if list(x.shape[2:]) == sides:
        return x
    resized: Tensor = F.interpolate(x, sides, mode="bilinear", align_corners=False)
    return resized


class _TileMoments(torch.autograd.Function):
    """E[x] and E[x²] of each image and tile, both [B, P], of whole tiles [B, C, H, W]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x)
        parts, count = _cut(x), x.shape[1] * TILE**2
        return tuple(each.sum((1, 3, 5)).flatten(1) / count for each in (parts, parts.square()))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_first: Tensor, grad_second: Tensor) -> Any:
        """(∂first + ∂second · 2x) / n."""
        (x,) = ctx.saved_tensors
        shape, count = (len(x), 1, x.shape[2] // TILE, 1, x.shape[3] // TILE, 1), x.shape[1] * TILE**2
        slope, offset = (2 * grad_second / count).view(shape), (grad_first / count).view(shape)
        grad: Tensor = (_cut(x) * slope).add_(offset)
        return grad.reshape(x.shape)


class _SmallMoments(torch.autograd.Function):
    """The same of [B, C, H, W] of up to 16 × 16 pixels, which are one tile, without resizing them.

    With R the rows of the resize and Q its columns, E[x] = rᵀ x q and E[x²] = ⟨x, RᵀR x QᵀQ⟩, r and q the sums of R
    and Q: one product with a matrix of (HW)² numbers instead of 256/HW times the pixels.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        weight, gram = _of_resize(*x.shape[2:], x.dtype, x.device)
        flat, count = x.flatten(2), x.shape[1] * TILE**2
        spread = flat @ gram
        ctx.save_for_backward(spread, weight)
        ctx.shape = x.shape
        return (flat.sum(1) @ weight)[:, None] / count, (flat * spread).sum((1, 2))[:, None] / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_first: Tensor, grad_second: Tensor) -> Any:
        """(∂first · rqᵀ + ∂second · 2 RᵀR x QᵀQ) / n."""
        spread, weight = ctx.saved_tensors
        count = spread.shape[1] * TILE**2
        offset = grad_first / count * weight
        grad: Tensor = (spread * (2 * grad_second[:, :, None] / count)).add_(offset[:, None])
        return grad.reshape(ctx.shape)


def _cut(x: Tensor) -> Tensor:
    """Whole tiles [B, C, H, W] -> [B, C, rows, 16, columns, 16]."""
    parts: Tensor = x.unflatten(3, (-1, TILE)).unflatten(2, (-1, TILE))
    return parts


@cache
def _of_resize(height: int, width: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """What each of H·W pixels adds to the sum of the resized tile, [HW], and to the sum of its squares, [HW, HW]."""
    with torch.inference_mode(False):  # what is kept must serve a backward pass, whoever asks first
        rows, columns = (_resize(side).to(device, dtype) for side in (height, width))
        return torch.kron(rows.sum(0), columns.sum(0)), torch.kron(rows.T @ rows, columns.T @ columns)


def _resize(side: int) -> Tensor:
    """[16, side] float64: what each of 16 pixels takes of those of a line, in the bilinear resize."""
    line = torch.eye(side, dtype=torch.float64)[:, None]
    return F.interpolate(line, TILE, mode="linear", align_corners=False)[:, 0].T
