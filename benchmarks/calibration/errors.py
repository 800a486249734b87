"""How often a study in which all methods are equal says something false, and how often a word leans in it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.judged import Table, judged, pairs, said, scaled, studies
from calibration.named import NAMED, Case

SEED = 1
PROMISED = ("normal", "unequal", "same_sets", "six_wide", "gamma4")  # at most 6 % from 5 sets on
UNPROMISED = ("exponential", "failures", "one_sided", "one_sided_down", "one_sided_exponential")
SETS = (3, 5, 10, 20)
IMAGES = (360, 2000)
HEAD = (
    "spread",
    "sets",
    "studies",
    "any *better* or *worse*",
    "*better* than every coreset",
    "*worse* than one or more",
    "any *same*",
    "any *leans*",
    "*leans*, of comparisons",
)


def false_words(case: Case, number: int, seed: int = SEED) -> NDArray[np.float64]:
    """Of each study: the columns of ``HEAD`` from the fourth on."""
    rows = []
    for study in studies(case, number, seed):
        found = judged(study)
        words = [c.verdict for c in pairs(found).values()]
        distilled = [v.against_coresets for v in found if v.family == "distillation"]
        leaning = [word.startswith("leans") for word in words]
        signed = any(word in ("better", "worse") for word in words)
        rows.append(
            (signed, "better" in distilled, "worse" in distilled, "same" in words, any(leaning), np.mean(leaning))
        )
    return np.array(rows, dtype=np.float64)


def errors(by: float = 1.0) -> Table:
    return Table(
        "Shares of studies in %, all methods equal; 144 comparisons a study, and Holm goes over all. Test images "
        "without limit. Promise: at most 6 % in the first share from 5 sets on.",
        HEAD,
        [row(name, n, 0, scaled(1000 if n == 5 else 500, by)) for name in PROMISED for n in SETS],
    )


def errors_with_images(by: float = 1.0) -> Table:
    asked = [(name, images) for name in ("normal", "six_wide") for images in IMAGES]
    return Table(
        "The same, sets crossed with test images, and answers known by image.",
        ("images", *HEAD),
        [(f"{images:,}", *row(name, n, images, scaled(200, by))) for name, images in asked for n in (3, 5, 10)],
    )


def errors_unpromised(by: float = 1.0) -> Table:
    return Table(
        "The same without a promise; test images without limit. one_sided: stochastic methods are skewed upwards "
        "(_down: downwards), as Gamma(4) or exponential, and fixed coresets are not. failures: one student in ten, by "
        "30 points.",
        HEAD,
        [row(name, n, 0, scaled(300, by)) for name in UNPROMISED for n in SETS],
    )


def row(name: str, sets: int, images: int, number: int) -> Sequence[str]:
    found = false_words(NAMED[name].at(sets=sets, images=images), number)
    return name, str(sets), f"{number:,}", *map(said, found.T)
