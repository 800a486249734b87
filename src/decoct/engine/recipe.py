"""A recipe: every number that decides how a student is trained, resolved for one training set."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field

from decoct.core.errors import UsageError
from decoct.core.kinds import Task, TrainProtocol


@dataclass(frozen=True)
class Recipe:
    """How to train, in full.

    Attributes:
        steps: optimiser steps.
        batch: images a step.
        optimiser: "adamw" (betas .9/.999) or "sgd".
        lr: learning rate at the start.
        weight_decay: on weights of two or more dimensions, or on all parameters if ``decay_all``.
        schedule: "cosine" to 0; "half_cosine" to lr/2; "multistep", × ``gamma`` from each of the ``milestones`` on.
        momentum: of SGD.
        milestones: steps.
        gamma: factor at each milestone.
        restart: the optimiser starts anew at each milestone.
        pad: random crop from a border of so many pixels; 0 for none.
        scale: RandomResizedCrop's share of the area instead; None for none.
        flip: mirror half of the images.
        shuffle: an image's tiles, so many a side, change places before the crop; 1 for none.
        jitter: strength of the colour jitter; 0 for none.
        lighting: deviation of the PCA lighting; 0 for none.
        dsa: differentiable Siamese augmentation instead of all of the above.
        cutmix: alpha of the Beta distribution; 0 for none.
        mixup: the same of mixup.
        loss: "ce" on hard labels, mixed by area; "kl" of softened logits; "mse_ce", MSE of logits + ``ce_weight`` · CE
            on the unmixed label.
        temperature: of "kl"; no T² factor, as in the literature.
        ce_weight: of "mse_ce".
        hard: share of the steps, in the middle of the training, that learn from hard labels by "ce".
        smoothing: of hard labels in "ce".
        halves: teachers and student see each batch in two halves, the teachers normalising by each half's statistics.
        ema: decay of the weight average that is evaluated; None evaluates the last weights.
        drop_single: leave out a last batch of one image, which batch norm cannot train on.
    """

    steps: int
    batch: int
    optimiser: Literal["adamw", "sgd"]
    lr: float
    weight_decay: float
    schedule: Literal["cosine", "half_cosine", "multistep"]
    decay_all: bool = False
    momentum: float = 0.0
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    restart: bool = False
    pad: int = 0
    scale: tuple[float, float] | None = None
    flip: bool = False
    shuffle: int = 1
    jitter: float = 0.0
    lighting: float = 0.0
    dsa: bool = False
    cutmix: float = 0.0
    mixup: float = 0.0
    loss: Literal["ce", "kl", "mse_ce"] = "ce"
    temperature: float = 1.0
    ce_weight: float = 0.0
    hard: float = 0.0
    smoothing: float = 0.0
    halves: bool = False
    ema: float | None = None
    drop_single: bool = True

    def soft_at(self, step: int) -> bool:
        """Whether the step, counted from 0, learns from soft labels."""
        first, last = self.hard_steps
        return self.loss != "ce" and not first <= step < last

    @property
    def hard_steps(self) -> tuple[int, int]:
        """First step on hard labels and the first after them, of a soft recipe."""
        first = round(self.steps * (1 - self.hard) / 2) if self.hard else self.steps
        return first, max(first, self.steps - first)

    def lasting(self, steps: int) -> "Recipe":
        """The same over so many steps, milestones in proportion."""
        return replace(self, steps=steps, milestones=tuple(m * steps // self.steps for m in self.milestones))

    def plain(self) -> "Recipe":
        """The same without augmentation: the images as they are, unmixed."""
        bare: dict[str, Any] = {"pad": 0, "scale": None, "flip": False, "shuffle": 1, "jitter": 0.0, "lighting": 0.0}
        return replace(self, **bare, dsa=False, cutmix=0.0, mixup=0.0)


def epoch_steps(images: int, batch: int, drop_single: bool = True) -> int:
    """Batches in an epoch; the last one may be short, and is left out if it would be of one image and that is asked."""
    full, rest = divmod(images, batch)
    return full + (rest > 1 or (rest == 1 and not (drop_single and full)))


class FromScratch(TrainProtocol):
    """What the protocols share: AdamW on a fresh student, one budget, augmentation by resolution.

    Attributes:
        epochs: passes over the set.
        full_epochs: the same when the set is the whole train split, the ceiling.
        steps: optimiser steps instead, for every set alike.
        lr: learning rate at the start.
        weight_decay: on weights of two or more dimensions.
        batch: None for min(N, max(16, min(128, N // 8))) up to 64 px, and the paper's above.
        augment: False trains on the images as they are: no crop, flip or mixing.
    """

    epochs: int = Field(300, ge=1)
    full_epochs: int = Field(20, ge=1)
    steps: int | None = Field(None, ge=1)
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    batch: int | None = Field(None, ge=2)
    augment: bool = True

    def fixed_steps(self) -> int | None:
        """As the field ``steps`` says."""
        return self.steps

    def base(self, task: Task, large_batch: int) -> Recipe:
        """The recipe of hard labels; a protocol replaces what it does otherwise.

        Args:
            task: the training set and resolution.
            large_batch: images a step above 64 px.
        """
        n = task.images
        if n < 2:
            raise UsageError("a student needs at least two training images")
        batch = min(n, self.batch or (max(16, min(128, n // 8)) if task.size <= 64 else large_batch))
        return Recipe(
            steps=self.steps
            or epoch_steps(n, batch, task.batch_norm) * (self.full_epochs if task.ceiling else self.epochs),
            batch=batch,
            optimiser="adamw",
            lr=self.lr,
            weight_decay=self.weight_decay,
            schedule="cosine",
            flip=task.flip,
            drop_single=task.batch_norm,
            **augmentation(task.size),
        )

    def finished(self, recipe: Recipe) -> Recipe:
        """The recipe, without augmentation if that is asked."""
        return recipe if self.augment else recipe.plain()


def augmentation(size: int) -> dict[str, Any]:
    """Crop by resolution: pad 1 at 8 px, pad 4 below 64 px, RandomResizedCrop from there."""
    if size >= 64:
        return {"scale": (0.25, 1.0) if size == 64 else (0.08, 1.0)}
    return {"pad": 1 if size <= 8 else 4}
