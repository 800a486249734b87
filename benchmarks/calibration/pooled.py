"""Several runs with one teacher each: sets that are pooled as if each had its own, beside sets counted by run."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calibration.generators import flat, generator, study
from calibration.judged import Table, said, scaled
from calibration.named import NAMED, Case
from decoct.report.stats.crossed import crossed

SEED = 6
TEACHER = 0.01  # sd of what one teacher adds to one method, of the size of a set's and its student's together


def covered(case: Case, runs: int, number: int, teacher: float = TEACHER, seed: int = SEED) -> NDArray[np.float64]:
    """Of each study of several runs, whether the interval of a difference holds the truth: each set one replicate;
    sets as students of their run; one student a set and each set with a teacher of its own.
    """
    design, per_run = replace(case.design, sets=runs * case.design.sets), case.design.sets
    rows = []
    for k in range(number):
        rng = generator(seed, k)
        drawn = study(rng, design, case.spread, flat(design), fast=True).expected[:2, 0, :, 0]
        plain = drawn[0] - drawn[1]
        shared = plain + teacher * np.sqrt(2) * rng.standard_normal(runs).repeat(per_run)
        own = plain + teacher * np.sqrt(2) * rng.standard_normal(len(plain))
        as_sets = {(c, 0): float(x) for c, x in enumerate(shared)}
        by_run = {(c // per_run, c % per_run): float(x) for c, x in enumerate(shared)}
        own_teachers = {(c, 0): float(x) for c, x in enumerate(own)}
        found = [crossed(values).interval for values in (as_sets, by_run, own_teachers)]
        rows.append([i.lo <= 0 <= i.hi for i in found])
    return np.array(rows, dtype=np.float64)


def pooled(by: float = 1.0) -> Table:
    return Table(
        "Runs of five sets on one teacher, which adds 1 point (sd) to each method: share of 95 % intervals of a "
        "difference of two stochastic methods that hold the truth, %. The report counts by run unless every set has "
        "its own teacher.",
        ("runs", "sets", "studies", "pooled as sets", "by run", "every set its own teacher"),
        [row(runs, scaled(4000, by)) for runs in (2, 3, 4, 5)],
    )


def row(runs: int, number: int) -> Sequence[str]:
    case = NAMED["normal"].at(images=0)
    return str(runs), str(5 * runs), f"{number:,}", *map(said, covered(case, runs, number).T)
