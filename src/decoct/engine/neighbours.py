"""The nearest neighbours of each row among the others, as arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from decoct.engine.nearest import as_features, nearest_others


class Neighbours(NamedTuple):
    """The nearest other rows of each row, nearest first; of a tie, the lowest number first.

    Attributes:
        rows: [n, k] int64 row numbers.
        distances: [n, k] float64, Euclidean.
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.float64]


def neighbours(features: ArrayLike | Tensor, k: int) -> Neighbours:
    """The ``k`` nearest other rows of each row, exactly; all of them where there are not as many.

    Takes n² d operations, one copy of the features in float32, two if they are of half precision, and some blocks.

    Args:
        features: [n, d], finite; numpy, memory map or tensor, on any device.
        k: at least 0.

    Raises:
        ValueError: ``k`` below 0, features not [n, d] with a row, or one that is not finite.
    """
    if k < 0:
        raise ValueError(f"k must be at least 0, not {k}")
    x = as_features(features, "the")
    k = min(k, len(x) - 1)
    if not k:
        return Neighbours(np.empty((len(x), 0), np.int64), np.empty((len(x), 0)))
    rows, squared = nearest_others(x, k)
    return Neighbours(rows.cpu().numpy(), squared.sqrt().cpu().numpy())
