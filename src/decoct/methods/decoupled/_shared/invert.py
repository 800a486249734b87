"""Inversion of nets: the views of images, the frozen nets, and the statistics that are matched.

A *group* is a batch as a paper means it: its images share one crop, and their statistics are matched together.
Groups run side by side in one forward pass and do not touch each other: the nets are in eval mode and Adam is
elementwise, so the gradient of the sum of the groups' losses is each group's own.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.overrides import TorchFunctionMode

from decoct.data.augment.augment import draw_boxes, draw_crops
from decoct.data.augment.resample import resampling
from decoct.nets.features import evaluating
from decoct.nets.moments import Moments, group_moments, on_inputs

BEGUN = "begun"  # 1 where a layer has an average over iterations


@dataclass(frozen=True)
class Views:
    """The random view of every group at every iteration: crop, mirror, roll; one of each for a whole group.

    Attributes:
        boxes: [T, G, 4] integer (top, left, height, width).
        mirrored: [T, G] bool.
        rolls: [T, G, 2] pixels down and to the right.
    """

    boxes: Tensor
    mirrored: Tensor
    rolls: Tensor

    @classmethod
    def draw(
        cls,
        generators: Sequence[Generator],
        iterations: int,
        size: int,
        *,
        scale: tuple[float, float],
        flip: bool,
        jitter: int,
        device: str,
        low: Tensor | None = None,
        back: int = 0,
        pad: int | None = None,
    ) -> "Views":
        """RandomResizedCrop(size, scale), a flip with probability ½ if ``flip``, rolls uniform in −back … jitter.

        With ``pad`` the crop is RandomCrop(size, pad): boxes of the images' own size that may reach over the border.

        Args:
            generators: one for each group, on the CPU.
            iterations: T.
            size: of the images.
            scale: fractions of the area.
            flip: whether the data may be mirrored.
            jitter: largest roll down and to the right, inclusive.
            device: where the views will be taken.
            low: [T] the least fraction at each iteration, instead of that of ``scale``.
            back: largest roll up and to the left, inclusive.
            pad: pixels that a crop may lie over the border, where the images are 0; instead of ``scale``.
        """
        boxes, mirrored, rolls = [], [], []
        for generator in generators:
            if pad is None:
                boxes.append(draw_boxes(iterations, size, scale, generator, low))
            else:
                corners = draw_crops(iterations, pad, generator) - pad
                boxes.append(torch.cat([corners, torch.full_like(corners, size)], 1))
            mirrored.append((torch.rand(iterations, generator=generator) < 0.5) & flip)
            rolls.append(torch.randint(-back, jitter + 1, (iterations, 2), generator=generator))
        return cls(*(torch.stack(draws, 1).to(device) for draws in (boxes, mirrored, rolls)))

    def at(self, t: int) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes [G, 4], mirrored [G] and rolls [G, 2] at iteration ``t``."""
        return self.boxes[t], self.mirrored[t], self.rolls[t]


def view(images: Tensor, boxes: Tensor, mirrored: Tensor, rolls: Tensor) -> Tensor:
    """The groups' images [G, B, C, S, S] as ``Views.at`` says: [G·B, C, S, S], differentiable in them.

    Crop, mirror and roll are linear along each axis, so one matrix an axis does all three: the antialiased
    bilinear crop of torchvision on tensors, with a gradient that is deterministic on every device.
    """
    size = images.shape[-1]
    order = (torch.arange(size, device=images.device) - rolls[:, :, None]) % size
    order[:, 1] = torch.where(mirrored[:, None], size - 1 - order[:, 1], order[:, 1])
    axes = resampling(boxes[:, :2], boxes[:, 2:], size, size, order).to(images.dtype)
    rows, columns = axes[:, 0, None, None], axes[:, 1, None, None]
    return (rows @ images @ columns.mT).flatten(0, 1)


def curriculum(t: Tensor, least: float, until: float) -> Tensor:
    """a(t) = s + (1 − s)(1 + cos(π t/until)) / 2 for t < until, s after: from 1 down to ``least`` (CDA's crops)."""
    eased = least + (1 - least) * (1 + torch.cos(math.pi * t / until)) / 2
    return torch.where(t < until, eased, torch.full_like(eased, least))


@contextmanager
def frozen(teacher: nn.Module) -> Iterator[nn.Module]:
    """The teacher in eval mode with no gradient to its weights, as it was afterwards."""
    grads = [(parameter, parameter.requires_grad) for parameter in teacher.parameters()]
    with evaluating(teacher):
        try:
            yield teacher.requires_grad_(False)
        finally:
            for parameter, grad in grads:
                parameter.requires_grad_(grad)


class FixedNorms(TorchFunctionMode):
    """In the block, batch norms in eval mode run as y = scale · x + shift with fixed running statistics.

    The gradient is that of batch norm. PyTorch's own takes up to 17 times as long on a CPU where the gradient lies in
    memory in another order than the input. Scale and shift are kept by running variance: those must not change.

    Attributes:
        done: a map that is normalised already, which the next batch norm leaves as it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.maps: dict[Tensor, tuple[Tensor, Tensor]] = {}
        self.done: Tensor | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Any call of torch; all but one go through as they are."""
        if func is F.batch_norm:
            return self._norm(*args, **kwargs or {})
        return func(*args, **kwargs or {})

    def _norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if input is self.done:
            self.done = None
            return input
        if training or running_mean is None or running_var is None or in_half(input):
            return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
        scale, shift = self.affine(running_mean, running_var, weight, bias, eps)
        shape = -1, *[1] * (input.ndim - 2)
        return torch.addcmul(shift.view(shape), input, scale.view(shape)).to(input.dtype)

    def affine(
        self, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor]:
        """Scale and shift, each [C]."""
        if variance not in self.maps:
            scale = torch.rsqrt(variance + eps) * (1 if weight is None else weight)
            self.maps[variance] = scale, (0 if bias is None else bias) - mean * scale
        return self.maps[variance]

    def of(self, layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor] | None:
        """Scale and shift of a batch norm that does nothing else to ``x``; None for any other layer."""
        alone = type(layer).forward is nn.modules.batchnorm._BatchNorm.forward
        mean, variance = getattr(layer, "running_mean", None), getattr(layer, "running_var", None)
        if not alone or layer.training or mean is None or variance is None or x.dtype != variance.dtype:
            return None
        return self.affine(mean, variance, layer.weight, layer.bias, layer.eps)  # type: ignore[arg-type]


def in_half(x: Tensor) -> bool:
    """Whether a map on a GPU is in half precision, where PyTorch's own batch norm reads and writes no float32."""
    return x.device.type != "cpu" and x.dtype != torch.promote_types(x.dtype, torch.float32)


class Alignment:
    """R, the distance of each group's statistics from targets, over the layers of one net.

    R = Σ_l w_l Σ_s ‖s_l − S_l‖₂ over the statistics s of layer l's input: channel means and biased variances, and patch
    means and variances where the target has them; w = ``first`` for the first layer in order of registration, 1 for the
    others. Statistics are taken in float32 at least, under autocast too.

    With ``decay`` α, the statistics are averages over the iterations: s̄ ← α s̄ + (1 − α) s, from the first s on; the
    gradient is that of s alone (G-VBSM; Shao et al., 2024, arXiv:2311.17950, whose code starts the average at 0). With
    ``by_class``, ``share`` of the loss is the distance from the mean of the targets of the images' classes (EDC; Shao
    et al., 2024, arXiv:2404.13733). With ``kept``, a layer counts, and is averaged, only where and when that says so.

    Source:
        Yin et al., 2020, arXiv:1912.08795 (DeepInversion); weights as in SRe2L, Yin et al., 2023, arXiv:2306.13092.

    Args:
        net: in eval mode.
        groups: G, how many groups a batch holds, one after the other.
        targets: by layer, [C] and [P].
        tile: side of the tiles that patch statistics of the targets are of.
        first: weight of the first layer.
        decay: of the average over iterations; 0 for none.
        by_class: the same targets of every class, [classes, C] and [classes, P].
        labels: [G, B] classes of the images, with ``by_class``.
        share: of the classes' part of the loss.
        kept: which layers count at an iteration, by name, [G] of 0 and 1; a layer that it leaves out counts always.
    """

    def __init__(
        self,
        net: nn.Module,
        groups: int,
        targets: Mapping[str, Moments],
        *,
        tile: int = 16,
        first: float = 10.0,
        decay: float = 0.0,
        by_class: Mapping[str, Moments] | None = None,
        labels: Tensor | None = None,
        share: float = 0.5,
        kept: Callable[[int], Mapping[str, Tensor]] | None = None,
    ) -> None:
        self.net, self.groups, self.targets, self.first, self.decay = net, groups, targets, first, decay
        self.tile, self.kept = tile, kept
        self.norms: FixedNorms | None = None  # around the net, if any
        self.of_labels = {} if by_class is None or labels is None else of_labels(by_class, labels)
        self.share = share if self.of_labels else 0.0
        self.terms: dict[str, Tensor] = {}  # of the layers that were reached
        self.counts: Mapping[str, Tensor] = {}
        self.averages: dict[str, Tensor] = {}
        if decay:
            device = next(net.parameters()).device
            named = [(f"{name}:{i}", part) for name, target in targets.items() for i, part in enumerate(target.parts())]
            self.averages = {key: part.new_zeros((groups, len(part)), device=device) for key, part in named}
            self.averages |= {
                f"{name}:{BEGUN}": part.mean.new_zeros((groups, 1), device=device) for name, part in targets.items()
            }

    @contextmanager
    def watching(self) -> Iterator[None]:
        """In the block the net's layers are seen by ``judge``, at the iteration that ``turn`` named last."""
        with on_inputs(self.net, self.targets, self._see):
            yield

    def turn(self, t: int) -> None:
        """Go to an iteration."""
        self.counts = self.kept(t) if self.kept else {}

    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """While ``watching``: the net's logits of [G · B, C, S, S] images, and [G] R of each group."""
        logits = self.net(images)
        weighted = [self.terms[name] * (1.0 if i else self.first) for i, name in enumerate(self.targets)]
        self.terms.clear()
        return logits, torch.stack(weighted).sum(0)

    def _see(self, name: str, x: Tensor) -> Tensor:
        target, counts = self.targets[name], self.counts.get(name)
        norm = None if self.norms is None else self.norms.of(self.net.get_submodule(name), x)
        tile = 0 if target.patch_mean is None else self.tile
        after, moments = group_moments(x, self.groups, target.mean, tile, norm)
        if self.norms is not None and norm is not None:
            self.norms.done = after
        parts = moments.parts()
        if self.decay:
            begun, own = self.averages[f"{name}:{BEGUN}"], None if counts is None else counts[:, None]
            for i, part in enumerate(parts):
                average, now = self.averages[f"{name}:{i}"], part.detach()
                mean = torch.lerp(now, average, self.decay * begun)
                average.copy_(mean if own is None else torch.lerp(average, mean, own))
                parts[i] = mean + (part - now)  # the gradient is that of this iteration alone
            begun.copy_(torch.ones_like(begun) if own is None else torch.maximum(begun, own))
        term = distance(parts, target.parts())
        if self.share:
            of_classes = distance(parts, self.of_labels[name].parts())
            term = (1 - self.share) * term + self.share * of_classes
        self.terms[name] = term if counts is None else term * counts
        return after


def distance(statistics: list[Tensor], targets: list[Tensor]) -> Tensor:
    """[G] Σ ‖s − S‖₂ over several statistics, each [G, K] against [K] or [G, K]."""
    pairs = zip(statistics, targets, strict=True)
    return torch.stack([torch.linalg.vector_norm(s - t.to(s), dim=1) for s, t in pairs]).sum(0)


def of_labels(by_class: Mapping[str, Moments], labels: Tensor) -> dict[str, Moments]:
    """Targets [G, K] of groups with these labels [G, B]: the mean over its images of their classes' statistics."""
    return {
        name: Moments(*(part[labels.to(part.device)].mean(1) for part in moments.parts()))
        for name, moments in by_class.items()
    }
