"""Does a method cover the data less well everywhere? Over all budgets and all extractors that made no set.

A place is a budget in one extractor's features, of one data set. What covering less is, ``_agreed`` says. In a place
the p of "covers no less than the best coreset" is the smallest over the coresets times their number; of all places it
is the largest (intersection-union), and Holm goes over the methods.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.report.sections.beyond._agreed import Coverage
from decoct.report.stats import comparisons, superiority
from decoct.report.stats.intervals import ALPHA


@dataclass(frozen=True)
class Consistent:
    """One distillation method over all places.

    Attributes:
        method: its label.
        p: of "it covers no less somewhere".
        shown: that it covers less everywhere, after Holm over the methods.
        places: in all.
        behind: where it is shown to cover less, after Holm over all methods and places; all of them where ``shown``.
    """

    method: str
    p: float
    shown: bool
    places: int
    behind: int

    @property
    def where(self) -> str:
        """In how many places it covers less."""
        of = wording.count(self.places, "combination")
        every = {1: "the one combination", 2: "both combinations"}.get(self.places, f"all {of}")
        return every if self.shown else f"{self.behind or 'none'} of {of}"


def sentences(found: Iterable[Consistent]) -> tuple[str, ...]:
    """One for all methods that cover less in as many places, without full stops."""
    return tuple(
        f"{wording.joined([c.method for c in own])} {'covers' if len(own) == 1 else 'cover'} less than the best "
        f"coreset in {where} of budget and independent extractor"
        for where, own in grouped(found, lambda c: c.where).items()
    )


def consistencies(covered: Sequence[Coverage]) -> tuple[Consistent, ...]:
    """One for each method.

    Args:
        covered: of one data set or of several; independent extractors count.
    """
    there = [c for c in covered if c.independent and c.contrasts]
    p = [behind(c) for c in there]
    places = grouped(zip(there, p, comparisons.holm(p), strict=True), lambda place: place[0].method)
    whole = [superiority.everywhere(one for _, one, _ in own) for own in places.values()]
    found = []
    for (method, own), one, adjusted in zip(places.items(), whole, comparisons.holm(whole), strict=True):
        shown, alone = adjusted < ALPHA / 2, sum(q < ALPHA / 2 for *_, q in own)
        found.append(Consistent(method, one, shown, len(own), len(own) if shown else alone))
    return tuple(found)


def behind(c: Coverage) -> float:
    """p of "covers no less than the best coreset"; NaN where nothing can be tested."""
    known = [p for other in c.contrasts if not math.isnan(p := c.p_worse(other))]
    return min(1.0, len(c.contrasts) * min(known)) if known else math.nan
