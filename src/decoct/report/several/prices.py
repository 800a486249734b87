"""What a method's sets cost in two runs; time is compared between like machines alone."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from decoct.report.frame import Frame
from decoct.report.several.change import change
from decoct.report.stats import Interval

COSTS = {"seconds": "total_seconds", "processor seconds": "cpu_seconds", "bytes": "bytes"}  # by name: the column
TIMES = ("seconds", "processor seconds")


@dataclass(frozen=True)
class Priced:
    """What a method's sets cost in both runs.

    Attributes:
        method, budget: whose.
        what: a key of ``COSTS``.
        a, b: means over sets.
        ratio: b over a: geometric mean with the 95 % interval of Welch's t over logarithms; None where the machines
            were not alike, or one cost nothing.
    """

    method: str
    budget: str
    what: str
    a: float
    b: float
    ratio: Interval | None


def prices(a: Frame, b: Frame) -> Iterable[Priced]:
    """Seconds, processor seconds and bytes of every method and budget that both have, with teachers and features."""
    rows = [_sets(frame) for frame in (a, b)]
    for key in (key for key in rows[0] if key in rows[1]):
        own = rows[0][key], rows[1][key]
        where = [{(row["device"], row["hardware"]) for row in side} for side in own]
        alike = where[0] == where[1] and len(where[0]) == 1
        for what, column in COSTS.items():
            values = [[row[column] for row in side if row[column] is not None] for side in own]
            if all(values):
                ratio = _ratio(values[0], values[1]) if alike or what not in TIMES else None
                yield Priced(*key, what, fmean(values[0]), fmean(values[1]), ratio)


def _sets(frame: Frame) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in frame.costs.to_pylist():
        sizes = row["image_bytes"], row["label_bytes"]
        row["bytes"] = None if None in sizes else sum(sizes)
        found.setdefault((row["method"], row["budget"]), []).append(row)
    return found


def _ratio(a: list[float], b: list[float]) -> Interval | None:
    if min(*a, *b) <= 0:
        return None
    logs = [{(i, 0): math.log(x) for i, x in enumerate(side)} for side in (a, b)]
    i = change(logs[0], logs[1], paired=False).interval
    return Interval(math.exp(i.mean), math.exp(i.lo), math.exp(i.hi), i.n)
