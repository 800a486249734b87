"""Test accuracy of a method in a setting, reduced from its students to a mean with an interval."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from decoct.report.findings.verdict import Setting
from decoct.report.read.manifest import ALL, FULL
from decoct.report.stats import intervals, nested
from decoct.report.stats.answers import Answers
from decoct.report.stats.intervals import Interval, Replicates
from decoct.report.stats.nested import Components

Rows = Mapping[tuple[str, Setting], Sequence[Mapping[str, Any]]]  # of the results, by method and setting


@dataclass(frozen=True)
class Accuracy:
    """Test accuracy of a method in a setting: mean and 95 % interval over condense-level means, n of them.

    Attributes:
        method: its label in the study, or ``full``, whose interval is Wilson's over n test images.
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


def accuracies(
    rows: Rows, answers: Answers | None = None, deterministic: Collection[str] = frozenset()
) -> tuple[Accuracy, ...]:
    """One accuracy for each method and setting that has a student.

    Args:
        rows: of the results.
        answers: of the students by test image, for what the test images add.
        deterministic: methods whose students are all of one set.
    """
    return tuple(
        replace(
            _reduced(method, setting, group), components=_components(method, setting, group, answers, deterministic)
        )
        for (method, setting), group in rows.items()
    )


def _components(
    method: str, setting: Setting, rows: Sequence[Mapping[str, Any]], answers: Answers | None, one_set: Collection[str]
) -> Components | None:
    if method == FULL:
        return None
    found = answers.accuracy(method, setting) if answers else None
    return nested.components(replicates(rows), found.deviation if found else None, method in one_set)


def replicates(rows: Sequence[Mapping[str, Any]]) -> Replicates:
    """Accuracy by (condense, train) replicate."""
    return {(row["condense_replicate"], row["train_replicate"]): row["accuracy"] for row in rows}


def keys(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[int, int], str]:
    """Keys of the results by (condense, train) replicate."""
    return {(row["condense_replicate"], row["train_replicate"]): row["key"] for row in rows}


def _reduced(method: str, setting: Setting, rows: Sequence[Mapping[str, Any]]) -> Accuracy:
    if method == FULL:
        images = sum(row["test_images"] for row in rows)
        interval = intervals.wilson(sum(row["accuracy"] * row["test_images"] for row in rows), images)
    else:
        # One set's own accuracy moves on the grid too, by half the variance of a difference.
        floor = intervals.grid_floor(rows[0]["test_images"]) / math.sqrt(2)
        interval = intervals.clip(nested.interval(replicates(rows), floor), 0, 1)
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
    )
