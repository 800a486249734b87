"""Test accuracy of a method in a setting, reduced from its students to a mean with an interval."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.report.read.manifest import ALL, FULL
from decoct.report.stats import components, intervals
from decoct.report.stats.answers import Answers
from decoct.report.stats.components import Components
from decoct.report.stats.crossed import FEWEST, crossed
from decoct.report.stats.intervals import Interval, Replicates

Row = Mapping[str, Any]  # of ``Frame.results``


class Setting(NamedTuple):
    """What a comparison holds fixed."""

    protocol: str
    student: str
    budget: str

    @classmethod
    def of(cls, labels: Row) -> "Setting":
        """The setting that a row of the results, or the labels of a job, name."""
        return cls(*(labels[name] for name in cls._fields))

    @property
    def panel(self) -> tuple[str, str]:
        """Protocol and student."""
        return self[:2]

    def __str__(self) -> str:
        return f"{self.protocol}, {self.student}, {wording.budget(self.budget)}"


Rows = Mapping[tuple[str, Setting], Sequence[Row]]  # by method and setting
Runs = Mapping[tuple[str, Setting], Replicates]  # accuracies by method and setting


@dataclass(frozen=True)
class Accuracy:
    """Test accuracy of a method in a setting: mean and 95 % interval over sets and test images.

    Attributes:
        method: its label in the study, or ``full``; the interval of fewer than ``FEWEST`` of its students is Wilson's
            over n test images.
        setting: protocol, student, budget; the budget of ``full`` is "all", or that of the sets whose steps it took.
        interval: fractions, clipped to [0, 1].
        students: trained students behind it.
        images: training images of the set; None if unknown.
        steps: optimiser steps of a student.
        images_seen: images that went through a student.
        image_bytes: of the set's images as PNG, mean over students; None for the full data or if unknown.
        label_bytes: of the labels that a student learnt from, mean over students.
        components: what the students' accuracies vary by; None for the full data.
    """

    method: str
    setting: Setting
    interval: Interval
    students: int
    images: int | None
    steps: int
    images_seen: int
    image_bytes: int | None
    label_bytes: int
    components: Components | None = None

    @property
    def total_bytes(self) -> int | None:
        """Images and labels; None where the images' size is not known."""
        return None if self.image_bytes is None else self.image_bytes + self.label_bytes

    @property
    def ceiling(self) -> bool:
        """Whether it is the full data trained for as long as the protocol says."""
        return self.method == FULL and self.setting.budget == ALL


def by_setting(rows: Iterable[Row]) -> dict[tuple[str, Setting], list[Row]]:
    """Rows of the results by method and setting."""
    return grouped(rows, lambda row: (row["method"], Setting.of(row)))


def accuracies(
    rows: Rows, answers: Answers | None = None, deterministic: Collection[str] = frozenset()
) -> tuple[Accuracy, ...]:
    """One accuracy for each method and setting that has a student.

    Args:
        rows: of the results.
        answers: of the students by test image, for the variance that the test images add.
        deterministic: methods whose students are all of one set.
    """
    return tuple(
        _reduced(method, setting, group, answers, method in deterministic) for (method, setting), group in rows.items()
    )


def replicates(rows: Sequence[Row]) -> Replicates:
    """Accuracy by (condense, train) replicate."""
    return {(row["condense_replicate"], row["train_replicate"]): row["accuracy"] for row in rows}


def keys(rows: Sequence[Row]) -> dict[tuple[int, int], str]:
    """Keys of the results by (condense, train) replicate."""
    return {(row["condense_replicate"], row["train_replicate"]): row["key"] for row in rows}


def same_steps(accuracies: Sequence[Accuracy], setting: Setting) -> Accuracy | None:
    """The full data's accuracy after as many steps as the setting's sets took.

    Where the ceiling itself took as many steps as every set, it serves for both and was trained once.
    """
    full = [a for a in accuracies if a.method == FULL]
    if own := [a for a in full if a.setting == setting]:
        return own[0]
    steps = {a.steps for a in accuracies if a.setting == setting and a.method != FULL}
    return next((a for a in full if a.setting.panel == setting.panel and steps == {a.steps}), None)


def _reduced(method: str, setting: Setting, rows: Sequence[Row], answers: Answers | None, one_set: bool) -> Accuracy:
    parts = None
    if method == FULL and len({row["condense_replicate"] for row in rows}) < FEWEST:
        images = rows[0]["test_images"]  # the same for the students of several runs
        interval = intervals.wilson(fmean(row["accuracy"] for row in rows) * images, images)
    else:
        # One set's own accuracy moves on the grid too, by half the variance of a difference.
        floor = intervals.grid_floor(rows[0]["test_images"]) / math.sqrt(2)
        tally = answers.accuracy(method, setting) if answers else None
        interval = intervals.clip(crossed(replicates(rows), tally, floor).interval, 0, 1)
        if method != FULL:
            parts = components.components(replicates(rows), tally.deviation if tally else None, one_set)
    sizes = [row["image_bytes"] for row in rows]
    return Accuracy(
        method,
        setting,
        interval,
        students=len(rows),
        images=rows[0]["images"],
        steps=max(row["steps"] for row in rows),
        images_seen=max(row["images_seen"] for row in rows),
        image_bytes=None if None in sizes else round(fmean(sizes)),
        label_bytes=round(fmean(row["label_bytes"] for row in rows)),
        components=parts,
    )
