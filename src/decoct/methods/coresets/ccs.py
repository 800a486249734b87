"""CCS: images of every difficulty except the hardest, so that the set covers the data."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from decoct.core.interfaces import Draft, Inputs
from decoct.methods.coresets._shared.coreset import Group
from decoct.methods.coresets._shared.scores import ScoreCoreset, area, untrimmed
from decoct.needs.dynamics import Traces


class CCS(ScoreCoreset):
    """Coverage-centric coreset selection: strata of equal width by AUM, drawn evenly (Zheng et al., 2023,
    arXiv:2210.15809).

    The hardest ``trim`` are left out. The range of the rest is cut into strata of equal width; the one with fewest
    images gives its share of the remaining picks, or all its images, then the next. Images of a stratum
    are drawn uniformly. A smaller set is not the beginning of a larger one.

    The paper is pooled; here each class is cut by itself, into no more strata than it gives images, since most
    strata would otherwise give none. AUM is of logits, where the authors' code takes probabilities.

    Attributes:
        trim: share of each class; None for the paper's on CIFAR-10: 0.3 if the budget leaves out 90 % or more of all
            images, to the nearest image, 0.1 from 70 %, else none; less where a class would not have enough left.
        strata: their largest number.
    """

    stochastic = True
    version = 2

    trim: float | None = Field(None, ge=0, lt=1)
    strata: int = Field(50, ge=1)

    def difficulty(self, traces: Traces) -> NDArray[Any]:
        """The area under the margin, negative."""
        return area(traces)

    def __call__(self, inputs: Inputs) -> Draft:
        """As any score, with the paper's trim where none is said."""
        if self.trim is not None:
            return super().__call__(inputs)
        counts = np.bincount(inputs.data.train.labels, minlength=len(inputs.data.class_names)).tolist()
        quotas = inputs.budget.per_class(counts, inputs.data.class_names)
        groups = [(sum(quotas), sum(counts))] if self.pooled else list(zip(quotas, counts, strict=True))
        return self.model_copy(update={"trim": usual(groups)})(inputs)

    def pick(self, difficulty: NDArray[Any], group: Group, traces: Traces) -> ArrayLike:
        """Draw from the strata."""
        left = untrimmed(difficulty, group.quota, self.trim or 0.0)
        strata = stratified(difficulty[left], min(self.strata, group.quota))
        rng = np.random.default_rng(group.seed)
        drawn = [
            rng.permutation(np.flatnonzero(strata == stratum))[:budget]
            for stratum, budget in enumerate(budgets(np.bincount(strata), group.quota))
        ]
        picked: NDArray[np.int64] = left[np.concatenate(drawn)]
        return picked


def usual(groups: Sequence[tuple[int, int]]) -> float:
    """The paper's trim for groups by (picks, images): the share of all counts, since quotas of classes are rounded.

    A tenth of 145 images may be 15: a number counts as the share that it is nearest to.
    """
    picks, images = map(sum, zip(*groups, strict=True))
    trims = [trim for trim, share in ((0.3, 0.1), (0.1, 0.3), (0.0, 1.0)) if picks <= share * images + 0.5 + 1e-9]
    return next(trim for trim in trims if all(quota <= count - int(trim * count) for quota, count in groups))


def stratified(difficulty: NDArray[Any], strata: int) -> NDArray[np.int64]:
    """[N] the stratum of each, from 0, in ``strata`` intervals of equal width; all are 0 where all are equal."""
    low, high = difficulty.min(), difficulty.max()
    if high == low:
        return np.zeros(len(difficulty), np.int64)
    numbers: NDArray[np.int64] = np.minimum((difficulty - low) / (high - low) * strata, strata - 1).astype(np.int64)
    return numbers


def budgets(sizes: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Picks from each stratum, ``n`` in all: smallest first, an even share of what is left to pick, or all it has."""
    given = np.zeros(len(sizes), np.int64)
    for done, stratum in enumerate(np.argsort(sizes, kind="stable")):
        given[stratum] = min(sizes[stratum], (n - given.sum()) // (len(sizes) - done))
    return given
