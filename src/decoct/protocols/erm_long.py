"""Hard labels, long: the recipe of the generative papers, and the usual one for ten-class subsets of ImageNet."""

from dataclasses import replace

from pydantic import Field

from decoct.core.interfaces import Task
from decoct.training.recipe import FromScratch, Recipe, augmentation, epoch_steps

EPOCHS = {1: 3000, 10: 2000, 50: 1500, 200: 1000, 500: 500}  # up to so many images per class; 300 beyond


class ERMLong(FromScratch):
    """Hard labels mixed by CutMix; SGD .01, rate × .2 at 2/3 and 5/6, colour jitter, 300 to 3,000 epochs by IPC.

    MinimaxDiffusion's evaluation (Gu et al., 2024, arXiv:2311.15529), for instance-norm nets and ResNet-18.

    Attributes:
        epochs: None for 3000, 2000, 1500, 1000, 500, 300 at up to 1, 10, 50, 200, 500 and more images per class, and
            two thirds of that from 100 classes up.
        momentum: of SGD.
        cutmix: alpha.
        scale: least share of the area that a crop keeps, above 64 px.
        jitter: of brightness, contrast and saturation.
        lighting: deviation of the PCA lighting.
    """

    epochs: int | None = Field(None, ge=1)  # type: ignore[assignment]
    lr: float = Field(0.01, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    batch: int | None = Field(64, ge=2)
    cutmix: float = Field(1.0, ge=0)
    scale: float = Field(0.5, gt=0, le=1)
    jitter: float = Field(0.4, ge=0, lt=1)
    lighting: float = Field(0.1, ge=0)

    def recipe(self, task: Task) -> Recipe:
        """Epochs by images per class; the rest is one recipe for all."""
        batch = min(task.images, self.batch or 64)
        an_epoch = epoch_steps(task.images, batch, task.batch_norm)
        epochs = self.full_epochs if task.ceiling else self.epochs or long_epochs(task.images, task.classes)
        steps = self.steps or an_epoch * epochs
        crop = {"scale": (self.scale, 1.0)} if task.size > 64 else augmentation(task.size)
        recipe = Recipe(
            steps=steps,
            batch=batch,
            optimiser="sgd",
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            schedule="multistep",
            milestones=(2 * steps // 3, 5 * steps // 6),
            gamma=0.2,
            flip=task.flip,
            cutmix=self.cutmix,
            jitter=self.jitter,
            lighting=self.lighting,
            drop_single=task.batch_norm,
        )
        return self.finished(replace(recipe, **crop))


def long_epochs(images: int, classes: int) -> int:
    """Epochs for so many images of so many classes."""
    epochs = next((epochs for most, epochs in EPOCHS.items() if images <= most * classes), 300)
    return epochs if classes < 100 else round(epochs * 2 / 3)
