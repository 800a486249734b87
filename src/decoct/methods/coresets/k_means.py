"""k-means: the real images nearest to the centres of as many clusters as there are images to pick."""

from typing import Any

from numpy.typing import ArrayLike, NDArray

from decoct import select
from decoct.methods.coresets._shared.coreset import FeatureCoreset


class KMeans(FeatureCoreset):
    """Medoids of k-means with k = IPC (Lloyd, 1982; k-means++ of Arthur and Vassilvitskii, 2007).

    The image nearest to each centre, each image once; the centres of the largest clusters come first. Another IPC has
    other clusters, so a smaller set is not part of a larger one.
    """

    stochastic = True

    def pick(self, features: NDArray[Any], n: int, seed: int) -> ArrayLike:
        """The row nearest to each of ``n`` centres."""
        return select.k_medoids(features, n, seed)
