"""The second source of chance: the test images. Intervals of accuracies and paired differences as images vary.

Replicates are held as they are, and the test images are taken as drawn from many alike. So a handful of images cannot
pose as certainty, however well the replicates agree on them.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from decoct.report.grouped import grouped
from decoct.report.stats.intervals import ALPHA, Interval

Correct = NDArray[np.bool_]  # which test images a student had right, [images]
Answer = Correct | NDArray[np.int8]  # or by how much one student's answer is better than another's: −1, 0, 1


@dataclass(frozen=True)
class Tally:
    """Students' answers, or differences of answers, averaged by image; each set counts alike, whatever its students.

    Attributes:
        by_image: float32 [images], in [0, 1] for accuracies and [−1, 1] for differences.
        sets: condense replicates.
        interaction: variance between sets on one image, mean over images, without what moves all images together; NaN
            with one set.
    """

    by_image: NDArray[np.float32]
    sets: int
    interaction: float

    @property
    def deviation(self) -> float:
        """What drawing as many other images adds to a mean over many replicates, as a standard deviation.

        With one set, what sets make of single images cannot be told from the images themselves, and is in it.
        """
        n = len(self.by_image)
        if n < 2:
            return math.nan
        own = 0.0 if math.isnan(self.interaction) else self.interaction / self.sets
        return math.sqrt(max(0.0, float(self.by_image.var(ddof=1, dtype=np.float64)) - own) / n)


def tally(answers: Iterable[tuple[int, Answer | None]]) -> Tally | None:
    """Average answers by image, first over the students of each set, then over sets.

    Args:
        answers: the condense replicate and the answers of each student.

    Returns:
        None without any, and where those of some students are not known or are of other images.
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
    return Tally(sets.mean(0, dtype=np.float32), n, spread)


def over_images(tally: Tally) -> Interval | None:
    """95 % interval of a paired difference over test images, the replicates held: mean of e_i ± z · sd(e) / √n.

    Two images are added, one won and one lost by as much as images differ where they do, Σe² / Σ|e|: so the interval
    of few images, or of images that all agree, does not shrink to a point. With one student on each side that is 1, and
    the interval is Bonett and Price's (2012) for paired proportions, whose plain form is that behind McNemar's test.

    Returns:
        with the plain mean; None for fewer than two images.
    """
    n = len(tally.by_image)
    if n < 2:
        return None
    e = tally.by_image.astype(np.float64)
    total, squares, sizes = float(e.sum()), float(np.square(e).sum()), float(np.abs(e).sum())
    added = 2 * (squares / sizes) ** 2 if sizes else 2.0
    centre = total / (n + 2)
    half = float(ndtri(1 - ALPHA / 2)) * math.sqrt(((squares + added) / (n + 2) - centre**2) / (n + 2))
    return Interval(total / n, max(-1.0, centre - half), min(1.0, centre + half), n, "images")


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

    def difference(self, setting: Hashable, a: str, b: str) -> Tally | None:
        """By image, a − b over the replicates that both have; None where some students' answers are not known."""
        first, second = (self.keys.get((method, setting), {}) for method in (a, b))
        shared = sorted(first.keys() & second.keys())
        return tally((key[0], _minus(self.load(first[key]), self.load(second[key]))) for key in shared)


def _minus(a: Correct | None, b: Correct | None) -> NDArray[np.int8] | None:
    return None if a is None or b is None or len(a) != len(b) else a.astype(np.int8) - b.astype(np.int8)
