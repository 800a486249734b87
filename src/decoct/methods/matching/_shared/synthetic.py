"""Learnt images from start to end, and the real batches and random nets in which they are matched."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Generator, Tensor, nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Condenser, Draft, Inputs
from decoct.core.seeds import seed
from decoct.data.augment import dsa
from decoct.data.pixels import Pixels
from decoct.data.send import ahead
from decoct.methods._shared.starts import random_rows
from decoct.nets import zoo
from decoct.nets.layout import has_batch_norm
from decoct.nets.precision import Precision
from decoct.training.images import Images, tensor
from decoct.training.learn import ends

Init = Literal["real", "noise"]
BLOCK = 64  # real images in one forward pass: what it makes fits into a cache


@dataclass
class Synthetic:
    """The images of a set in the making, class after class.

    Attributes:
        images: [n, C, S, S] float32, normalised or whitened, on the device; a leaf that asks for a gradient.
        labels: [n] int64 on the device: class 0 so many times, class 1 so many times, …
        initial: [n, C, S, S] uint8, what the images start from.
        scale: the data's.
        numbers: images of each class; the same of all, but where the inputs say so themselves.
    """

    images: Tensor
    labels: Tensor
    initial: NDArray[np.uint8]
    scale: Pixels
    numbers: Sequence[int]

    @classmethod
    def start(cls, inputs: Inputs, name: str, init: Init) -> "Synthetic":
        """Random real images of each class, none twice; or Gaussian noise of mean 0 and deviation 1, normalised.

        Args:
            inputs: as the runner gave them.
            name: of the method, which the draws derive from.
            init: "real" or "noise".

        Raises:
            DecoctError: a class has fewer images than the budget asks for.
        """
        inputs.ipc(name)  # refuses a budget of different numbers
        numbers, classes, scale = inputs.quotas(), inputs.wanted(), Pixels.seen(inputs.data, inputs.device)
        if init == "real":
            rows = np.concatenate([random_rows(inputs, name, c, n) for c, n in zip(classes, numbers, strict=True)])
            initial = np.array(inputs.data.train.images[rows])
            images = scale.normalise(scale.load(initial))
        else:
            rngs = [Generator().manual_seed(seed(inputs.seed, name, "start", c)) for c in classes]
            shape = inputs.data.shape
            noise = [torch.randn(n, *shape, generator=rng) for n, rng in zip(numbers, rngs, strict=True)]
            images = torch.cat(noise).to(inputs.device)
            initial = scale.truncate(images).cpu().numpy()
        labels = torch.from_numpy(np.repeat(classes, numbers)).to(inputs.device)  # repeating there waits for the device
        return cls(images.requires_grad_(), labels, initial, scale, numbers)

    @property
    def ipc(self) -> int:
        """Images of the class that has most."""
        return max(self.numbers)

    def of_class(self, place: int) -> Tensor:
        """The images of the class at a place in class order, [n, C, S, S], with a gradient to the whole."""
        first = sum(self.numbers[:place])
        return self.images[first : first + self.numbers[place]]

    def draft(
        self,
        trace: Tensor,
        *,
        soft_labels: NDArray[np.float32] | None = None,
        rate: float | None = None,
        **notes: float,
    ) -> Draft:
        """What a condenser returns: float32 images in the data's scale, where they may leave [0, 1].

        Args:
            trace: [steps] losses, one an update of the images.
            soft_labels: [n, classes].
            rate: that was learnt.
            notes: facts for the record, beside the loss at both ends.
        """
        return Draft.synthesised(
            in_data_scale(self.images.detach(), self.scale),
            self.labels.cpu().numpy(),
            soft_labels=soft_labels,
            rate=rate,
            steps=len(trace),
            initial=self.initial,
            notes=ends(trace) | notes,
        )


def in_data_scale(normalised: Tensor, scale: Pixels) -> NDArray[np.float32]:
    """Normalised, or whitened -> float32 where black is 0 and white 1, not clipped."""
    values: NDArray[np.float32] = (scale.restore(normalised) / 255).cpu().numpy()
    return values


def check_enough(inputs: Inputs, name: str, count: int, remedy: str) -> None:
    """Raise a DecoctError that names a class with fewer than ``count`` train images, and says what to do."""
    for c, members in zip(inputs.wanted(), inputs.members(), strict=True):
        if len(members) < count:
            raise DecoctError(
                f"class '{inputs.data.class_names[c]}' has {len(members)} images, but {name} takes {count} of each "
                f"class: {remedy}"
            )


class InRandomNets(Condenser):
    """A method that matches learnt images with batches of real ones, of each class, in nets with random weights.

    Attributes:
        net: without batch norm; "convnet" is the ConvNet that fits the images.
        momentum: of the images' SGD.
        batch: real images of each class at an update; all that there are where a class has fewer.
        precision: of the nets' forward passes; images, losses, gradients and what learns stay in float32.
    """

    family = "distillation"
    even = True
    net: str = "convnet"
    momentum: float = Field(0.5, ge=0, lt=1)
    batch: int = Field(256, ge=1)
    precision: Precision = "float32"

    def at(self, size: int) -> Self:
        """The same with the net of the resolution.

        Raises:
            UsageError: the net cannot take images of this size, or hardly learns from them, or has batch norm.
        """
        net = zoo.resolve(self.net, size)
        zoo.check_fits(net, size)
        if has_batch_norm(zoo.build(net, 1, 2, size, 0)):
            raise UsageError(
                f"{self.name} looks at the classes one by one, and {net} has batch norm, which ties the images of a "
                "batch: name a net with instance norm, such as convnet"
            )
        return self.model_copy(update={"net": net})


@dataclass(frozen=True)
class RealBatches:
    """Random train images of each class, none twice in a batch.

    Attributes:
        images: of the train split.
        members: [classes] rows of each class.
        batch: images of each class at a step; of a smaller class all, at every step.
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
        """Those of the train split."""
        data = inputs.data
        how = data.mean, data.std, inputs.device
        images = Images.of(tensor(data.train.images), *how, whitening=data.whitening)
        return cls(images, inputs.members(), batch, inputs.seed, name)

    def at(self, t: int) -> Iterator[Tensor]:
        """The batch of each class at step t, [batch or less, C, S, S] normalised, in class order."""
        rng = np.random.default_rng(seed(self.root, self.name, "real", t))
        for members in self.members:
            rows = members[rng.choice(len(members), min(self.batch, len(members)), replace=False)]
            yield self.images.normalise(self.images.rows(torch.from_numpy(rows)))


def fresh_net(inputs: Inputs, name: str, net: str, t: int) -> nn.Module:
    """The net of iteration t, with random weights, in train mode on the device."""
    channels, size, _ = inputs.data.shape
    net_of_t = zoo.build(net, channels, len(inputs.data.class_names), size, seed(inputs.seed, name, "net", t))
    return net_of_t.to(inputs.device, non_blocking=ahead(inputs.device))


def shared_draws(inputs: Inputs, name: str, t: int, classes: int) -> list[dsa.Drawn]:
    """One augmentation per class at step t, the same for all images of the class, real or learnt."""
    rng = Generator().manual_seed(seed(inputs.seed, name, "augmentation", t))
    return [dsa.draw(1, inputs.data.size, inputs.data.flip, rng, siamese=True) for _ in range(classes)]
