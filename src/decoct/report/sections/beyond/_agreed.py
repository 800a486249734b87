"""Who covers the data: coverage and a distance of distributions say it together, and the modes must not object.

Each is blind to something alone: a few images about one central mode cover much, and a distance hardly sees modes that
a set lacks (docs/metrics.md shows which). All are of held-out images, in features that made no set.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from decoct.report.grouped import grouped
from decoct.report.standing import FIRST, Name
from decoct.report.stats.intervals import ALPHA
from decoct.report.stats.welch import Contrast

Covers = Literal["better", "worse", "open"]

AGAINST = "val"  # a coreset's images are in train
COVERAGE, DISTANCE, MODES = ("coverage_ratio", "coverage"), ("mmd", "sliced_wasserstein"), ("modes",)
KINDS = (COVERAGE, DISTANCE, MODES)  # of each the first that was read, by class before pooled
NONE_INDEPENDENT = "Every extractor had a part in making a set, so none can say who covers the data better"


@dataclass(frozen=True)
class Check:
    """A reading beside coverage.

    Attributes:
        metric: its name.
        contrasts: method minus every coreset, turned where lower is better.
    """

    metric: str
    contrasts: Mapping[str, Contrast]


@dataclass(frozen=True)
class Coverage:
    """A distillation method at one budget in one extractor's features.

    Attributes:
        method: its label.
        budget: such as "ipc=10".
        name: of the reading: coverage of val beside its expectation, or as it is; by class where it was read so.
        mean: of the method's sets.
        contrasts: method minus every coreset, random included.
        beside: what z says beside random sets of the same size, see ``Standing``; empty where it says nothing.
        z: of the mean; NaN where unknown.
        distance: that must agree; None where none was read.
        modes: that must not object; None where they were not read.
        independent: no set was made in these features; there are no words elsewhere.
        word: *better* than every coreset (intersection-union, then Holm over all methods, budgets and extractors), or
            *worse* than at least one (Holm over all contrasts), each one-sided at 2.5 %; else *open*.
        behind: the coresets that it is shown to be worse than.
    """

    method: str
    budget: str
    name: Name
    mean: float
    contrasts: Mapping[str, Contrast]
    beside: str
    z: float
    distance: Check | None = None
    modes: Check | None = None
    independent: bool = True
    word: Covers = "open"
    behind: tuple[str, ...] = ()

    @property
    def missing(self) -> list[Sequence[str]]:
        """The kinds of readings that are not there."""
        there = (COVERAGE, self), (DISTANCE, self.distance), (MODES, self.modes)
        return [kind for kind, found in there if found is None]

    @property
    def p_better(self) -> float:
        """The largest over the coresets, and over coverage and distance; untested, or with modes against it, 1."""
        ps = [self._together(other, "p_better", "p_worse") for other in self.contrasts]
        return max((1.0 if math.isnan(p) else p for p in ps), default=1.0)

    def p_worse(self, other: str) -> float:
        """The larger of coverage and distance against a coreset; 1 with modes against it; NaN where untested."""
        return self._together(other, "p_worse", "p_better")

    def clashes(self) -> dict[str, list[str]]:
        """Coresets by what the readings say of them, each by itself, where some say better and some worse."""
        own = {self.name.metric: self.contrasts} | {c.metric: c.contrasts for c in (self.distance, self.modes) if c}
        said = {other: split({m: _side(x.get(other)) for m, x in own.items()}) for other in self.contrasts}
        return grouped((other for other in said if said[other]), said.__getitem__)

    def _together(self, other: str, own: str, opposite: str) -> float:
        if self.distance is None or self.modes is None:
            return math.nan
        ps = [float(getattr(c.contrasts[other], own)) for c in (self, self.distance)]
        against = float(getattr(self.modes.contrasts[other], opposite))
        if any(map(math.isnan, (*ps, against))):
            return math.nan
        return 1.0 if against < ALPHA / 2 else max(ps)


def reading(names: Iterable[Name], kind: Sequence[str]) -> Name | None:
    """The one that represents its kind."""
    own = [n for n in names if n.metric in kind and n.reference == AGAINST and n.scope in FIRST]
    return min(own, key=lambda n: (kind.index(n.metric), FIRST.index(n.scope)), default=None)


def missing(kinds: Iterable[Sequence[str]]) -> str:
    """What to measure for an answer, where readings of these kinds are missing."""
    lacking = " and ".join(" or ".join(kind) for kind in kinds)
    return f"Nothing can be said of who covers the data better without {lacking} against {AGAINST}"


def split(words: Mapping[str, str]) -> str:
    """Which readings say better and which worse, such as *coverage better, mmd worse*; empty where they do not clash.

    Args:
        words: by name of the reading.
    """
    sides = {side: [n.replace("_", " ") for n, word in words.items() if word == side] for side in ("better", "worse")}
    return ", ".join(f"{' and '.join(own)} {side}" for side, own in sides.items()) if all(sides.values()) else ""


def _side(x: Contrast | None) -> str:
    """What one contrast shows by itself."""
    return "" if x is None else "better" if x.p_better < ALPHA / 2 else "worse" if x.p_worse < ALPHA / 2 else ""
