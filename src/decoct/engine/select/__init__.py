"""Greedy selection kernels: pure functions of a feature array, picks in order, O(N + block) extra memory."""

import warnings

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from decoct.engine.select.classes import each as each

BLOCK = 2**18  # numbers that a block holds: they stay in the cache between a difference and its norm


def herding(features: ArrayLike | Tensor, n: int) -> Tensor:
    """Pick ``n`` rows whose running mean follows the mean of all rows.

    Pick t minimises  ‖t·μ − Σ_{picked} f − f_i‖  over the rows not yet picked; the lowest index wins a tie.

    Args:
        features: [N, d], finite; numpy, memory map or tensor, on any device. Half precision computes in float32.
        n: number of picks, 1 ≤ n ≤ N.

    Returns:
        [n] int64 on the CPU, in order of picking.

    Raises:
        ValueError: ``n`` out of range, features not [N, d], or one that is not finite.

    Source:
        Welling, "Herding dynamical weights to learn", ICML 2009.
    """
    features = as_features(features, n)
    mean = features.mean(0)
    # Measured from the mean, so that a large one does not cancel: with g = f − μ the objective is ‖r − g_i‖², r = −Σ g.
    squared = _distances(features, mean).square()
    residual = torch.zeros_like(mean)
    picked = torch.empty(n, dtype=torch.int64)
    for t in range(n):
        # ‖r − g‖² = ‖r‖² − 2 r·f + 2 r·μ + ‖g‖², and all but the second and last are the same for every row.
        distance = squared - 2 * (features @ residual)
        picked[t] = row = distance.argmin()
        residual += mean - features[row]
        squared[row] = torch.inf  # never again
    return picked


def k_center(features: ArrayLike | Tensor, n: int, start: int | None = None) -> Tensor:
    """Pick ``n`` rows that leave no row far from its nearest pick: a 2-approximation of the smallest covering radius.

    Pick t maximises  min_{s picked} ‖f_i − f_s‖  over the rows not yet picked; the lowest index wins a tie.

    Args:
        features: [N, d], finite; numpy, memory map or tensor, on any device. Half precision computes in float32.
        n: number of picks, 1 ≤ n ≤ N.
        start: the first pick; by default the row nearest the mean.

    Returns:
        [n] int64 on the CPU, in order of picking.

    Raises:
        ValueError: ``n`` or ``start`` out of range, features not [N, d], or one that is not finite.

    Source:
        Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985; as a coreset: Sener and
        Savarese, 2018, arXiv:1708.00489.
    """
    features = as_features(features, n)
    if start is not None and not 0 <= start < len(features):
        raise ValueError(f"start must be a row of the {len(features)}, not {start}")
    row = _distances(features, features.mean(0)).argmin() if start is None else torch.tensor(start)
    picked = torch.empty(n, dtype=torch.int64)
    picked[0] = row
    nearest = torch.full((len(features),), torch.inf, dtype=features.dtype, device=features.device)
    for t in range(1, n):
        nearest = torch.minimum(nearest, _distances(features, features[row]))
        nearest[row] = -1  # below every distance, so never again, among duplicates too
        picked[t] = row = nearest.argmax()
    return picked


def as_features(features: ArrayLike | Tensor, n: int) -> Tensor:
    """The array as a finite floating-point tensor [N, d] that can give ``n`` rows; no copy where none is needed."""
    with warnings.catch_warnings():
        # A read-only memory map is welcome: no kernel writes to its features.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        tensor = torch.as_tensor(features).detach()
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise ValueError(f"features must be [N, d], not {list(tensor.shape)}")
    if not 1 <= n <= len(tensor):
        raise ValueError(f"cannot pick {n} of {len(tensor)} rows")
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()
    if not torch.stack(torch.aminmax(tensor)).isfinite().all():
        raise ValueError("features hold values that are not finite")
    return tensor


def _distances(features: Tensor, point: Tensor) -> Tensor:
    """[N] Euclidean distances from direct differences: no cancellation, and equal rows are equally far."""
    parts = features.split(max(1, BLOCK // features.shape[1]))
    return torch.cat([torch.linalg.vector_norm(part - point, dim=1) for part in parts])
