"""How far two cells of one job are apart, in the terms of what is in them: losses, picks, images, answers, numbers.

Draws are the same on every device, so two cells differ by rounding alone. That is little at the first loss and grows
from step to step: Adam's first steps are as long for a gradient of 1e-9 as for one of 1, whatever its sign.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from devices.jobs import MEASURED, content, distance

# The most in real float32. On one CPU, with oneDNN's kernels and without, it was 3e-6, 0, .01, 4e-4, 0 and .0012.
EXACT = {"loss": 0.001, "picks": 0.0, "mean": 0.5, "last": 0.05, "answers": 0.1, "readings": 0.02, "numbers": 0.02}
TINY = 1e-3
ROUNDED = {"loss": 0.1, "mean": 20.0, "numbers": 0.1}  # where products are rounded to TF32 or bfloat16
SAID = (
    "The device's cells are made with the same draws, from inputs that the CPU made, so that numbers differ by "
    "rounding alone. A row agrees without TF32 if first losses are apart by at most {loss:.1%}, picks by none, images "
    "by {mean} of 255 on average, a student's last loss by {last:.0%} and its answers by {answers:.0%}, and "
    "readings by {readings:.0%}, other numbers, such as weights or features, by {numbers:.0%} of their norm. ".format(
        **EXACT
    )
    + "Where products are rounded to TF32 or bfloat16 it is {loss:.0%} of first losses, {mean:.0f} levels and "
    "{numbers:.0%}; picks, answers and readings may be others there: scores that are near have no order.".format(
        **ROUNDED
    )
)


@dataclass(frozen=True)
class Apart:
    """Distances; None for what a job does not have.

    Attributes:
        loss: largest relative one of the first losses.
        picks: share of the picks that are not the same.
        mean: of images, in levels of 255: mean over all pixels.
        most: likewise the largest.
        last: of a student's loss over its last steps, where it took more than one.
        answers: share of the images, a student's for test, of which one net is right and the other is not.
        readings: largest relative one of metrics' values, some of which count images; below ``TINY`` nothing is
            relative, since a distance of 0 comes out as rounding leaves it.
        numbers: ‖a − b‖ / ‖a‖ of whatever else numbers are, such as weights or features, of the file that has most.
    """

    loss: float | None = None
    picks: float | None = None
    mean: float | None = None
    most: float | None = None
    last: float | None = None
    answers: float | None = None
    readings: float | None = None
    numbers: float | None = None

    def cells(self) -> list[str]:
        """For a table."""
        forms = {
            "loss": ".1e",
            "picks": ".0%",
            "mean": ".2f",
            "most": ".0f",
            "last": ".1e",
            "answers": ".0%",
            "readings": ".1e",
            "numbers": ".1e",
        }
        return [_said(getattr(self, each.name), forms[each.name]) for each in fields(self)]

    def why_not(self, limits: Mapping[str, float] = EXACT) -> str:
        """What is further apart than rounding explains; empty where all agrees."""
        return ", ".join(name for name, most in limits.items() if not (getattr(self, name) or 0.0) <= most)


def _said(value: float | None, form: str) -> str:
    return "" if value is None else "0" if value == 0 else format(value, form)


HEAD = ["first loss", "picks", "images, mean", "most", "last loss", "answers", "readings", "numbers"]


def apart(expected: Path, found: Path) -> Apart:
    """How far two cells of one job are apart."""
    given: dict[str, float] = {}

    def grow(name: str, value: float) -> None:
        given[name] = max(given.get(name, 0.0), value)

    for file in sorted(path for path in expected.rglob("*") if path.is_file()):
        name = file.relative_to(expected).as_posix()
        if name in MEASURED or file.suffix not in (".safetensors", ".npy", ".json"):
            continue
        want, got = content(file), content(found / name)
        if name == "condensed.safetensors":
            for what, value in _of_sets(want, got):
                grow(what, value)
        elif name == "correct.npy" and (expected / "result.json").is_file():
            tested = json.loads((expected / "result.json").read_text("utf-8"))["test_images"]
            grow("answers", float(np.unpackbits(want[""] ^ got[""]).sum() / tested))
        elif name == "correct.npy":  # of dynamics, a number for each image
            grow("answers", float((want[""] != got[""]).mean()))
        elif name == "readings.json":
            grow("readings", _relative(want, got))
        elif name.endswith(".json"):
            end = "last" if want.get(".steps", 1) > 1 and name == "result.json" else "loss"
            for key in want:
                if ("loss" in key or key.endswith("_first")) and not key.endswith("_last"):
                    grow(end, distance({"": want[key]}, {"": got.get(key, np.float64(math.nan))}))
        else:
            grow("numbers", _norm(want, got))
    return Apart(**given)


def _of_sets(want: dict[str, Any], got: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Distances of two sets' picks or images."""
    if "indices" in want:
        same = np.isin(want["indices"], got["indices"])
        yield "picks", float((~same).mean())
    elif "images" in want:
        levels = 1.0 if want["images"].dtype == np.uint8 else 255.0
        far = np.abs(want["images"].astype(np.float64) - got["images"]) * levels
        far[np.isnan(far)] = math.inf
        yield from (("mean", float(far.mean())), ("most", float(far.max())))


def _relative(want: Mapping[str, Any], got: Mapping[str, Any]) -> float:
    """The largest difference of two readings over the larger of them; infinite if names differ, or one alone is NaN."""
    if want.keys() != got.keys():
        return math.inf
    worst = 0.0
    for a, b in ((float(want[name]), float(got[name])) for name in want):
        if math.isnan(a) != math.isnan(b):
            return math.inf
        if not math.isnan(a) and a != b:
            worst = max(worst, abs(a - b) / max(abs(a), abs(b), TINY))
    return worst


def _norm(want: dict[str, Any], got: dict[str, Any]) -> float:
    """‖a − b‖ / ‖a‖ over all arrays of a file; infinite if names or shapes differ, or one alone has NaN."""
    apart = size = 0.0
    for name, a in want.items():
        if name not in got or np.shape(a) != np.shape(got[name]):
            return math.inf
        a, b = np.asarray(a, np.float64), np.asarray(got[name], np.float64)
        if (np.isnan(a) != np.isnan(b)).any():
            return math.inf
        there = ~np.isnan(a)
        apart, size = apart + np.square(a - b)[there].sum(), size + np.square(a)[there].sum()
    return math.sqrt(apart / size) if apart else 0.0
