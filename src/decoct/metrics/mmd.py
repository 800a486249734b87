"""Class-wise maximum mean discrepancy between real and condensed features."""

import math
from collections.abc import Mapping
from typing import Literal, get_args

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.core.once import once
from decoct.metrics._bandwidth import median_distance
from decoct.metrics._measure import Comparison, against_real, as_labels, mean_defined, rows_by_class
from decoct.select.nearest import as_features, as_pair

Kernel = Literal["median", "cmmd"]
Known = Mapping[Kernel, tuple[float, float]]
VALUES: Mapping[Kernel, tuple[str, int]] = {"median": ("mmd", 1), "cmmd": ("cmmd", 1000)}  # names, and times what
CMMD_SIGMA = 10.0
TILE = 512  # rows of either set at once: 2 MiB of kernel values, which stay in cache


def mmd(
    real: ArrayLike | Tensor,
    condensed: ArrayLike | Tensor,
    *,
    labels: tuple[ArrayLike | Tensor, ArrayLike | Tensor] | None = None,
    kernel: Kernel = "median",
) -> dict[str, float]:
    """Unbiased estimate of MMD² with a Gaussian kernel k(a, b) = exp(−‖a − b‖² / 2σ²).

    MMD²_u = 1/(N(N−1)) Σ_{i≠j} k(x_i, x_j) + 1/(M(M−1)) Σ_{i≠j} k(y_i, y_j) − 2/(NM) Σ_{ij} k(x_i, y_j)

    "median" takes for σ the median distance within the real data. "cmmd" is 1000 · MMD²_u of rows scaled to unit
    length, with σ = 10. Such rows are never further apart than 2, where this kernel is all but linear: the value is
    near ten times the squared distance of the mean directions. A row of zeros has none and stays as it is.

    Args:
        real: [N, d].
        condensed: [M, d].
        labels: classes of the real and of the condensed rows; then the mean over classes, each with its own σ if it is
            a median, of those classes where the estimate exists.
        kernel: which.

    Returns:
        mmd, or cmmd with that kernel: around 0 for draws from one distribution and sometimes negative. NaN where one
        set has a single image, whose similarity to the others of its kind nobody can estimate; mmd also where all real
        rows are equal, which leaves no bandwidth. A set of members of ``real`` is not independent of it: read its value
        against other data.

    Raises:
        ValueError: features that are empty, not finite or of different dimension; labels that do not fit; no such
            kernel.

    Source:
        Gretton et al., "A kernel two-sample test", JMLR 13, 2012, lemma 6; σ as in its section 8. CMMD: Jayasumana et
        al., 2024, arXiv:2401.09603, on embeddings of CLIP's ViT-L/14 at 336 px (the extractor ``clip_l336``) and with
        the pairs i = j (a V-statistic), which a small set has so many of that they would be most of the value.

    Example:
        >>> real = np.random.default_rng(0).normal(size=(50, 2))
        >>> near, far = (decoct.functional.mmd(real, real + shift)["mmd"] for shift in (0, 3))
        >>> near < far
        True
    """
    if kernel not in VALUES:
        raise ValueError(f"kernel must be one of {', '.join(VALUES)}, not {kernel!r}")
    x, y = as_pair(real, condensed)
    if labels is None:
        return _unbiased(x, y, bandwidth_and_similarity(x, kernels=(kernel,)))
    of_x, of_y = as_labels(labels, len(x), len(y))
    classes = int(max(of_x.max(), of_y.max())) + 1
    pairs = zip(rows_by_class(of_x, classes), rows_by_class(of_y, classes), strict=True)
    values = [mmd(x[r], y[c], kernel=kernel) for r, c in pairs if len(r) and len(c)]
    return mean_defined(values) or {VALUES[kernel][0]: math.nan}


def bandwidth_and_similarity(
    real: ArrayLike | Tensor, *, kernels: tuple[Kernel, ...] = get_args(Kernel)
) -> dict[Kernel, tuple[float, float]]:
    """σ and mean_{i≠j} k(x_i, x_j) − 1, by kernel; NaN for a single row, and of the median kernel for equal rows.

    The median is of the non-zero distances between rows, of at most 2,000 that are evenly spaced.
    """
    x = as_features(real, "real")
    sigmas = {kernel: median_distance(x) if kernel == "median" else CMMD_SIGMA for kernel in kernels}
    return {kernel: (sigmas[kernel], value) for kernel, value in _within(x, sigmas, x.mean(0)).items()}


class MMD(Metric):
    """Discrepancy of the distribution within each class, in an extractor's features."""

    version = 3  # cmmd came with it, and then that of all classes together
    axis = "representativeness"
    higher_is_better = {"mmd": False, "cmmd": False}
    lead = ("mmd",)

    def __call__(self, measured: Measured) -> list[Reading]:
        """Against train and val, mean over classes; cmmd also of all classes together, as it was published."""

        def compare(kernels: tuple[Kernel, ...]) -> Comparison:
            return lambda real, condensed, _: _unbiased(
                *as_pair(real, condensed), once(bandwidth_and_similarity, real, kernels=kernels)
            )

        by_class = against_real(measured, compare(get_args(Kernel)), pooled=False)
        return by_class + against_real(measured, compare(("cmmd",)), per_class=False)


def _unbiased(x: Tensor, y: Tensor, known: Known) -> dict[str, float]:
    sigmas, centre = {kernel: sigma for kernel, (sigma, _) in known.items()}, x.mean(0)
    own, across = _within(y, sigmas, centre), _across(x, y, sigmas, centre)
    squared = {kernel: within + own[kernel] - 2 * across[kernel] for kernel, (_, within) in known.items()}
    return {VALUES[kernel][0]: VALUES[kernel][1] * value for kernel, value in squared.items()}


def _within(x: Tensor, sigmas: Mapping[Kernel, float], centre: Tensor) -> dict[Kernel, float]:
    """Means of k − 1 over all pairs of different rows: a row and itself add nothing."""
    n = len(x)
    return {k: v * n / (n - 1) if n > 1 else math.nan for k, v in _across(x, x, sigmas, centre).items()}


def _across(x: Tensor, y: Tensor, sigmas: Mapping[Kernel, float], centre: Tensor) -> dict[Kernel, float]:
    """Means of k − 1 over all pairs; the ones cancel in MMD², and what is left of a wide kernel keeps its digits."""
    means = {}
    for kernel, sigma in sigmas.items():
        a = _tiles(_placed(x.double(), kernel, centre))
        b = a if x is y else _tiles(_placed(y.double(), kernel, centre))
        sums = []
        for i, (rows, of_rows) in enumerate(a):
            for j, (others, of_others) in enumerate(b):
                if x is y and j < i:  # the other half of the square is the same
                    continue
                squared = torch.addmm(of_others, rows, others.T, alpha=-2).add_(of_rows[:, None]).clamp_(min=0)
                value = squared.mul_(-0.5 / sigma**2).expm1_().sum().item()
                sums.append(2 * value if x is y and j > i else value)
        means[kernel] = math.fsum(sums) / (len(x) * len(y))
    return means


def _tiles(rows: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Rows, and their squared norms, ``TILE`` at once."""
    return [(part, part.square().sum(1)) for part in rows.split(TILE)]


def _placed(rows: Tensor, kernel: Kernel, centre: Tensor) -> Tensor:
    """Unit rows, or rows about a centre that only spares their squares from cancelling."""
    return torch.nn.functional.normalize(rows, eps=1e-300) if kernel == "cmmd" else rows - centre
