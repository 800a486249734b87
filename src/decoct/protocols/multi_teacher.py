"""Labels from the mean logits of a committee, online or stored."""

from dataclasses import replace
from typing import Literal

from pydantic import Field

from decoct.core.interfaces import Task
from decoct.nets.zoo import label_committee
from decoct.training.recipe import Recipe, SoftLabelled


class MultiTeacher(SoftLabelled):
    """Mean logits of a committee; MSE + 0.025 · CE on the unmixed label, half-stretched cosine, weight EMA .99.

    The recipe of EDC (Shao et al., 2024, arXiv:2404.13733).

    Attributes:
        teachers: nets that label; None for the committee of the resolution.
    """

    teachers: tuple[str, ...] | None = Field(None, min_length=1)  # None: the committee of the resolution
    loss: Literal["kl", "mse_ce"] = "mse_ce"
    ema: float | None = Field(0.99, ge=0, lt=1)
    shuffle: int | None = Field(1, ge=1)

    def label_teachers(self, size: int) -> tuple[str, ...]:
        """The committee."""
        return self.teachers or label_committee(size)

    def recipe(self, task: Task) -> Recipe:
        """RandomResizedCrop keeps at least half of the image above 64 px."""
        soft = self.soft(task, large_batch=100)
        return self.finished(soft if task.size <= 64 else replace(soft, scale=(0.5, 1.0)))
