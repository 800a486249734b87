"""Class-wise maximum mean discrepancy between real and condensed features."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from decoct.core.kinds import Axis, Measured, Metric, Reading
from decoct.engine.measure import against_real, mean_defined, once, rows_by_class
from decoct.engine.nearest import BLOCK, as_features, as_pair

MEDIAN_OVER = 2000  # rows, evenly spaced, that the bandwidth is taken from: two million distances


def mmd(
    real: ArrayLike | Tensor,
    condensed: ArrayLike | Tensor,
    *,
    labels: tuple[ArrayLike | Tensor, ArrayLike | Tensor] | None = None,
) -> dict[str, float]:
    """Unbiased estimate of MMD² with k(a, b) = exp(−‖a − b‖² / 2σ²), σ the median distance within the real data.

    MMD²_u = 1/(N(N−1)) Σ_{i≠j} k(x_i, x_j) + 1/(M(M−1)) Σ_{i≠j} k(y_i, y_j) − 2/(NM) Σ_{ij} k(x_i, y_j)

    Args:
        real: [N, d].
        condensed: [M, d].
        labels: classes of the real and of the condensed rows; then the mean over classes, each with its own σ, of
            those classes where the estimate exists.

    Returns:
        mmd: MMD²_u, around 0 for draws from one distribution and sometimes negative. NaN where one set has a single
        image, whose similarity to the others of its kind nobody can estimate, or where all real rows are equal, which
        leaves no bandwidth. A set of members of ``real`` is not independent of it: read its value against other data.

    Raises:
        ValueError: features that are empty, not finite or of different dimension; labels that do not fit.

    Source:
        Gretton et al., "A kernel two-sample test", JMLR 13, 2012, lemma 6; σ as in its section 8.
    """
    x, y = as_pair(real, condensed)
    if labels is None:
        return _unbiased(x, y, bandwidth_and_similarity(x))
    of_x, of_y = (np.asarray(torch.as_tensor(part).cpu(), dtype=np.int64) for part in labels)
    if of_x.shape != (len(x),) or of_y.shape != (len(y),):
        raise ValueError(
            f"{len(x)} real and {len(y)} condensed rows need as many labels; got {of_x.shape}, {of_y.shape}"
        )
    if min(of_x.min(), of_y.min()) < 0:
        raise ValueError("labels must not be negative")
    classes = int(max(of_x.max(), of_y.max())) + 1
    pairs = zip(rows_by_class(of_x, classes), rows_by_class(of_y, classes), strict=True)
    return mean_defined([mmd(x[r], y[c]) for r, c in pairs if len(r) and len(c)]) or {"mmd": math.nan}


def bandwidth_and_similarity(real: ArrayLike | Tensor) -> tuple[float, float]:
    """σ, the median of the non-zero distances between rows (at most 2,000, evenly spaced), and mean_{i≠j} k(x_i, x_j).

    Both are NaN for a single row or equal rows.
    """
    x = as_features(real, "real")
    rows = np.linspace(0, len(x) - 1, min(len(x), MEDIAN_OVER)).round().astype(np.int64)
    distances = torch.pdist(x[torch.from_numpy(rows).to(x.device)].double())
    distances = distances[distances > 0]  # else many duplicates would make a kernel that sees nothing else
    if len(distances) == 0:
        return math.nan, math.nan
    sigma = float(np.median(distances.cpu().numpy()))
    return sigma, (_similarity(x, x, sigma, x.mean(0)) - len(x)) / (len(x) * (len(x) - 1))


class MMD(Metric):
    """Discrepancy of the distribution within each class, in an extractor's features."""

    axis: ClassVar[Axis] = "representativeness"
    higher_is_better: ClassVar[Mapping[str, bool | None]] = {"mmd": False}
    lead: ClassVar[tuple[str, ...]] = ("mmd",)

    def __call__(self, measured: Measured) -> list[Reading]:
        """Against train and val, mean over classes."""

        def compare(real: NDArray[Any], condensed: NDArray[Any], population: int | None) -> dict[str, float]:
            return _unbiased(*as_pair(real, condensed), once(bandwidth_and_similarity, real))

        return against_real(measured, compare, pooled=False)


def _unbiased(x: Tensor, y: Tensor, known: tuple[float, float]) -> dict[str, float]:
    (sigma, within_x), n, m = known, len(x), len(y)
    if m < 2 or math.isnan(sigma):
        return {"mmd": math.nan}
    centre = x.mean(0)
    within_y = (_similarity(y, y, sigma, centre) - m) / (m * (m - 1))
    return {"mmd": within_x + within_y - 2 * _similarity(x, y, sigma, centre) / (n * m)}


def _similarity(a: Tensor, b: Tensor, sigma: float, centre: Tensor) -> float:
    """Σ_{ij} k(a_i, b_j) in float64; the centre only spares the squares from cancelling."""
    scale = math.sqrt(2) * sigma
    others = (b.double() - centre.double()) / scale
    squares = others.square().sum(1)
    step, sums = max(1, BLOCK // len(b)), []
    for start in range(0, len(a), step):
        rows = (a[start : start + step].double() - centre.double()) / scale
        distance = torch.addmm(squares, rows, others.T, alpha=-2).add_(rows.square().sum(1, keepdim=True))
        sums.append(distance.clamp_(min=0).neg_().exp_().sum().item())
    return math.fsum(sums)
