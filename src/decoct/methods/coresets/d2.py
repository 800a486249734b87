"""D2: hard images from many regions, by messages between neighbours."""

import heapq
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from decoct.core.bounds import TIMES
from decoct.core.interfaces import Draft, Inputs, Need
from decoct.methods.coresets._shared.coreset import FeatureCoreset, Group
from decoct.methods.coresets._shared.scores import area, forgotten, untrimmed
from decoct.needs.dynamics import Dynamics, Traces
from decoct.needs.features import Features
from decoct.select.nearest import neighbours


class D2(FeatureCoreset):
    """D2 pruning (Maharana et al., 2024, arXiv:2310.07931): the hardest images, with fewer of their neighbours.

    Images are joined to their nearest neighbours N(i), both ways. Each begins with its difficulty s_i and those of its
    neighbours, s_i + Σ_{j∈N(i)} exp(−γ_f d_ij²) s_j. The image with the highest score is picked, and each of its
    neighbours j loses exp(−γ_r d_ij²) of that score; and so on. Picks are ordered, so the first ten of IPC 50 are the
    set of IPC 10. Difficulties below 0 are raised to begin at 0, so that messages add up.

    The graph is built within each class unless ``pooled``; the authors' code can do both. The paper tunes k, γ_r and
    ``trim`` for every rate of pruning. Its code uses d where the paper has d², and with a stored graph it
    does not join both ways. exp(−d²) is almost 0 at the distances of most raw features, so no message
    arrives; ``normalise = "unit"`` brings them closer.

    Attributes:
        neighbours: k of each image.
        difficulty: "forgetting" events, as in the authors' example for CIFAR-10, or "aum".
        net: whose training says how hard an image is; ``"teacher"`` is the default label teacher.
        epochs: of its training; None for as many as the teacher gets.
        runs: trainings whose difficulties are averaged.
        gamma_forward: γ_f.
        gamma_reverse: γ_r; None for 1/d, of the dimensions, as in the authors' code.
        trim: share of each class, its hardest, that is left out first.
    """

    neighbours: int = Field(10, ge=1)
    difficulty: Literal["forgetting", "aum"] = "forgetting"
    net: str = "teacher"
    epochs: int | None = Field(None, ge=1)
    runs: int = Field(1, ge=1, le=TIMES)
    gamma_forward: float = Field(1.0, ge=0)
    gamma_reverse: float | None = Field(None, ge=0)
    trim: float = Field(0.0, ge=0, lt=1)

    def needs(self) -> tuple[Need, ...]:
        """Features to find neighbours in, and traces of trainings."""
        return (Features(extractor=self.extractor), self._dynamics())

    def __call__(self, inputs: Inputs) -> Draft:
        """Pass messages in each class by itself, or among all images."""
        hard = hardness(inputs.dynamics[self._dynamics()], self.difficulty)

        def pick(group: Group, features: NDArray[Any]) -> NDArray[np.int64]:
            own = hard[group.rows]
            left = np.sort(untrimmed(own, group.quota, self.trim))
            own = own[left] - min(0.0, own[left].min())
            graph = Graph(*neighbours(features[left] if self.trim else features, self.neighbours))
            reverse = 1 / features.shape[1] if self.gamma_reverse is None else self.gamma_reverse
            return left[graph.greedy(own, group.quota, self.gamma_forward, reverse)]

        return self.picked(inputs, pick)

    def _dynamics(self) -> Dynamics:
        return Dynamics(net=self.net, epochs=self.epochs, runs=self.runs)


def hardness(traces: Traces, difficulty: Literal["forgetting", "aum"]) -> NDArray[np.float64]:
    """[N] how hard each train image is."""
    if difficulty == "forgetting":
        return traces.mean(lambda run: forgotten(run.correct))
    return area(traces)


class Graph:
    """Rows joined to their nearest neighbours, both ways.

    Args:
        rows: [n, k] neighbours.
        distances: [n, k] to them.
    """

    def __init__(self, rows: NDArray[np.int64], distances: NDArray[np.float64]) -> None:
        n, k = rows.shape
        one, other = np.repeat(np.arange(n), k), rows.ravel()
        edges, first = np.unique(np.concatenate([one * n + other, other * n + one]), return_index=True)
        self.one, self.other = np.divmod(edges, n)  # ascending
        self.squared = np.tile(distances.ravel() ** 2, 2)[first]
        self.start = np.searchsorted(self.one, np.arange(n + 1))

    def greedy(self, difficulty: NDArray[np.float64], n: int, forward: float, reverse: float) -> NDArray[np.int64]:
        """``n`` rows in order of picking; of equal ones, the lowest first.

        Args:
            difficulty: [rows], from 0.
            n: number of picks.
            forward: γ_f.
            reverse: γ_r.
        """
        messages = np.exp(-forward * self.squared) * difficulty[self.other]
        score = difficulty + np.bincount(self.one, messages, len(difficulty))
        damping = np.exp(-reverse * self.squared)
        # A row stands in the heap with every score it has had; the one it has counts.
        heap = [(-value, row) for row, value in enumerate(score.tolist())]
        heapq.heapify(heap)
        picked: list[int] = []
        left = np.ones(len(score), bool)
        while len(picked) < n:
            value, row = heapq.heappop(heap)
            if not left[row] or -value != score[row]:
                continue
            picked.append(row)
            left[row] = False
            edges = slice(self.start[row], self.start[row + 1])
            beside = self.other[edges]
            score[beside] -= damping[edges] * score[row]
            for near in beside[left[beside]].tolist():
                heapq.heappush(heap, (-float(score[near]), near))
        return np.array(picked, np.int64)
