"""A net with fresh weights, small and trained for a short while: what a CPU can do many times."""

from dataclasses import dataclass

from torch import nn

from decoct.core.errors import UsageError
from decoct.nets.student import Student
from decoct.shrinking.learners.net import Net
from decoct.shrinking.pool import Pool
from decoct.training.batches import TrainingSet


@dataclass(frozen=True)
class Scratch(Net):
    """A net of fresh weights, or of those that the user's code gives it.

    The defaults are from 3,000 pictures of clip art and of Fashion-MNIST at 32 and 28 px, judged on others of train: at
    .01, ten epochs are within half a point of twenty, and crops cost five to seven points in so short a training; on
    150 and 600 images, 200 steps are within a point of 470.
    """

    def __post_init__(self) -> None:
        """Raise a UsageError if nobody knows the student, or if it has a file of weights."""
        super().__post_init__()
        net = Student.of(self.student)
        if net.where is not None and not net.own:
            raise UsageError(f"{net.name} is to start from fresh weights: leave @FILE out, or fine-tune it")

    @property
    def title(self) -> str:
        """Such as "convnet3_w32, from scratch"."""
        return f"{Student.of(self.student).title}, from scratch"

    def build(self, pool: Pool, data: TrainingSet, seed: int) -> nn.Module:
        """By name."""
        return Student.of(self.student).build(pool.images.shape[1], len(pool.class_names), pool.size, seed)
