"""Jobs of one kind together, as a plan shows them: one line a kind."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from decoct.run.planning.estimates import Once, Sure
from decoct.run.planning.groups import Group

LEVELS: tuple[Sure, ...] = ("sure", "fair", "rough", "unknown")


@dataclass(frozen=True)
class Kind:
    """Jobs of one kind.

    Attributes:
        name: such as "train".
        jobs: in all.
        done: in the store.
        seconds: of work of those to do, as far as it is known.
        cpu_seconds: of their processors.
        overhead: seconds around the work.
        bytes: of their cells.
        peak: bytes of memory of one; None where unknown.
        unknown: jobs to do whose time is not known.
        unsized: jobs to do whose bytes are not known.
        source: where the estimates come from.
        sure: of the least sure estimate that is one.
    """

    name: str
    jobs: int
    done: int
    seconds: float
    cpu_seconds: float
    overhead: float
    bytes: float
    peak: int | None
    unknown: int
    unsized: int
    source: str
    sure: str

    @property
    def todo(self) -> int:
        """Jobs to do."""
        return self.jobs - self.done

    def with_once(self, once: Once, workers: int) -> "Kind":
        """With what so many workers work out once."""
        work, cpu = self.seconds + workers * once.seconds, self.cpu_seconds + workers * once.cpu_seconds
        return replace(self, seconds=work, cpu_seconds=cpu)


def kind_of(name: str, jobs: int, groups: Sequence[Group]) -> Kind:
    """The kind of that many jobs, from the groups of those to do."""
    timed = [group for group in groups if group.each.seconds is not None]

    def total(what: str, of: Sequence[Group]) -> float:
        return float(sum(len(g.keys) * (getattr(g.each, what) or 0.0) for g in of))

    sources, peaks = {g.each.source for g in timed}, [g.each.peak for g in groups if g.each.peak]
    sure = max((g.each.sure for g in timed), key=LEVELS.index, default="unknown" if groups else "")
    return Kind(
        name=name,
        jobs=jobs,
        done=jobs - sum(len(g.keys) for g in groups),
        seconds=total("seconds", timed),
        cpu_seconds=total("cpu_seconds", timed),
        overhead=total("overhead", timed),
        bytes=total("bytes", groups),
        peak=max(peaks, default=None),
        unknown=sum(len(g.keys) for g in groups if g.each.seconds is None),
        unsized=sum(len(g.keys) for g in groups if g.each.bytes is None),
        source=sources.pop() if len(sources) == 1 else "both" if sources else "none" if groups else "",
        sure=sure,
    )
