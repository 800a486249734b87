"""What methods that match real batches share: the batches, fresh nets, embeddings, and the distance of gradients."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from decoct.core.errors import UsageError
from decoct.core.kinds import Inputs
from decoct.core.seeds import seed
from decoct.data import dsa
from decoct.engine.images import Images, tensor
from decoct.engine.synthetic import check_enough
from decoct.nets import zoo
from decoct.nets.features import classifier

BLOCK = 64  # real images in one forward pass: what it makes fits into a cache
EPSILON = 1e-6  # beside the product of two norms


@dataclass(frozen=True)
class RealBatches:
    """Random train images of each class, none twice in a batch.

    Attributes:
        images: of the train split.
        members: [classes] rows of each class.
        batch: images of each class at a step.
        root: seed that the draw of each step derives from.
        name: of the method, likewise.
    """

    images: Images
    members: Sequence[np.ndarray]
    batch: int
    root: int
    name: str

    @classmethod
    def of(cls, inputs: Inputs, name: str, batch: int) -> "RealBatches":
        """Those of the train split.

        Raises:
            DecoctError: a class has fewer images than a batch.
        """
        check_enough(inputs, name, batch, "lower batch")
        data = inputs.data
        images = Images.of(tensor(data.train.images), data.mean, data.std, inputs.device)
        return cls(images, inputs.members(), batch, inputs.seed, name)

    def at(self, t: int) -> Iterator[Tensor]:
        """The batch of each class at step t, [batch, C, S, S] normalised, in class order."""
        rng = np.random.default_rng(seed(self.root, self.name, "real", t))
        for members in self.members:
            rows = members[rng.choice(len(members), self.batch, replace=False)]
            yield self.images.normalise(self.images.rows(torch.from_numpy(rows)))


def fresh_net(inputs: Inputs, name: str, net: str, t: int) -> nn.Module:
    """The net of iteration t, with random weights, in train mode on the device."""
    channels, size, _ = inputs.data.shape
    start = seed(inputs.seed, name, "net", t)
    return zoo.build(net, channels, len(inputs.data.class_names), size, start).to(inputs.device)


def check_net(method: str, net: str, size: int) -> None:
    """Raise a UsageError for a net that cannot take such images, or whose images see each other through batch norm."""
    if any(isinstance(module, _BatchNorm) for module in zoo.build(net, 1, 2, size, 0).modules()):
        raise UsageError(
            f"{method} looks at the classes one by one, and {net} has batch norm, which ties the images of a batch: "
            "name a net with instance norm, such as convnet3"
        )


def shared_draws(inputs: Inputs, name: str, t: int, classes: int) -> list[dsa.Drawn]:
    """One augmentation a class at step t, the same for all images of the class, real or learnt."""
    rng = Generator().manual_seed(seed(inputs.seed, name, "augmentation", t))
    return [dsa.draw(1, inputs.data.size, inputs.data.flip, rng, siamese=True) for _ in range(classes)]


def headless(net: nn.Module) -> nn.Module:
    """The net, changed so that it gives what its classifier would see."""
    head = classifier(net)
    path = next(path for path, module in net.named_modules() if module is head)
    parent, _, last = path.rpartition(".")
    setattr(net.get_submodule(parent), last, nn.Identity())
    return net


@torch.no_grad()
def mean_embedding(net: nn.Module, images: Tensor, block: int = BLOCK) -> Tensor:
    """Mean over [n, C, S, S] images of what a headless net gives, [d], block by block."""
    return torch.stack([net(part).sum(0) for part in images.split(block)]).sum(0) / len(images)


def embedding_distance(real: Tensor, made: Tensor) -> Tensor:
    """Σ_c ‖r_c − mean_i m_ci‖²: [classes, d] means of real and [classes, ipc, d] embeddings of learnt images."""
    return (real - made.mean(1)).square().sum()


def matched(net: nn.Module) -> list[Tensor]:
    """The parameters whose gradients are matched: those of two or more dimensions, the weights of layers."""
    return [p for p in net.parameters() if p.ndim >= 2]


def class_gradient(net: nn.Module, images: Tensor, label: int, *, block: int | None = None) -> list[Tensor]:
    """∇ of the mean cross-entropy of [n, C, S, S] images of one class in the net's weights, without a graph.

    Args:
        net: whose images do not see each other.
        images: normalised.
        label: their class.
        block: images at a time; None for all at once.
    """
    weights = matched(net)
    total = [torch.zeros_like(weight) for weight in weights]
    for part in images.split(block or len(images)):
        loss = F.cross_entropy(net(part), part.new_full((len(part),), label, dtype=torch.long), reduction="sum")
        torch._foreach_add_(total, torch.autograd.grad(loss / len(images), weights))
    return total


def gradient_distance(real: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """Σ over layers and their outputs o of  1 − ⟨r_o, m_o⟩ / (‖r_o‖ ‖m_o‖ + 10⁻⁶)  (Zhao et al., 2021, eq. 7).

    Args:
        real: gradients of the weights, [out, …] each.
        made: likewise; differentiable.
    """
    total = made[0].new_zeros(())
    for r, m in zip(real, made, strict=True):
        r, m = r.flatten(1), m.flatten(1)
        total = total + (1 - (r * m).sum(1) / (r.norm(dim=1) * m.norm(dim=1) + EPSILON)).sum()
    return total


def matching_gradient(
    net: nn.Module, images: Tensor, label: int, real: Sequence[Tensor], drawn: dsa.Drawn | None
) -> tuple[Tensor, Tensor]:
    """Distance of the gradient on learnt images of one class to the real one, and its gradient in the pixels.

    Args:
        net: at its present weights.
        images: [n, C, S, S].
        label: their class.
        real: gradients of ``matched(net)`` on real images.
        drawn: the augmentation that the real images went through.

    Returns:
        A scalar without a graph, and [n, C, S, S].
    """
    leaf = images.detach().requires_grad_()
    seen = leaf if drawn is None else dsa.apply(leaf, drawn)
    loss = F.cross_entropy(net(seen), seen.new_full((len(seen),), label, dtype=torch.long))
    made = torch.autograd.grad(loss, matched(net), create_graph=True)
    distance = gradient_distance(real, made)
    (gradient,) = torch.autograd.grad(distance, leaf)
    return distance.detach(), gradient


def fit(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    lr: float,
    batch: int,
    flip: bool,
    augment: bool,
    rng: Generator,
) -> None:
    """Train the net in place by plain SGD on learnt images: the inner loop.

    Args:
        net: in train mode.
        images: [n, C, S, S] normalised.
        labels: [n].
        epochs: passes over the images, each in an order of its own.
        lr: of SGD.
        batch: images a step.
        flip: whether the data may be mirrored.
        augment: whether each batch goes through one of DSA's transforms, with parameters of its own for every image.
        rng: of orders and augmentations, on the CPU.
    """
    weights: list[Tensor] = list(net.parameters())
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=rng).to(images.device).split(batch):
            x = images[rows]
            if augment:
                x = dsa.apply(x, dsa.draw(len(x), x.shape[-1], flip, rng))
            gradients = torch.autograd.grad(F.cross_entropy(net(x), labels[rows]), weights)
            with torch.no_grad():
                torch._foreach_sub_(weights, gradients, alpha=lr)
