"""The recipe behind the published small-data tables of the Dataset Condensation lineage."""

from pydantic import Field

from decoct.core.interfaces import Task, TrainProtocol
from decoct.training.recipe import Recipe, epoch_steps


class DC(TrainProtocol):
    """Hard labels, SGD .01, batch 256, lr × .1 once after epoch E/2 + 1, no augmentation except, if asked, DSA.

    Dataset Condensation's evaluation (Zhao et al., 2021, arXiv:2006.05929) and, with ``dsa``, that of differentiable
    Siamese augmentation (Zhao & Bilen, 2021, arXiv:2102.08259); the last epoch counts.

    Attributes:
        epochs: None for 300, or 1,000 with DSA.
        full_epochs: passes over the whole train split, the ceiling.
        steps: optimiser steps instead, for every set alike.
        lr: learning rate at the start.
        momentum: of SGD.
        weight_decay: on all parameters.
        batch: images per step.
        dsa: augment each batch by one of colour, crop, cutout, flip, scale and rotation.
        own_labels: learn from a set's own soft labels, if it has some (DATM; Guo et al., 2024,
            arXiv:2310.05773): cross-entropy to them instead of to the class.
    """

    epochs: int | None = Field(None, ge=1)
    full_epochs: int = Field(20, ge=1)
    steps: int | None = Field(None, ge=1)
    lr: float = Field(0.01, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    batch: int = Field(256, ge=2)
    dsa: bool = False
    own_labels: bool = False

    def takes_own_labels(self) -> bool:
        """As the field ``own_labels`` says."""
        return self.own_labels

    def fixed_steps(self) -> int | None:
        """As the field ``steps`` says."""
        return self.steps

    def recipe(self, task: Task) -> Recipe:
        """The same numbers at every size and resolution."""
        epochs = self.full_epochs if task.ceiling else self.epochs or (1000 if self.dsa else 300)
        an_epoch = epoch_steps(task.images, min(self.batch, task.images), task.batch_norm)
        steps = self.steps or an_epoch * epochs
        return Recipe(
            steps=steps,
            batch=min(self.batch, task.images),
            optimiser="sgd",
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            decay_all=True,
            schedule="multistep",
            milestones=(steps // 2 + 1 if self.steps else an_epoch * (epochs // 2 + 1),),
            gamma=0.1,
            restart=True,
            dsa=self.dsa,
            flip=self.dsa and task.flip,
            drop_single=task.batch_norm,
            loss="kl" if self.own_labels and task.soft_labels else "ce",  # at temperature 1 both have one gradient
        )
