"""The second source of chance, the test images: intervals of accuracies and paired differences as images vary.

Replicates are fixed, and the test images count as a sample from many. So a few images cannot pass for certainty,
however well the replicates agree on them.
"""

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from decoct.report.grouped import grouped
from decoct.report.stats.intervals import ALPHA, Interval

Correct = NDArray[np.bool_]  # which test images a student had right, [images]
Answer = Correct | NDArray[np.float32]  # or a weighted sum of several students' answers, such as a difference


@dataclass(frozen=True)
class Tally:
    """Students' answers, or differences of answers, averaged by image; each set counts equally, whatever its students.

    Attributes:
        by_image: float32 [images], in [0, 1] for accuracies and [−1, 1] for differences.
        sets: condense replicates.
        interaction: variance between sets on one image, mean over images, without the part that all images share; NaN
            with one set.
        signed: whether it may be negative, as a difference is.
    """

    by_image: NDArray[np.float32]
    sets: int
    interaction: float
    signed: bool = False

    @cached_property
    def added(self) -> tuple[float, float]:
        """Two images more, so that a handful that all agree is no certainty: one right and one wrong of an accuracy,
        one won and one lost of a difference, by as much as images differ where they do, Σe² / Σ|e|.
        """
        if not self.signed:
            return 0.0, 1.0
        e = self.by_image.astype(np.float64)
        sizes = float(np.abs(e).sum())
        most = float(np.square(e).sum()) / sizes if sizes else 1.0
        return -most, most

    @cached_property
    def centre(self) -> float:
        """The mean with the two images added."""
        return (float(self.by_image.sum(dtype=np.float64)) + sum(self.added)) / (len(self.by_image) + 2)

    @cached_property
    def variance(self) -> float:
        """Of the mean over images as they vary, with the two images added."""
        n = len(self.by_image) + 2
        squares = float(np.square(self.by_image, dtype=np.float64).sum()) + sum(x * x for x in self.added)
        return max(0.0, squares / n - self.centre**2) / n

    @property
    def deviation(self) -> float:
        """The standard deviation that as many other images would add to a mean over many replicates.

        With one set, it includes the effect of the set on single images, which cannot be separated.
        """
        n = len(self.by_image)
        if n < 2:
            return math.nan
        own = 0.0 if math.isnan(self.interaction) else self.interaction / self.sets
        return math.sqrt(max(0.0, float(self.by_image.var(ddof=1, dtype=np.float64)) - own) / n)


def tally(answers: Iterable[tuple[int, Answer | None]], signed: bool = False) -> Tally | None:
    """Average answers by image, first over the students of each set, then over sets.

    Args:
        answers: the condense replicate and the answers of each student.
        signed: they are differences.

    Returns:
        None without any, or where those of some students are unknown or cover other images.
    """
    every = list(answers)
    known = [(condense, own) for condense, own in every if own is not None]
    if len(known) < len(every) or len({len(own) for _, own in known}) != 1:
        return None
    by_set = grouped(known, lambda student: student[0]).values()
    sets = np.stack([np.sum([own for _, own in s], 0, dtype=np.float32) / np.float32(len(s)) for s in by_set])
    n, images = sets.shape
    spread = math.nan
    if n > 1 and images > 1:
        together = float(sets.mean(1, dtype=np.float64).var(ddof=1))
        spread = max(0.0, (float(sets.var(0, ddof=1, dtype=np.float64).mean()) - together) * images / (images - 1))
    return Tally(sets.mean(0, dtype=np.float32), n, spread, signed)


def over_images(tally: Tally) -> Interval | None:
    """95 % interval as the test images vary and the replicates are fixed: centre ± z √variance, two images added.

    For a difference with one student on each side it is that of Bonett and Price (2012) for paired proportions, whose
    plain form is the one behind McNemar's test.

    Returns:
        with the plain mean; None for fewer than two images.
    """
    n = len(tally.by_image)
    if n < 2:
        return None
    half = float(ndtri(1 - ALPHA / 2)) * math.sqrt(tally.variance)
    lo, hi = max(-1.0 if tally.signed else 0.0, tally.centre - half), min(1.0, tally.centre + half)
    return Interval(float(tally.by_image.mean(dtype=np.float64)), lo, hi, n, "images")


@dataclass(frozen=True)
class Answers:
    """The stored answers of a run's students, loaded when they are asked for.

    Attributes:
        keys: of the results, by method and setting, then by (condense, train) replicate.
        load: the answers of a result; None where they were not stored.
    """

    keys: Mapping[tuple[str, Hashable], Mapping[tuple[int, int], str]]
    load: Callable[[str], Correct | None]

    def accuracy(self, method: str, setting: Hashable) -> Tally | None:
        """By image, over a method's students; None where some students' answers are not known."""
        own = self.keys.get((method, setting), {})
        return tally((condense, self.load(key)) for (condense, _), key in sorted(own.items()))

    def combined(
        self, terms: Sequence[tuple[float, str, Hashable]], at: Collection[tuple[int, int]] | None = None
    ) -> Tally | None:
        """By image, Σ weight · answers over the replicates that all terms have; None where some are not known.

        Args:
            terms: weight, method and setting of each, such as (1, "a", s), (−1, "b", s) for a difference.
            at: those replicates alone; None for all.
        """
        own = [self.keys.get((method, setting), {}) for _, method, setting in terms]
        shared = sorted(set.intersection(*(set(keys) for keys in own))) if own else []
        shared = [key for key in shared if at is None or key in at]
        weights = [weight for weight, _, _ in terms]
        sums = ((at[0], self._sum(weights, [keys[at] for keys in own])) for at in shared)
        return tally(sums, signed=min(weights, default=0) < 0)

    def difference(
        self, setting: Hashable, a: str, b: str, at: Collection[tuple[int, int]] | None = None
    ) -> Tally | None:
        """By image, a − b over the replicates that both have; None where some students' answers are not known."""
        return self.combined([(1, a, setting), (-1, b, setting)], at)

    def _sum(self, weights: Sequence[float], keys: Sequence[str]) -> NDArray[np.float32] | None:
        loaded = [self.load(key) for key in keys]
        known = [own for own in loaded if own is not None]
        if len(known) < len(loaded) or len({len(own) for own in known}) != 1:
            return None
        total = np.zeros(len(known[0]), dtype=np.float32)
        for weight, own in zip(weights, known, strict=True):
            total += np.float32(weight) * own
        return total
