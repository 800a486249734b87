"""ZCore: real images that cover the feature space without repeating each other, two random dimensions at a time."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from decoct.core.kinds import Draft, Inputs
from decoct.engine.coreset import FeatureCoreset, Group
from decoct.engine.subspaces import coverage


class ZCore(FeatureCoreset):
    """Zero-shot coreset selection (Griffin et al., 2024, arXiv:2411.15349): no labels, no training.

    A draw takes two random dimensions and a point in them, triangular between minimum, median and maximum of each. The
    image nearest to the point (L1) covers it and gains 1; its ``redundant`` nearest images lose 1 together, in
    proportion to d^−``exponent``, or one of them all of it where it has the same coordinates. Images begin with a
    number from [0, 1) and are kept from the highest score down, so a smaller set is the beginning of a larger one.

    As in the paper, all classes are pooled and not balanced; ``pooled = false`` ranks each class by itself, with its
    share of the draws. The lowest index wins a tie, where the authors' code leaves it to the sorting. A draw looks at
    those images alone that can be the nearest, about √(2 · ``redundant`` · N) of them.

    Attributes:
        draws: in all; the authors' plug-in takes at most ten an image.
        redundant: images that a draw can take from.
        exponent: of the distance.
    """

    stochastic: ClassVar[bool] = True
    quick: ClassVar[dict[str, Any]] = {"draws": 2000}

    pooled: bool = True
    draws: int = Field(1_000_000, ge=1)
    redundant: int = Field(1000, ge=1)
    exponent: float = Field(4.0, ge=0)

    def __call__(self, inputs: Inputs) -> Draft:
        """Score and rank all images, or each class by itself."""

        def pick(group: Group, features: NDArray[Any]) -> NDArray[np.int64]:
            share = max(1, round(self.draws * len(group.rows) / len(inputs.data.train.labels)))
            score = coverage(features, share, self.redundant, self.exponent, np.random.default_rng(group.seed))
            return np.argsort(-score, kind="stable")[: group.quota]

        return self.picked(inputs, pick)
