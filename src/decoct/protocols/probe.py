"""A linear probe: the pretrained student stays as it is, and a linear classifier of its features is fitted."""

from pydantic import Field

from decoct.core.interfaces import Start, Task, TrainProtocol
from decoct.training.recipe import Recipe


class Probe(TrainProtocol):
    """Multinomial logistic regression on standardised features of the whole set, by L-BFGS until it has converged.

    ``decoct.training.probe`` has the formula. Nothing is drawn: students of all seeds are one. Images are seen once
    and as they are, resized to the side that the net was pretrained at; what students may be is as of ``finetune``.

    Attributes:
        strength: C; smaller is a stronger penalty. None for 10 over the number of features.
        most: steps of L-BFGS at most.
        size: side that images are resized to before the net; None for its own.
    """

    strength: float | None = Field(None, gt=0)
    most: int = Field(1000, ge=1)
    size: int | None = Field(None, ge=1)

    def start(self) -> Start:
        """Pretrained weights, which stay."""
        return "frozen"

    def resized(self, size: int) -> int | None:
        """As the field ``size`` says."""
        return self.size

    def recipe(self, task: Task) -> Recipe:
        """All images in each step."""
        return Recipe(self.most, task.images, "lbfgs", 1.0, 0.0, "cosine", strength=self.strength)
