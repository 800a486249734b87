"""Moments of a job's work, and how it is carried on from them to its end."""

from typing import NamedTuple

from decoct.core.once import Clock, Spent

WARM = 0.25  # of what was seen is not counted: caches fill, libraries load


class Mark(NamedTuple):
    """A moment of a job's work, by clocks that stand still while its process works out what it keeps for later jobs.

    Attributes:
        wall: seconds on the clock.
        cpu: of the process's processors.
        done: steps.
        total: steps in all.
    """

    wall: float
    cpu: float
    done: int
    total: int


def now(clock: Clock, done: int = 0, total: int = 0) -> Mark:
    """This moment, by a clock that stands still while the process works out what it keeps for later jobs."""
    kept, (wall, cpu) = Spent.now(), clock()
    return Mark(wall - kept.seconds, cpu - kept.cpu_seconds, done, total)


def carried_on(marks: list[Mark]) -> tuple[float, float]:
    """Seconds and processor seconds from the first mark, where nothing is done, to the end.

    What was seen last goes on at its rate, the first ``WARM`` and the first step left out: t_last + (total − done) Δt /
    Δdone. Where one step is all there is, it is taken.
    """
    first, last = marks[0], marks[-1]
    warm = first.wall + WARM * (last.wall - first.wall)
    since = next((mark for mark in marks[1:] if mark.wall >= warm and mark.done < last.done), first)
    left = (last.total - last.done) / (last.done - since.done)
    wall = last.wall - first.wall + left * (last.wall - since.wall)
    return wall, last.cpu - first.cpu + left * (last.cpu - since.cpu)
