"""k-center: real images that leave no image of their class far from a pick."""

from typing import Any

from numpy.typing import ArrayLike, NDArray

from decoct import select
from decoct.methods.coresets._shared.coreset import FeatureCoreset


class KCenter(FeatureCoreset):
    """Greedy farthest-first traversal in feature space (Gonzalez, 1985; Sener and Savarese, 2018, arXiv:1708.00489).

    Starts at the image nearest the class mean. Picks are ordered, so the first ten of IPC 50 are the set of IPC 10.
    """

    def pick(self, features: NDArray[Any], n: int, seed: int) -> ArrayLike:
        """Rows that leave no row far from a pick."""
        return select.k_center(features, n)
