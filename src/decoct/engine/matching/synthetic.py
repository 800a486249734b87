"""Images that are learnt: where they start, and what they end as."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from decoct.core.errors import DecoctError
from decoct.core.kinds import Draft, Inputs
from decoct.core.seeds import seed
from decoct.engine.learn import ends
from decoct.engine.pixels import Pixels
from decoct.engine.starts import random_rows

Init = Literal["real", "noise"]


@dataclass
class Synthetic:
    """The images of a set in the making, class after class.

    Attributes:
        images: [n, C, S, S] float32, normalised, on the device; a leaf that asks for a gradient.
        labels: [n] int64 on the device: class 0 ipc times, class 1 ipc times, …
        initial: [n, C, S, S] uint8, what the images start from.
        scale: the data's.
        ipc: images of each class.
    """

    images: Tensor
    labels: Tensor
    initial: NDArray[np.uint8]
    scale: Pixels
    ipc: int

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
        ipc, classes, scale = inputs.ipc(name), inputs.wanted(), Pixels.of(inputs.data, inputs.device)
        if init == "real":
            rows = np.concatenate([random_rows(inputs, name, c, ipc) for c in classes])
            initial = np.array(inputs.data.train.images[rows])
            images = scale.normalise(scale.load(initial))
        else:
            rngs = [Generator().manual_seed(seed(inputs.seed, name, "start", c)) for c in classes]
            images = torch.cat([torch.randn(ipc, *inputs.data.shape, generator=rng) for rng in rngs]).to(inputs.device)
            initial = scale.truncate(images).cpu().numpy()
        labels = torch.tensor(classes, device=inputs.device).repeat_interleave(ipc)
        return cls(images.requires_grad_(), labels, initial, scale, ipc)

    def of_class(self, place: int) -> Tensor:
        """The images of the class at a place in class order, [ipc, C, S, S], with a gradient to the whole."""
        return self.images[place * self.ipc : (place + 1) * self.ipc]

    def draft(
        self, trace: Tensor, *, steps: int | None = None, soft_labels: NDArray[np.float32] | None = None, **notes: float
    ) -> Draft:
        """What a condenser returns: float32 images in the data's scale, where they may leave [0, 1].

        Args:
            trace: [steps] losses.
            steps: updates of the images; None for as many as there are losses.
            soft_labels: [n, classes].
            notes: facts for the record, beside the loss at both ends.
        """
        return Draft.synthesised(
            in_data_scale(self.images.detach(), self.scale),
            self.labels.cpu().numpy(),
            soft_labels=soft_labels,
            steps=len(trace) if steps is None else steps,
            initial=self.initial,
            notes=ends(trace) | notes,
        )


def in_data_scale(normalised: Tensor, scale: Pixels) -> NDArray[np.float32]:
    """Normalised -> float32 where black is 0 and white 1, not clipped."""
    values: NDArray[np.float32] = ((normalised * scale.std + scale.mean) / 255).cpu().numpy()
    return values


def check_enough(inputs: Inputs, name: str, count: int, remedy: str) -> None:
    """Raise a DecoctError that names a class with fewer than ``count`` train images, and says what to do."""
    for c, members in zip(inputs.wanted(), inputs.members(), strict=True):
        if len(members) < count:
            raise DecoctError(
                f"class '{inputs.data.class_names[c]}' has {len(members)} images, but {name} takes {count} of each "
                f"class: {remedy}"
            )
