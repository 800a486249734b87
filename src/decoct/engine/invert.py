"""Inverting a teacher: the loop that decoupled methods share, and its random views.

A *group* is a batch as a paper means it: its images share one crop, and their statistics are matched together.
Groups run side by side in one forward pass and do not touch each other: the teacher is in eval mode and Adam is
elementwise, so the gradient of the sum of the groups' losses is each group's own.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from decoct.core.errors import DecoctError
from decoct.core.kinds import Progress, silent
from decoct.data.augmentation.augment import draw_boxes
from decoct.data.augmentation.resample import resampling

Terms = Callable[[Tensor, int], Mapping[str, Tensor]]

EVERY = 10  # iterations between two looks at the loss, since each look makes a GPU wait;
PAUSE = 1.0  # or seconds, where iterations take long


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
            low: [T] the least fraction at each iteration, instead of that of ``scale``.
        """
        boxes, mirrored, rolls = [], [], []
        for generator in generators:
            boxes.append(draw_boxes(iterations, size, scale, generator, low))
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


def cosine(lr: float, t: int, iterations: int) -> float:
    """lr · (1 + cos(π t/T)) / 2: from ``lr`` at t = 0 to 0 at t = T."""
    return lr * (1 + math.cos(math.pi * t / iterations)) / 2


class Resume:
    """Where a stage keeps its state for the case that it is killed; this one keeps nothing.

    A state is the tensors themselves, which change with the next iteration: who keeps it makes a copy.
    """

    def load(self) -> dict[str, Tensor] | None:
        """The state of this stage; None if there is none."""
        return None

    def save(self, state: Callable[[], dict[str, Tensor]], finished: bool) -> None:
        """Keep the state, if it is time or the stage is finished."""


def curriculum(t: Tensor, least: float, until: float) -> Tensor:
    """a(t) = s + (1 − s)(1 + cos(π t/until)) / 2 for t < until, s after: from 1 down to ``least`` (CDA's crops)."""
    eased = least + (1 - least) * (1 + torch.cos(math.pi * t / until)) / 2
    return torch.where(t < until, eased, torch.full_like(eased, least))


def recover(
    start: Tensor,
    terms: Terms,
    weights: Mapping[str, float],
    views: Callable[[Tensor, int], Tensor],
    *,
    lr: float,
    iterations: int,
    low: Tensor,
    high: Tensor,
    first: int = 0,
    last: int | None = None,
    resume: Resume | None = None,
    progress: Progress = silent,
    turn: int = 1,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Minimise the weighted sum of the terms over the pixels: Adam(β .5, .9), cosine steps, clamped after each.

    Args:
        start: [G, B, C, S, S] normalised images; left as they are.
        terms: (view [G·B, C, S, S], iteration) -> terms by name, each [G].
        weights: of the terms; one that is not given at an iteration counts as 0.
        views: (images, iteration − first) -> what the teacher sees.
        lr: at iteration 0.
        iterations: T of the cosine.
        low, high: valid range, broadcast against [C, S, S].
        first: iteration that this stage starts at.
        last: the one after its last; None for T.
        resume: where the state is kept.
        progress: called with (iterations done, T), after whole turns.
        turn: iterations that differ in what they take, and come again and again: nets of a jury that judge in turn.

    Returns:
        The last iterate, and each term's mean over the groups, [last − first], before each step.

    Raises:
        DecoctError: the loss is no longer finite.
    """
    last, resume = iterations if last is None else last, resume or Resume()
    images = start.detach().clone().requires_grad_()
    optimiser = torch.optim.Adam([images], lr, betas=(0.5, 0.9), eps=1e-8)
    trace = torch.zeros(last - first, len(weights), device=start.device)
    before = resume.load()
    begin = first if before is None else _restore(before, images, optimiser, trace)
    looked, due = time.monotonic(), False
    for t in range(begin, last):
        optimiser.param_groups[0]["lr"] = cosine(lr, t, iterations)
        values = terms(views(images, t - first), t)
        loss = torch.stack([weights[name] * value.sum() for name, value in values.items()]).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            images.clamp_(low, high)
            for i, name in enumerate(weights):
                if name in values:
                    trace[t - first, i] = values[name].mean()
        seam = t % EVERY == EVERY - 1 or t + 1 == last
        due = due or seam or time.monotonic() > looked + PAUSE
        tell = due and ((t + 1) % turn == 0 or t + 1 == last)
        if seam or tell:
            _check_finite(trace[: t + 1 - first], images, weights, first, iterations)
        if tell:
            progress(t + 1, iterations)
            looked, due = time.monotonic(), False
        if seam:
            resume.save(lambda: _state(images, optimiser, trace, t + 1), t + 1 == last)  # noqa: B023, called at once
    return images.detach(), dict(zip(weights, trace.cpu().unbind(1), strict=True))


def _state(images: Tensor, optimiser: torch.optim.Optimizer, trace: Tensor, done: int) -> dict[str, Tensor]:
    slots = {f"adam.{name}": torch.as_tensor(value) for name, value in optimiser.state[images].items()}
    return {"images": images.detach(), "trace": trace, "done": torch.tensor(done), **slots}


def _restore(state: dict[str, Tensor], images: Tensor, optimiser: torch.optim.Optimizer, trace: Tensor) -> int:
    """Bring a fresh stage to where it was; gives the next iteration."""
    slots = {name.removeprefix("adam."): value.clone() for name, value in state.items() if name.startswith("adam.")}
    slots["step"] = slots["step"].cpu()  # as Adam makes it; on a GPU each step would wait for it
    optimiser.load_state_dict({**optimiser.state_dict(), "state": {0: slots}})
    with torch.no_grad():
        images.copy_(state["images"])
        trace.copy_(state["trace"])
    return int(state["done"])


def _check_finite(trace: Tensor, images: Tensor, weights: Mapping[str, float], first: int, iterations: int) -> None:
    finite = trace.isfinite().all(1)
    done = int(finite.long().cumprod(0).sum())  # before the loss broke down
    last = f"{float(sum(w * v for w, v in zip(weights.values(), trace[done - 1], strict=True))):.4g}"
    if done < len(trace):
        start = "from the start of its stage" if first else "from the start"
        before = f"it was {last} the iteration before" if done else start
        raise DecoctError(
            f"the recovery loss is not finite at iteration {first + done + 1} of {iterations} ({before}): lower lr"
        )
    if not images.isfinite().all():  # or the next look would find it, behind a state that was kept
        raise DecoctError(
            f"the gradient of the recovery loss is not finite at iteration {first + done} of {iterations} "
            f"(the loss was {last}): lower lr"
        )
