"""What every section of a run uses: its accuracies, which settings can be read, and the verdicts."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from decoct.report import readable
from decoct.report.accuracy import Accuracy, Runs, Setting, accuracies, by_setting, keys, replicates
from decoct.report.grouped import grouped
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import FULL, REFERENCE
from decoct.report.readable import Unreadable
from decoct.report.stats.answers import Answers
from decoct.report.stats.margin import margin
from decoct.report.verdict import NATIVE, Verdict, verdicts

T = TypeVar("T")


@dataclass(frozen=True)
class Judged:
    """A run's accuracies and verdicts.

    Attributes:
        frame: the tables of the run.
        settings: protocol, student, budget: those planned, without the full data's.
        runs: accuracies of methods by replicate, by method and setting.
        answers: of the students by test image.
        accuracies: means with intervals, the full data's among them.
        margins: below which differences do not matter, by setting.
        unreadable: settings in which nothing can be read.
        outside: settings left out of every count, and why: unreadable, or a paper's own protocol.
        verdicts: one for each method and setting.
    """

    frame: Frame
    settings: tuple[Setting, ...]
    runs: Runs
    answers: Answers
    accuracies: tuple[Accuracy, ...]
    margins: Mapping[Setting, float]
    unreadable: tuple[Unreadable, ...]
    outside: Mapping[Setting, str]
    verdicts: tuple[Verdict, ...] = ()

    def found(self, find: Callable[["Judged"], T]) -> T:
        """What a section finds in the run; computed once."""
        if find not in self._found:
            self._found[find] = find(self)
        found: T = self._found[find]
        return found

    @cached_property
    def _found(self) -> dict[Callable[["Judged"], Any], Any]:
        return {}

    def judge(self, runs: Runs) -> tuple[Verdict, ...]:
        """The verdicts if these were the accuracies."""
        run = self.frame.manifest
        own = {s: {m: runs[m, s] for m in run.methods if (m, s) in runs} for s in self.settings}
        return tuple(
            verdicts(own, run.families, self.margins, self.frame.floor, self.answers, run.deterministic, self.outside)
        )

    @property
    def chance(self) -> float:
        """Accuracy of a constant answer."""
        return readable.constant(self.frame.manifest.data["test_per_class"])


def judge(frame: Frame) -> Judged:
    """Reduce a run's results to accuracies, unreadable settings and verdicts."""
    run, settings, rows = frame.manifest, planned_settings(frame), by_setting(frame.results.to_pylist())
    answers = Answers({key: keys(group) for key, group in rows.items()}, frame.correct)
    reduced = accuracies(rows, answers, run.deterministic)
    random = {a.setting: a.interval.mean for a in reduced if a.method == REFERENCE}
    hard = {setting.protocol for setting in settings if run.labels(setting.protocol) == "hard"}
    images = min(frame.results["test_images"].to_pylist(), default=0)
    chance = readable.constant(run.data["test_per_class"])
    unreadable = readable.unreadable(reduced, settings, chance, hard, images)
    own = Judged(
        frame,
        settings,
        {key: replicates(group) for key, group in rows.items() if key[0] != FULL},
        answers,
        reduced,
        {s: margin(run.margin, random.get(s, math.nan)) for s in settings},
        unreadable,
        {s: NATIVE for s in settings if s.protocol in run.native} | {u.setting: u.why for u in unreadable},
    )
    return replace(own, verdicts=own.judge(own.runs))


def planned_settings(frame: Frame) -> tuple[Setting, ...]:
    """Every planned setting but the ceiling's: protocols and students as planned, budgets by size."""
    labels = [job.labels for job in frame.manifest.of_kind("train") if job.labels["method"] != FULL]
    panels, size = grouped(dict.fromkeys(map(Setting.of, labels)), lambda s: s.panel), frame.manifest.budget_order
    return tuple(s for own in panels.values() for s in sorted(own, key=lambda s: size(s.budget)))
