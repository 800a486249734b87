"""Sliced Wasserstein distance: how far the real images would have to move to become the set, along random lines."""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from torch import Tensor

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.core.once import once
from decoct.metrics._measure import against_real
from decoct.select.nearest import as_features, as_pair

BLOCK = 2**20  # projections at once: 8 MiB in float64, and some of that size that are worked out from them


def sliced_wasserstein(
    real: ArrayLike | Tensor, condensed: ArrayLike | Tensor, *, projections: int = 512, seed: int = 0
) -> dict[str, float]:
    """(mean_θ W2²(θ·X, θ·Y))^½ over unit directions θ; on a line W2² = ∫₀¹ (F⁻¹(t) − G⁻¹(t))² dt.

    G⁻¹ is the j-th smallest projection y_(j) throughout the segment t ∈ [(j−1)/M, j/M]. With q_j the mean of F⁻¹ there,

        W2² = Σ_j ∫_segment (F⁻¹ − q_j)² dt + 1/M Σ_j (q_j − y_(j))²

    holds for any N and M. The first term is what no M images can do without, so even an iid set scores above 0, and the
    more so the smaller it is: compare sets of equal M.

    Args:
        real: [N, d].
        condensed: [M, d].
        projections: number of directions; see ``directions``.
        seed: of the directions, which depend on nothing else but d.

    Returns:
        sliced_wasserstein: in units of the features; a shift by s gives ‖s‖/√d, exactly if d divides projections.

    Raises:
        ValueError: features that are empty, not finite or of different dimension; projections < 1.

    Source:
        Rabin, Peyré, Delon and Bernot, "Wasserstein barycenter and its application to texture mixing", SSVM 2011;
        Bonneel, Rabin, Peyré and Pfister, "Sliced and Radon Wasserstein barycenters of measures", JMIV 51, 2015.

    Example:
        >>> real = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> decoct.functional.sliced_wasserstein(real, real + 0.5)["sliced_wasserstein"]
        0.5
    """
    x, y = as_pair(real, condensed)
    return _distance(segments(x, count=len(y), projections=projections, seed=seed), y)


@dataclass(frozen=True)
class Segments:
    """The real side, for sets of M images: M · projections numbers, however many real images there are.

    Attributes:
        centre: [d] float64, mean of the real features, so that a large one takes no digits.
        means: [projections, M] float32, the q_j of each direction.
        rest: mean over directions of the first term, Σ_j ∫ (F⁻¹ − q_j)².
        seed: of the directions.
    """

    centre: Tensor
    means: Tensor
    rest: float
    seed: int


def segments(real: ArrayLike | Tensor, *, count: int, projections: int = 512, seed: int = 0) -> Segments:
    """What a set of ``count`` images is compared with, from real features [N, d].

    Raises:
        ValueError: features that are empty or not finite; count < 1 or projections < 1.
    """
    x = as_features(real, "real")
    n, m = len(x), count
    if m < 1:
        raise ValueError("a set needs at least one image")
    centre = x.mean(0, dtype=torch.float64)
    # Where either quantile function steps, in whole multiples of 1/(N·M); on the pieces between both are flat.
    steps = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    width = torch.from_numpy(np.diff(steps)).to(x.device)
    i, j = (torch.from_numpy(steps[:-1] // size).to(x.device) for size in (m, n))
    last = torch.from_numpy(np.searchsorted(steps, np.arange(1, m + 1) * n) - 1).to(x.device)  # piece of each segment
    means = torch.empty(projections, m, dtype=torch.float32, device=x.device)
    rest = []
    for rows, ordered in _projected(x - centre, directions(x.shape[1], projections, seed), len(width)):
        pieces = ordered[:, i]
        sums = (pieces * width).cumsum(1)[:, last]
        q = sums.diff(dim=1, prepend=torch.zeros_like(sums[:, :1])) / n
        means[rows] = q
        rest.append(pieces.sub_(q[:, j]).square_().mul_(width).sum().item() / (n * m))
    return Segments(centre, means, math.fsum(rest) / projections, seed)


@functools.lru_cache(maxsize=8)
def directions(d: int, projections: int, seed: int = 0) -> Tensor:
    """Unit directions [projections, d] float64, orthogonal in groups of d.

    Each alone is uniform on the sphere, up to a sign that W2 does not see, so the mean over them is as unbiased as that
    over independent ones, and it varies less; a group of d sees the whole of a shift (Rowland et al., 2019,
    arXiv:1903.03784).

    Raises:
        ValueError: projections < 1.
    """
    if projections < 1:
        raise ValueError(f"projections must be at least 1, not {projections}")
    drawn = np.random.default_rng(seed).normal(size=(math.ceil(projections / d), d, min(projections, d)))
    orthogonal: NDArray[np.float64] = np.linalg.qr(drawn).Q
    return torch.from_numpy(np.ascontiguousarray(orthogonal.transpose(0, 2, 1).reshape(-1, d)[:projections]))


class SlicedWasserstein(Metric):
    """Distance of the distribution of the set from that of the real images, in an extractor's features.

    Attributes:
        projections: lines along which the distance is taken.
    """

    axis = "representativeness"
    higher_is_better = {"sliced_wasserstein": False}
    lead = ("sliced_wasserstein",)
    projections: int = Field(512, ge=1)

    def __call__(self, measured: Measured) -> list[Reading]:
        """Against train and val, per class and of all classes together.

        The real side is kept for each class and each M: 2 kB an image of the set at 512 directions.
        """

        def compare(real: NDArray[Any], condensed: NDArray[Any], population: int | None) -> dict[str, float]:
            known = once(segments, real, count=len(condensed), projections=self.projections)
            return _distance(known, as_pair(known.centre[None], condensed)[1])  # the real side is checked already

        return against_real(measured, compare)


def _distance(known: Segments, y: Tensor) -> dict[str, float]:
    projections, m = known.means.shape
    squares = [
        (ordered - known.means[rows]).square_().sum().item()
        for rows, ordered in _projected(y - known.centre, directions(y.shape[1], projections, known.seed), m)
    ]
    return {"sliced_wasserstein": math.sqrt(known.rest + math.fsum(squares) / (m * projections))}


def _projected(points: Tensor, along: Tensor, width: int) -> Iterator[tuple[slice, Tensor]]:
    """Blocks of directions, with the projections [directions, n] of all points in ascending order."""
    step = max(1, BLOCK // width)
    for start in range(0, len(along), step):
        rows = slice(start, min(start + step, len(along)))
        values = along[rows].to(points.device) @ points.T
        # On a CPU numpy sorts ten times as fast as torch.
        yield rows, torch.from_numpy(np.sort(values.numpy())) if values.device.type == "cpu" else values.sort(1).values
