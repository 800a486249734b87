"""What an accuracy, or a difference of two, is expected to be: over students, and over test images.

Answers [students, images] of every stratum give a mean over all images and the two sources of its error. A stratum is
the one test split, or one of several folds, whose images are disjoint and whose students are others. With shares
w_k = n_k / N of the images,

    var(mean) = Σ w_k² s_k² / R_k  +  s²(image means) / N  −  Σ w_k² MS_k(interaction) / (R_k n_k)

as ``report.stats.crossed`` has it for one stratum. The students' part has Σ (R_k − 1) degrees of freedom, the images'
part N − 1, and their half-widths add as ``report.stats.estimate`` says. Where images come in groups, such as those of a
patient or a video, groups are the sample: s²(image means) / N becomes Σ_g (Σ_i∈g (e_i − mean))² / N², with G − 1.

Source:
    Gallas, Pennello and Myers, 2007, "Multireader multicase variance analysis for binary data" (J. Opt. Soc. Am. A 24);
    Rao and Scott, 1992, "A simple method for the analysis of clustered binary data" (Biometrics 48), for groups.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.report.stats import intervals, moderated, power
from decoct.report.stats.answers import Tally, tally
from decoct.report.stats.estimate import Estimate
from decoct.report.stats.intervals import ALPHA
from decoct.report.stats.moderated import Prior
from decoct.shrinking.answer import Measured

Values = NDArray[Any]  # [students, images], answers 0 or 1, or sums of them such as a difference
Groups = NDArray[np.int64]
MOST = 10**9  # images


@dataclass(frozen=True)
class Expected:
    """A mean over students and test images, and what each adds to its variance.

    Attributes:
        mean: over all images, each stratum's students averaged first.
        students: variance of the mean as students vary; None where nothing about them varies.
        df: degrees of freedom of that variance.
        by_image: the part of ``students`` that comes from their disagreement about single images, and so shrinks with
            more images.
        images: variance of the mean as test images vary.
        n: students of a stratum, the fewest.
        tested: test images.
        units: groups of test images; as many as images where they have none.
    """

    mean: float
    students: float | None
    df: float
    by_image: float
    images: float
    n: int
    tested: int
    units: int

    @property
    def estimate(self) -> Estimate:
        """The mean with its error."""
        return self._with(self.tested)

    def _with(self, images: int) -> Estimate:
        ratio = self.tested / images
        parts = [(self.images * ratio, max(self.units / ratio - 1, 1.0))]
        if self.students is not None:
            parts.insert(0, (self.students - self.by_image * (1 - ratio), self.df))
        return Estimate(self.mean, tuple(parts))

    def lent(self, prior: Prior) -> tuple[tuple[float, float], ...]:
        """The students' part, where others lend it degrees of freedom; empty where nothing about students varies."""
        return () if self.students is None else (moderated.moderated(self.students, self.df, prior),)

    def half(self, level: float = 1 - ALPHA) -> float:
        """How far a one-sided bound is from the mean."""
        return self.estimate.half(1 - level)

    def measured(self) -> Measured:
        """The accuracy with its two-sided 95 % interval."""
        lo, hi = self.estimate.bounds(1 - ALPHA)
        return Measured(self.mean, max(0.0, lo), min(1.0, hi), self.n, self.tested)

    def images_needed(self, margin: float) -> int | None:
        """Test images at which as many students show, in 80 % of studies, that no loss at all is below the margin.

        The images' part of the variance, and what students disagree about single images, shrink in proportion. What
        remains of the students' part does not. More images come in groups as large as these.

        Returns:
            None where as many students cannot, however many images there are: only more students help.
        """

        def shows(images: int) -> bool:
            return power.found(margin, self._with(images), ALPHA) >= power.POWER

        if margin <= 0 or not shows(MOST):
            return None
        low, high = 1, MOST
        while high - low > max(1, low // 1000):
            middle = max(low + 1, math.isqrt(low * high)) if high > 2 * low else (low + high) // 2
            low, high = (low, middle) if shows(middle) else (middle, high)
        return high


def common(errors: Sequence[Expected]) -> Prior:
    """What the students' parts of several accuracies have in common, see ``report.stats.moderated``.

    Their students are independent. Differences would share students, look more alike than they are, and lend too much.
    """
    known = [(e.students, e.df) for e in errors if e.students is not None]
    return moderated.prior([variance for variance, _ in known], [df for _, df in known])


def expected(
    strata: Sequence[Values], signed: bool, fixed: Sequence[bool], groups: Sequence[Groups | None] = ()
) -> Expected:
    """Reduce the answers of every stratum.

    Args:
        strata: [R_k, n_k] of each.
        signed: they are differences, and may be negative.
        fixed: of each stratum, whether another student would answer the same (a deterministic learner with one set);
            its first row says all, and the mean conditions on that set.
        groups: of each stratum, [n_k] the group of each image; None, or nothing, where images are independent.

    Raises:
        ValueError: no image, or a stratum with one student where students vary.
    """
    strata = [x[:1] if one else x for x, one in zip(strata, fixed, strict=True)]
    total = sum(x.shape[1] for x in strata)
    if total == 0 or any(len(x) < (1 if one else 2) for x, one in zip(strata, fixed, strict=True)):
        raise ValueError("an error over students takes two of them, and at least one test image")
    means = np.concatenate([x.mean(0, dtype=np.float64) for x in strata])
    students = noise = 0.0
    for x in (x for x in strata if len(x) > 1):
        n, weight = x.shape[1], (x.shape[1] / total) ** 2 / len(x)
        _, _, sd = intervals.moments(x.mean(1, dtype=np.float64).tolist(), intervals.grid_floor(n))
        own = tally(list(enumerate(x.astype(np.float32))), signed)
        assert own is not None
        students += weight * sd**2
        noise += 0.0 if math.isnan(own.interaction) else weight * own.interaction / n
    noise = min(noise, students)  # students who agree by chance do not lower the variance
    rows = min(map(len, strata))
    variance, units = _images(Tally(means.astype(np.float32), rows, math.nan, signed), strata, groups)
    df = float(sum(len(x) - 1 for x in strata))
    known = students if df else None
    return Expected(float(means.mean()), known, df, noise, max(0.0, variance - noise), rows, total, units)


def _images(means: Tally, strata: Sequence[Values], groups: Sequence[Groups | None]) -> tuple[float, int]:
    """Variance of the mean as test images vary, in their groups, and how many groups there are."""
    n = len(means.by_image)
    if all(own is None for own in groups):
        return means.variance, n
    own = [
        x.shape[1] if g is None else np.unique(g, return_inverse=True)[1] for g, x in zip(groups, strata, strict=True)
    ]
    labels = [np.arange(g) if isinstance(g, int) else g for g in own]
    starts = np.cumsum([0, *(int(g.max()) + 1 for g in labels)])
    at = np.concatenate([g + start for g, start in zip(labels, starts, strict=False)])
    mean = float(means.by_image.mean(dtype=np.float64))
    sums = np.bincount(at, means.by_image - mean)
    units = len(sums)
    if units < 2 <= n:
        return 1.0, units  # one group says nothing
    values = np.array([*(mean + sums * units / n), *means.added])  # two groups more, as with images
    return max(means.variance, float(values.var()) / len(values)), units
