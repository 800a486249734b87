"""A simulated study as the report judges it, and how often what it says is so."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from numpy.typing import ArrayLike

from calibration.generators import Study, Truth, flat, sweep
from calibration.named import Case
from decoct.report.accuracy import Setting
from decoct.report.stats import intervals, power
from decoct.report.stats.answers import Answers
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.intervals import Replicates
from decoct.report.verdict import Verdict, verdicts

MARGIN = 0.01
Pair = tuple[str, str, str]  # setting, method, the coreset that it is compared with


class Table(NamedTuple):
    """What was run and what came out; ``rows`` are cells as printed."""

    what: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def studies(case: Case, number: int, seed: int, truth: Truth | None = None) -> Iterable[Study]:
    """Drawn with test images where the design has any, else of the students' own accuracies."""
    planted = flat(case.design) if truth is None else truth
    return sweep(number, seed, case.design, case.spread, planted, fast=not case.design.images)


def judged(study: Study, margin: float = MARGIN) -> list[Verdict]:
    """The report's verdicts on a study."""
    design = study.design
    families = dict.fromkeys(design.distilled, "distillation") | dict.fromkeys(design.coresets, "coreset")
    settings = {name: Setting(name, "student", name) for name in design.settings}
    accuracies = {
        settings[name]: {method: replicates(study, m, s) for m, method in enumerate(design.methods)}
        for s, name in enumerate(design.settings)
    }
    floor = intervals.grid_floor(design.images)
    margins = dict.fromkeys(settings.values(), margin)
    # Sets that would decide are not looked at here, and take two thirds of the time.
    with patch.object(power, "sets_to_decide", return_value=None):
        return verdicts(accuracies, families, margins, floor, stored(study), set(design.fixed))


def replicates(study: Study, method: int, setting: int) -> Replicates:
    """Accuracies by (set, student)."""
    own = study.accuracy[method, setting]
    return {(c, t): float(x) for c, row in enumerate(own) for t, x in enumerate(row)}


def stored(study: Study) -> Answers | None:
    """The students' answers by test image; None where none were drawn."""
    correct = study.correct
    if correct is None:
        return None
    at = [(c, t) for c in range(study.design.sets) for t in range(study.design.students)]
    places = {
        (method, Setting(name, "student", name)): {(c, t): f"{m} {s} {c} {t}" for c, t in at}
        for m, method in enumerate(study.design.methods)
        for s, name in enumerate(study.design.settings)
    }
    return Answers(places, lambda key: correct[tuple(map(int, key.split()))])


def pairs(found: Iterable[Verdict]) -> dict[Pair, Comparison]:
    """Every pair of methods once: a pair of coresets is met from both sides."""
    once: dict[Pair, Comparison] = {}
    for v in found:
        for other, c in v.coresets.items():
            if (v.setting.protocol, other, v.method) not in once:
                once[v.setting.protocol, v.method, other] = c
    return once


def true_difference(study: Study, pair: Pair) -> float:
    """First method minus second."""
    setting, a, b = pair
    methods, s = study.design.methods, study.design.settings.index(setting)
    return float(study.truth[methods.index(a), s] - study.truth[methods.index(b), s])


def share(values: ArrayLike) -> tuple[float, float]:
    """Mean over studies and its 95 % error, percent; by the rule of three where all are alike.

    Args:
        values: of each study: whether it is so, or in what share of its comparisons.
    """
    x = np.asarray(values, dtype=np.float64)
    error = 1.96 * x.std(ddof=1) / np.sqrt(len(x)) if np.ptp(x) else 3 / len(x)
    return 100 * float(x.mean()), 100 * float(error)


def said(values: ArrayLike) -> str:
    """``share`` as a cell."""
    mean, error = share(values)
    return f"{mean:.1f} ± {error:.1f}"


def scaled(number: int, by: float) -> int:
    """Studies of a run that takes ``by`` times as long."""
    return max(10, round(number * by))
