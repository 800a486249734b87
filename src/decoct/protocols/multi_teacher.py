"""Labels from the mean logits of a committee, online."""

from dataclasses import replace

from pydantic import Field

from decoct.core.kinds import Task
from decoct.engine.recipe import FromScratch, Recipe
from decoct.nets.zoo import label_committee


class MultiTeacher(FromScratch):
    """Mean logits of a committee; MSE + 0.025 · CE on the unmixed label, half-stretched cosine, weight EMA .99.

    The recipe of EDC (Shao et al., 2024, arXiv:2404.13733).
    """

    teachers: tuple[str, ...] | None = Field(None, min_length=1)  # None: the committee of the resolution
    ce_weight: float = Field(0.025, ge=0)
    ema: float = Field(0.99, ge=0, lt=1)
    cutmix: float | None = Field(None, ge=0)  # None: alpha 1 from 28 px up

    def label_teachers(self, size: int) -> tuple[str, ...]:
        """The committee."""
        return self.teachers or label_committee(size)

    def recipe(self, task: Task) -> Recipe:
        """RandomResizedCrop keeps at least half of the image above 64 px."""
        base = self.base(task, large_batch=100)
        alpha = (1.0 if task.size >= 28 else 0.0) if self.cutmix is None else self.cutmix
        soft = replace(
            base, schedule="half_cosine", loss="mse_ce", ce_weight=self.ce_weight, cutmix=alpha, ema=self.ema
        )
        return soft if task.size <= 64 else replace(soft, scale=(0.5, 1.0))
