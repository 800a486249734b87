"""Moments of the inputs of a net's layers: of the groups of a batch, of the whole train split, and of its classes.

Patch statistics are those of G-VBSM (Shao et al., 2024, arXiv:2311.17950): over square tiles, sides resized up to
multiples of a tile's side first; a map that is smaller than a tile is resized to one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from decoct.core.errors import DecoctError
from decoct.nets.precision import exact, widened

LARGE = 2**26  # numbers that a GPU gets at once
TINY = 64  # pixels up to which a product with a matrix of their squares is cheaper than a tile of resized ones


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
        parts = (self.mean, self.variance, self.patch_mean, self.patch_variance)  # torch 2.11 cannot compile ``vars``
        return [value for value in parts if value is not None]


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


def in_pieces(x: Tensor, groups: int, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance [G, C] of [G·B, C, H, W] by sums over x − centre: a large mean goes before squaring."""
    sums, squares = [], []
    for part in pieces(x, 2**20):
        centred = part - centre[:, None, None]
        sums.append(centred.sum((2, 3)))
        squares.append(centred.square_().sum((2, 3)))
    count = x.numel() // (groups * x.shape[1])
    shift = torch.cat(sums).unflatten(0, (groups, -1)).sum(1) / count
    variance = torch.cat(squares).unflatten(0, (groups, -1)).sum(1) / count - shift.square()
    return centre + shift, variance.clamp(min=0)


def at_once(x: Tensor, groups: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The same for a GPU, which reads x once, or twice in half precision, and writes nothing of its size.

    In half precision the sums run over x as it is, in ``dtype``; what a large mean costs there, rounding cost before.
    """
    grouped, over = x.unflatten(0, (groups, -1)), (1, 3, 4)
    if x.dtype == dtype:
        variance, mean = torch.var_mean(grouped, over, correction=0)
        return mean, variance
    count = x.numel() // (groups * x.shape[1])
    with exact(x.device):  # autocast would write x in float32
        mean = grouped.sum(over, dtype=dtype) / count
        squares = torch.linalg.vector_norm(grouped, dim=over, dtype=dtype).square() / count
    return mean, (squares - mean.square()).clamp(min=0)


class GroupMoments(torch.autograd.Function):
    """Mean and biased variance of each group and channel, over its images and their pixels, and the norm that follows.

    Args:
        x: [G·B, C, H, W]; group after group.
        groups: G.
        centre: [C], a guess of the mean, in the precision of the sums.
        scale: [C], of a norm with fixed statistics that takes ``x``; None for none.
        shift: [C], likewise.

    Returns:
        ``x``, or  scale · x + shift; mean and variance, each [G, C]. The gradient of all three takes two passes and is
        in the precision of ``x``; autograd's own takes four, and two more for the norm and for the sum.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, groups: int, centre: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Statistics by group."""
        mean, variance = in_pieces(x, groups, centre) if x.device.type == "cpu" else at_once(x, groups, centre.dtype)
        ctx.save_for_backward(x, mean, scale)
        if scale is None or shift is None:
            return x.view_as(x), mean, variance
        return torch.addcmul(shift[:, None, None], x, scale[:, None, None]), mean, variance

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad: Tensor, grad_mean: Tensor, grad_variance: Tensor
    ) -> tuple[Tensor, None, None, None, None]:
        """∂ · scale + ∂mean/n + ∂variance · 2 (x − mean)/n."""
        x, mean, scale = ctx.saved_tensors
        groups = len(mean)
        count = x.numel() // (groups * x.shape[1])
        slope = 2 * grad_variance / count
        offset = grad_mean / count - slope * mean
        each = len(x) // groups
        slope, offset = (v.to(x.dtype).repeat_interleave(each, 0)[:, :, None, None] for v in (slope, offset))
        of_moments = torch.addcmul(offset, x, slope)
        both = of_moments.add_(grad) if scale is None else of_moments.addcmul_(grad, scale[:, None, None])
        return both, None, None, None, None


def group_moments(
    x: Tensor, groups: int, centre: Tensor, tile: int = 0, norm: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Moments]:
    """``x``, or what a norm makes of it, and its moments of each group, [G, C] and [G, P], in float32 at least.

    Args:
        x: [G·B, C, H, W].
        groups: G.
        centre: [C], a guess of the mean.
        tile: side of the tiles of patch statistics; 0 for none.
        norm: scale and shift, each [C].
    """
    centre = centre.to(torch.promote_types(x.dtype, torch.float32))
    after, mean, variance = GroupMoments.apply(x, groups, centre, *(norm or ()))  # type: ignore[no-untyped-call]
    if not tile:
        return after, Moments(mean, variance)
    x = x if norm else after
    return after, Moments(mean, variance, *tile_moments(widened(x), groups, centre.mean(), tile))


@contextmanager
def on_inputs(net: nn.Module, names: Iterable[str], see: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
    """Call ``see(name, input)`` whenever a named layer is reached, before anything can change its input in place.

    The layer takes what that returns, if it is a tensor.
    """
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

    def add(self, name: str, x: Tensor, labels: Tensor, tile: int = 0) -> None:
        """Count in a layer's input [B, C, H, W] of images with these labels [B]."""
        for key, new in of_each(name, x, tile):
            self.count(key, new, labels)

    def count(self, key: str, new: Tensor, labels: Tensor) -> None:
        """Count in what ``of_each`` gave."""
        if key not in self.sums:
            self.sums[key] = new.new_zeros(len(new), self.classes, new.shape[2])
        self.sums[key].index_add_(1, labels.to(new.device), new)

    def moments(self, by_class: bool, within: bool = False) -> dict[str, Moments]:
        """Moments by layer: of all images [C], or of each class [classes, C]; one without images has those of all.

        Args:
            by_class: of each class.
            within: for the variance, the mean over images of the variance within an image.
        """
        by_layer: dict[str, list[Tensor]] = {}
        for key, sums in self.sums.items():
            mean, variance = _moments(sums.sum(1), within)
            if by_class:
                some = sums[2] > 0
                theirs = _moments(torch.stack([*sums[:2], sums[2].clamp(min=1), sums[3]]), within)
                mean, variance = (
                    torch.where(some, each, all_) for each, all_ in zip(theirs, (mean, variance), strict=True)
                )
            by_layer.setdefault(key.rpartition(".")[0], []).extend([mean.float(), variance.float()])
        return {name: Moments(*parts) for name, parts in by_layer.items()}


def of_each(name: str, x: Tensor, tile: int = 0) -> Iterator[tuple[str, Tensor]]:
    """By key, sums Σx, Σx², counts n and (Σx)²/n of each image of a layer's input: [4, B, K] in float64."""
    x = x.float()
    parts = pieces(x, 2**16)
    for key, of in (("channel", channel_sums), ("patch", partial(tile_sums, tile=tile)))[: 1 + bool(tile)]:
        sums, squares, counts = zip(*map(of, parts), strict=True)
        total, count = torch.cat(sums), counts[0]
        yield (
            f"{name}.{key}",
            torch.stack([total, torch.cat(squares), torch.full_like(total, count), total.square() / count]),
        )


def channel_sums(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Σx and Σx² of each image and channel of [B, C, H, W], both [B, C] in float64, and of how many numbers each is."""
    return *both_sums(x, (2, 3)), x.shape[2] * x.shape[3]


def both_sums(x: Tensor, over: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Σx and Σx² over some axes, in float64; on a GPU, which adds in it as it reads, no copy is written."""
    if x.device.type != "cpu":
        squares = torch.linalg.vector_norm(x, dim=over, dtype=torch.float64).square()
        return x.sum(over, dtype=torch.float64), squares
    each = x.to(torch.float64, copy=True)  # squared in place
    total = each.sum(over)
    return total, each.square_().sum(over)


def _moments(sums: Tensor, within: bool) -> tuple[Tensor, Tensor]:
    total, squares, count, own = sums
    mean = total / count
    return mean, (squares / count - (own / count if within else mean.square())).clamp(min=0)


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


def tile_moments(x: Tensor, groups: int, centre: Tensor, tile: int) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each group and tile, [G, P], over images, channels and the pixels of a tile.

    Args:
        x: [G·B, C, H, W]; group after group.
        groups: G.
        centre: scalar, a guess of the mean; sums run over x − centre, so that a large mean cancels before squaring.
        tile: side of a tile.
    """
    with exact(x.device):  # autocast would take the product in half precision
        shifted = x - centre
        if max(x.shape[2:]) <= tile and min(x.shape[2:]) < tile:
            of_each = _SmallMoments.apply(shifted, tile)  # type: ignore[no-untyped-call]
        else:
            of_each = _TileMoments.apply(whole_tiles(shifted, tile), tile)  # type: ignore[no-untyped-call]
    first, second = (each.unflatten(0, (groups, -1)).mean(1) for each in of_each)
    return centre + first, (second - first.square()).clamp(min=0)


def tile_sums(x: Tensor, tile: int) -> tuple[Tensor, Tensor, int]:
    """Σx and Σx² of each image and tile of [B, C, H, W], both [B, P] in float64, and of how many numbers each is."""
    height, width = x.shape[2:]
    count = x.shape[1] * tile**2
    if max(height, width) <= tile and height * width <= TINY:
        weight, gram = _of_resize(height, width, tile, torch.float64, x.device)
        flat = x.double().flatten(2)
        total, squares = flat.sum(1) @ weight, (flat * (flat @ gram)).sum((1, 2))
        return total[:, None], squares[:, None], count
    total, squares = both_sums(whole_tiles(x, tile), (1,))
    return _over_tiles(total, tile), _over_tiles(squares, tile), count


def _over_tiles(x: Tensor, tile: int) -> Tensor:
    """[B, H, W] of whole tiles -> [B, P]."""
    summed: Tensor = x.unflatten(2, (-1, tile)).unflatten(1, (-1, tile)).sum((2, 4))
    return summed.flatten(1)


def whole_tiles(x: Tensor, tile: int) -> Tensor:
    """[B, C, H, W], resized bilinearly to the next multiples of ``tile``, where it is none."""
    sides = [-(-side // tile) * tile for side in x.shape[2:]]
    if list(x.shape[2:]) == sides:
        return x
    resized: Tensor = F.interpolate(x, sides, mode="bilinear", align_corners=False)
    return resized


class _TileMoments(torch.autograd.Function):
    """E[x] and E[x²] of each image and tile, both [B, P], of whole tiles [B, C, H, W]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, tile: int) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x)
        ctx.tile = tile
        count = x.shape[1] * tile**2  # channels are summed first: all axes at once take three times as long
        return tuple(_over_tiles(each.sum(1), tile) / count for each in (x, x.square()))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_first: Tensor, grad_second: Tensor) -> Any:
        """(∂first + ∂second · 2x) / n."""
        (x,), tile = ctx.saved_tensors, ctx.tile
        count, rows = x.shape[1] * tile**2, x.shape[2] // tile
        slope, offset = (
            each.unflatten(1, (1, rows, -1)).repeat_interleave(tile, 2).repeat_interleave(tile, 3)
            for each in (2 * grad_second / count, grad_first / count)
        )
        return (x * slope).add_(offset), None


class _SmallMoments(torch.autograd.Function):
    """The same of [B, C, H, W] that are no larger than a tile, which are one, without resizing them.

    With R the rows of the resize and Q its columns, E[x] = rᵀ x q and E[x²] = ⟨x, RᵀR x QᵀQ⟩, r and q the sums of R
    and Q: one product with a matrix of (HW)² numbers instead of T²/HW times the pixels.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, tile: int) -> tuple[Tensor, Tensor]:
        weight, gram = _of_resize(*x.shape[2:], tile, x.dtype, x.device)
        flat, count = x.flatten(2), x.shape[1] * tile**2
        spread = flat @ gram
        ctx.save_for_backward(spread, weight)
        ctx.shape, ctx.count = x.shape, count
        return (flat.sum(1) @ weight)[:, None] / count, (flat * spread).sum((1, 2))[:, None] / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_first: Tensor, grad_second: Tensor) -> Any:
        """(∂first · rqᵀ + ∂second · 2 RᵀR x QᵀQ) / n."""
        spread, weight = ctx.saved_tensors
        offset = grad_first / ctx.count * weight
        grad: Tensor = (spread * (2 * grad_second[:, :, None] / ctx.count)).add_(offset[:, None])
        return grad.reshape(ctx.shape), None


@cache
def _of_resize(height: int, width: int, tile: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """What each of H·W pixels adds to the sum of the resized tile, [HW], and to the sum of its squares, [HW, HW]."""
    with torch.inference_mode(False):  # what is kept must serve a backward pass, whoever asks first
        rows, columns = (_resize(side, tile).to(device, dtype) for side in (height, width))
        return torch.kron(rows.sum(0), columns.sum(0)), torch.kron(rows.T @ rows, columns.T @ columns)


def _resize(side: int, tile: int) -> Tensor:
    """[T, side] float64: what each of a tile's pixels takes of those of a line, in the bilinear resize."""
    line = torch.eye(side, dtype=torch.float64)[:, None]
    return F.interpolate(line, tile, mode="linear", align_corners=False)[:, 0].T
