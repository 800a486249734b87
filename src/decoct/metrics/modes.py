"""Modes: the share of the clusters of the real images that a set has an image of."""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.core.once import once
from decoct.metrics._bandwidth import OVER, spaced
from decoct.metrics._measure import against_real
from decoct.select.covering import k_means
from decoct.select.nearest import as_features, as_pair, nearest_rows

MOST = 100  # clusters
IMAGES = 5  # real images to a cluster, on average, at least


def modes(
    real: ArrayLike | Tensor, condensed: ArrayLike | Tensor, *, centres: Tensor | None = None
) -> dict[str, float]:
    """Share of K clusters of the real images that are the nearest cluster of some image of the set.

    K = min(M, N/5, 100), by k-means from one start, of at most 2,000 real images that are evenly spaced. Random images
    reach some 1 − (1 − 1/K)^M of clusters of equal size, such as .65 of ten by ten images; one image for each reaches
    all, and images about one mode 1/K. Where an image lies within its cluster, or far outside of all, does not count.
    Compare sets of equal N and M.

    Args:
        real: [N, d].
        condensed: [M, d].
        centres: [K, d], as ``mode_centres`` gives them for ``real`` and M, if known.

    Returns:
        modes: between 1/K and 1; NaN for fewer than two clusters.

    Raises:
        ValueError: features that are empty, not finite or of different dimension.

    Source:
        Bins by k-means as in Richardson and Weiss, 2018, arXiv:1805.12462; counted as modes that are captured, as in
        Srivastava et al., 2017, arXiv:1705.07761.

    Example:
        >>> real = np.repeat([[0.0], [1.0]], 10, axis=0)
        >>> decoct.functional.modes(real, np.array([[0.1], [0.2]]))["modes"]
        0.5
    """
    x, y = as_pair(real, condensed)
    known = mode_centres(x, count=len(y)) if centres is None else centres.to(x.device)
    reached = len(nearest_rows(y, known).rows.unique()) if len(known) > 1 else math.nan
    return {"modes": reached / max(len(known), 1)}


def mode_centres(real: ArrayLike | Tensor, *, count: int) -> Tensor:
    """Distinct centres [≤ K, d] of the clusters of real features [N, d] for sets of ``count`` images; none if K < 2."""
    x = as_features(real, "real")
    x = x[spaced(len(x), OVER).to(x.device)]
    clusters = min(count, len(x) // IMAGES, MOST)
    if clusters < 2:
        return x.new_empty(0, x.shape[1])
    found = k_means(x.cpu().numpy(), clusters, 0).cluster_centers_
    return torch.from_numpy(np.unique(found, axis=0)).to(x.device)


class Modes(Metric):
    """Share of the modes of the real images that a set has an image of, in an extractor's features."""

    axis = "representativeness"
    higher_is_better = {"modes": True}
    lead = ("modes",)
    limits = {"modes": (0, 1)}

    def __call__(self, measured: Measured) -> list[Reading]:
        """Against train and val; undefined at one image per class."""
        return against_real(
            measured,
            lambda real, condensed, _: modes(
                real, condensed, centres=once(mode_centres, real, count=min(len(condensed), MOST))
            ),
        )
