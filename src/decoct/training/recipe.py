"""A recipe: every number that decides how a student is trained; and the base of protocols that make one for a set."""

from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from decoct.core.bounds import Bounded
from decoct.core.errors import UsageError
from decoct.core.interfaces import Task, TrainProtocol


@dataclass(frozen=True)
class Recipe:
    """How to train, in full.

    Attributes:
        steps: optimiser steps.
        batch: images per step.
        optimiser: "adamw" (betas .9/.999) or "sgd"; "lbfgs" fits the head of a frozen net to all images at once, as
            ``decoct.training.probe`` does, and heeds nothing of what follows but ``strength``.
        lr: learning rate at the start.
        weight_decay: on weights of two or more dimensions, or on all parameters if ``decay_all``.
        schedule: "cosine" to 0; "half_cosine" or "half_linear" to lr/2; "multistep", × ``gamma`` from each of the
            ``milestones`` on.
        momentum: of SGD.
        milestones: steps.
        gamma: factor at each milestone.
        restart: the optimiser starts anew at each milestone.
        pad: random crop from a border of this many pixels; 0 for none.
        scale: RandomResizedCrop's share of the area instead; None for none.
        flip: mirror half of the images.
        shuffle: tiles per side of an image that change places before the crop; 1 for none.
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
        layer_decay: factor on the rate from each layer of the net to the one before it; 1 for one rate.
        freeze: the first layers, so many, stay as they are, statistics of batch norm included.
        strength: C of "lbfgs"; None for the usual one.
    """

    steps: int
    batch: int
    optimiser: Literal["adamw", "sgd", "lbfgs"]
    lr: float
    weight_decay: float
    schedule: Literal["cosine", "half_cosine", "half_linear", "multistep"]
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
    layer_decay: float = 1.0
    freeze: int = 0
    strength: float | None = None

    def soft_at(self, step: int) -> bool:
        """Whether the step, counted from 0, learns from soft labels."""
        first, last = self.hard_steps
        return self.loss != "ce" and not first <= step < last

    def soft_before(self, step: int) -> int:
        """Steps on soft labels before a step, of a soft recipe."""
        first, last = self.hard_steps
        return min(step, first) + max(0, step - last)

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
    """What most protocols share: one budget, augmentation by resolution, AdamW unless the protocol says otherwise.

    Attributes:
        epochs: passes over the set.
        full_epochs: the same when the set is the whole train split, the ceiling.
        steps: optimiser steps instead, for every set alike.
        lr: learning rate at the start.
        weight_decay: on weights of two or more dimensions.
        batch: None for min(N, max(16, min(128, N // 8))) up to 64 px; above, 128 (``erm``), 64 (``finetune``), 50 to
            200 (``single_teacher``), 50 or 100 (``multi_teacher``).
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
        """The recipe of hard labels, ``large_batch`` images per step above 64 px; a protocol replaces what differs."""
        n = task.images
        if n < 2:
            raise UsageError("a student needs at least two training images")
        batch = min(n, self.batch or (max(16, min(128, n // 8)) if task.size <= 64 else large_batch))
        epochs = self.full_epochs if task.ceiling else self.epochs
        return Recipe(
            steps=self.steps or epochs * epoch_steps(n, batch, task.batch_norm),
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


class Storing(Bounded):
    """How soft labels are kept.

    Attributes:
        per: "view" stores a label for every crop of the training, "image" one for every image, mixed by area.
        bits: of a logit.
        top_k: classes that are kept of a label; None keeps all.
        prune: one view out of this many is kept, and reused in place of the others.
        by: what is kept: random batches; batches that give every class an equal share of views; or whole epochs, the
            first ones, in turn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    per: Literal["view", "image"] = "view"
    bits: Literal[8, 16] = 16
    top_k: int | None = Field(None, ge=1)
    prune: float = Field(1.0, ge=1, le=1e6)
    by: Literal["batch", "class", "epoch"] = "batch"


class SoftLabelled(FromScratch):
    """A student that learns from teachers' logits, online or stored.

    Attributes:
        loss: "kl" of softened logits, or "mse_ce", MSE of logits + ``ce_weight`` · CE on the unmixed label (MSE-GT;
            Shao et al., 2024, arXiv:2311.17950).
        temperature: of "kl"; no T² factor.
        ce_weight: of "mse_ce".
        schedule: "half_cosine" and "half_linear" end at half the rate, "cosine" at 0.
        ema: decay of the weight average that is evaluated; None evaluates the last weights.
        cutmix: alpha; None for 1 from 28 px up, unless there is mixup.
        mixup: alpha of mixup instead.
        shuffle: tiles per side that change places before the crop; None for those that the set's images are made of.
        bssl: teachers normalise by the statistics of each half batch, as the student does (batch-specific soft
            labels; Cui et al., 2025, arXiv:2501.07575).
        hard: share of the steps, in the middle, on smoothed hard labels: 0.5 is HALD's soft, hard, soft schedule.
        smoothing: of those.
        labels: how labels are stored; None for online ones.
    """

    loss: Literal["kl", "mse_ce"] = "kl"
    temperature: float = Field(20.0, gt=0)
    ce_weight: float = Field(0.025, ge=0)
    schedule: Literal["half_cosine", "half_linear", "cosine"] = "half_cosine"
    ema: float | None = Field(None, ge=0, lt=1)
    cutmix: float | None = Field(None, ge=0)
    mixup: float = Field(0.0, ge=0)
    shuffle: int | None = Field(None, ge=1)
    bssl: bool = False
    hard: float = Field(0.0, ge=0, lt=1)
    smoothing: float = Field(0.8, ge=0, lt=1)
    labels: Storing | None = None

    @model_validator(mode="after")
    def _one_way_to_mix(self) -> "SoftLabelled":
        if self.mixup and self.cutmix:
            raise ValueError("mix a batch by cutmix or by mixup: set one of them to 0")
        return self

    def storing(self) -> Storing | None:
        """As the field ``labels`` says."""
        return self.labels

    def stored(self, storing: Storing) -> Self:
        """The same with other ``labels``."""
        return self.model_copy(update={"labels": storing})

    def soft(self, task: Task, large_batch: int) -> Recipe:
        """The recipe of soft labels, ``large_batch`` images per step above 64 px; a protocol replaces what differs."""
        usual = 1.0 if task.size >= 28 and not self.mixup else 0.0
        tiles = min(task.size, self.shuffle or task.mosaic)
        base = self.base(task, large_batch)
        return replace(
            base,
            schedule=self.schedule,
            loss=self.loss,
            temperature=self.temperature if self.loss == "kl" else 1.0,
            ce_weight=self.ce_weight if self.loss == "mse_ce" else 0.0,
            ema=self.ema,
            cutmix=usual if self.cutmix is None else self.cutmix,
            mixup=self.mixup,
            shuffle=tiles,
            scale=(1 / tiles, 1.0) if tiles > 1 and base.scale else base.scale,
            halves=self.bssl,
            hard=self.hard,
            smoothing=self.smoothing if self.hard else 0.0,
        )


def augmentation(size: int) -> dict[str, Any]:
    """Crop by resolution: pad 1 at 8 px, pad 4 below 64 px, RandomResizedCrop from there."""
    if size >= 64:
        return {"scale": (0.25, 1.0) if size == 64 else (0.08, 1.0)}
    return {"pad": 1 if size <= 8 else 4}
