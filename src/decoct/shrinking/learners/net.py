"""A net that decoct's loop trains on rows of a pool: what learning from scratch and fine-tuning share."""

import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine
from decoct.core.seeds import seed as derive
from decoct.data.cache import histogram, moments
from decoct.needs.dynamics import Traces, record
from decoct.nets.features import logit_blocks, penultimate_blocks
from decoct.nets.layout import has_batch_norm
from decoct.nets.room import told
from decoct.nets.student import Student
from decoct.shrinking.learner import Learner, Material, Rows
from decoct.shrinking.made import Made, Set
from decoct.shrinking.pool import Pool
from decoct.study.execute import threads as computing
from decoct.training.batches import TrainingSet
from decoct.training.images import tensor
from decoct.training.loop import train
from decoct.training.recipe import Recipe, augmentation, epoch_steps

BLOCK = 4096  # images that are counted at once
OVERHEAD = 8  # images whose work a step's own takes


@dataclass(frozen=True)
class Seen:
    """Some images of a pool, which are read from its file a batch at a time."""

    images: NDArray[np.uint8]
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, size: int, alone: bool = True) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Places among the rows, and images."""
        for start in range(0, len(self.rows), size):
            some = self.rows[start : start + size]
            yield np.arange(start, start + len(some)), self.images[some]


@dataclass(frozen=True)
class Net(Learner):
    """A net that is trained by AdamW, its rate falling to 0 along a cosine.

    Its weights and the order of its batches derive from the seed alone, so that trainings of one seed on sets of one
    size see the same draws: what sets give differs by the sets.

    Attributes:
        student: a word of ``decoct.nets.student``; where its file or folder lies is filled in.
        epochs: passes over the set.
        lr: rate at the start.
        weight_decay: on weights of two or more dimensions.
        batch: images a step, fewer where there are fewer.
        least: steps at least, so that a small set is not left half learnt.
        augment: random crops, and mirrored images where the data allow it.
        device: where it computes.
    """

    student: str
    epochs: int = 10
    lr: float = 0.01
    weight_decay: float = 0.01
    batch: int = 64
    least: int = 200
    augment: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Raise a UsageError if nobody knows the student."""
        object.__setattr__(self, "student", Student.of(self.student).address)

    @abstractmethod
    def build(self, pool: Pool, data: TrainingSet, seed: int) -> nn.Module:
        """The net before it is trained, for images under the normalisation of the set."""

    def recipe(self, pool: Pool, images: int, batch_norm: bool) -> Recipe:
        """All numbers of a training on so many images."""
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

    def config(self) -> dict[str, Any]:
        """The fields, but for the device; files by content, and code by that of its module's file."""
        net = Student.of(self.student)
        said = {"learner": type(self).__name__.lower(), "version": 1, **asdict(self), "student": net.title}
        return said | {"device": None} | net.identity()

    def steps(self, images: int, batch_norm: bool = True) -> int:
        """Optimiser steps on so many images."""
        return max(self.least, self.epochs * epoch_steps(images, min(images, self.batch), batch_norm))

    def work(self, rows: int) -> float:
        """Images that go through the net, and what each step takes besides."""
        return float(self.steps(rows) * (min(rows, self.batch) + OVERHEAD))

    def probabilities(self, pool: Pool, rows: Set, held: Rows, seed: int, threads: int = 1) -> NDArray[np.float32]:
        """Train on ``rows`` and look at ``held`` once, after the last step."""
        with self._ready(pool, rows, seed, threads) as (net, data, recipe):
            train(net, data, recipe, seed=derive(seed, "student"), machine=Machine(self.device))
            said = logit_blocks(net, Seen(pool.images, held), data.mean, data.std, self.device)
            return _filled(len(held), (logits.softmax(1) for logits in said))

    def material(self, pool: Pool, rows: Rows, seed: int, threads: int = 1) -> Material:
        """Train once on ``rows`` and look at them after each epoch; features are those after the last step."""
        start = time.perf_counter()
        with self._ready(pool, rows, seed, threads) as (net, data, recipe):
            trace = record(net, data, recipe, seed=derive(seed, "student"), machine=Machine(self.device))
            seen = penultimate_blocks(net, Seen(pool.images, rows), data.mean, data.std, self.device)
            features = _filled(len(rows), seen)
        return Material(features, Traces((trace,)), time.perf_counter() - start)

    @contextmanager
    def _ready(self, pool: Pool, rows: Set, seed: int, threads: int) -> Iterator[tuple[nn.Module, TrainingSet, Recipe]]:
        """The net, what it is trained on, and how; with what goes wrong in the block said in a line."""
        if len(rows) < 2:
            raise DecoctError(f"{self.title} cannot be trained on {len(rows)} image(s): it takes two or more")
        out = f"{self.device} ran out of memory in a training of {self.title} in batches of {self.batch}"
        shape = tuple(pool.images.shape[1:])
        try:
            with computing(threads), told(out, self.device, "take a smaller net or smaller images"):
                data = training_set(pool, rows)
                net = self.build(pool, data, derive(seed, "student"))
                yield net, data, self.recipe(pool, len(rows), has_batch_norm(net))
        except (RuntimeError, IndexError, ValueError) as error:
            classes = len(pool.class_names)
            raise DecoctError(f"{self.title} failed on {classes} classes of {shape} images: {error}") from error


def training_set(pool: Pool, rows: Set) -> TrainingSet:
    """Some images of a pool, or a set that was made, with their labels and their own mean and deviation."""
    if isinstance(rows, Made):
        return TrainingSet(tensor(rows.images), tensor(rows.labels), *moments(np.asarray(histogram(rows.images))))
    counts = sum(histogram(pool.images[rows[at : at + BLOCK]]) for at in range(0, len(rows), BLOCK))
    every = len(rows) == len(pool) and bool((np.diff(rows) == 1).all())  # then the file is read, not copied
    images = pool.images if every else pool.images[rows]
    return TrainingSet(tensor(images), tensor(pool.labels[rows]), *moments(np.asarray(counts)))


def _filled(rows: int, blocks: Iterator[Any]) -> NDArray[np.float32]:
    """[rows, d] from one block after the other, without a second copy of all."""
    made, done = np.empty((0, 0), np.float32), 0
    for block in blocks:
        made = made if done else np.empty((rows, block.shape[1]), np.float32)
        made[done : done + len(block)] = block.cpu().numpy()
        done += len(block)
    return made
