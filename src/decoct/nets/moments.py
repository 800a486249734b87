"""Moments of the inputs of a net's layers: of the groups of a batch, of the whole train split, and of its classes.

Patch statistics are those of G-VBSM (Shao et al., 2024, arXiv:2311.17950): over tiles of 16 × 16 pixels, sides resized
up to multiples of 16 first.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from decoct.core.errors import DecoctError
from decoct.nets.precision import exact, widened

TILE = 16  # side of a tile
LARGE = 2**26  # numbers that a GPU gets at once
TINY = 64  # pixels up to which a product with a matrix of their squares is cheaper than 256 resized ones


@dataclass(frozen=True)
class Moments:
    """Mean and biased variance of a layer's input.

    Attributes:
        mean: [..., C] per channel, over images and pixels.
        variance: [..., C].
        patch_mean: [..., P] per tile position, over images, channels and the pixels of a tile; None where unknown.
        patch_variance: [..., P].
    """

    mean: Tensor
    variance: Tensor
    patch_mean: Tensor | None = None
    patch_variance: Tensor | None = None

    def parts(self) -> list[Tensor]:
        """The tensors that are known: two or four."""
        return [value for value in vars(self).values() if value is not None]


def running(net: nn.Module) -> dict[str, Moments]:
    """What a net's batch norms have stored of the train split, by layer, in order of registration.

    Raises:
        DecoctError: the net has none.
    """
    stored = {
        name: Moments(module.running_mean, module.running_var)
        for name, module in net.named_modules()
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None
    }
    if not stored:
        raise DecoctError(
            f"{type(net).__name__} has no batch norm to invert: "
            "take a teacher that has, such as convnet3_bn, resnet18, resnet10t or test_resnet"
        )
    return stored


def pieces(x: Tensor, numbers: int) -> Sequence[Tensor]:
    """Images in pieces that stay in a CPU's cache; a GPU gets larger pieces, to launch fewer kernels."""
    parts: Sequence[Tensor] = x.split(max(1, (LARGE if x.is_cuda else numbers) // max(1, x[:1].numel())))
    return parts


class GroupMoments(torch.autograd.Function):
    """Mean and biased variance of each group and channel, over the group's images and their pixels.

    Args:
        x: [G·B, C, H, W]; group after group.
        groups: G.
        centre: [C], a guess of the mean; sums run over x − centre, so that a large mean cancels before squaring.

    Returns:
        mean and variance, each [G, C]. Their gradient takes one pass over ``x``; autograd's own takes four.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, groups: int, centre: Tensor) -> tuple[Tensor, Tensor]:
        """Statistics by group."""
        sums, squares = [], []
        for part in pieces(x, 2**20):
            centred = part - centre[:, None, None]
            sums.append(centred.sum((2, 3)))
            squares.append(centred.square_().sum((2, 3)))
        count = x.numel() // (groups * x.shape[1])
        shift = torch.cat(sums).unflatten(0, (groups, -1)).sum(1) / count
        variance = torch.cat(squares).unflatten(0, (groups, -1)).sum(1) / count - shift.square()
        mean = centre + shift
        ctx.save_for_backward(x, mean)
        return mean, variance.clamp(min=0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_mean: Tensor, grad_variance: Tensor) -> tuple[Tensor, None, None]:
        """∂/∂x = ∂mean/n + ∂variance · 2 (x − mean)/n."""
        x, mean = ctx.saved_tensors
        groups = len(mean)
        count = x.numel() // (groups * x.shape[1])
        slope = 2 * grad_variance / count
        offset = grad_mean / count - slope * mean
        each = len(x) // groups
        slope, offset = (v.repeat_interleave(each, 0)[:, :, None, None] for v in (slope, offset))
        return (x * slope).add_(offset), None, None


def group_moments(x: Tensor, groups: int, centre: Tensor, patches: bool) -> Moments:
    """Moments of each group, [G, C] and [G, P], in float32 at least.

    Args:
        x: [G·B, C, H, W].
        groups: G.
        centre: [C], a guess of the mean.
        patches: whether to take patch statistics as well.
    """
    x = widened(x)
    mean, variance = GroupMoments.apply(x, groups, centre.to(x.dtype))  # type: ignore[no-untyped-call]
    if not patches:
        return Moments(mean, variance)
    return Moments(mean, variance, *tile_moments(x, groups, centre.to(x.dtype).mean()))


@contextmanager
def on_inputs(net: nn.Module, names: Iterable[str], see: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Call ``see(name, input)`` whenever a named layer is reached, before anything can change its input in place."""
    handles = []
    for name in names:
        handles.append(net.get_submodule(name).register_forward_pre_hook(lambda _, args, name=name: see(name, args[0])))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def layers(net: nn.Module) -> dict[str, bool]:
    """Batch norms and convolutions by name in order of registration; whether patch statistics are taken there."""
    return {
        name: isinstance(module, nn.Conv2d)
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    }


class Sums:
    """Sums over images, by class, from which moments are computed: one pass over any number of images.

    Args:
        classes: how many.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.sums: dict[str, Tensor] = {}

    def add(self, name: str, x: Tensor, labels: Tensor, patches: bool) -> None:
        """Count in a layer's input [B, C, H, W] of images with these labels [B]."""
        for key, new in of_each(name, x, patches):
            self.count(key, new, labels)

    def count(self, key: str, new: Tensor, labels: Tensor) -> None:
        """Count in what ``of_each`` gave."""
        if key not in self.sums:
            self.sums[key] = new.new_zeros(3, self.classes, new.shape[2])
        self.sums[key].index_add_(1, labels.to(new.device), new)

    def moments(self, by_class: bool) -> dict[str, Moments]:
        """Moments by layer: of all images [C], or of each class [classes, C]; one without images has those of all."""
        by_layer: dict[str, list[Tensor]] = {}
        for key, sums in self.sums.items():
            total, squares, count = sums.sum(1)
            mean, variance = _moments(total, squares, count)
            if by_class:
                some = sums[2] > 0
                theirs = _moments(sums[0], sums[1], sums[2].clamp(min=1))
                mean, variance = (
                    torch.where(some, each, all_) for each, all_ in zip(theirs, (mean, variance), strict=True)
                )
            by_layer.setdefault(key.rpartition(".")[0], []).extend([mean.float(), variance.float()])
        return {name: Moments(*parts) for name, parts in by_layer.items()}


def of_each(name: str, x: Tensor, patches: bool) -> Iterator[tuple[str, Tensor]]:
    """By key, sums, sums of squares and counts of each image of a layer's input: [3, B, K] in float64."""
    x = x.float()
    parts = pieces(x, 2**16)
    for key, of in (("channel", channel_sums), ("patch", tile_sums))[: 1 + patches]:
        sums, squares, counts = zip(*map(of, parts), strict=True)
        total = torch.cat(sums)
        yield f"{name}.{key}", torch.stack([total, torch.cat(squares), torch.full_like(total, counts[0])])


def channel_sums(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Σx and Σx² of each image and channel of [B, C, H, W], both [B, C] in float64, and of how many numbers each is."""
    each = x.to(torch.float64, copy=True)  # squared in place below
    total = each.sum((2, 3))
    return total, each.square_().sum((2, 3)), each.shape[2] * each.shape[3]


def _moments(total: Tensor, squares: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    mean = total / count
    return mean, (squares / count - mean.square()).clamp(min=0)


def flatten(moments: Mapping[str, Moments]) -> dict[str, Tensor]:
    """Tensors by "LAYER:part", as they are stored."""
    return {
        f"{layer}:{part}": value
        for layer, one in moments.items()
        for part, value in vars(one).items()
        if value is not None
    }


def unflatten(tensors: Mapping[str, Tensor]) -> dict[str, Moments]:
    """What ``flatten`` was given."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        layer, _, part = name.rpartition(":")
        parts.setdefault(layer, {})[part] = value
    return {layer: Moments(**one) for layer, one in parts.items()}


def tile_moments(x: Tensor, groups: int, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each group and tile, [G, P], over images, channels and the pixels of a tile.

    Args:
        x: [G·B, C, H, W]; group after group.
        groups: G.
        centre: scalar, a guess of the mean; sums run over x − centre, so that a large mean cancels before squaring.
    """
    with exact(x.device):  # autocast would take the product in half precision
        shifted = x - centre
        small = max(x.shape[2:]) <= TILE
        of_each = _SmallMoments.apply(shifted) if small else _TileMoments.apply(whole_tiles(shifted))  # type: ignore[no-untyped-call]
    first, second = (each.unflatten(0, (groups, -1)).mean(1) for each in of_each)
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
