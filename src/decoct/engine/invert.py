"""Inverting a teacher: the loop that decoupled methods share, its random views, and the loss on batch-norm statistics.

A *group* is a batch as a paper means it: its images share one crop, and their statistics are matched together.
Groups run side by side in one forward pass and do not touch each other: the teacher is in eval mode and Adam is
elementwise, so the gradient of the sum of the groups' losses is each group's own.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.autograd.function import once_differentiable

from decoct.core.errors import DecoctError
from decoct.core.kinds import Progress, silent
from decoct.data.augment import draw_boxes
from decoct.data.resample import resampling

EVERY = 10  # iterations between two looks at the loss: each look makes a GPU wait


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
    ) -> "Views":
        """RandomResizedCrop(size, scale), a flip with probability ½ if ``flip``, rolls uniform in 0 … ``jitter``.

        Args:
            generators: one for each group, on the CPU.
            iterations: T.
            size: of the images.
            scale: fractions of the area.
            flip: whether the data may be mirrored.
            jitter: largest roll, inclusive.
            device: where the views will be taken.
        """
        boxes, mirrored, rolls = [], [], []
        for generator in generators:
            boxes.append(draw_boxes(iterations, size, scale, generator))
            mirrored.append((torch.rand(iterations, generator=generator) < 0.5) & flip)
            rolls.append(torch.randint(0, jitter + 1, (iterations, 2), generator=generator))
        return cls(*(torch.stack(draws, 1).to(device) for draws in (boxes, mirrored, rolls)))

    def __call__(self, images: Tensor, t: int) -> Tensor:
        """The groups' images [G, B, C, S, S] as seen at iteration ``t``: [G·B, C, S, S], differentiable in them.

        Crop, mirror and roll are linear along each axis, so one matrix an axis does all three: the antialiased
        bilinear crop of torchvision on tensors, with a gradient that is deterministic on every device.
        """
        size = images.shape[-1]
        order = (torch.arange(size, device=images.device) - self.rolls[t, :, :, None]) % size
        order[:, 1] = torch.where(self.mirrored[t, :, None], size - 1 - order[:, 1], order[:, 1])
        axes = resampling(self.boxes[t, :, :2], self.boxes[t, :, 2:], size, size, order).to(images.dtype)
        rows, columns = axes[:, 0, None, None], axes[:, 1, None, None]
        return (rows @ images @ columns.mT).flatten(0, 1)


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
            squares.append(torch.linalg.vector_norm(centred, dim=(2, 3)).square())
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


class BatchNormAlignment:
    """R_BN, the distance of a group's statistics from those that the teacher's batch norms have stored.

    R_BN = Σ_l w_l (‖v_l − V_l‖₂ + ‖m_l − M_l‖₂), with m_l, v_l mean and biased variance of layer l's input, M_l, V_l
    its running statistics; w = ``first`` for the first layer in order of registration, 1 for the others. Statistics
    are taken in float32 at least, under autocast too. Use as a context, and call ``loss`` once after each forward pass.

    Source:
        Yin et al., 2020, arXiv:1912.08795 (DeepInversion); weights as in SRe2L, Yin et al., 2023, arXiv:2306.13092.

    Raises:
        DecoctError: the teacher has no BatchNorm2d with running statistics.
    """

    def __init__(self, teacher: nn.Module, groups: int, first: float = 10.0) -> None:
        norms = [m for m in teacher.modules() if isinstance(m, nn.BatchNorm2d) and m.running_mean is not None]
        if not norms:
            raise DecoctError(
                f"{type(teacher).__name__} has no batch norm to invert: "
                "take a teacher that has, such as convnet3_bn, resnet18, resnet10t or test_resnet"
            )
        self.norms, self.groups, self.first = norms, groups, first
        self._terms: dict[int, Tensor] = {}
        self._handles: list[Any] = []

    def __enter__(self) -> "BatchNormAlignment":
        self._handles = [norm.register_forward_pre_hook(self._hook(i)) for i, norm in enumerate(self.norms)]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._terms.clear()

    def loss(self) -> Tensor:
        """[G] R_BN of each group in the last forward pass."""
        total = torch.stack([(self.first if i == 0 else 1.0) * self._terms[i] for i in sorted(self._terms)]).sum(0)
        self._terms.clear()
        return total

    def _hook(self, layer: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(norm: nn.Module, args: tuple[Tensor, ...]) -> None:
            x = args[0].to(torch.promote_types(args[0].dtype, torch.float32))
            stored_mean, stored_variance = norm.running_mean.to(x.dtype), norm.running_var.to(x.dtype)
            mean, variance = GroupMoments.apply(x, self.groups, stored_mean)  # type: ignore[no-untyped-call]
            apart = (variance - stored_variance, mean - stored_mean)
            self._terms[layer] = sum(torch.linalg.vector_norm(v, dim=1) for v in apart)

        return hook


def cosine(lr: float, t: int, iterations: int) -> float:
    """lr · (1 + cos(π t/T)) / 2: from ``lr`` at t = 0 to 0 at t = T."""
    return lr * (1 + math.cos(math.pi * t / iterations)) / 2


def recover(
    start: Tensor,
    terms: Callable[[Tensor], Mapping[str, Tensor]],
    weights: Mapping[str, float],
    views: Callable[[Tensor, int], Tensor],
    *,
    lr: float,
    iterations: int,
    low: Tensor,
    high: Tensor,
    progress: Progress = silent,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Minimise the weighted sum of the terms over the pixels: Adam(β .5, .9), cosine steps, clamped after each.

    Args:
        start: [G, B, C, S, S] normalised images; left as they are.
        terms: view [G·B, C, S, S] -> terms by name, each [G].
        weights: of every term.
        views: (images, iteration) -> what the teacher sees.
        lr: at the first iteration.
        iterations: T.
        low, high: valid range, broadcast against [C, S, S].
        progress: called with (iterations done, T).

    Returns:
        The last iterate, and each term's mean over the groups, [T], before each step.

    Raises:
        DecoctError: the loss is no longer finite.
    """
    images = start.detach().clone().requires_grad_()
    optimiser = torch.optim.Adam([images], lr, betas=(0.5, 0.9), eps=1e-8)
    trace = torch.zeros(iterations, len(weights), device=start.device)
    for t in range(iterations):
        optimiser.param_groups[0]["lr"] = cosine(lr, t, iterations)
        values = terms(views(images, t))
        loss = torch.stack([weight * values[name].sum() for name, weight in weights.items()]).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            images.clamp_(low, high)
            trace[t] = torch.stack([values[name].mean() for name in weights])
        if t % EVERY == EVERY - 1 or t + 1 == iterations:
            _check_finite(trace[: t + 1], weights, iterations)
            progress(t + 1, iterations)
    return images.detach(), dict(zip(weights, trace.cpu().unbind(1), strict=True))


@contextmanager
def frozen(teacher: nn.Module) -> Iterator[nn.Module]:
    """The teacher in eval mode with no gradient to its weights, as it was afterwards."""
    modes = [(m, m.training) for m in teacher.modules()]
    grads = [(p, p.requires_grad) for p in teacher.parameters()]
    try:
        yield teacher.eval().requires_grad_(False)
    finally:
        for module, training in modes:
            module.training = training
        for parameter, grad in grads:
            parameter.requires_grad_(grad)


def _check_finite(trace: Tensor, weights: Mapping[str, float], iterations: int) -> None:
    bad = (~trace.isfinite().all(1)).nonzero()
    if len(bad):
        t = int(bad[0])
        total = float(sum(weight * value for weight, value in zip(weights.values(), trace[t - 1], strict=True)))
        before = f"it was {total:.4g} the iteration before" if t else "from the start"
        raise DecoctError(f"the recovery loss is not finite at iteration {t + 1} of {iterations} ({before}): lower lr")
