"""IGD: sampling guided to images that teach a surrogate as real ones do, and away from those already made."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Inputs, Need
from decoct.data.pixels import Pixels
from decoct.methods._shared.starts import Block
from decoct.methods.generative._shared.generative import Generative, Sampling
from decoct.methods.generative._shared.influence import Surrogate, milestones, real_images
from decoct.methods.generative._shared.sampling import Guide, Step
from decoct.needs.trajectory import Trajectories
from decoct.nets import zoo
from decoct.nets.diffusion import DiffusionModel

PACE = 0.0015  # rms of one step of influence guidance, as a share of that of the noise, at k = 1
PAPER = 4096  # numbers of a latent of DiT-XL/2 at 256 px, which γ is meant for


class IGD(Generative):
    """Influence-guided diffusion (Chen et al., ICLR 2025, OpenReview 0whx8MhysK), on a frozen generator.

    A surrogate ConvNet is trained on the data. Checkpoints of it are picked: epoch 0, and each at which the mean
    gradient of the classes has turned, its cosine with the last one picked below ``similarity``. At the guided steps

        x_{i−1} += −k ρ_i ∇ 𝓘 − γ ∇ cos(x_i, m),    𝓘 = mean over checkpoints of 1 − cos(∇_θ ℓ(D(x̂₀)), g_c),

    with g_c the mean gradient of ``real`` images of the class, ρ_i = .0015 rms(ε̂) / rms(∇ 𝓘) · √(1 − ᾱ_i), and m the
    latent nearest to x_i by cosine among the last ``remembered`` that were made of the class. Gradients are in x_i,
    through decoder and generator. Numbers are those of the authors' code.

    Image j of all classes of a batch is made at the same time, so that each still sees all images of its class before
    it; the authors make one image at a time. Departures: γ is given for the 4,096 numbers of the paper's latents and
    scaled to those at hand, since ∇ cos falls with the length of x; checkpoints are picked by at most ten classes,
    evenly spaced, whatever the shard; the surrogate is trained as an expert of MTT is, without momentum, and without
    augmentation. Their recursion of guided steps, which is off by default, is left out. A copy of their
    sampler also decodes the latents that only guidance needs, and takes the gradient of both; here it is that of the
    image. The net is theirs, ConvNet-6, from 192 px, and one of fewer blocks for smaller images.

    Memory is one backward pass through generator, decoder and surrogate with ``batch`` images, and P numbers of the
    surrogate for each image.

    Attributes:
        batch: classes whose images are made together.
        net: the surrogate; "convnet" is the ConvNet that fits the images.
        epochs: of its training.
        influence: k.
        deviation: γ.
        low: share of the steps below which none is guided.
        high: share of the steps above which none is guided.
        real: images behind the gradient of a class.
        similarity: cosine below which a gradient has turned.
        remembered: latents of each class that images avoid.
    """

    quick = {
        "steps": 4,
        "batch": 4,
        "net": "convnet2_w32",
        "epochs": 2,
        "low": 0.25,
        "real": 20,
    }

    batch: int = Field(10, ge=1)
    net: str = "convnet"
    epochs: int = Field(50, ge=1)
    influence: float = Field(5.0, ge=0)
    deviation: float = Field(120.0, ge=0)
    low: float = Field(0.6, ge=0, le=1)
    high: float = Field(0.9, ge=0, le=1)
    real: int = Field(200, ge=1)
    similarity: float = Field(0.7, ge=-1, le=1)
    remembered: int = Field(64, ge=0)

    def at(self, size: int) -> Self:
        """The same with the generator and the surrogate of the resolution."""
        return super().at(size).model_copy(update={"net": zoo.resolve(self.net, size)})

    def together(self, ipc: int) -> int | None:
        """The classes of a batch."""
        return self.batch

    def needs(self) -> tuple[Need, ...]:
        """The generator, and the surrogate's training."""
        return (*super().needs(), self.training())

    def training(self) -> Trajectories:
        """The surrogate's."""
        return Trajectories(net=self.net, epochs=self.epochs, experts=1, dsa=False)

    def made(self, inputs: Inputs, model: DiffusionModel) -> "Influenced":
        """Rounds of one image of each class."""
        return Influenced(self, inputs, model)


class Influenced(Sampling):
    """Guided sampling in rounds: image j of each class of a group, guided by those before it."""

    spec: IGD

    def __init__(self, spec: IGD, inputs: Inputs, model: DiffusionModel) -> None:
        super().__init__(spec, inputs, model)
        experts = replace(inputs.trajectories[spec.training()], precision=self.model.precision)
        self.surrogate = Surrogate(experts, Pixels.seen(inputs.data, inputs.device), inputs.device)
        self.picked: list[int] = []
        self.gradients: dict[int, Tensor] = {}
        self.made: dict[int, list[Tensor]] = {}

    def blocks(self, usual: list[Block]) -> list[Block]:
        """A round each: group after group, image after image."""
        wanted, rounds = self.inputs.wanted(), []
        quotas = dict(zip(wanted, self.inputs.quotas(), strict=True))
        for at in range(0, len(wanted), self.spec.batch):
            group = wanted[at : at + self.spec.batch]
            for j in range(max(quotas[c] for c in group)):
                of = tuple(c for c in group if quotas[c] > j)
                rounds.append(Block(of, (j,) * len(of)))
        return rounds

    def __call__(self, block: Block) -> Mapping[str, Tensor]:
        """Latents of a round, which are kept for those that follow."""
        guide = InfluenceGuidance(
            self.spec,
            self.model,
            self.surrogate,
            [self.surrogate.weights(epoch) for epoch in self.picked],
            torch.stack([self.gradients[c] for c in block.classes]),
            self.labels(block),
            [self.before(c, j) for c, j in zip(block.classes, block.ids, strict=True)],
        )
        latents = self.sampled(block, guide)
        for c, j, z in zip(block.classes, block.ids, latents.cpu(), strict=True):
            self.inputs.kept.save(f"latent-{c}-{j}", {"latent": z.numpy()})
            self.made[c].append(z)
        return {"images": latents}

    def ready(self, block: Block) -> None:
        """Pick the checkpoints, and compute what their gradients are for the classes of a group."""
        spec, inputs = self.spec, self.inputs
        if not self.picked:
            total = len(inputs.data.class_names)
            few = np.unique(np.linspace(0, total - 1, min(total, 10)).round().astype(int)).tolist()
            images = {c: real_images(inputs, spec.name, c, spec.real) for c in few}

            def gradients(epoch: int) -> Tensor:
                theta = self.surrogate.weights(epoch)
                return torch.stack([self.surrogate.mean(theta, own, c) for c, own in images.items()])

            self.picked = milestones(gradients, self.surrogate.epochs, spec.similarity)
        if not self.gradients.keys() >= set(block.classes):
            self.gradients, self.made = {}, {}  # of the group before
            for c in block.classes:
                own = real_images(inputs, spec.name, c, spec.real)
                weights = [self.surrogate.weights(epoch) for epoch in self.picked]
                self.gradients[c] = torch.stack([self.surrogate.mean(theta, own, c) for theta in weights])
                self.made[c] = []

    def before(self, c: int, j: int) -> list[Tensor]:
        """The last latents of a class before image j, those too that were made before the construction was killed."""
        made = self.made[c]
        for number in range(len(made), j):
            kept = self.inputs.kept.load(f"latent-{c}-{number}")
            if kept is None:  # it was saved before the images of its round
                name = self.inputs.data.class_names[c]
                raise DecoctError(f"the latent of image {number} of class '{name}' is no longer kept: start again")
            made.append(torch.from_numpy(kept["latent"]))
        remembered = made[max(0, j - self.spec.remembered) : j] if self.spec.remembered else []
        return [latent.to(self.model.device) for latent in remembered]


@dataclass
class InfluenceGuidance(Guide):
    """−k ρ ∇ 𝓘 − γ ∇ cos(x_i, m) in the latents of one image of each of B classes.

    Attributes:
        spec: k, γ and the steps that are guided.
        model: the generator.
        surrogate: whose gradients are compared.
        weights: of its checkpoints, each [P].
        targets: [B, checkpoints, P] mean gradients of real images.
        labels: [B] classes of the data.
        others: of each class, the latents [c, h, w] that its image avoids; there may be none.
    """

    spec: IGD
    model: DiffusionModel
    surrogate: Surrogate
    weights: list[Tensor]
    targets: Tensor
    labels: Tensor
    others: list[list[Tensor]]

    differentiates = True

    def active(self, share: float) -> bool:
        """Between the least noisy and the noisiest of the guided steps."""
        return self.spec.low <= share <= self.spec.high

    def __call__(self, step: Step) -> Tensor:
        """What teaches the surrogate more, farther from what there is."""
        pushes = [self._deviation(x, others) for x, others in zip(step.latents.detach(), self.others, strict=True)]
        push = -self.spec.deviation * step.latents[0].numel() / PAPER * torch.stack(pushes)
        if not self.spec.influence:
            return push
        (gradient,) = torch.autograd.grad(self.distances(step.clean).sum(), step.latents)
        pace = PACE * rms(step.noise.detach()) / rms(gradient).clamp(min=1e-12) * (1 - step.alpha) ** 0.5
        guided: Tensor = push - self.spec.influence * pace * gradient
        return guided

    def distances(self, clean: Tensor) -> Tensor:
        """𝓘 of each image, [B]; the graph of one checkpoint is held at a time, behind that of generator and decoder."""
        images = self.model.decode(clean)
        leaf = images.detach().requires_grad_()
        value, gradient = leaf.new_zeros(len(leaf)), torch.zeros_like(leaf)
        for number, weights in enumerate(self.weights):
            theirs = self.surrogate.each(weights, leaf, self.labels)
            apart = (1 - F.cosine_similarity(theirs, self.targets[:, number], dim=1, eps=1e-6)) / len(self.weights)
            gradient += torch.autograd.grad(apart.sum(), leaf)[0]
            value += apart.detach()
        return value + ((images - leaf.detach()) * gradient).flatten(1).sum(1)  # its value, and its gradient in images

    def _deviation(self, x: Tensor, others: list[Tensor]) -> Tensor:
        """∇_x cos(x, m) = (m / ‖m‖ − cos(x, m) x / ‖x‖) / ‖x‖, of the m nearest to x; 0 where there is none."""
        if not others:
            return torch.zeros_like(x)
        length = x.norm()
        ahead, directions = x / length, torch.stack([m / m.norm() for m in others])
        nearness = (directions * ahead).flatten(1).sum(1)
        most, best = nearness.max(0)
        gradient: Tensor = (directions.index_select(0, best[None])[0] - most * ahead) / length
        return gradient


def rms(x: Tensor) -> Tensor:
    """√ of the mean square of each image, [B, 1, 1, 1]."""
    return x.square().mean((1, 2, 3), keepdim=True).sqrt()
