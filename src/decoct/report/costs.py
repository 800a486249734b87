"""How the cost of a set is counted: device time or processor time, where machines were alike."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

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
