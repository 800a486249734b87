"""Spans of time as people write them: 90m, 1h30m, 3d."""

import math
import re

from decoct.core.errors import UsageError

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
PARTS = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?")


def seconds_of(text: str) -> float:
    """Seconds of a span.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    found = PARTS.fullmatch(text.strip().lower().replace(" ", ""))
    total = sum(float(n or 0) * unit for n, unit in zip(found.groups(), UNITS.values(), strict=True)) if found else 0.0
    if not total or not math.isfinite(total):
        raise UsageError(f"cannot read the time '{text}': write it as 90m, 2h, 1h30m or 3d")
    return total
