"""What methods that match real batches in random nets share: the batches, the nets, and the distance of embeddings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from decoct.core.errors import UsageError
from decoct.core.kinds import Inputs
from decoct.core.seeds import seed
from decoct.data.augmentation import dsa
from decoct.engine.images import Images, tensor
from decoct.engine.matching.synthetic import check_enough
from decoct.nets import zoo
from decoct.nets.features import classifier

BLOCK = 64  # real images in one forward pass: what it makes fits into a cache


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
    """Raise a UsageError for a net that hardly learns from such images, or whose images see each other: batch norm."""
    zoo.check_fits(net, size)
    if any(isinstance(module, _BatchNorm) for module in zoo.build(net, 1, 2, size, 0).modules()):
        raise UsageError(
            f"{method} looks at the classes one by one, and {net} has batch norm, which ties the images of a batch: "
            "name a net with instance norm, such as convnet"
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
