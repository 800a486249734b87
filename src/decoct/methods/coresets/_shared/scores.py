"""Coresets by a score of each image from the traces of a training; in all of them a high score is a hard image."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from decoct.core.bounds import TIMES
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Draft, Inputs, Need
from decoct.methods.coresets._shared.coreset import Coreset, Group
from decoct.needs.dynamics import Dynamics, Traces


class ScoreCoreset(Coreset):
    """A coreset picked by how hard each image was to a training: a method defines the difficulty and how it picks.

    Attributes:
        net: that is trained; ``"teacher"`` is the default label teacher.
        epochs: of its training; None for as many as the teacher gets.
        runs: trainings whose scores are averaged.
    """

    net: str = "teacher"
    epochs: int | None = Field(None, ge=1)
    runs: int = Field(1, ge=1, le=TIMES)

    def needs(self) -> tuple[Need, ...]:
        """Traces of the trainings."""
        return (Dynamics(net=self.net, epochs=self.epochs, runs=self.runs),)

    def difficulty(self, traces: Traces) -> NDArray[Any]:
        """[N] a score of every train image; high is hard."""
        raise DecoctError(f"{self.name} does not say what is hard: define difficulty(self, traces)")

    def pick(self, difficulty: NDArray[Any], group: Group, traces: Traces) -> ArrayLike:
        """``group.quota`` places among the rows of a group, in order of picking.

        Args:
            difficulty: of the group's rows.
            group: that is picked from.
            traces: of all train images.
        """
        raise DecoctError(f"{self.name} does not say how it picks: define pick(self, difficulty, group, traces)")

    def __call__(self, inputs: Inputs) -> Draft:
        """Score all images, then pick in each class by itself, or among all."""
        traces: Traces = inputs.dynamics[Dynamics(net=self.net, epochs=self.epochs, runs=self.runs)]
        difficulty = np.asarray(self.difficulty(traces))
        if difficulty.shape != inputs.data.train.labels.shape or np.isnan(difficulty).any():
            raise DecoctError(f"{self.name} gives no score of every image: difficulty(traces) is [N], without NaN")
        return self.from_groups(
            inputs, lambda group: group.rows[np.asarray(self.pick(difficulty[group.rows], group, traces))]
        )


class RankedCoreset(ScoreCoreset):
    """The hardest images of each class, or the easiest.

    Picks are ordered, so the first ten of IPC 50 are the set of IPC 10. Equally hard images come by lowest index; where
    a method is stochastic, in random order.

    Attributes:
        keep: which end of the ranking.
        trim: share of each class, its hardest, that is left out first: the likely mislabelled.
    """

    keep: Literal["easy", "hard"] = "hard"
    trim: float = Field(0.0, ge=0, lt=1)

    def pick(self, difficulty: NDArray[Any], group: Group, traces: Traces) -> ArrayLike:
        """The hardest or easiest of what is left."""
        rng = np.random.default_rng(group.seed) if self.stochastic else None
        return ranked(difficulty, group.quota, self.keep, self.trim, rng)


class EarlyCoreset(RankedCoreset):
    """A ranking by nets early in their training (Paul et al., 2021, arXiv:2107.07075): ten, after a tenth of it.

    Attributes:
        after: share of the training after which the net is asked.
    """

    quick = {"runs": 2}

    runs: int = Field(10, ge=1, le=TIMES)
    after: float = Field(0.1, gt=0, le=1)


def ranked(
    difficulty: NDArray[Any],
    n: int,
    keep: Literal["easy", "hard"] = "hard",
    trim: float = 0.0,
    rng: np.random.Generator | None = None,
) -> NDArray[np.int64]:
    """The ``n`` hardest or easiest of N, in order; equal ones by lowest index, or in random order.

    Args:
        difficulty: [N], high is hard; may be infinite.
        n: number of picks.
        keep: which end.
        trim: the ⌊trim · N⌋ hardest are left out first.
        rng: draws the order of equal ones; None for the lowest index.

    Raises:
        DecoctError: fewer than ``n`` are left.
    """
    left = untrimmed(difficulty, n, trim, rng)
    return left[:n] if keep == "hard" else _in_order(difficulty[left], left, rng)[:n]


def forgotten(correct: NDArray[np.uint8]) -> NDArray[np.int64]:
    """[N] epochs of [T, N] that get an image wrong which the one before got right; T where none gets it right."""
    correct = np.asarray(correct, bool)
    events = (correct[:-1] & ~correct[1:]).sum(0)
    return np.where(correct.any(0), events, len(correct))


def area(traces: Traces) -> NDArray[np.float64]:
    """[N] the area under the margin, negative: minus the mean over runs and epochs of z_y − max_{j≠y} z_j.

    Source:
        Pleiss et al., 2020, arXiv:2001.10528.
    """
    return -traces.mean(lambda run: run.margin.mean(0))


def untrimmed(
    difficulty: NDArray[Any], n: int, trim: float, rng: np.random.Generator | None = None
) -> NDArray[np.int64]:
    """All of N but the ⌊trim · N⌋ hardest, hardest first; equal ones as ``ranked`` orders them.

    Raises:
        DecoctError: fewer than ``n`` are left.
    """
    cut = int(trim * len(difficulty))
    left = _in_order(-difficulty, np.arange(len(difficulty)), rng)[cut:]
    if n > len(left):
        raise DecoctError(
            f"{n} of {len(difficulty)} images are asked for, and trim = {trim} leaves {len(left)}: "
            "lower trim, or the budget"
        )
    return left


def _in_order(key: NDArray[Any], rows: NDArray[np.int64], rng: np.random.Generator | None) -> NDArray[np.int64]:
    """Rows by ascending key; equal ones by number, or shuffled."""
    ties = rows if rng is None else rng.permutation(len(rows))
    return rows[np.lexsort((ties, key))]
