"""What a job will take, from what is known of jobs that are like it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Literal

from decoct.run.planning.likeness import Likeness

Source = Literal["earlier", "probe", "roofline", "both", "none"]
Sure = Literal["sure", "fair", "rough", "unknown"]
GROWING = ("condense", "shard", "labels")  # kinds whose cells grow with the budget
OVERHEAD = 0.05  # seconds around the work of a job, where none was measured: a cell is read, written and synced


@dataclass(frozen=True)
class Known:
    """What one job took, or would take by a probe.

    Attributes:
        like: what it is like.
        seconds: of work.
        cpu_seconds: of its processors.
        overhead: seconds around its work.
        cpu_overhead: of its processors.
        bytes: of its cell.
        peak: bytes of memory.
        once: seconds besides, for what its process kept for the jobs after it.
        cpu_once: of its processors.
        process: that it ran in, where that is known.
        source: of all this.
        cut_short: the seconds were carried on from a part.
    """

    like: Likeness
    seconds: float | None = None
    cpu_seconds: float | None = None
    overhead: float | None = None
    cpu_overhead: float | None = None
    bytes: float | None = None
    peak: int | None = None
    once: float = 0.0
    cpu_once: float = 0.0
    process: int | None = None
    source: Source = "earlier"
    cut_short: bool = False


@dataclass(frozen=True)
class Estimate:
    """What a job is expected to take; None where that is unknown.

    Attributes:
        seconds: of work.
        cpu_seconds: of its processors.
        overhead: seconds around its work.
        cpu_overhead: of its processors.
        bytes: of its cell.
        peak: bytes of memory.
        source: earlier results, a probe, the roofline of a GPU, more than one of these, or none.
        sure: sure: the same job with another seed ran to its end. fair: the same was carried on from a part of it, or
            is known of another method's set. rough: scaled from another amount of the same work, or by a roofline.
        by: how many jobs it is taken from.
    """

    seconds: float | None = None
    cpu_seconds: float | None = None
    overhead: float = OVERHEAD
    cpu_overhead: float = OVERHEAD
    bytes: float | None = None
    peak: int | None = None
    source: Source = "none"
    sure: Sure = "unknown"
    by: int = 0

    @property
    def wall(self) -> float:
        """Seconds that it keeps a worker; 0 where its work is unknown."""
        return 0.0 if self.seconds is None else self.seconds + self.overhead


@dataclass(frozen=True)
class Once:
    """What every worker works out once, before its first job of some kinds: it hangs on the real data alone.

    Attributes:
        kind: of the jobs in which it was seen.
        seconds: on the clock.
        cpu_seconds: of the processors.
    """

    kind: str
    seconds: float
    cpu_seconds: float


class Estimates:
    """Estimates of jobs by what they are like."""

    def __init__(self, known: Iterable[Known]) -> None:
        self.known = list(known)
        self._indices: dict[str, dict[str, list[Known]]] = {}
        for by in ("same", "set_aside", "work", "kind"):
            index = self._indices[by] = defaultdict(list)
            for one in self.known:
                index[getattr(one.like, by)].append(one)

    def once(self) -> tuple[Once, ...]:
        """By kind: of one process that probed, which works out everything but once; else the most of any cell."""
        processes: dict[int, dict[str, list[Known]]] = {}
        alone: dict[str, Known] = {}
        for one in (known for known in self.known if known.once):
            if one.process is not None:
                processes.setdefault(one.process, {}).setdefault(one.like.kind, []).append(one)
            alone[one.like.kind] = max(one, alone.get(one.like.kind, one), key=lambda known: known.once)
        if processes:
            found = max(processes.values(), key=lambda kinds: sum(one.once for own in kinds.values() for one in own))
            return tuple(
                Once(kind, sum(one.once for one in own), sum(one.cpu_once for one in own))
                for kind, own in found.items()
            )
        return tuple(Once(kind, one.once, one.cpu_once) for kind, one in alone.items())

    def timed(self, like: Likeness) -> bool:
        """Whether the same was done before, to a set of whatever method."""
        return bool(self._timed(like))

    def of(self, like: Likeness) -> Estimate:
        """What a job like that is expected to take."""
        own, factor = self._timed(like), 1.0
        if scaled := not own:
            own, factor = self._nearest(like)
        overhead, cpu_overhead = self._around(like)
        sizes, peaks = self._of(like, "bytes"), self._of(like, "peak")
        found = Estimate(
            overhead=overhead,
            cpu_overhead=cpu_overhead,
            bytes=fmean(sizes) if sizes else None,
            peak=int(max(peaks)) if peaks else None,
        )
        if not own:
            return found
        around = [one for one in self._alike("set_aside", like) if one.overhead is not None]
        exact = own[0].like.same == like.same and not all(one.cut_short for one in own)
        rough = scaled or any(one.source == "roofline" for one in own)
        return replace(
            found,
            seconds=median(_all(own, "seconds")) * factor,
            cpu_seconds=median(_all(own, "cpu_seconds")) * factor,
            source=_source([*own, *around]),
            sure="rough" if rough else "sure" if exact else "fair",
            by=len(own),
        )

    def _timed(self, like: Likeness) -> list[Known]:
        """The same work, of the same method's sets if there is any."""
        for by in ("same", "set_aside"):
            if own := [one for one in self._alike(by, like) if one.seconds is not None]:
                return own
        return []

    def _nearest(self, like: Likeness) -> tuple[list[Known], float]:
        """The same work of the nearest amount, and how many times that is to be done."""
        known = [one for one in self._alike("work", like) if one.seconds is not None and one.like.amount]
        if not known or not like.amount:
            return [], 1.0
        nearest = min(known, key=lambda one: _ratio(like, one))
        own = [one for one in known if one.like.set_aside == nearest.like.set_aside]
        return own, like.amount / (nearest.like.amount or 1.0)

    def _of(self, like: Likeness, what: str) -> list[float]:
        """What is known of bytes or memory; of a student or a measure, which hang little on it, of any amount."""
        by = ("same", "set_aside") if like.kind in GROWING else ("same", "set_aside", "work")
        return next((found for each in by if (found := _all(self._alike(each, like), what))), [])

    def _around(self, like: Likeness) -> tuple[float, float]:
        """Seconds around the work of what is most like it and says so."""
        for by in ("same", "set_aside", "work", "kind"):
            own = [one for one in self._alike(by, like) if one.overhead is not None]
            if own:
                return median(_all(own, "overhead")), median(_all(own, "cpu_overhead"))
        return OVERHEAD, OVERHEAD

    def _alike(self, by: str, like: Likeness) -> list[Known]:
        return self._indices[by].get(getattr(like, by), [])


def _all(known: Iterable[Known], what: str) -> list[float]:
    return [value for one in known if (value := getattr(one, what)) is not None]


def _ratio(like: Likeness, one: Known) -> float:
    """How far an amount is from another, whichever is larger."""
    a, b = like.amount or 1.0, one.like.amount or 1.0
    return max(a / b, b / a)


def _source(known: Iterable[Known]) -> Source:
    found = {one.source for one in known}
    return "both" if len(found) > 1 else found.pop()
