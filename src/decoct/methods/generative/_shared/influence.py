"""An image's influence on a surrogate: differentiable gradients of its loss in the surrogate's weights."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad, vmap

from decoct.core.interfaces import Inputs
from decoct.core.seeds import seed
from decoct.data.pixels import Pixels
from decoct.needs.trajectory import Experts

BATCH = 50  # real images in one backward pass


@dataclass(frozen=True, eq=False)
class Surrogate:
    """The first of some experts, at any epoch of its training.

    Attributes:
        experts: with the net.
        pixels: the data's scale.
        device: where it computes.
    """

    experts: Experts
    pixels: Pixels
    device: str

    def weights(self, epoch: int) -> Tensor:
        """[P] after so many epochs."""
        return self.experts.weights(0, epoch, self.device)

    @property
    def epochs(self) -> int:
        """Of its training."""
        return self.experts.trajectories[0].epochs

    def each(self, weights: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """∇_θ of the cross-entropy of each image, [B, P], differentiable in the images, [B, C, S, S] from 0 to 255."""

        def loss(theta: Tensor, image: Tensor, label: Tensor) -> Tensor:
            logits = self.experts.logits(self.experts.parameters(theta), image[None])
            return F.cross_entropy(logits, label[None])

        gradients: Tensor = vmap(grad(loss), (None, 0, 0))(weights, self.pixels.normalise(images), labels)
        return gradients

    def mean(self, weights: Tensor, images: NDArray[np.uint8], label: int) -> Tensor:
        """∇_θ of the mean cross-entropy of images of one class, [P]."""
        theta, total = weights.clone().requires_grad_(), torch.zeros_like(weights)
        for at in range(0, len(images), BATCH):
            part = self.pixels.normalise(self.pixels.load(images[at : at + BATCH]))
            target = torch.full((len(part),), label, device=part.device)
            loss = F.cross_entropy(self.experts.logits(self.experts.parameters(theta), part), target, reduction="sum")
            total += torch.autograd.grad(loss, theta)[0]
        return total / len(images)


def real_images(inputs: Inputs, name: str, c: int, count: int) -> NDArray[np.uint8]:
    """Random train images of a class, all of them where there are not as many."""
    members = np.flatnonzero(inputs.data.train.labels == c)
    rng = np.random.default_rng(seed(inputs.seed, name, "real", c))
    images: NDArray[np.uint8] = inputs.data.train.images[np.sort(rng.permutation(members)[:count])]
    return images


def milestones(gradients: Callable[[int], Tensor], epochs: int, threshold: float) -> list[int]:
    """Epochs at which gradients have turned: 0, and each whose mean cosine with the last one picked is lower.

    Args:
        gradients: after so many epochs, [classes, P] mean gradients.
        epochs: of the training.
        threshold: cosine below which they have turned.
    """
    picked, last = [0], gradients(0)
    for epoch in range(1, epochs + 1):
        now = gradients(epoch)
        if float(F.cosine_similarity(last, now, dim=1).mean()) < threshold:
            picked, last = [*picked, epoch], now
    return picked
