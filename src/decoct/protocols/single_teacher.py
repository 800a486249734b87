"""Labels from one teacher, online."""

from dataclasses import replace

from pydantic import Field

from decoct.core.kinds import Task
from decoct.engine.recipe import FromScratch, Recipe


class SingleTeacher(FromScratch):
    """Online logits of one teacher on the CutMixed batch; KL at T = 20, half-stretched cosine.

    The recipe of RDED (Sun et al., 2024, arXiv:2312.03526), with one batch rule for all sets.
    """

    teacher: str = "teacher"
    temperature: float = Field(20.0, gt=0)
    cutmix: float | None = Field(None, ge=0)  # None: alpha 1 from 28 px up

    def label_teachers(self, size: int) -> tuple[str, ...]:
        """The one teacher."""
        return (self.teacher,)

    def recipe(self, task: Task) -> Recipe:
        """Batch 100 up to ten images a class, 200 beyond, above 64 px."""
        base = self.base(task, large_batch=100 if task.images <= 10 * task.classes else 200)
        alpha = (1.0 if task.size >= 28 else 0.0) if self.cutmix is None else self.cutmix
        return replace(base, schedule="half_cosine", loss="kl", temperature=self.temperature, cutmix=alpha)
