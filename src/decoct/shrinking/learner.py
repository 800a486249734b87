"""What the user trains: a net from scratch, a net from its weights, or a linear classifier on frozen features."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from decoct.needs.dynamics import Traces
from decoct.shrinking.made import Set
from decoct.shrinking.pool import Pool

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Material:
    """What one training on all candidates gives methods to choose by.

    Attributes:
        features: [n, d] of the rows, in their order.
        traces: how each row fared in the training; the fields of ``Trace`` are [T, n].
        seconds: what it took.
    """

    features: NDArray[Any]
    traces: Traces
    seconds: float


class Learner(ABC):
    """A way to train a classifier on rows of a pool. It is small, can be pickled, and says the same for equal calls.

    Implementations: ``Scratch`` (a net with fresh weights), ``FineTune`` (from its pretrained weights), ``Probe`` (a
    linear classifier on ``pool.features``).

    Attributes:
        stochastic: its seed decides something, so that equal rows can be learnt again with another result.
    """

    stochastic: ClassVar[bool] = True

    @property
    @abstractmethod
    def title(self) -> str:
        """What it is called in an answer, such as "convnet3_w32, from scratch"."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Everything that decides its results, as plain JSON: the key of what is kept."""

    @abstractmethod
    def probabilities(self, pool: Pool, rows: Set, held: Rows, seed: int, threads: int = 1) -> NDArray[np.float32]:
        """Train on ``rows`` and give class probabilities [len(held), classes] of other images, after the last step.

        ``rows`` may be a set that was made, but for a learner from frozen features, which such images have not.

        Raises:
            DecoctError: the training fails, or a net does not fit.
        """

    @abstractmethod
    def material(self, pool: Pool, rows: Rows, seed: int, threads: int = 1) -> Material:
        """Train once on ``rows``, and give what methods choose by; no other image is looked at."""

    @abstractmethod
    def work(self, rows: int) -> float:
        """How much a training on so many images takes, in any unit, so that times can be foretold by proportion."""
