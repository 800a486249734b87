"""What the soft-label protocols share: every option of their recipes, of which each protocol sets its defaults."""

from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, model_validator

from decoct.core.kinds import Task
from decoct.engine.recipe import FromScratch, Recipe
from decoct.engine.softlabels import Storing


class SoftLabelled(FromScratch):
    """A student that learns from teachers' logits, online or stored.

    Attributes:
        loss: "kl" of softened logits, or "mse_ce", MSE of logits + ``ce_weight`` · CE on the unmixed label (MSE-GT;
            Shao et al., 2024, arXiv:2311.17950).
        temperature: of "kl"; no T² factor.
        ce_weight: of "mse_ce".
        schedule: "half_cosine" ends at half the rate, "cosine" at 0.
        ema: decay of the weight average that is evaluated; None evaluates the last weights.
        cutmix: alpha; None for 1 from 28 px up, unless there is mixup.
        mixup: alpha of mixup instead.
        shuffle: tiles a side that change places before the crop; None for those that the set's images are made of.
        bssl: teachers normalise by the statistics of each half batch, as the student does (batch-specific soft
            labels; Cui et al., 2025, arXiv:2501.07575).
        hard: share of the steps, in the middle, on smoothed hard labels: 0.5 is HALD's soft, hard, soft schedule.
        smoothing: of those.
        labels: how labels are stored; None for online ones.
    """

    loss: Literal["kl", "mse_ce"] = "kl"
    temperature: float = Field(20.0, gt=0)
    ce_weight: float = Field(0.025, ge=0)
    schedule: Literal["half_cosine", "cosine"] = "half_cosine"
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
        """The recipe before what a protocol does otherwise.

        Args:
            task: the training set and resolution.
            large_batch: images a step above 64 px.
        """
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
