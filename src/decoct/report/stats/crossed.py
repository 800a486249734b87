"""Two sources of chance in one variance: sets (with their students) and test images, which are crossed.

Every set meets every test image. Let e_ri be the result of set r on image i, an accuracy or a difference. Then

    var(mean) = σ²_sets / R + σ²_images / N + σ²_interaction / RN
              ≈ s²(set means) / R + s²(image means) / N − MS(interaction) / RN

since each of the two plain variances holds the interaction once, and their sum twice.

Source:
    Gallas, Pennello and Myers, 2007, "Multireader multicase variance analysis for binary data" (J. Opt. Soc. Am. A 24).
"""

import math
from dataclasses import dataclass, replace

from decoct.report.stats import intervals, moderated
from decoct.report.stats.answers import Tally, over_images
from decoct.report.stats.estimate import Estimate
from decoct.report.stats.intervals import ALPHA, Interval, Replicates
from decoct.report.stats.moderated import NONE, Prior

FEWEST = 3  # sets: with two, one degree of freedom is left, and only the parts have intervals


@dataclass(frozen=True)
class Crossed:
    """A mean over sets and test images, and what each adds to its variance.

    Attributes:
        n: sets; students of one set are averaged first.
        mean: NaN without sets.
        sets: variance of the means of single sets; NaN below two.
        images: variance that the test images add to the mean, without the interaction; None where the answers by image
            are unknown, so the mean holds for these test images only.
        tested: test images; 0 where not known.
        over_images: the images' part alone, as if these sets and students were fixed; None where not known.
    """

    n: int
    mean: float
    sets: float
    images: float | None = None
    tested: int = 0
    over_images: Interval | None = None

    def turned(self) -> "Crossed":
        """The same for the negated values."""
        i = self.over_images
        return replace(self, mean=-self.mean, over_images=i and replace(i, mean=-i.mean, lo=-i.hi, hi=-i.lo))

    def estimate(self, prior: Prior = NONE) -> Estimate:
        """The mean with the error from both sources; without an error below ``FEWEST`` sets.

        Args:
            prior: what comparisons of this kind have in common; from ``moderated.FEWEST_SETS`` sets on it counts.
        """
        if self.n < FEWEST:
            return Estimate(self.mean, ())
        variance, df = self.sets, float(self.n - 1)
        if self.n >= moderated.FEWEST_SETS:
            variance, df = moderated.moderated(variance, df, prior)
        images = ((self.images, float(max(self.tested - 1, 1))),) if self.images is not None else ()
        return Estimate(self.mean, ((variance / self.n, df), *images))

    @property
    def over_sets(self) -> Interval:
        """The sets' part alone: 95 % t interval as if the test images were fixed."""
        if self.n < 2:
            return Interval(self.mean, math.nan, math.nan, self.n, "sets")
        alone = Estimate(self.mean, ((self.sets / self.n, float(self.n - 1)),))
        return Interval(self.mean, *alone.bounds(1 - ALPHA), self.n, "sets")

    @property
    def interval(self) -> Interval:
        """95 % interval over both; below ``FEWEST`` sets, or without answers by image, the sets' part."""
        if self.images is None or self.n < FEWEST:
            return self.over_sets
        return Interval(self.mean, *self.estimate().bounds(1 - ALPHA), self.n, "both")


def crossed(values: Replicates, tally: Tally | None = None, floor: float = 0.0) -> Crossed:
    """Reduce nested replicates and their students' answers by image.

    Args:
        values: accuracies, or weighted sums of them, by (condense, train) replicate.
        tally: the same by test image; None where not known.
        floor: the smallest standard deviation between sets to believe, see ``intervals.grid_floor``.
    """
    means = intervals.condense_means(values)
    n, mean, sd = intervals.moments(means, floor)
    if tally is None or len(tally.by_image) < 2:
        return Crossed(n, mean, sd**2)
    images = tally.variance
    if n > 1 and not math.isnan(tally.interaction):
        images = max(0.0, images - tally.interaction / (n * len(tally.by_image)))
    return Crossed(n, mean, sd**2, images, len(tally.by_image), over_images(tally))
