"""How often *same* is said at exactly the margin, and how often it and *not better* are shown where all are equal."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.coverage import CASES
from calibration.generators import Truth, flat
from calibration.judged import MARGIN, Table, judged, pairs, said, scaled, studies
from calibration.named import NAMED, Case

SEED, ALPHA = 4, 0.05
SETS = (3, 5, 10, 20)
WORDS = ("*same*, one comparison", "*same* after Holm", "any *same* in the study", "*not better*, one comparison")
HEAD = ("spread", "images", "sets", "studies", *WORDS, "*not better* than each coreset")


def shown(case: Case, number: int, truth: Truth | None = None, seed: int = SEED) -> NDArray[np.float64]:
    """Of each study, over comparisons of its first distilled method: the columns of ``HEAD`` from the fifth on."""
    method, rows = case.design.distilled[0], []
    for study in studies(case, number, seed, truth):
        once = pairs(judged(study))
        own = {pair: c for pair, c in once.items() if pair[1] == method}
        alone = [c.p_same < ALPHA for c in own.values()]
        held = [c.verdict == "same" for c in own.values()]
        single = [c.p_not_better < ALPHA for c in own.values()]
        every = []
        for setting in case.design.settings:
            p = [c.p_not_better for (s, _, _), c in own.items() if s == setting]
            every.append(len(p) * min(p) < ALPHA)
        rows.append((np.mean(alone), np.mean(held), any(held), np.mean(single), np.mean(every)))
    return np.array(rows, dtype=np.float64)


def apart(case: Case) -> Truth:
    """The first distilled method better than all others by exactly the margin."""
    return flat(case.design, add={(case.design.distilled[0], s): MARGIN for s in case.design.settings})


def same_at_the_margin(by: float = 1.0) -> Table:
    asked = [("normal", 0), ("unequal", 0), ("gamma4", 0), ("normal", 360), ("normal", 2000), ("normal", 10_000)]
    return Table(
        "One method better than all others by exactly the margin of 1 point: each word is false, %. Promise: at most "
        "5. Two distilled methods, two settings, 18 comparisons a study; 0 images: without limit.",
        HEAD,
        [edge_row(name, images, n, scaled(300, by)) for name, images in asked for n in SETS],
    )


def same_if_equal(by: float = 1.0) -> Table:
    asked = [(name, 0, 150) for name in ("sd_0.9", "sd_1.2", "sd_2")] + [("sd_1.2", 10_000, 60)]
    return Table(
        "All equal, margin 1 point, the whole family of 144 comparisons: each word is true, %.",
        HEAD,
        [equal_row(name, images, n, scaled(number, by)) for name, images, number in asked for n in (5, 10, 20)],
    )


def edge_row(name: str, images: int, sets: int, number: int) -> Sequence[str]:
    case = CASES[name].at(sets=sets, images=images)
    return name, f"{images:,}", str(sets), f"{number:,}", *map(said, shown(case, number, apart(case)).T)


def equal_row(name: str, images: int, sets: int, number: int) -> Sequence[str]:
    case = NAMED[name].at(sets=sets, images=images)
    return name, f"{images:,}", str(sets), f"{number:,}", *map(said, shown(case, number).T)
