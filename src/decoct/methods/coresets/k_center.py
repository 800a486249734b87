"""k-center: real images that leave no image of their class far from a pick."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from decoct import select
from decoct.methods.coresets._shared.coreset import FeatureCoreset


class KCenter(FeatureCoreset):
    """Greedy farthest-first traversal in feature space (Gonzalez, 1985; Sener and Savarese, 2018, arXiv:1708.00489).

    Picks are ordered, so the first ten of IPC 50 are the set of IPC 10. With a random start, as in the code of DeepCore
    (Guo et al., 2022, arXiv:2204.08499), each replicate is another set, and a report treats them as random sets.

    Attributes:
        start: "mean" for the image nearest the mean of its class, or "random" for one that the seed draws.
    """

    later = frozenset({"start"})

    start: Literal["mean", "random"] = "mean"

    @property
    def stochastic(self) -> bool:  # type: ignore[override]
        """Whether the start is drawn."""
        return self.start == "random"

    def pick(self, features: NDArray[Any], n: int, seed: int) -> ArrayLike:
        """Rows that leave no row far from a pick."""
        start = int(np.random.default_rng(seed).integers(len(features))) if self.stochastic else None
        return select.k_center(features, n, start)
