"""How often 95 % intervals hold the truth: over sets and test images both, in three ways, and over sets alone."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from calibration.generators import Study
from calibration.judged import Table, judged, pairs, replicates, said, scaled, stored, studies, true_difference
from calibration.named import NAMED, Case, wide
from decoct.report.accuracy import Setting
from decoct.report.stats import intervals
from decoct.report.stats.crossed import Crossed, crossed
from decoct.report.stats.estimate import Estimate

SEED = 3
SETS, IMAGES = (3, 5, 10, 20), (360, 2000, 10_000)
WAYS = ("both", "lowest kind of pair", "plain sum", "one t", "sets alone", "an accuracy's")
HEAD = ("spread", "images", "sets", "studies", *WAYS)


def small(case: Case) -> Case:
    """With two distilled methods and one budget: intervals borrow nothing from the family."""
    design = replace(case.design, distilled=("d0", "d1"), settings=case.design.settings[: case.design.protocols])
    return replace(case, design=design)


CASES = {
    **{name: small(NAMED[name]) for name in ("normal", "unequal", "gamma4", "exponential", "failures")},
    "sd 0.3": small(replace(NAMED["normal"], spread=wide(0.3))),
    "sd 4": small(NAMED["sd_4"]),
}


def covered(case: Case, number: int, seed: int = SEED) -> NDArray[np.float64]:
    """Of each study, shares of its intervals that hold the truth: of differences over both, of those between stochastic
    methods, with one fixed, between two fixed; by the plain sum; by one t; over sets alone; of accuracies.
    """
    rows = []
    for study in studies(case, number, seed):
        kinds, both, plain, one, alone = [], [], [], [], []
        for pair, c in pairs(judged(study)).items():
            true = true_difference(study, pair)
            kinds.append(len({*pair[1:]} & {*study.design.fixed}))
            both.append(c.lo <= true <= c.hi)
            lo, hi = plain_sum(c.difference)
            plain.append(lo <= true <= hi)
            one.append(abs(c.mean - true) <= stdtrit(c.own.df, 0.975) * c.own.se)
            alone.append(c.over_sets.lo <= true <= c.over_sets.hi)
        of = np.array(kinds)
        by_kind = [np.mean(np.array(both)[of == kind]) if (of == kind).any() else np.nan for kind in range(3)]
        rows.append((np.mean(both), *by_kind, np.mean(plain), np.mean(one), np.mean(alone), np.mean(accuracies(study))))
    return np.array(rows, dtype=np.float64)


def plain_sum(d: Crossed) -> tuple[float, float]:
    """95 % interval with the interaction counted twice."""
    assert d.over_images is not None
    half = (d.over_images.hi - d.over_images.lo) / 2 / float(ndtri(0.975))
    return Estimate(d.mean, ((d.sets / d.n, d.n - 1.0), (half**2, d.tested - 1.0))).bounds(0.95)


def accuracies(study: Study) -> list[bool]:
    """Whether the interval of each accuracy holds the truth."""
    answers, floor = stored(study), intervals.grid_floor(study.design.images) / np.sqrt(2)
    held = []
    for m, method in enumerate(study.design.methods):
        for s, name in enumerate(study.design.settings):
            tally = answers.accuracy(method, Setting(name, "student", name)) if answers else None
            i = crossed(replicates(study, m, s), tally, floor).interval
            held.append(i.lo <= study.truth[m, s] <= i.hi)
    return held


def coverage(by: float = 1.0) -> Table:
    asked = [(name, images) for name in ("normal", "unequal", "gamma4") for images in IMAGES]
    asked += [("sd 0.3", 360), ("sd 4", 10_000), ("exponential", 2000), ("failures", 2000)]
    return Table(
        "Share of 95 % intervals that hold the truth, %, over new sets, students and test images; the errors count "
        "studies, not comparisons. Promise for normal and unequal: 93 to 98; for gamma4: at least 92.5. Lowest kind: "
        "of pairs of two stochastic methods, one, or none. With sd 0.3 images dominate, with sd 4 "
        "sets. Plain sum: the interaction counts twice. One t: with Satterthwaite's degrees of freedom.",
        HEAD,
        [row(name, images, n, scaled(300, by)) for name, images in asked for n in SETS],
    )


def row(name: str, images: int, sets: int, number: int) -> Sequence[str]:
    found = covered(CASES[name].at(sets=sets, images=images), number).T
    both, *kinds, plain, one, alone, own = found
    lowest = min((k for k in kinds if not np.isnan(k).any()), key=np.mean)
    cells = map(said, (both, lowest, plain, one, alone, own))
    return name, f"{images:,}", str(sets), f"{number:,}", *cells
