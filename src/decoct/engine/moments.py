"""Moments of what goes into a net's layers: of the groups of a batch, of the whole train split, and of its classes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from decoct.core.errors import DecoctError
from decoct.engine.tiles import tile_moments, tile_sums


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
        """What is known: two or four tensors."""
        return [value for value in vars(self).values() if value is not None]


def running(net: nn.Module) -> dict[str, Moments]:
    """What a net's batch norms have stored of the train split, by layer, in order of registration.

    Raises:
        DecoctError: the net has none.
    """
    found = {
        name: Moments(module.running_mean, module.running_var)
        for name, module in net.named_modules()
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None
    }
    if not found:
        raise DecoctError(
            f"{type(net).__name__} has no batch norm to invert: "
            "take a teacher that has, such as convnet3_bn, resnet18, resnet10t or test_resnet"
        )
    return found


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
        # In pieces that stay in a CPU's cache; a GPU gets larger ones, to launch fewer kernels.
        piece = max(1, (2**26 if x.is_cuda else 2**20) // x[0].numel())
        for part in x.split(piece):
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
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    mean, variance = GroupMoments.apply(x, groups, centre.to(x.dtype))  # type: ignore[no-untyped-call]
    if not patches:
        return Moments(mean, variance)
    return Moments(mean, variance, *tile_moments(x, groups, centre.to(x.dtype).mean()))


@contextmanager
def on_inputs(net: nn.Module, names: Iterable[str], see: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Call ``see(name, input)`` whenever a named layer is reached, before anything can change its input in place."""
    modules = dict(net.named_modules())

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, args: see(name, args[0])

    handles = [modules[name].register_forward_pre_hook(hook(name)) for name in names]
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
    """Sums over images, by class, of which moments are made: one pass over any number of images.

    Args:
        classes: how many.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.sums: dict[str, Tensor] = {}

    def add(self, name: str, x: Tensor, labels: Tensor, patches: bool) -> None:
        """Count in a layer's input [B, C, H, W] of images with these labels [B]."""
        x = x.float()
        self._add(f"{name}.channel", x, labels, channel_sums)
        if patches:
            self._add(f"{name}.patch", x, labels, tile_sums)

    def _add(self, key: str, x: Tensor, labels: Tensor, of: Callable[[Tensor], tuple[Tensor, Tensor, int]]) -> None:
        """Sums, sums of squares and counts by class, in float64; ``of`` makes those of each image, [B, K]."""
        pieces = x.split(max(1, (2**26 if x.is_cuda else 2**16) // max(1, x[:1].numel())))  # as in GroupMoments
        sums, squares, counts = zip(*map(of, pieces), strict=True)
        total = torch.cat(sums)
        new = torch.stack([total, torch.cat(squares), torch.full_like(total, counts[0])])
        if key not in self.sums:
            self.sums[key] = new.new_zeros(3, self.classes, total.shape[1])
        self.sums[key].index_add_(1, labels.to(new.device), new)

    def moments(self, by_class: bool) -> dict[str, Moments]:
        """Moments by layer: of all images [C], or of each class [classes, C]; one without images has those of all."""
        found: dict[str, list[Tensor]] = {}
        for key, sums in self.sums.items():
            total, squares, count = sums.sum(1)
            mean, variance = _moments(total, squares, count)
            if by_class:
                some = sums[2] > 0
                theirs = _moments(sums[0], sums[1], sums[2].clamp(min=1))
                mean, variance = (
                    torch.where(some, each, all_) for each, all_ in zip(theirs, (mean, variance), strict=True)
                )
            found.setdefault(key.rpartition(".")[0], []).extend([mean.float(), variance.float()])
        return {name: Moments(*parts) for name, parts in found.items()}


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
