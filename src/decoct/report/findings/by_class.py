"""Accuracy by class: which classes a set teaches well, and which it does not."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from decoct.report.findings.verdict import Setting
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import FULL
from decoct.report.stats.intervals import ALPHA


@dataclass(frozen=True)
class ByClass:
    """Test accuracy of a method in a setting, class by class.

    Attributes:
        method: its label.
        setting: protocol, student, budget.
        mean: [classes] over the condense-level means; a class without test images is NaN.
        lo, hi: [classes] 95 % t interval within [0, 1]; NaN where n is 1.
        n: condense-level means.
    """

    method: str
    setting: Setting
    mean: NDArray[np.float64]
    lo: NDArray[np.float64]
    hi: NDArray[np.float64]
    n: int

    def order(self) -> list[int]:
        """Classes from the worst to the best; of equals the first comes first."""
        return [int(c) for c in np.argsort(self.mean, kind="stable") if math.isfinite(self.mean[c])]


def by_class(frame: Frame) -> Iterator[ByClass]:
    """Those of every method and setting that has students, in the order of the planned jobs.

    The students of a set are averaged first, as for all accuracies. The share of k right of m images moves in steps of
    1 / m, so that few sets can agree by luck: no spread below the standard deviation of rounding to such a grid is
    believed.
    """
    run, rows = frame.manifest, dict[tuple[str, Setting], dict[int, list[list[float]]]]()
    trained = set(frame.results["key"].to_pylist())
    for job in run.of_kind("train"):
        if job.key in trained and job.labels["method"] != FULL:
            what = job.labels
            setting = Setting(what["protocol"], what["student"], what["budget"])
            values = [math.nan if v is None else v for v in run.load(job, "result.json")["per_class"]]
            own = rows.setdefault((what["method"], setting), {})
            own.setdefault(what["condense_replicate"], []).append(values)
    tests = images(frame)
    for (method, setting), sets in rows.items():
        yield _reduced(method, setting, np.array([np.mean(students, axis=0) for students in sets.values()]), tests)


def images(frame: Frame) -> NDArray[np.float64]:
    """Test images of each class; where an older run does not say, an equal share."""
    data = frame.manifest.data
    classes = len(data["class_names"])
    return np.array(data.get("test_per_class") or [data["images"]["test"] / classes] * classes, dtype=np.float64)


def _reduced(method: str, setting: Setting, sets: NDArray[np.float64], tests: NDArray[np.float64]) -> ByClass:
    n, mean = len(sets), sets.mean(0)
    half = np.full(mean.shape, math.nan)
    if n > 1:
        floor = 1 / np.sqrt(12) / np.maximum(tests, 1)
        sd = np.maximum(sets.std(0, ddof=1), floor)
        half = stdtrit(n - 1, 1 - ALPHA / 2) * sd / math.sqrt(n)
    return ByClass(method, setting, mean, np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1), n)
