"""A net with fresh weights, small and trained for a short while: what a CPU can do many times."""

from dataclasses import dataclass

from torch import nn

from decoct.nets import zoo
from decoct.shrinking.learners.net import Net
from decoct.shrinking.pool import Pool
from decoct.training.recipe import Recipe, augmentation


@dataclass(frozen=True)
class Scratch(Net):
    """A net of fresh weights."""

    @property
    def title(self) -> str:
        """Such as "convnet3_w32, from scratch"."""
        return f"{self.student}, from scratch"

    def build(self, pool: Pool, seed: int) -> nn.Module:
        """By name."""
        return zoo.build(self.student, pool.images.shape[1], len(pool.class_names), pool.size, seed)

    def recipe(self, pool: Pool, images: int, batch_norm: bool) -> Recipe:
        """Short, at a high rate."""
        flip = bool(pool.facts.get("flip", pool.images.shape[1] == 3))
        augmented = {"flip": flip, **augmentation(pool.size)} if self.augment else {}
        return Recipe(
            steps=self.steps(images, batch_norm),
            batch=min(images, self.batch),
            optimiser="adamw",
            lr=self.lr,
            weight_decay=self.weight_decay,
            schedule="cosine",
            drop_single=batch_norm,
            **augmented,
        )
