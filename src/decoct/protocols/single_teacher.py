"""Labels from one teacher, online or stored."""

from typing import ClassVar

from decoct.core.interfaces import Task
from decoct.training.recipe import Recipe, SoftLabelled


class SingleTeacher(SoftLabelled):
    """Logits of one teacher on the CutMixed batch; KL at T = 20, half-stretched cosine.

    The recipe of RDED (Sun et al., 2024, arXiv:2312.03526), with one batch rule for all sets. A mosaic's tiles change
    places before each crop, which then keeps at least 1/f of the area, f tiles a side: two tiles' worth at f = 2.
    Images of one piece are cropped as by ``erm``, where RDED's f = 1 crops nothing. Above 64 px batches are RDED's at
    IPC 10 and 50; at IPC 1 it takes 10, and 20 from 100 classes on, which is not followed. The rate falls at each step,
    not at each epoch, is 1e-3 for every student (RDED: another for EfficientNet, MobileNet, VGG, AlexNet and
    transformers), and the last epoch counts, not the best.

    Attributes:
        teacher: net that labels; "teacher" is that of the resolution.
    """

    version: ClassVar[int] = 2  # batches at ten classes

    teacher: str = "teacher"

    def label_teachers(self, size: int) -> tuple[str, ...]:
        """The one teacher."""
        return (self.teacher,)

    def recipe(self, task: Task) -> Recipe:
        """Batch 100 up to ten images per class, 200 beyond, half of that up to ten classes, all above 64 px."""
        large = 100 if task.images <= 10 * task.classes else 200
        return self.finished(self.soft(task, large_batch=large // 2 if task.classes <= 10 else large))
