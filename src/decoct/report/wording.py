"""How numbers and names are written: for people percent, points, seconds, bytes; for JSON plain values."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from decoct.core.budget import Budget
from decoct.report.stats.comparisons import Comparison, Word
from decoct.report.stats.crossed import FEWEST
from decoct.report.stats.intervals import Interval

MINUS, NONE = "−", "–"
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def budget(text: str) -> str:
    """``ipc=10`` as ``IPC 10``, ``fraction=0.1`` as ``10 % of each class``; other words as they are."""
    read = Budget.read(text)
    if read is None:
        return text
    if read.fraction is not None:
        return f"{100 * read.fraction:.10g} %{', balanced' if read.balanced else ' of each class'}"
    if read.images is not None:
        return f"{read.images:,} image{'s' * (read.images > 1)}{'' if read.balanced is None else ', unbalanced'}"
    return f"IPC {read.ipc}"


def percent(value: float) -> str:
    """A fraction as percent with one decimal, without the sign."""
    return f"{100 * value:.1f}" if math.isfinite(value) else NONE


def points(value: float) -> str:
    """A difference of fractions in percentage points with its sign."""
    text = f"{100 * value:+.1f}"
    return text.replace("-", MINUS) if float(text) else "0.0"


def bounds(lo: float, hi: float) -> str:
    """An interval of differences, in points; empty where there is none."""
    if not math.isfinite(lo):
        return ""
    return "[" + ", ".join(f"{100 * x:.1f}".replace("-", MINUS).replace(f"{MINUS}0.0", "0.0") for x in (lo, hi)) + "]"


def difference(i: Interval | Comparison, unit: str = "") -> str:
    """``+2.1 [0.4, 3.8]``, in points; the unit stands behind the number."""
    return f"{points(i.mean)}{unit} {bounds(i.lo, i.hi)}".rstrip()


def accuracy(interval: Interval) -> str:
    """``71.2 [69.8, 72.6]`` in percent."""
    return f"{percent(interval.mean)} {bounds(interval.lo, interval.hi)}".rstrip()


def margin(value: float) -> str:
    """``1 point``."""
    return f"{100 * value:.3g} point{'' if value == 0.01 else 's'}"


def margins(values: Iterable[float]) -> str:
    """Of several settings: ``1 point``, or ``0.2 to 1 point``."""
    low, high = min(known := list(values), default=0.01), max(known, default=0.01)
    return margin(high) if low == high else f"{100 * low:.2g} to {margin(high)}"


def count(number: int, noun: str) -> str:
    """``1 setting``, ``2 settings``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def joined(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def few(words: Sequence[str], most: int = 3) -> str:
    """``a, b and c``; with more words ``a, b, c and 4 more``."""
    return joined(words if len(words) <= most else [*words[:most], f"{len(words) - most} more"])


def number(n: int) -> str:
    """``seven``; beyond twelve in figures."""
    return NUMBERS[n] if n < len(NUMBERS) else f"{n:,}"


def span(low: str, high: str) -> str:
    """``1 to 3``, or ``1`` where the two are the same."""
    return low if low == high else f"{low} to {high}"


def seconds(value: float | None) -> str:
    """``0.46 ms``, ``85 ms``, ``4.2 s``, ``3 min 10 s``, ``2 h 5 min``."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    if value < 1:
        return f"{1000 * value:.0f} ms" if value >= 9.5e-3 else f"{1000 * value:.2g} ms"
    if value < 100:
        return f"{value:.1f} s"
    if value < 3600:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{int(value // 3600)} h {int(value % 3600 // 60)} min"


def size(value: float | None) -> str:
    """``0``, ``812 B``, ``4.1 kB``, ``5.67 GB``; powers of 1000."""
    if value is None or not math.isfinite(value):
        return NONE
    if value < 1000:
        return f"{value:.0f} B" if value else "0"
    power = min(int(math.log10(value) // 3), 4)
    return f"{value / 1000**power:.3g} {'kMGT'[power - 1]}B"


def reading(value: float | None) -> str:
    """A metric's value with three significant digits."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:#.3g}".rstrip(".").replace("-", MINUS)


def multiple(value: float) -> str:
    """A multiple: three digits, all digits above 100."""
    if not math.isfinite(value):
        return NONE
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


def comparison(method: str, reference: str, c: Comparison) -> str:
    """One paired comparison as a sentence that gives word, difference, interval and n."""
    if c.n == 0:
        return f"{method} and {reference} share no replicate: nothing can be said"
    if c.n < FEWEST:
        return f"{method} against {reference} is open: {points(c.mean)} points, n = {c.n}; it takes {FEWEST} replicates"
    numbers = f"{points(c.mean)} points {bounds(c.lo, c.hi)}, n = {c.n}"
    if c.verdict == "same":
        inside = f"{points(c.mean)} points, 90 % interval {bounds(*c.inner)}, n = {c.n}"
        return f"{method} is the same as {reference} within {margin(c.margin)}: {inside}"
    if c.verdict in ("better", "worse"):
        return f"{method} is {c.verdict} than {reference}: {numbers}"
    if c.family == 0:  # outside every family: no number of replicates gives it a word
        return f"{method} against {reference} {_leans(c.verdict)}: {numbers}"
    more = f"about {c.needed} sets would decide" if c.needed else "no number of sets up to 1,000 would decide"
    return f"{method} against {reference} {_leans(c.verdict)}: {numbers}; {more}"


def _leans(word: Word) -> str:
    return word if word.startswith("leans") else f"is {word}"


def plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table for ``json.dumps``: dicts, lists, and None for a number that is not finite."""
    return {key: _plain(value) for key, value in table.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
