"""Accuracy by class: which classes a set teaches well, and which it does not."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from decoct.report import wording
from decoct.report.accuracy import Setting
from decoct.report.grouped import grouped
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import content, fold, note, place
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import FULL
from decoct.report.stats.intervals import ALPHA

FEW, ENDS = 20, 10  # classes that are all shown; classes shown at each end where there are more


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
    run, tests, trained = frame.manifest, images(frame), set(frame.results["key"].to_pylist())
    jobs = (job for job in run.of_kind("train") if job.key in trained and job.labels["method"] != FULL)
    for (method, setting), own in grouped(jobs, lambda job: (job.labels["method"], Setting.of(job.labels))).items():
        sets = grouped(own, lambda job: job.labels["condense_replicate"]).values()
        right = ([frame.per_class[job.key] for job in students] for students in sets)
        means = [np.mean(np.array(students, np.float64), axis=0) for students in right]  # None becomes NaN
        yield _reduced(method, setting, np.array(means), tests)


def images(frame: Frame) -> NDArray[np.float64]:
    """Test images of each class."""
    return np.array(frame.manifest.data["test_per_class"], dtype=np.float64)


def _reduced(method: str, setting: Setting, sets: NDArray[np.float64], tests: NDArray[np.float64]) -> ByClass:
    n, mean = len(sets), sets.mean(0)
    half = np.full(mean.shape, math.nan)
    if n > 1:
        floor = 1 / np.sqrt(12) / np.maximum(tests, 1)
        sd = np.maximum(sets.std(0, ddof=1), floor)
        half = stdtrit(n - 1, 1 - ALPHA / 2) * sd / math.sqrt(n)
    return ByClass(method, setting, mean, np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1), n)


def show(view: View, frame: Frame) -> Markup:
    """A table for each setting; nothing where nothing is trained or there is one class."""
    names: list[str] = frame.manifest.data["class_names"]
    placed = {(each.method, each.setting): each for each in by_class(frame)}
    if not placed or len(names) < 2:
        return Markup()
    blocks = []
    for setting in view.settings:
        own = [placed[label, setting] for label in view.methods if (label, setting) in placed]
        if own:
            made = (_all if len(names) <= FEW else _ends)(view, own, names)
            blocks.append(fold(join([place(setting), _lowest(own, names)]), made))
    counts = images(frame)
    tests = wording.span(f"{counts.min():,.0f}", f"{counts.max():,.0f}")
    shown = "Classes are sorted by mean accuracy, the lowest first. "
    if len(names) > FEW:
        shown = (
            f"Shown are each method's {ENDS} worst and {ENDS} best of {len(names):,} classes; the ends of so long a "
            "list owe much to chance. All classes are in tables/classes.csv beside this page. "
        )
    about = note(
        f"Test accuracy by class in percent: means over a method's sets with 95 % t intervals{view.given}. A class has "
        f"{tests} test images, on which the intervals condition. ",
        shown,
    )
    return content(about, *blocks)


def _all(view: View, own: Sequence[ByClass], names: Sequence[str]) -> Markup:
    """Classes down, methods across."""
    mean = [sum(each.mean[c] for each in own) / len(own) for c in range(len(names))]
    order = sorted(range(len(names)), key=lambda c: (math.isnan(mean[c]), mean[c]))  # what is not defined, last
    head = columns("class", *(view.method(each.method) for each in own))
    return table(head, (cells(name(names[c]), *(_cell(each, c) for each in own)) for c in order), class_="grid")


def _ends(view: View, own: Sequence[ByClass], names: Sequence[str]) -> Markup:
    """A row for each method and class at an end."""
    rows = []
    for each in own:
        order = each.order()
        ends = [(c, "worst") for c in order[:ENDS]] + [(c, "best") for c in order[ENDS:][-ENDS:][::-1]]
        rows += [cells(view.method(each.method), end, name(names[c]), _cell(each, c)) for c, end in ends]
    return table(columns("method", "end", "class", "accuracy"), rows)


def _cell(each: ByClass, c: int) -> Markup:
    bounds = wording.bounds(each.lo[c], each.hi[c])
    small = tag("small", f"{bounds} " if bounds else "", f"n = {each.n}")
    return valued(float(each.mean[c]), tag("b", wording.percent(each.mean[c])), " ", small)


def _lowest(own: Sequence[ByClass], names: Sequence[str]) -> Markup:
    """The worst class of all, so that a closed table says something."""
    ends = [(each.mean[c], name(names[c]), name(each.method)) for each in own for c in each.order()[:1]]
    value, of, method = min(ends, key=lambda end: end[0], default=(math.nan, "", ""))
    return tag("small", f" lowest: {wording.percent(value)} % of class ", of, " with ", method) if ends else Markup()


def say(frame: Frame) -> str:
    """The class of the lowest accuracy, with the method and the setting; empty where nothing is trained."""
    names: list[str] = frame.manifest.data["class_names"]
    ends = [(each.mean[c], names[c], each) for each in by_class(frame) for c in each.order()[:1]]
    if not ends or len(names) < 2:
        return ""
    value, of, each = min(ends, key=lambda end: end[0])
    return f"The lowest accuracy is {wording.percent(value)} %, for class {of} with {each.method} ({each.setting})"


SECTION = Section("By class", 110, lambda s: show(s, s.frame), lambda s: say(s.frame))
