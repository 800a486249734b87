"""Kernel inception distance: discrepancy of two sets by a cubic kernel, unbiased at any size."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from torch import Tensor

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.core.once import once
from decoct.metrics._measure import MOST, against_real
from decoct.select.nearest import as_features, as_pair

TILE = 512  # rows of either set at once: 2 MiB of kernel values, which stay in cache


def kid(
    real: ArrayLike | Tensor,
    condensed: ArrayLike | Tensor,
    *,
    subset_size: int = 1000,
    subsets: int = 100,
    seed: int = 0,
    within: float | None = None,
) -> dict[str, float]:
    """Unbiased estimate of MMD² with k(a, b) = (a·b / d + 1)³, on any extractor's features.

    MMD²_u = 1/(N(N−1)) Σ_{i≠j} k(x_i, x_j) + 1/(M(M−1)) Σ_{i≠j} k(y_i, y_j) − 2/(NM) Σ_{ij} k(x_i, y_j)

    A set of up to ``subset_size`` images is compared whole with all of ``real``, which gives what subsets give on
    average. Of a larger one it is the mean over random subsets of both. Products and sums are float64; the kernel
    depends on where the origin is, so nothing is centred.

    Args:
        real: [N, d].
        condensed: [M, d].
        subset_size: images of either set in a subset; all real ones if there are fewer.
        subsets: how many.
        seed: of their draw.
        within: mean_{i≠j} k(x_i, x_j), as ``similarity`` gives it for ``real``, if known; of no use where subsets of
            ``real`` are drawn.

    Returns:
        kid: around 0 for draws from one distribution and sometimes negative. NaN if M = 1 or N = 1. A set of members
        of ``real`` is not independent of it: read its value against other data.

    Raises:
        ValueError: features that are empty, not finite or of different dimension; ``subset_size`` < 2; ``subsets`` < 1.

    Source:
        Bińkowski et al., 2018, arXiv:1801.01401.

    Example:
        >>> real = np.random.default_rng(0).normal(size=(50, 2))
        >>> near, far = (decoct.functional.kid(real, real + shift)["kid"] for shift in (0, 3))
        >>> near < far
        True
    """
    if subset_size < 2 or subsets < 1:
        raise ValueError(f"at least one subset of at least two images, not {subsets} of {subset_size}")
    x, y = as_pair(real, condensed)
    whole, rng, estimates = len(y) <= subset_size, np.random.default_rng(seed), []
    for _ in range(1 if whole else subsets):
        near, own = (x, y) if whole else (_some(x, subset_size, rng), _some(y, subset_size, rng))
        known = _within(near) if within is None or near is not x else within
        estimates.append(known + _within(own) - 2 * _across(near, own))
    return {"kid": math.fsum(estimates) / len(estimates)}


def similarity(features: ArrayLike | Tensor) -> float:
    """Mean of k over all pairs of different rows; NaN for a single row."""
    return _within(as_features(features, "real"))


class KID(Metric):
    """Discrepancy of the distributions up to their third moments, in an extractor's features.

    Attributes:
        subset_size: images of either side in one estimate.
        subsets: estimates that are averaged.
    """

    axis = "representativeness"
    higher_is_better = {"kid": False}
    lead = ("kid",)
    subset_size: int = Field(MOST, ge=2)
    subsets: int = Field(1, ge=1)

    def __call__(self, measured: Measured) -> list[Reading]:
        """Against train and val, mean over classes and pooled.

        Whole, unless the set is larger than what is taken of the real data: then one subset of so many, the same rows
        of every such set. That costs no more than a hundred subsets of a thousand, and chance has a smaller part in it.
        """

        def compare(real: NDArray[Any], condensed: NDArray[Any], population: int | None) -> dict[str, float]:
            whole = min(len(condensed), len(real)) <= self.subset_size
            known = once(similarity, real) if whole else None
            return kid(real, condensed, subset_size=self.subset_size, subsets=self.subsets, within=known)

        return against_real(measured, compare)


def _within(x: Tensor) -> float:
    """Mean of k over all pairs of different rows: tiles on the diagonal, and twice those on one side of it."""
    n, sums = len(x), []
    for start in range(0, n, TILE):
        rows = x[start : start + TILE]
        sums.append(_kernel(rows, rows).fill_diagonal_(0).sum().item())
        sums += [2 * _kernel(rows, others).sum().item() for others in x[start + TILE :].split(TILE)]
    return math.fsum(sums) / (n * (n - 1)) if n > 1 else math.nan


def _across(x: Tensor, y: Tensor) -> float:
    """Mean of k over all pairs."""
    sums = [_kernel(rows, others).sum().item() for rows in x.split(TILE) for others in y.split(TILE)]
    return math.fsum(sums) / (len(x) * len(y))


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    return (a.double() @ b.double().T).div_(a.shape[1]).add_(1).pow_(3)


def _some(x: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """So many random rows; all of them, as they are, if there are no more."""
    return x[torch.from_numpy(rng.choice(len(x), size, replace=False)).to(x.device)] if len(x) > size else x
