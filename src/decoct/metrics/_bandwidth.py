"""Width of a Gaussian kernel: the median distance between real images; and the rows that stand for all."""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from decoct.select.nearest import as_features

OVER = 2000  # rows, evenly spaced, that the median is taken over: two million distances


def median_distance(real: ArrayLike | Tensor) -> float:
    """Median of the non-zero distances between real features [N, d], of at most 2,000 that are evenly spaced.

    NaN where no two rows differ. Zeros are left out, since many duplicates would make a kernel that sees nothing else.
    """
    x = as_features(real, "real")
    distances = torch.pdist(x[spaced(len(x), OVER).to(x.device)].double())
    distances = distances[distances > 0]
    return float(np.median(distances.cpu().numpy())) if len(distances) else math.nan


def spaced(n: int, most: int) -> Tensor:
    """Row numbers, ascending and evenly spaced: at most so many of n."""
    return torch.from_numpy(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))
