"""The recipe behind the published small-data tables of the Dataset Condensation lineage."""

from pydantic import Field

from decoct.core.interfaces import Task, TrainProtocol
from decoct.training.recipe import Recipe, epoch_steps


class DC(TrainProtocol):
    """Hard labels, SGD .01, batch 256, lr × .1 once after half of the passes, no augmentation except, if asked, DSA.

    Dataset Condensation's evaluation (Zhao et al., 2021, arXiv:2006.05929) and, with ``dsa``, that of differentiable
    Siamese augmentation (Zhao & Bilen, 2021, arXiv:2102.08259). The lineage's code passes over a set E + 1 times, of
    which E/2 + 2 are at the first rate, as here; the last pass counts. MTT (Cazenavette et al., 2022, arXiv:2203.11932)
    is evaluated so with ``dsa`` and ``own_rate``, and DATM (Guo et al., 2024, arXiv:2310.05773) with ``own_labels`` and
    ``batch = 128`` too; both report the best of many evaluations on test during the construction, where here the set
    is taken as it is at the end.

    Attributes:
        epochs: E; None for 300, or 1,000 with DSA.
        full_epochs: passes over the whole train split, the ceiling, of which one more than half are at the first rate.
        steps: optimiser steps instead, for every set alike.
        lr: learning rate at the start.
        momentum: of SGD.
        weight_decay: on all parameters.
        batch: images per step.
        dsa: augment each batch by one of colour, crop, cutout, flip, scale and rotation.
        own_labels: learn from a set's own soft labels, if it has some (DATM): cross-entropy to them instead of to the
            class.
        own_rate: start at the learning rate that was learnt with a set, if one was (MTT, DATM), instead of at ``lr``.
    """

    version = 2
    epochs: int | None = Field(None, ge=1)
    full_epochs: int = Field(20, ge=1)
    steps: int | None = Field(None, ge=1)
    lr: float = Field(0.01, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    batch: int = Field(256, ge=2)
    dsa: bool = False
    own_labels: bool = False
    own_rate: bool = False

    def takes_own_labels(self) -> bool:
        """As the field ``own_labels`` says."""
        return self.own_labels

    def fixed_steps(self) -> int | None:
        """As the field ``steps`` says."""
        return self.steps

    def recipe(self, task: Task) -> Recipe:
        """The same numbers at every size and resolution."""
        passes = self.full_epochs if task.ceiling else 1 + (self.epochs or (1000 if self.dsa else 300))
        first = passes // 2 + 1 if task.ceiling else (passes - 1) // 2 + 2
        an_epoch = epoch_steps(task.images, min(self.batch, task.images), task.batch_norm)
        steps = self.steps or an_epoch * passes
        return Recipe(
            steps=steps,
            batch=min(self.batch, task.images),
            optimiser="sgd",
            lr=task.rate if self.own_rate and task.rate is not None else self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            decay_all=True,
            schedule="multistep",
            milestones=(steps // 2 + 1 if self.steps else an_epoch * first,),
            gamma=0.1,
            restart=True,
            dsa=self.dsa,
            flip=self.dsa and task.flip,
            drop_single=task.batch_norm,
            loss="kl" if self.own_labels and task.soft_labels else "ce",  # at temperature 1 both have one gradient
        )
