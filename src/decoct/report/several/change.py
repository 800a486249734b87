"""How much a number changed between two runs, in which words that may be said, and the row of a table that says it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from decoct.report import wording
from decoct.report.stats import comparisons, intervals
from decoct.report.stats.comparisons import Word, welch
from decoct.report.stats.intervals import ALPHA, Interval, Replicates


@dataclass(frozen=True)
class Change:
    """The second run minus the first.

    Attributes:
        interval: mean difference with its own 95 % interval; its n is that of the smaller side.
        n: condense-level means in the first and in the second run; the pairs, twice, where they pair.
        paired: over replicates that share their seeds; else Welch's t.
        p: two-sided, of "no change"; NaN where no spread is known.
        p_equivalent: larger p of the two one-sided tests of equivalence; NaN without a margin.
        word: after Holm over its family, see ``worded``.
    """

    interval: Interval
    n: tuple[int, int]
    paired: bool
    p: float
    p_equivalent: float = math.nan
    word: Word = "undecided"

    @property
    def counted(self) -> str:
        """``n = 5 pairs``, or both sides' numbers."""
        return f"n = {wording.count(self.n[0], 'pair')}" if self.paired else f"n = {self.n[0]} + {self.n[1]}"


@dataclass(frozen=True)
class Row:
    """What both runs have of one method.

    Attributes:
        title: of the table that it stands in.
        cells: its line there: names, the first run, the second, difference or ratio.
        end: what stands quietly behind them: the word, n.
        facts: the same for JSON.
        change: None where both runs hold the very same values, and for a ratio.
    """

    title: str
    cells: tuple[str, ...]
    end: tuple[str, ...]
    facts: Mapping[str, Any]
    change: Change | None = None


def row(
    title: str, cells: tuple[str, ...], facts: Mapping[str, Any], change: Change | None, same: str, judged: bool = True
) -> Row:
    """The row of a change.

    Args:
        title, cells, facts: as of ``Row``; facts without the change.
        change: None where nothing can differ.
        same: what is said of that.
        judged: there is a better and a worse; else the row has no word.
    """
    told = dict.fromkeys(("difference", "ci95", "n", "paired", "p", "verdict"))
    if change is None:
        return Row(title, cells, (same, ""), {**facts, "same": True, **told, "difference": 0.0})
    told |= {"difference": change.interval.mean, "ci95": bounds(change.interval), "n": list(change.n)}
    told |= {"paired": change.paired, "p": change.p, "verdict": change.word}
    return Row(title, cells, (change.word * judged, change.counted), {**facts, "same": False, **told}, change)


def same(a: Mapping[tuple[int, int], object], b: Mapping[tuple[int, int], object]) -> bool:
    """Whether the replicates that both have are the same."""
    both = a.keys() & b.keys()
    return bool(both) and all(a[r] == b[r] for r in both)


def span(i: Interval) -> str:
    """A value with its interval, if it has one, in three digits."""
    return wording.reading(i.mean) + (f" [{wording.reading(i.lo)}, {wording.reading(i.hi)}]" if i.lo == i.lo else "")


def bounds(i: Interval) -> list[float] | None:
    """For JSON."""
    return [i.lo, i.hi] if math.isfinite(i.lo) and math.isfinite(i.hi) else None


def change(a: Replicates, b: Replicates, paired: bool, floor: float = 0.0, margin: float | None = None) -> Change:
    """b − a over condense-level means.

    Args:
        a, b: by (condense, train) replicate.
        paired: replicates of one number share their seeds, so that their differences count.
        floor: the smallest standard deviation of a difference to believe, see ``intervals.grid_floor``.
        margin: of equivalence; None where none is known.
    """
    if paired:
        c = comparisons.compare(intervals.paired(b, a), margin or math.inf, floor)
        equivalent = c.p_equivalent if margin else math.nan
        return Change(Interval(c.mean, c.lo, c.hi, c.n), (c.n, c.n), True, 2 * min(c.p_better, c.p_worse), equivalent)
    first, second = intervals.condense_means(a), intervals.condense_means(b)
    own = floor / math.sqrt(2)  # one side moves by half the variance of a difference
    w, equivalent = welch(second, first, own), math.nan
    if margin:
        above = welch([x + margin for x in second], first, own).p_better
        equivalent = max(above, welch([x - margin for x in second], first, own).p_worse)
    return Change(Interval(w.mean, w.lo, w.hi, min(w.n)), w.n[::-1], False, 2 * min(w.p_better, w.p_worse), equivalent)


def worded(changes: Sequence[Change], higher: Sequence[bool]) -> list[Change]:
    """The changes with their words, which hold over the whole family.

    *equivalent* where both one-sided tests reject at 5 % after Holm; else *better* or *worse* where the two-sided p is
    below 5 % after Holm; else *undecided*, which says nothing of equality.

    Args:
        changes: of one family; what has no p is no test, stays undecided and makes no other one harder.
        higher: whether higher is better, for each.
    """
    different, alike = _adjusted([c.p for c in changes]), _adjusted([c.p_equivalent for c in changes])
    words: list[Word] = []
    for c, p, q, up in zip(changes, different, alike, higher, strict=True):
        moved: Word = "better" if (c.interval.mean > 0) == up else "worse"
        words.append("equivalent" if q < ALPHA else moved if p < ALPHA else "undecided")
    return [replace(c, word=word) for c, word in zip(changes, words, strict=True)]


def _adjusted(p_values: Sequence[float]) -> list[float]:
    """Holm over those that are there; NaN for the rest."""
    there = iter(comparisons.holm([p for p in p_values if not math.isnan(p)]))
    return [math.nan if math.isnan(p) else next(there) for p in p_values]
