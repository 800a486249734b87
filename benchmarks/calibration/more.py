"""More sets never show less: every distilled method far below the coresets, with more and more sets."""

from collections.abc import Sequence

from calibration.generators import flat
from calibration.judged import Table, judged, said, scaled, studies
from calibration.named import NAMED, Case

SEED, POINTS = 5, -0.2
SETS = (3, 4, 5, 7, 10, 15, 19, 20, 21, 25, 30, 40)


def said_worse(case: Case, number: int, seed: int = SEED) -> list[float]:
    """Of each study: the share of distilled methods and settings said to be worse than at least one coreset."""
    truth = flat(case.design, add={(m, s): POINTS for m in case.design.distilled for s in case.design.settings})
    return [
        sum(v.against_coresets == "worse" for v in own) / len(own)
        for study in studies(case, number, seed, truth)
        for own in [[v for v in judged(study) if v.family == "distillation"]]
    ]


def more(by: float = 1.0) -> Table:
    return Table(
        "Every distilled method 20 points below the coresets: share of methods and settings said to be worse than at "
        "least one, %.",
        ("spread", "sets", "studies", "*worse* than one or more"),
        [row(name, n, scaled(50, by)) for name in ("normal", "sd_4") for n in SETS],
    )


def row(name: str, sets: int, number: int) -> Sequence[str]:
    return name, str(sets), f"{number:,}", said(said_worse(NAMED[name].at(sets=sets, images=0), number))
