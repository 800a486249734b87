"""Precision, recall, density, coverage: how two sets overlap, by balls that reach to the k-th neighbour."""

import functools
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from pydantic import Field
from scipy.special import gammaln
from torch import Tensor

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.core.once import once
from decoct.metrics._measure import against_real, share
from decoct.select.nearest import as_features, as_pair, inside, nearest_others


def prdc(
    real: ArrayLike | Tensor,
    condensed: ArrayLike | Tensor,
    *,
    k: int = 5,
    member: bool = False,
    population: int | None = None,
    radii: Tensor | None = None,
) -> dict[str, float]:
    """Overlap of a condensed set Y with real data X, with B(x) the open ball around x up to its k-th neighbour in X.

    precision = mean_j 1[∃i: y_j ∈ B(x_i)]        density  = 1/(kM) Σ_j Σ_i 1[y_j ∈ B(x_i)]
    recall    = mean_i 1[∃j: x_i ∈ B(y_j)]        coverage = mean_i 1[∃j: y_j ∈ B(x_i)]

    A small set has large balls, so recall rises as M falls; coverage is bounded by M. Compare sets of equal N, M and k.
    At others, coverage_ratio says on which side of random images each set lies, and not how far: it ends at 1/expected,
    which is 12.5 for 10 images beside 600 and 1 for 600. A few images about the centre of the data cover much: coverage
    alone does not say that a set represents the data.

    Args:
        real: [N, d].
        condensed: [M, d].
        k: neighbours, not counting the point itself.
        member: the set is a subset of ``real``. Its points have distance 0 to themselves, which inflates all but
            recall, and coverage has another expectation. Images that lie near some of ``real``, as those that were
            started from them, fit neither: each lies in its neighbour's own ball, in those of k − 1 others on average,
            and in half of those that end at the neighbour, which makes k + ½ balls for k. Read them against other data.
        population: the set is a random subset of so many images, of which ``real`` are as random a sample;
            ``member`` says that they are all of them.
        radii: [N], as ``ball_radii`` gives them for ``real``, if known.

    Returns:
        precision, recall, density (may exceed 1), coverage, and coverage_ratio, which is coverage over
        ``expected_coverage``. NaN: recall if M ≤ k; all others if N ≤ k. A ball of radius 0 (k duplicates) is empty.

    Raises:
        ValueError: features that are empty, not finite or of different dimension; k < 1; a subset or a sample larger
            than the whole; radii that do not fit.

    Source:
        Naeem et al., 2020, arXiv:2002.09797; recall as in Kynkäänniemi et al., 2019, arXiv:1904.06991.

    Example:
        >>> real = np.array([[0.0], [1.0], [2.0], [10.0]])
        >>> found = decoct.functional.prdc(real, real[:2], k=1)
        >>> found["precision"], found["coverage"]
        (1.0, 0.5)
    """
    x, y = as_pair(real, condensed)
    n, m = len(x), len(y)
    expected = expected_coverage(n, m, k=k, member=member, population=population)
    reach = _reach(x, k) if radii is None else radii.to(x.device, torch.float64).square()
    if reach.shape != (n,):
        raise ValueError(f"{n} real images need as many radii, not {list(reach.shape)}")
    precise, covered, recalled = (torch.zeros(size, dtype=torch.bool, device=x.device) for size in (m, n, n))
    hits = 0
    for i, j, within in inside(x, y, reach, _reach(y, k)):
        covered[i] = precise[j] = recalled[within] = True
        hits += len(i)
    coverage = share(covered) if n > k else math.nan
    return {
        "precision": share(precise) if n > k else math.nan,
        "recall": share(recalled) if m > k else math.nan,
        "density": hits / (k * m) if n > k else math.nan,
        "coverage": coverage,
        "coverage_ratio": coverage / expected,
    }


def ball_radii(real: ArrayLike | Tensor, *, k: int = 5) -> Tensor:
    """Distance [N] float64 of each point to its k-th nearest other point, duplicates counted; NaN if N ≤ k."""
    return _reach(as_features(real, "real"), k).sqrt()


def expected_coverage(n: int, m: int, *, k: int = 5, member: bool = False, population: int | None = None) -> float:
    """Coverage that M random images give of N, without ties; NaN if N ≤ k.

    iid draws:        1 − ∏_{j=1..k} (N−j)/(N+M−j), no draw among the first k of all the others
    random subset:    M/N + (1 − M/N)(1 − ∏_{j=0..k−2} (N−M−1−j)/(N−1−j)), itself or one of the k − 1 nearest
    of P, N a sample: M/P + (1 − M/P)(1 − Σ_r p(r) C(P−r, M)/C(P−1, M)), no member nearer than the k-th of the sample,
                      which is the r-th of all others with p(r) = C(r−1, k−1) C(P−1−r, N−1−k)/C(P−1, N−1)

    Raises:
        ValueError: k < 1, or a subset or a sample larger than the whole.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    whole = n if member and population is None else population
    if whole is not None and max(m, n) > whole:
        said = f"a set of {m} is no subset" if m > whole else f"{n} real images are no sample"
        raise ValueError(f"{said} of {whole} images: member=False?")
    if n <= k:
        return math.nan
    if whole is None:
        return 1 - math.prod((n - j) / (n + m - j) for j in range(1, k + 1))
    return m / whole + (1 - m / whole) * (1 - _missed(n, m, k, whole)) if m < whole else 1.0


class PRDC(Metric):
    """Overlap with the real data in an extractor's features."""

    version = 2  # of train, members alone
    axis = "representativeness"
    higher_is_better = {
        "precision": True,
        "recall": True,
        "density": True,
        "coverage": True,
        "coverage_ratio": True,
    }
    lead = ("coverage_ratio",)
    limits = dict.fromkeys(("precision", "recall", "coverage"), (0, 1))
    k: int = Field(5, ge=1)

    def __call__(self, measured: Measured) -> list[Reading]:
        """Against val; of a subset of train also against train, with its own expectation.

        Other sets are not read against train where there is val: images that were started from train images, or moved
        towards them, would cover it better than as many new ones. Nothing of a class is covered by a set that has no
        image of it.
        """
        apart = not measured.member and len(measured.real.get("val", ())) > 0
        return against_real(
            measured,
            lambda real, condensed, population: prdc(
                real, condensed, k=self.k, population=population, radii=once(ball_radii, real, k=self.k)
            ),
            splits=("val",) if apart else ("train", "val"),
            absent={"coverage": 0.0, "coverage_ratio": 0.0},
        )


def _reach(points: Tensor, k: int) -> Tensor:
    """Squared radii [n]; NaN, of balls that hold nothing, if n ≤ k."""
    if len(points) <= k:
        return points.new_full((len(points),), math.nan, dtype=torch.float64)
    return nearest_others(points, k).squared[:, -1]


@functools.lru_cache(maxsize=1024)  # of a million images it takes a second, and few sizes come up
def _missed(n: int, m: int, k: int, whole: int) -> float:
    """Chance that no image of a subset of ``whole`` lies in the ball of one of the n that is not in the subset."""
    if whole == n:
        return math.prod(max(n - m - 1 - j, 0) / (n - 1 - j) for j in range(k - 1))
    r = np.arange(k, whole - n + k + 1)
    at = _log_choose(r - 1, k - 1) + _log_choose(whole - 1 - r, n - 1 - k) - _log_choose(whole - 1, n - 1)
    return float(np.exp(at + _log_choose(whole - r, m) - _log_choose(whole - 1, m)).sum())


def _log_choose(n: Any, k: Any) -> Any:
    """log C(n, k); −∞ where there is no such choice."""
    with np.errstate(invalid="ignore"):
        log = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.where((n >= k) & (np.asarray(k) >= 0), log, -np.inf)
