"""Which student has which test image right: a probit model, sets and images crossed.

The difficulty that student t of set c of method m, in one setting, meets on image i is
    z = image(i) + method(m, i) + set(m, c, i) + student(m, c, t, i),
independent normals whose variances sum to 1. The student is right where z < Φ⁻¹(A), with A its own accuracy. As z is
standard normal over images, A is exactly its mean over all images. A fixed coreset has one set(m, ·, i) in all
replicates.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import asin, exp, hypot, inf, pi, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_NODES, _WEIGHTS = (part.tolist() for part in np.polynomial.legendre.leggauss(40))


@dataclass(frozen=True)
class Latent:
    """Standard deviations of the parts of z, before they are scaled so that z has variance 1."""

    image: float = 0.7
    method: float = 0.3
    set: float = 0.3
    student: float = 0.55

    def weights(self) -> tuple[float, float, float, float]:
        """The standard deviations as they are used: their squares sum to 1."""
        parts = (self.image, self.method, self.set, self.student)
        if min(parts) < 0 or self.student == 0:
            raise ValueError("parts of the difficulty are not negative, and the student's is positive")
        norm = sqrt(sum(part**2 for part in parts))
        return parts[0] / norm, parts[1] / norm, parts[2] / norm, parts[3] / norm


@lru_cache(maxsize=4096)
def covariance(accuracy: float, correlation: float) -> float:
    """Covariance over images of two equally good students' being right, whose z correlate (Plackett, 1954)."""
    if not 0 < accuracy < 1:
        return 0.0
    h, top = NormalDist().inv_cdf(accuracy), asin(correlation)
    angles = (top * (node + 1) / 2 for node in _NODES)
    heights = (exp(-(h**2) / (1 + np.sin(angle))) for angle in angles)
    return top / 2 * sum(w * y for w, y in zip(_WEIGHTS, heights, strict=True)) / (2 * pi)


@lru_cache(maxsize=4096)
def variances(latent: Latent, accuracy: float) -> tuple[float, float, float, float]:
    """A student's variance p(1 − p) on one image, in parts: of all students, the method's, the set's, the student's."""
    image, method, of_set, _ = latent.weights()
    levels = (image**2, image**2 + method**2, image**2 + method**2 + of_set**2)
    shared, same_method, same_set = (covariance(accuracy, level) for level in levels)
    return shared, same_method - shared, same_set - same_method, accuracy * (1 - accuracy) - same_set


def quantiles(accuracy: NDArray[np.float64]) -> NDArray[np.float32]:
    """Φ⁻¹ of each accuracy; 0 and 1 give ∓∞."""
    inverse = NormalDist().inv_cdf
    flat = (inverse(p) if 0 < p < 1 else (inf if p >= 1 else -inf) for p in accuracy.ravel().tolist())
    return np.fromiter(flat, np.float32, accuracy.size).reshape(accuracy.shape)


def answers(
    rng: np.random.Generator,
    latent: Latent,
    accuracy: NDArray[np.float64],
    fixed: NDArray[np.bool_],
    images: int,
    protocols: int = 1,
) -> NDArray[np.bool_]:
    """Right or not, [methods, settings, sets, students, images], on new images.

    ``accuracy`` is each student's own, [methods, settings, sets, students]; ``fixed`` says which methods have one set;
    as many neighbouring settings as ``protocols`` train on the same sets. All settings share the image's part.
    """
    of_image, of_method, of_set, of_student = latent.weights()
    methods, settings, sets, students = accuracy.shape
    levels = quantiles(accuracy)
    shared = of_image * _normal(rng, images)
    right = np.empty((*accuracy.shape, images), np.bool_)
    z = np.empty((sets, students, images), np.float32)
    for m in range(methods):
        # one student a set: the two parts are one draw
        merged = students == 1 and protocols == 1 and not fixed[m]
        own = hypot(of_set, of_student) if merged else of_student
        by_set: NDArray[np.float32] | None = None
        for s in range(settings):
            if not merged and s % protocols == 0:
                by_set = of_set * _normal(rng, 1 if fixed[m] else sets, 1, images)
            common = shared + of_method * _normal(rng, images)
            if by_set is not None:
                common = common + by_set
            common *= np.float32(1 / own)
            rng.standard_normal(dtype=np.float32, out=z)
            z += common
            np.less(z, levels[m, s, :, :, None] / np.float32(own), out=right[m, s])
    return right


def _normal(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return rng.standard_normal(shape, dtype=np.float32)
