"""GLISTER: real images on which a training step lowers the loss of held-out images most."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Draft, Inputs, Need
from decoct.methods.coresets._shared.coreset import Coreset
from decoct.methods.coresets._shared.gradients import Head
from decoct.needs.features import Features
from decoct.needs.teacher import Teacher


class GLISTER(Coreset):
    """Greedy one-step generalisation (GLISTER-ONLINE, Killamsetty et al., 2021, arXiv:2012.10630).

    An image's gain is how much a step on it lowers the loss of the val images, to first order:  η ⟨g_j, ∇L_val⟩  with
    the gradients of the last layer, the paper's approximation. Picks come in rounds of ⌈n / ``rounds``⌉ of each class,
    those of the largest gain first. After each, the layer takes one step from where the teacher left it on all picks so
    far, θ − η Σ g, and ∇L_val is taken there; the gradients g of the train images stay those of the teacher.

    Departures: the authors select anew every 20 epochs while the net learns; here the set is chosen once, from a
    trained teacher, and is the same for every student. The paper has no quotas (as with ``pooled``); here they only
    limit the class of a pick, and all val images judge all picks. Public code by class uses the val images of that
    class alone, so that an image with a wrong label has the largest gain.

    Picks are ordered, but a smaller set is not a prefix of a larger one, whose rounds are longer.

    Attributes:
        net: the teacher.
        rate: η; the authors take the student's learning rate.
        rounds: r; with as many rounds as picks, this is the plain greedy.
    """

    net: str = "teacher"
    rate: float = Field(0.01, gt=0)
    rounds: int = Field(15, ge=1)

    def together(self, ipc: int) -> int | None:
        """The step that refreshes the val gradient is on the picks of all classes."""
        return None

    def needs(self) -> tuple[Need, ...]:
        """The teacher, for its last layer, and what goes into that."""
        return (Teacher(net=self.net), Features(extractor=self.net))

    def __call__(self, inputs: Inputs) -> Draft:
        """Pick by quotas of the classes, or among all images."""
        wanted = Features(extractor=self.net)
        head, groups = Head.needed(inputs, self.net), self.groups(inputs)
        features, labels, held_out = inputs.features[wanted], inputs.data.train.labels, inputs.held_out.get(wanted)
        if held_out is None or not len(held_out):
            raise DecoctError(f"{self.name} picks for the val images, and '{self.net}' has no features of any")
        sizes = [max(1, math.ceil(group.quota / self.rounds)) for group in groups]
        rounds = max(math.ceil(group.quota / size) for group, size in zip(groups, sizes, strict=True))
        picked = [group.rows[:0] for group in groups]
        free = torch.zeros(len(labels), dtype=torch.float64)
        moved, total = head, torch.zeros(())
        for done in range(rounds):
            # Sums and η, which is the same for all, leave the order of the gains as it is.
            gain = head.along(moved.gradient(held_out, inputs.data.val.labels), features, labels) + free
            new = [
                _largest(gain, group.rows, min(size, group.quota - len(own)))
                for group, size, own in zip(groups, sizes, picked, strict=True)
            ]
            picked = [np.concatenate(pair) for pair in zip(picked, new, strict=True)]
            rows = np.concatenate(new)
            free[rows] = -torch.inf
            total = total + head.gradient(features[rows], labels[rows])
            moved = head.moved(total, self.rate)
            inputs.progress(done + 1, rounds)
        return Draft.selected(np.concatenate(picked))


def _largest(gain: Tensor, rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Rows of the largest gain, those of equal gain in their order."""
    order: NDArray[np.int64] = gain[rows].sort(descending=True, stable=True).indices[:n].numpy()
    return np.take(rows, order)
