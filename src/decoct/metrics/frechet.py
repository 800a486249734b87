"""Fréchet distance between the Gaussians with the means and covariances of two sets."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.core.once import once
from decoct.metrics._measure import against_real
from decoct.select.nearest import as_features, as_pair

ROWS = 4096  # of a set in float64 at once: of a memory map, no more is read


class Moments(NamedTuple):
    """Mean [d] and root R [r, d] of the covariance Σ = RᵀR, float64; r ≤ min(n − 1, d), so none for a single image."""

    mean: Tensor
    root: Tensor


def frechet(
    real: ArrayLike | Tensor, condensed: ArrayLike | Tensor, *, moments: Moments | None = None
) -> dict[str, float]:
    """FD = ‖μ − μ'‖² + Tr(Σ + Σ' − 2 (ΣΣ')^½), the FID if the features are Inception's.

    With Σ = RᵀR and Σ' = SᵀS the eigenvalues of ΣΣ' are the squared singular values of R Sᵀ: their sum is the trace of
    the root, whatever the ranks, and a set of M images has an S of M − 1 rows.

    A set of fewer images than dimensions has a flat covariance, which is most of its distance: draws from the very
    Gaussian that they are compared with, in 256 dimensions, get 213 at M = 100 and 18 at M = 1,000. Compare sets of
    equal M.

    Args:
        real: [N, d]; a memory map of any length is read in blocks.
        condensed: [M, d].
        moments: as ``mean_and_root`` gives them for ``real``, if known.

    Returns:
        frechet: at least 0, in squared units of the features. NaN if M = 1 or N = 1: one image has no covariance.

    Raises:
        ValueError: features that are empty, not finite or of different dimension.

    Source:
        Heusel et al., 2017, arXiv:1706.08500; Dowson and Landau, Journal of Multivariate Analysis 12, 1982.

    Example:
        >>> real = np.random.default_rng(0).normal(size=(50, 2))
        >>> round(decoct.functional.frechet(real, real + [3, 4])["frechet"], 6)  # equal but for the means: 3² + 4²
        25.0
    """
    _, y = as_pair(_array(real)[:1], condensed)
    mean, root = mean_and_root(real) if moments is None else moments
    own_mean, own_root = mean_and_root(y.to(mean.device))
    if len(root) == 0 or len(own_root) == 0:
        return {"frechet": math.nan}
    apart = (mean - own_mean).square().sum() + root.square().sum() + own_root.square().sum()
    shared = torch.linalg.svdvals(root @ own_root.T).sum()
    return {"frechet": max(0.0, (apart - 2 * shared).item())}  # of equal sets, rounding is left


def mean_and_root(features: ArrayLike | Tensor) -> Moments:
    """Mean and root of the covariance (over n − 1) of features [n, d], in one pass.

    In QR of [1 | X − shift], the column of ones comes first and takes the mean out of the others, so that the rest of
    the triangle is a root of their scatter; further rows go below it and are taken in. Nothing is squared, so that
    directions without variance stay so, up to rounding.

    Raises:
        ValueError: features that are empty or not finite.
    """
    rows = _array(features)
    first = as_features(rows[:ROWS], "real").double()
    shift, triangle = first.mean(0), first.new_empty(0, first.shape[1] + 1)
    for start in range(0, len(rows), ROWS):
        block = as_features(rows[start : start + ROWS], "real").double() - shift
        block = torch.nn.functional.pad(block, (1, 0), value=1)
        triangle = torch.linalg.qr(torch.cat([triangle, block]), mode="r").R
    return Moments(shift + triangle[0, 1:] / triangle[0, 0], triangle[1:, 1:] / math.sqrt(max(1, len(rows) - 1)))


class Frechet(Metric):
    """Distance of mean and covariance from the real data's, in an extractor's features."""

    axis = "representativeness"
    higher_is_better = {"frechet": False}
    lead = ("frechet",)
    limits = {"frechet": (0, math.inf)}

    def __call__(self, measured: Measured) -> list[Reading]:
        """Of all classes together, against train and val.

        Not class by class: its bias falls as 1/M, and of ten images of a class it would measure that they are ten.
        The bias of the whole set is that of the random sets of the same size, which are what to compare it with.
        """
        return against_real(
            measured,
            lambda real, condensed, _: frechet(real, condensed, moments=once(mean_and_root, real)),
            per_class=False,
        )


def _array(features: ArrayLike | Tensor) -> Tensor | NDArray[Any]:
    return features if isinstance(features, Tensor) else np.asanyarray(features)
