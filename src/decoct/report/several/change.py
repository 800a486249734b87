"""How much a number changed between two runs, and in which words that may be said."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from decoct.report import stats
from decoct.report.stats import ALPHA, Interval, Replicates, Word
from decoct.report.unpaired import welch


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


def change(a: Replicates, b: Replicates, paired: bool, floor: float = 0.0, margin: float | None = None) -> Change:
    """b − a over condense-level means.

    Args:
        a, b: by (condense, train) replicate.
        paired: replicates of one number share their seeds, so that their differences count.
        floor: the smallest standard deviation of a difference to believe, see ``stats.grid_floor``.
        margin: of equivalence; None where none is known.
    """
    if paired:
        values = stats.paired(b, a)
        c = stats.compare(values, margin or math.inf, floor)
        equivalent = c.p_equivalent if margin else math.nan
        return Change(Interval(c.mean, c.lo, c.hi, c.n), (c.n, c.n), True, 2 * min(c.p_better, c.p_worse), equivalent)
    first, second = stats.condense_means(a), stats.condense_means(b)
    own = floor / math.sqrt(2)  # one side moves by half the variance of a difference
    w = welch(second, first, own)
    equivalent = math.nan
    if margin:
        above = welch([x + margin for x in second], first, own).p_better
        below = welch([x - margin for x in second], first, own).p_worse
        equivalent = max(above, below)
    interval = Interval(w.mean, w.lo, w.hi, min(len(first), len(second)))
    return Change(interval, (len(first), len(second)), False, 2 * min(w.p_better, w.p_worse), equivalent)


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
    there = iter(stats.holm([p for p in p_values if not math.isnan(p)]))
    return [math.nan if math.isnan(p) else next(there) for p in p_values]
