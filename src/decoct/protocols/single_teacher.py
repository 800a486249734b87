"""Labels from one teacher, online or stored."""

from decoct.core.interfaces import Task
from decoct.training.recipe import Recipe, SoftLabelled


class SingleTeacher(SoftLabelled):
    """Logits of one teacher on the CutMixed batch; KL at T = 20, half-stretched cosine.

    The recipe of RDED (Sun et al., 2024, arXiv:2312.03526), with one batch rule for all sets. A mosaic's tiles change
    places before each crop, which then keeps at least one tile's area.

    Attributes:
        teacher: net that labels; "teacher" is that of the resolution.
    """

    teacher: str = "teacher"

    def label_teachers(self, size: int) -> tuple[str, ...]:
        """The one teacher."""
        return (self.teacher,)

    def recipe(self, task: Task) -> Recipe:
        """Batch 100 up to ten images per class, 200 beyond, above 64 px."""
        return self.finished(self.soft(task, large_batch=100 if task.images <= 10 * task.classes else 200))
