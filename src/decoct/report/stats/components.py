"""What nested replicates vary by: sets, students within sets, and other test images."""

import math
from dataclasses import dataclass, replace

import numpy as np

from decoct.report.stats.intervals import Replicates


@dataclass(frozen=True)
class Components:
    """What the values of nested replicates vary by: standard deviations, fractions; None where unknown.

    Attributes:
        condense: between sets, without what their students add.
        train: between students of one set.
        together: sets and students at once, with one student per set; None where the two can be separated.
        images: what a test set of as many other images would add, see ``answers.Tally.deviation``.
        sets: condense replicates; 1 where all students are of one set.
        students: in all.
    """

    condense: float | None
    train: float | None
    together: float | None
    images: float | None
    sets: int
    students: int


def components(replicates: Replicates, images: float | None = None, one_set: bool = False) -> Components:
    """Variance components by the method of moments: one-way analysis of variance, balanced or not.

    σ²(train) = MS within; σ²(condense) = (MS between − MS within) / n₀, n₀ = (N − Σ nᵢ² / N) / (sets − 1), or 0 where
    that is negative (Searle, Casella and McCulloch, 1992, section 3.6).

    Args:
        replicates: values by (condense, train) replicate: accuracies, or paired differences.
        images: what the test images add, where known.
        one_set: all students are of one set, whatever their replicates are called.
    """
    keys = sorted(replicates)
    values, drawn = np.array([replicates[key] for key in keys]), [condense for condense, _ in keys]
    students = tuple(drawn.count(one) for one in dict.fromkeys(drawn))
    if one_set:
        students = (len(values),) if len(values) else ()
    n, sets = len(values), len(students)
    nothing = Components(None, None, None, images, sets, n)
    if n < 2:
        return nothing
    if n == sets:
        return replace(nothing, together=float(values.std(ddof=1)))
    counts = np.array(students)
    means = np.add.reduceat(values, np.cumsum((0, *students[:-1]))) / counts
    within = float(np.square(values - np.repeat(means, counts)).sum()) / (n - sets)
    if sets == 1:
        return replace(nothing, train=math.sqrt(within))
    between = float((counts * np.square(means - values.mean())).sum()) / (sets - 1)
    size = (n - float(np.square(counts).sum()) / n) / (sets - 1)
    return replace(nothing, condense=math.sqrt(max(0.0, between - within) / size), train=math.sqrt(within))
