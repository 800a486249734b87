"""Limits on what a set may take: images, bytes (images and labels) or seconds (before training)."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from decoct.core.errors import UsageError
from decoct.report import wording

Kind = Literal["images", "bytes", "seconds"]
UNITS: dict[str, tuple[Kind, float]] = {
    **dict.fromkeys(("image", "images"), ("images", 1.0)),
    **dict.fromkeys(("b", "byte", "bytes"), ("bytes", 1.0)),
    **{f"{prefix}b": ("bytes", 1000.0**power) for power, prefix in enumerate("kmgt", 1)},
    **{f"{prefix}ib": ("bytes", 1024.0**power) for power, prefix in enumerate("kmgt", 1)},
    "ms": ("seconds", 1e-3),
    **dict.fromkeys(("s", "sec", "second", "seconds"), ("seconds", 1.0)),
    **dict.fromkeys(("min", "minute", "minutes"), ("seconds", 60.0)),
    **dict.fromkeys(("h", "hour", "hours"), ("seconds", 3600.0)),
}
PART = re.compile(r"\s*(\d[\d,_]*(?:\.\d+)?|\.\d+)\s*([A-Za-z]+)\s*")


@dataclass(frozen=True)
class Limit:
    """At most so many images, bytes (images and labels) or seconds (of device or processor time), above 0."""

    amount: float
    kind: Kind

    def __str__(self) -> str:
        if self.kind == "images":
            return wording.count(int(self.amount), "image").replace(f"{int(self.amount)}", f"{int(self.amount):,}")
        return wording.size(self.amount) if self.kind == "bytes" else wording.seconds(self.amount)


def limit(text: str) -> Limit:
    """The limit that a text such as "100 images", "2 MB", "60 s" or "1 h 30 min" means.

    Raises:
        UsageError: the text is not a limit.
    """
    parts, at = [], 0
    while at < len(text) and (part := PART.match(text, at)):
        parts.append(part.groups())
        at = part.end()
    said = "say a number and images, B, kB, MB, GB, s, min or h, such as '100 images', '2 MB' or '60 s'"
    if not parts or at < len(text):
        raise UsageError(f"'{text}' is not a budget: {said}")
    for _, unit in parts:
        if unit.lower() not in UNITS:
            raise UsageError(f"'{unit}' in '{text}' is not a unit: {said}")
    kinds = {UNITS[unit.lower()][0] for _, unit in parts}
    if len(kinds) > 1:
        raise UsageError(f"'{text}' mixes {' and '.join(sorted(kinds))}: ask for one at a time")
    amount = sum(float(re.sub("[,_]", "", number)) * UNITS[unit.lower()][1] for number, unit in parts)
    kind = kinds.pop()
    if not (0 < amount < math.inf) or (kind == "images" and amount < 1):
        raise UsageError(f"'{text}' is not a budget: it must be above 0")
    return Limit(math.floor(amount) if kind == "images" else amount, kind)


def rounded(values: Iterable[float], most: int = 4) -> list[float]:
    """A few round numbers (1, 2, 5, 10 …) from the smallest value, which the first holds, to the largest."""
    known = sorted(v for v in values if math.isfinite(v) and v > 0)
    if not known:
        return []
    powers = range(math.floor(math.log10(known[0])), math.ceil(math.log10(known[-1])) + 1)
    steps = [m * 10.0**p for p in powers for m in (1, 2, 5)]
    first = next(i for i, step in enumerate(steps) if step >= known[0])
    last = next((i for i, step in enumerate(steps) if step >= known[-1]), len(steps) - 1)
    number = min(most, last - first + 1)
    return [steps[first + round(k * (last - first) / max(number - 1, 1))] for k in range(number)]
