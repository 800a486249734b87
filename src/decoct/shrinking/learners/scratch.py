"""A net with fresh weights, small and trained for a short while: what a CPU can do many times."""

from dataclasses import dataclass

from torch import nn

from decoct.nets.student import Student
from decoct.shrinking.learners.net import Net
from decoct.shrinking.pool import Pool
from decoct.training.batches import TrainingSet


@dataclass(frozen=True)
class Scratch(Net):
    """A net of fresh weights."""

    @property
    def title(self) -> str:
        """Such as "convnet3_w32, from scratch"."""
        return f"{Student.of(self.student).title}, from scratch"

    def build(self, pool: Pool, data: TrainingSet, seed: int) -> nn.Module:
        """By name."""
        return Student.of(self.student).build(pool.images.shape[1], len(pool.class_names), pool.size, seed)
