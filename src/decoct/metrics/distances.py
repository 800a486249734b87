"""Distances within a set: how far its images are from each other, and how many are nearly the same."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.core.once import once
from decoct.metrics._measure import against_real
from decoct.select.nearest import BLOCK, as_features, as_pair, nearest_others

PERCENTILE = 5  # of the real nearest-neighbour distances: so near are one real image in twenty to another


def distances(real: ArrayLike | Tensor, condensed: ArrayLike | Tensor) -> dict[str, float]:
    """Mean distance between two images, median distance to the nearest other one, and the fraction of near-duplicates.

    The first two look at the set alone; the real images give the scale of the third and nothing else. The fewer images,
    the farther the nearest: of M random ones out of N some .05 · M/N are near-duplicates, of all N .05.

    Args:
        real: [N, d].
        condensed: [M, d].

    Returns:
        pairwise: mean_{i≠j} ‖y_i − y_j‖. nearest: median_i min_{j≠i} ‖y_i − y_j‖. near_duplicates: mean_i
        1[min_{j≠i} ‖y_i − y_j‖ ≤ scale]; copies count whatever the scale. NaN: all if M = 1; the third if N = 1.

    Raises:
        ValueError: features that are empty, not finite or of different dimension.

    Example:
        >>> real = np.array([[0.0], [1.0], [2.0], [4.0]])
        >>> decoct.functional.distances(real, real[::3])["pairwise"]
        4.0
    """
    x, y = as_pair(real, condensed)
    return _distances(y, near_scale(x))


def near_scale(real: ArrayLike | Tensor) -> float:
    """5th percentile of the distances from real images [N, d] to their nearest other one; NaN if N = 1."""
    x = as_features(real, "real")
    return float(np.percentile(_nearest_other(x), PERCENTILE)) if len(x) > 1 else math.nan


class Distances(Metric):
    """Distances between images of one class, and between all; noise is far from noise, so read them beside quality."""

    axis = "diversity"
    higher_is_better = {
        "pairwise_distance": True,
        "nearest_distance": True,
        "near_duplicates": False,
    }
    lead = ("nearest_distance",)
    limits = {"near_duplicates": (0, 1)}

    def __call__(self, measured: Measured) -> list[Reading]:
        """By the scale of the train split."""
        readings = against_real(
            measured,
            lambda real, condensed, _: _distances(as_features(condensed, "condensed"), once(near_scale, real)),
            splits=("train",),
        )
        names = {"pairwise": "pairwise_distance", "nearest": "nearest_distance"}
        return [replace(reading, metric=names.get(reading.metric, reading.metric)) for reading in readings]


def _distances(y: Tensor, scale: float) -> dict[str, float]:
    if len(y) == 1:
        return dict.fromkeys(("pairwise", "nearest", "near_duplicates"), math.nan)
    to_nearest = _nearest_other(y)
    tie = (y.shape[1] + 4) * np.finfo(np.float64).eps  # the same pair may be summed in another order
    near = to_nearest <= scale * (1 + tie)
    return {
        "pairwise": _mean_distance(y),
        "nearest": float(np.median(to_nearest)),
        "near_duplicates": math.nan if math.isnan(scale) else float(near.mean()),
    }


def _nearest_other(features: Tensor) -> NDArray[np.float64]:
    """Distance [n] float64 of each row to its nearest other row; 0 for a copy."""
    apart: NDArray[np.float64] = nearest_others(features, 1).squared[:, 0].sqrt().cpu().numpy()
    return apart


def _mean_distance(features: Tensor) -> float:
    """Mean over all pairs of rows, in float64; the centre only spares the squares from cancelling."""
    y = features.double()
    y, m = y - y.mean(0), len(y)
    squares, step, sums = y.square().sum(1), max(1, BLOCK // m), []
    for start in range(0, m, step):
        rows = slice(start, start + step)
        squared = squares[rows, None] + squares
        squared.addmm_(y[rows], y.T, alpha=-2).clamp_(min=0).diagonal(start).zero_()
        sums.append(squared.sqrt_().sum().item())
    return math.fsum(sums) / (m * (m - 1))
