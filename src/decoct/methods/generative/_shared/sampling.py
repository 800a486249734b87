"""Ancestral sampling of a diffusion model in some of its steps, with a hook for guidance."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Generator, Tensor

from decoct.core.errors import DecoctError, UsageError
from decoct.data.send import send
from decoct.nets.diffusion import DiffusionModel


@dataclass(frozen=True)
class Schedule:
    """The steps of a training's schedule that sampling takes, number 0 with the least noise (Nichol and Dhariwal, 2021,
    arXiv:2102.09672): β_i = 1 − ᾱ_i / ᾱ_{i−1} of those that are kept, and ᾱ_{−1} = 1.

    Attributes:
        steps: t of each.
        alphas: ᾱ of each.
    """

    steps: tuple[int, ...]
    alphas: tuple[float, ...]

    @classmethod
    def respaced(cls, alphas: Tensor, count: int) -> Self:
        """``count`` steps of a training's [T], evenly from the first to the last.

        Raises:
            UsageError: fewer than two, or more than there are.
        """
        if not 2 <= count <= len(alphas):
            raise UsageError(f"{count} sampling steps of a generator that has {len(alphas)}: take 2 to {len(alphas)}")
        steps = np.linspace(0, len(alphas) - 1, count).round().astype(int).tolist()
        return cls(tuple(steps), tuple(alphas[steps].tolist()))

    def __len__(self) -> int:
        return len(self.steps)

    def mean(self, i: int, noisy: Tensor, clean: Tensor) -> Tensor:
        """E[x_{i−1} | x_i, x₀] = (√ᾱ_{i−1} β_i x₀ + √α_i (1 − ᾱ_{i−1}) x_i) / (1 − ᾱ_i), with α_i = 1 − β_i."""
        here, before, beta = self._around(i)
        of_clean, of_noisy = before**0.5 * beta / (1 - here), (1 - beta) ** 0.5 * (1 - before) / (1 - here)
        mean: Tensor = of_clean * clean + of_noisy * noisy
        return mean

    def deviation(self, i: int, fraction: Tensor | None, like: Tensor) -> Tensor:
        """σ_i: of β̃_i = β_i (1 − ᾱ_{i−1}) / (1 − ᾱ_i), or a learnt one, log σ² = f log β_i + (1 − f) log β̃_i.

        β̃_0 is 0, and that of step 1 stands for it: no noise is added there, but a guide may ask.
        """
        here, before, _ = self._around(max(i, 1))
        beta = self._around(i)[2]
        least, most = math.log(self._around(max(i, 1))[2] * (1 - before) / (1 - here)), math.log(beta)
        if fraction is None:
            return torch.full_like(like, math.exp(least / 2))
        log_variance: Tensor = fraction * most + (1 - fraction) * least
        return (0.5 * log_variance).exp()

    def _around(self, i: int) -> tuple[float, float, float]:
        here, before = self.alphas[i], self.alphas[i - 1] if i else 1.0
        return here, before, 1 - here / before


@dataclass(frozen=True, eq=False)
class Step:
    """What a guide sees of one step of a batch.

    Attributes:
        number: i, from the schedule's last down to 0.
        alpha: ᾱ_i.
        latents: [B, c, h, w] x_i.
        noise: ε̂, with classifier-free guidance.
        clean: x̂₀ of it.
        sigma: σ_i.
    """

    number: int
    alpha: float
    latents: Tensor
    noise: Tensor
    clean: Tensor
    sigma: Tensor


class Guide(ABC):
    """A term added to x_{i−1}. ``differentiates``: it needs gradients through the net."""

    differentiates: ClassVar[bool] = False

    @abstractmethod
    def active(self, share: float) -> bool:
        """Whether it acts at step i of n, told i / n."""

    @abstractmethod
    def __call__(self, step: Step) -> Tensor:
        """[B, c, h, w] to add to the latents of the next step."""


def draw(rngs: Sequence[Generator], model: DiffusionModel) -> Tensor:
    """Gaussian noise, one latent of each generator: [B, c, h, w] on the model's device."""
    return send(torch.stack([torch.randn(model.latent, generator=rng) for rng in rngs]), model.device)


def sample(
    model: DiffusionModel,
    schedule: Schedule,
    labels: Tensor,
    start: Tensor,
    rngs: Sequence[Generator],
    *,
    class_names: Sequence[str],
    guidance: float = 1.0,
    guide: Guide | None = None,
    first: int | None = None,
) -> Tensor:
    """x_{i−1} = E[x_{i−1} | x_i, x̂₀] + σ_i z + what the guide adds, from the first step down to 0 (Ho et al., 2020).

    arXiv:2006.11239. There is no noise at the last step. Memory is one forward pass of 2 B latents, and its backward
    pass at the steps where the guide differentiates.

    Args:
        model: the generator.
        schedule: the steps that are taken.
        labels: [B] classes of the data.
        start: [B, c, h, w] x at the first step.
        rngs: one for each image, on the CPU, so that its noise depends on nothing that is made beside it.
        class_names: for the message.
        guidance: w of classifier-free guidance.
        guide: what steers the latents; None for nothing.
        first: how many steps are left at the start; None for all.

    Returns:
        [B, c, h, w] x₀.

    Raises:
        DecoctError: latents that are no longer finite; it names the step and the class.
    """
    first = len(schedule) if first is None else first
    x, broken = start, torch.zeros(len(start), dtype=torch.long, device=start.device)  # the first step that broke each
    for i in reversed(range(first)):
        active = guide if guide is not None and guide.active(i / len(schedule)) else None
        gradients = active is not None and active.differentiates
        with torch.set_grad_enabled(gradients):
            x = x.detach().requires_grad_(gradients)
            said = model.predict(x, schedule.steps[i], labels, guidance)
            clean = model.denoised(x, said.noise, schedule.steps[i])
            sigma = schedule.deviation(i, said.fraction, x)
            following = schedule.mean(i, x, clean).detach()
            if active is not None:
                step = Step(i, schedule.alphas[i], x, said.noise, clean, sigma.detach())
                following += active(step).detach()
        x = following + sigma.detach() * draw(rngs, model) if i else following
        broken = torch.where((broken == 0) & ~x.flatten(1).isfinite().all(1), first - i, broken)
    finite(broken, first, labels, class_names)
    return x


def finite(broken: Tensor, steps: int, labels: Tensor, class_names: Sequence[str]) -> None:
    """Raise a DecoctError that names the class and the step, if latents broke: [B] after so many steps, 0 for never."""
    if broken.any():  # asked at the end: every question makes a GPU wait
        image = int(torch.where(broken > 0, broken, steps + 1).argmin())
        raise DecoctError(
            f"the latents of class '{class_names[int(labels[image])]}' are not finite after step {int(broken[image])} "
            f"of {steps}: lower guidance, or check that the generator's weights are finite"
        )
