"""A net from its pretrained weights, trained for a short while under a fresh head."""

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from decoct.nets import started
from decoct.nets.renormalise import Normalisation
from decoct.nets.student import Student
from decoct.shrinking.learners.net import Net
from decoct.shrinking.pool import Pool
from decoct.training.batches import TrainingSet
from decoct.training.recipe import Recipe


@dataclass(frozen=True)
class FineTune(Net):
    """A net from its weights, with rates that fall from each layer to the one before it.

    It sees the images of the pool at their size, so a pool for it is best read at the size that its weights were
    trained at. The defaults are those of the protocol ``finetune``.

    Attributes:
        layer_decay: factor on the rate from each layer to the one before it; 1 for one rate.
        freeze: the first layers, so many, stay as they are.
    """

    lr: float = 2e-3
    weight_decay: float = 0.05
    layer_decay: float = 0.75
    freeze: int = 0

    @property
    def title(self) -> str:
        """Such as "resnet18.a1_in1k, fine-tuned"."""
        return f"{Student.of(self.student).title}, fine-tuned"

    def config(self) -> dict[str, Any]:
        """As for any net, and which weights it starts from; those that the user's code loads are not looked at."""
        net = Student.of(self.student)
        return super().config() | ({} if net.own else started.identity(net, 3, 2, size=224))

    def build(self, pool: Pool, data: TrainingSet, seed: int) -> nn.Module:
        """With its weights."""
        own, classes = Normalisation.of(data.mean, data.std), len(pool.class_names)
        return started.started(Student.of(self.student), own, classes, pool.size, seed, pool.size)

    def recipe(self, pool: Pool, images: int, batch_norm: bool) -> Recipe:
        """By layer."""
        return replace(super().recipe(pool, images, batch_norm), layer_decay=self.layer_decay, freeze=self.freeze)
