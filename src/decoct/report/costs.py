"""How the cost of a set is counted: device time or processor time, where machines were alike."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

from decoct.report import wording
from decoct.report.grouped import grouped

Measure = Literal["device time", "processor time"]
Row = Mapping[str, Any]  # of ``Frame.costs``
FULL: dict[Measure, str] = {"device time": "device_seconds", "processor time": "cpu_seconds"}
OWN: dict[Measure, str] = {"device time": "own_device_seconds", "processor time": "own_cpu_seconds"}
SECOND, TENTH = 1.0, 0.1  # the error of a timer: clocks and machines differ as much by chance


def measure(rows: Sequence[Row]) -> Measure | None:
    """The measure that can compare the sets: machines must be alike, and all sets or none held an accelerator."""
    if not rows or len({(row["device"], row["hardware"]) for row in rows}) > 1:
        return None
    if any(row[column] is None for row in rows for column in FULL.values()):
        return None
    held = {row["device_seconds"] > 0 for row in rows}
    return None if len(held) > 1 else "device time" if held.pop() else "processor time"


def ties(seconds: Sequence[float]) -> list[bool]:
    """Which cost at most a second, or a tenth, more than the cheapest: a timer cannot order these."""
    least = min(seconds, default=math.inf)
    return [x <= max(least + SECOND, least * (1 + TENTH)) for x in seconds]


def made_here(rows: Sequence[Row]) -> list[Row]:
    """Rows of sets whose cost was measured; what the author of an external set states is not a measurement."""
    return [row for row in rows if row.get("stated") is None]


def whose(row: Row) -> tuple[str, str]:
    """Method and budget of a row."""
    return row["method"], row["budget"]


def taken(rows: Sequence[Row]) -> dict[str, tuple[float, float]]:
    """Seconds of a set with everything it needs, by method: the least and the most over budgets.

    Empty where the sets cannot be compared, see ``measure``.
    """
    by, spans = measure(rows), dict[str, tuple[float, float]]()
    if by is None:
        return spans
    for method, own in grouped(rows, lambda row: str(row["method"])).items():
        means = [fmean(row[FULL[by]] for row in here) for here in grouped(own, lambda row: row["budget"]).values()]
        spans[method] = min(means), max(means)
    return spans


def shared(
    taken: Mapping[str, tuple[float, float]], families: Mapping[str, str], most: int
) -> list[tuple[str, list[str], str]]:
    """Family, methods and span: equal spans of a family are one line, or all of it where lines would be too many.

    Args:
        taken: seconds by method, in the order of the lines.
        families: by method.
        most: lines.
    """
    lines = grouped(taken, lambda m: (families[m], span(*taken[m])))
    if len(lines) <= most:
        return [(family, own, said) for (family, said), own in lines.items()]
    return [
        (family, own, span(min(taken[m][0] for m in own), max(taken[m][1] for m in own)))
        for family, own in grouped(taken, families.__getitem__).items()
    ]


def span(low: float, high: float) -> str:
    """``9.0 to 17.0 s``; times under a millisecond are given as such."""
    a, b = ("under 1 ms" if x < 1e-3 else wording.seconds(x) for x in (low, high))
    same = a.split(" ")[1:] == b.split(" ")[1:] and a.count(" ") == 1
    return wording.span(a.partition(" ")[0] if same and a != b else a, b)
