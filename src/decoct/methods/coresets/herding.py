"""Herding: real images whose running mean follows the class mean."""

from typing import Any

from numpy.typing import ArrayLike, NDArray

from decoct import select
from decoct.methods.coresets._shared.coreset import FeatureCoreset


class Herding(FeatureCoreset):
    """Greedy mean matching in feature space (Welling, 2009; as in iCaRL, Rebuffi et al., 2017, arXiv:1611.07725).

    Picks are ordered, so the first ten of IPC 50 are the set of IPC 10. iCaRL takes features of unit length.
    The code of DeepCore (Guo et al., 2022, arXiv:2204.08499) takes the row that is farthest from the same target.
    """

    def pick(self, features: NDArray[Any], n: int, seed: int) -> ArrayLike:
        """Rows whose running mean follows the mean of all."""
        return select.herding(features, n)
