"""Graph cut: real images that resemble all images of the class but not each other."""

from typing import Any

from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from decoct import select
from decoct.methods.coresets._shared.coreset import FeatureCoreset


class GraphCut(FeatureCoreset):
    """Greedy maximisation of λ Σ_{i∈V} Σ_{j∈S} s_ij − Σ_{i,j∈S} s_ij (Iyer et al., 2021, arXiv:2006.15412).

    Picks are ordered, so the first ten of IPC 50 are the set of IPC 10. DeepCore (Guo et al., 2022, arXiv:2204.08499)
    takes gradients of the last layer for features; here they are those of any extractor.

    Attributes:
        lam: weight λ of the similarity to all; the objective is monotone from 2 on; DeepCore has 1.
    """

    lam: float = Field(1.0, ge=0)

    def pick(self, features: NDArray[Any], n: int, seed: int) -> ArrayLike:
        """Rows that resemble all rows but not each other."""
        return select.graph_cut(features, n, self.lam)
