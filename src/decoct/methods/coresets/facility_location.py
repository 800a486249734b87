"""Facility location: real images such that every image of the class resembles one of them."""

from typing import Any, Literal

from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from decoct import select
from decoct.methods.coresets._shared.coreset import FeatureCoreset


class FacilityLocation(FeatureCoreset):
    """Greedy maximisation of Σ_i max_{j∈S} s_ij (Mirchandani and Francis, 1990; Wei et al., 2015), at least 1 − 1/e of
    the optimum (Nemhauser et al., 1978).

    Picks are ordered, so the first ten of IPC 50 are the set of IPC 10, but for a stochastic search. DeepCore (Guo et
    al., 2022, arXiv:2204.08499) takes gradients of the last layer for features; here they are those of any extractor.

    For many images at once, with ``pooled``, there is "lazier than lazy greedy" (Mirzasoleiman et al., 2015,
    arXiv:1409.7938): each pick is the best of (N / n) ln(1 / ε) images that are drawn, and the value is at least
    1 − 1/e − ε of the optimum in expectation. A sparse search knows each image's similarity to its nearest alone.

    Attributes:
        similarity: "cosine" for 1 + cos, "euclidean" for max d² − d².
        search: "greedy", "stochastic" or "sparse".
        epsilon: ε of a stochastic search.
        neighbours: nearest images that a sparse search knows of each.
    """

    later = frozenset({"search", "epsilon", "neighbours"})

    similarity: Literal["cosine", "euclidean"] = "cosine"
    search: Literal["greedy", "stochastic", "sparse"] = "greedy"
    epsilon: float = Field(0.1, gt=0, lt=1)
    neighbours: int = Field(64, ge=1)

    @property
    def stochastic(self) -> bool:  # type: ignore[override]
        """Whether images are drawn."""
        return self.search == "stochastic"

    def pick(self, features: NDArray[Any], n: int, seed: int) -> ArrayLike:
        """Rows such that every row resembles one of them."""
        return select.facility_location(
            features,
            n,
            self.similarity,
            search=self.search,
            epsilon=self.epsilon,
            neighbours=self.neighbours,
            seed=seed,
        )
