"""Facility location: real images such that every image of the class resembles one of them."""

from typing import Any, Literal

from numpy.typing import ArrayLike, NDArray

from decoct import select
from decoct.methods.coresets._shared.coreset import FeatureCoreset


class FacilityLocation(FeatureCoreset):
    """Greedy maximisation of Σ_i max_{j∈S} s_ij (Mirchandani and Francis, 1990; Wei et al., 2015), at least 1 − 1/e of
    the optimum (Nemhauser et al., 1978).

    Picks are ordered, so the first ten of IPC 50 are the set of IPC 10. DeepCore (Guo et al., 2022, arXiv:2204.08499)
    takes gradients of the last layer for features; here they are those of any extractor.

    Attributes:
        similarity: "cosine" for 1 + cos, "euclidean" for max d² − d².
    """

    similarity: Literal["cosine", "euclidean"] = "cosine"

    def pick(self, features: NDArray[Any], n: int, seed: int) -> ArrayLike:
        """Rows such that every row resembles one of them."""
        return select.facility_location(features, n, similarity=self.similarity)
