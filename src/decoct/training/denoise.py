"""Training of a small class-conditional noise predictor on the pixels of a data set."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor, nn

from decoct.core.interfaces import Machine
from decoct.core.seeds import seed as derive
from decoct.data.send import send
from decoct.nets import compiled
from decoct.nets.precision import autocast
from decoct.training.images import Images
from decoct.training.learn import learn, numbered

WARM = 100  # steps, or a tenth of them where that is less, in which the learning rate rises
CLIP = 1.0  # norm of the gradient
BETAS = (0.9, 0.99)

Prediction = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True)
class Denoising:
    """How a noise predictor is trained, in full.

    Attributes:
        steps: optimiser steps, of AdamW without weight decay; the rate rises over the first and falls to 0 as a cosine.
        batch: images per step.
        lr: learning rate at its highest.
        ema: decay of the average of the weights, which is the result; it starts lower, at (1 + n) / (10 + n).
        drop: share of the labels that become the null class.
        prediction: what the net gives: ε, or v = √ᾱ ε − √(1 − ᾱ) x₀ (Salimans and Ho, 2022, arXiv:2202.00512).
        flip: mirror half of the images.
    """

    steps: int
    batch: int
    lr: float
    ema: float
    drop: float
    prediction: Prediction
    flip: bool


class Noisy(NamedTuple):
    """One step's worth, on the device."""

    latents: Tensor  # [B, c, h, w] √ᾱ_t x + √(1 − ᾱ_t) ε
    target: Tensor  # [B, c, h, w] what the net is to say of them
    t: Tensor  # [B] steps of the schedule
    labels: Tensor  # [B] classes, or the null class


class NoisyBatches:
    """Batches by number, each the same whatever came before: epoch after epoch of all images, each batch full.

    The steps t of a batch lie evenly over the schedule, shifted together by one draw, which makes the loss vary less
    from batch to batch (Kingma et al., 2021, arXiv:2107.00630). Images [N, C, S, S] uint8 are seen from −1 to 1;
    ``alphas`` are ᾱ_t [T]; ``null`` is the label that stands for none.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, alphas: Tensor, how: Denoising, null: int, seed: int, device: str
    ) -> None:
        half = (0.5,) * images.shape[1]
        self.images, self.labels = Images.of(images, half, half, device), labels
        self.alphas, self.how, self.null, self.seed = alphas, how, null, seed
        self._orders: dict[int, Tensor] = {}

    def __getitem__(self, step: int) -> Noisy:
        how, device = self.how, self.images.device
        rows, rng = self.rows(step), Generator().manual_seed(derive(self.seed, "noise", step))
        count, size = len(rows), len(self.alphas)
        even = (torch.arange(count) + torch.rand(1, generator=rng)) / count
        t = (even * size).long().clamp(max=size - 1)
        labels = self.labels[rows].masked_fill(torch.rand(count, generator=rng) < how.drop, self.null)
        x = self.images.normalise(self.images.rows(rows).float())
        if how.flip:
            mirrored = send(torch.rand(count, generator=rng) < 0.5, device).view(-1, 1, 1, 1)
            x = torch.where(mirrored, x.flip(-1), x)
        noise = send(torch.randn(x.shape, generator=rng), device)
        share = self.alphas[t].view(-1, 1, 1, 1)
        signal, rest = send(share.sqrt().float(), device), send((1 - share).sqrt().float(), device)
        target = noise if how.prediction == "epsilon" else signal * noise - rest * x
        return Noisy(signal * x + rest * noise, target, send(t, device), send(labels, device))

    def rows(self, step: int) -> Tensor:
        """[B] row numbers of a batch."""
        count, batch = len(self.labels), self.how.batch
        first, last = step * batch, (step + 1) * batch
        epochs = range(first // count, (last - 1) // count + 1)
        self._orders = {e: self._orders[e] if e in self._orders else self._order(e) for e in epochs}
        begin = epochs[0] * count
        return torch.cat([self._orders[e] for e in epochs])[first - begin : last - begin]

    def _order(self, epoch: int) -> Tensor:
        return torch.randperm(len(self.labels), generator=Generator().manual_seed(derive(self.seed, "order", epoch)))


def denoise(net: nn.Module, batches: NoisyBatches, machine: Machine = Machine()) -> Tensor:
    """Train ``net`` in place on the mean squared error; it ends in eval mode with the average of its weights.

    The net, of diffusers, takes latents, timestep and class_labels, and draws nothing. The state of the training is
    kept by the machine, and continues there, to equal bytes. Gives the losses [steps], on the CPU.

    Raises:
        DecoctError: a loss or a weight is not finite.
    """
    how = batches.how
    net.to(machine.device).train()
    weights: list[Tensor] = list(net.parameters())
    average = [p.detach().clone() for p in weights]
    optimiser = torch.optim.AdamW(weights, how.lr, betas=BETAS, weight_decay=0.0, fused=True)
    forward = compiled.forward(net, machine.compiled, "the training of a generator")

    def step(t: int) -> Tensor:
        batch = batches[t]
        for group in optimiser.param_groups:
            group["lr"] = rate(how, t)
        with autocast(batch.latents.device, machine.precision):
            said = forward(batch.latents, timestep=batch.t, class_labels=batch.labels, return_dict=False)[0]
        loss: Tensor = (said.float() - batch.target).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, CLIP)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, weights, 1 - min(how.ema, (1 + t) / (10 + t)))
        return loss.detach()

    tensors = net.state_dict() | numbered(average, "average")
    losses = learn(machine, "the generator", optimiser, step, how.steps, tensors)
    with torch.no_grad():
        torch._foreach_copy_(weights, average)
    net.eval()
    return losses


def rate(how: Denoising, step: int) -> float:
    """Learning rate of a step: min(1, (step + 1) / w) · (1 + cos(π step / steps)) / 2 of the highest."""
    warm = max(1, min(WARM, how.steps // 10))
    return how.lr * min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * step / how.steps))
