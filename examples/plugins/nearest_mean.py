"""Nearest mean: the real images nearest to the mean of their class."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.methods import FeatureCoreset


class NearestMean(FeatureCoreset):
    """The most typical images of each class in feature space, with one prototype per class.

    The easy end of prototype pruning (Sorscher et al., 2022, arXiv:2206.14486). Picks are ordered from the mean
    outwards, so the first ten of IPC 50 are the set of IPC 10.
    """

    def pick(self, features: NDArray[Any], n: int, seed: int) -> NDArray[np.int64]:
        """The ``n`` rows of [N, d] with the least ‖f_i − μ‖, nearest first; the lowest index wins a tie."""
        distance = np.linalg.norm(features - features.mean(0), axis=1)
        return np.argsort(distance, kind="stable")[:n]
