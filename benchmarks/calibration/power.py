"""How often one planted difference of 3 points is found, with variances that borrow from the family and without."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.generators import flat
from calibration.judged import Table, judged, pairs, said, scaled, studies
from calibration.named import NAMED, Case
from decoct.report.stats.comparisons import holm

SEED, POINTS = 2, 0.03
ALPHA = 0.05
SETS = (3, 5, 10, 20)
HEAD = ("spread", "sets", "studies", "found", "plain t and Holm", "better than every coreset", "any false word")


def found(case: Case, number: int, seed: int = SEED, points: float = POINTS) -> NDArray[np.float64]:
    """Of each study: the share of the three planted differences called better, the share that t and Holm find,
    whether the method is called better than every coreset, and whether a difference that is none is called one.
    """
    method, setting = case.design.distilled[0], case.design.settings[0]
    rows = []
    for study in studies(case, number, seed, flat(case.design, add={(method, setting): points})):
        verdicts = judged(study)
        once = pairs(verdicts)
        planted = np.array([(s, a) == (setting, method) for s, a, _ in once])
        words = np.array([c.verdict for c in once.values()])
        plain = np.array(holm([2 * c.own.above() for c in once.values()])) < ALPHA
        best = [v.against_coresets for v in verdicts if (v.setting.protocol, v.method) == (setting, method)]
        false = np.isin(words[~planted], ("better", "worse")).any()
        rows.append(((words[planted] == "better").mean(), plain[planted].mean(), best == ["better"], false))
    return np.array(rows, dtype=np.float64)


def power(by: float = 1.0) -> Table:
    names = ("sd_0.9", "sd_1.2", "sd_2", "sd_4", "six_wide")
    return Table(
        "One method 3 points above all in one setting: share of its three differences that are found after Holm over "
        "144, %. sd: of a paired difference of two stochastic methods, points. Test images without limit. Promise: 75 "
        "% at sd 1.2 with 5 sets. six_wide: the method is one of the wide ones.",
        HEAD,
        [row(name, n, 0, scaled(300, by)) for name in names for n in SETS],
    )


def power_with_images(by: float = 1.0) -> Table:
    asked = [(images, n, 120 if images < 50_000 else 50) for images in (2000, 10_000, 50_000) for n in (5, 10)]
    return Table(
        "The same at sd 1.2, where test images add their chance.",
        ("images", *HEAD),
        [(f"{images:,}", *row("sd_1.2", n, images, scaled(number, by))) for images, n, number in asked],
    )


def row(name: str, sets: int, images: int, number: int) -> Sequence[str]:
    return name, str(sets), f"{number:,}", *map(said, found(NAMED[name].at(sets=sets, images=images), number).T)
