"""The recipe behind the published small-data tables of the Dataset Condensation lineage."""

from pydantic import Field

from decoct.core.kinds import Task, TrainProtocol
from decoct.engine.recipe import Recipe, epoch_steps


class DC(TrainProtocol):
    """Hard labels, SGD .01, batch 256, lr × .1 once after epoch E/2 + 1, no augmentation.

    Dataset Condensation's evaluation (Zhao et al., 2021, arXiv:2006.05929); the last epoch counts.
    """

    epochs: int = Field(300, ge=1)
    full_epochs: int = Field(20, ge=1)
    lr: float = Field(0.01, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    batch: int = Field(256, ge=2)

    def recipe(self, task: Task) -> Recipe:
        """The same numbers at every size and resolution."""
        epochs = self.full_epochs if task.ceiling else self.epochs
        an_epoch = epoch_steps(task.images, min(self.batch, task.images), task.batch_norm)
        return Recipe(
            steps=an_epoch * epochs,
            batch=min(self.batch, task.images),
            optimiser="sgd",
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            decay_all=True,
            schedule="drop",
            drop_at=an_epoch * (epochs // 2 + 1),
            drop_single=task.batch_norm,
        )
