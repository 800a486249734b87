"""What a method's sets cost in two runs; time is compared between like machines alone."""

import math
from collections.abc import Callable, Iterable
from statistics import fmean

from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.report.read.frame import Frame
from decoct.report.several.change import Row, bounds, change, span
from decoct.report.stats.intervals import Interval

TIMES = {"seconds": ("total_seconds",), "processor seconds": ("cpu_seconds",)}  # by name: the columns
COSTS = {**TIMES, "bytes": ("image_bytes", "label_bytes")}


def prices(a: Frame, b: Frame) -> Iterable[Row]:
    """Seconds, processor seconds and bytes of every method and budget that both have, with teachers and features.

    Means over sets, and their ratio: the geometric mean with the 95 % interval of Welch's t over logarithms; there is
    none where the machines were not alike, or one cost nothing.
    """
    first, second = (grouped(frame.costs.to_pylist(), lambda row: (row["method"], row["budget"])) for frame in (a, b))
    for (method, budget), own in first.items():
        sides = own, second.get((method, budget), [])
        where = [{(row["device"], row["hardware"]) for row in side} for side in sides]
        alike = where[0] == where[1] and len(where[0]) == 1
        for what, columns in COSTS.items():
            parts = [[[row[column] for column in columns] for row in side] for side in sides]
            values = [[sum(own) for own in side if None not in own] for side in parts]
            if all(values):
                means, ratio = list(map(fmean, values)), _ratio(*values) if alike or what not in TIMES else None
                yield _row(method, budget, what, means, ratio)


def _row(method: str, budget: str, what: str, means: list[float], ratio: Interval | None) -> Row:
    said: Callable[[float], str] = wording.seconds if what in TIMES else wording.size
    facts = {"method": method, "budget": budget, "cost": what, "a": means[0], "b": means[1]}
    known = (ratio.mean, bounds(ratio), ratio.n) if ratio else (None, None, None)
    facts |= zip(("ratio", "ci95", "n"), known, strict=True)
    return Row(
        f"{wording.budget(budget)}, cost of a set with what it stands on",
        (what, method, *map(said, means), span(ratio) if ratio else "machines differ"),
        (f"n = {ratio.n}" if ratio else "",),
        facts,
    )


def _ratio(a: list[float], b: list[float]) -> Interval | None:
    if min(*a, *b) <= 0:
        return None
    logs = [{(i, 0): math.log(x) for i, x in enumerate(side)} for side in (a, b)]
    i = change(logs[0], logs[1], paired=False).interval
    return Interval(math.exp(i.mean), math.exp(i.lo), math.exp(i.hi), i.n)
