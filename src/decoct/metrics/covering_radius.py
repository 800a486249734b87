"""Covering radius: how far a real image can be from the nearest image of the set."""

from dataclasses import replace

from numpy.typing import ArrayLike
from torch import Tensor

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.metrics._measure import against_real
from decoct.select.nearest import as_pair, nearest_rows


def covering_radius(real: ArrayLike | Tensor, condensed: ArrayLike | Tensor) -> dict[str, float]:
    """Distances min_j ‖x_i − y_j‖ from the real images to the set, the objective of k-center at their maximum.

    Args:
        real: [N, d].
        condensed: [M, d].

    Returns:
        mean, p95 (95th percentile) and max, in units of the features; one outlier makes the max.

    Raises:
        ValueError: features that are empty, not finite or of different dimension.

    Source:
        Sener and Savarese, 2018, arXiv:1708.00489.

    Example:
        >>> real = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> decoct.functional.covering_radius(real, real[:2])["max"]
        2.0
    """
    distance = nearest_rows(*as_pair(real, condensed)).squared.sqrt()
    return {
        "mean": distance.mean().item(),
        "p95": distance.quantile(0.95).item(),
        "max": distance.max().item(),
    }


class CoveringRadius(Metric):
    """Distance from real images to the set, in an extractor's features."""

    axis = "representativeness"
    higher_is_better = {
        "covering_radius_mean": False,
        "covering_radius_p95": False,
        "covering_radius_max": False,
    }
    lead = ("covering_radius_mean",)

    def __call__(self, measured: Measured) -> list[Reading]:
        """Against train and val; in train a selection is at distance 0 from the images it picked."""
        return [
            replace(reading, metric=f"covering_radius_{reading.metric}")
            for reading in against_real(measured, lambda real, condensed, _: covering_radius(real, condensed))
        ]
