"""Probes: a job's real work for a few seconds, carried on to its end by the job's own progress."""

import math
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from decoct.core import once
from decoct.core.errors import DecoctError
from decoct.core.kinds import silent
from decoct.data.dataset import open_dataset
from decoct.run.cell import Cell
from decoct.run.execute import describe, perform, threads
from decoct.run.jobs import Job
from decoct.run.memory import keep_memory
from decoct.run.planning.estimates import Estimate, Known, Likeness, size_of
from decoct.run.planning.standin import stand_in, supply
from decoct.run.storage.store import Store, open_store

STEPS = 2  # that are seen at least: the first one may work out what all others share
WARM = 0.25  # of what was seen is not counted: caches fill, libraries load
BRIEF = {"steps": 2, "epochs": 1, "full_epochs": 1}  # fields of a protocol that make a student's training end at once


class Enough(BaseException):
    """Ends a job from within its progress callback; no ``except Exception`` of a method keeps it."""


class Mark(NamedTuple):
    """A moment of a job's work: seconds by the clock and of processors, steps that are done, and steps in all."""

    wall: float
    cpu: float
    done: int = 0
    total: int = 0

    @classmethod
    def now(cls, done: int = 0, total: int = 0) -> "Mark":
        """This moment; the clocks stand still while the process works out what it keeps for later jobs."""
        (wall, cpu), kept = once.real(), once.Spent.now()
        return cls(wall - kept.seconds, cpu - kept.cpu_seconds, done, total)


@dataclass
class Probed(Cell):
    """A cell whose work is looked at from its meter's start, and ended when enough was seen."""

    limit: float = math.inf
    marks: list[Mark] = field(default_factory=list)
    phase: int = 0  # the mark from which the present one started

    @contextmanager
    def meter(self) -> Iterator[None]:
        """As of any cell."""
        with super().meter():
            self.marks.append(Mark.now())
            yield

    def watch(self, done: int, total: int) -> None:
        """Called with the job's progress; before its meter runs nothing counts.

        Raises:
            Enough: the limit has passed and the rate is known.
        """
        if not self.marks:
            return
        last = self.marks[-1]
        if done < last.done or last.total not in (0, total):  # another phase, with steps of its own
            self.phase = len(self.marks) - 1
        self.marks.append(Mark.now(done, total))
        long = self.marks[-1].wall - self.marks[0].wall >= self.limit
        if 0 < done < total and long and len(self.marks) - self.phase > STEPS:
            raise Enough


def carried_on(marks: list[Mark]) -> Mark:
    """The end of a work by what was seen of it, from the first mark on, where nothing is done.

    What was seen last goes on at its rate, the first ``WARM`` and the first step left out: t_last + (total − done) Δt /
    Δdone. Where one step is all there is, it is taken.
    """
    first, last = marks[0]._replace(done=0), marks[-1]
    warm = first.wall + WARM * (last.wall - first.wall)
    since = next((mark for mark in marks[1:] if mark.wall >= warm and mark.done < last.done), first)
    left = (last.total - last.done) / (last.done - since.done)
    return Mark(last.wall + left * (last.wall - since.wall), last.cpu + left * (last.cpu - since.cpu))


def probe(
    where: str, own: str | None, job: Job, like: Likeness, behind: Mapping[str, Job], device: str, limit: float
) -> Known:
    """Probe a job, in a worker.

    Args:
        where: store of stand-ins and of what probes finished.
        own: the study's store, whose cells are used where they are.
        job, like, behind: the job, what it is like, and the jobs that it stands on, by key.
        device: where to compute.
        limit: seconds of work after which what was seen is enough; a job that ends earlier is finished.

    Raises:
        DecoctError: whatever went wrong, in one line.
    """
    keep_memory()
    try:
        with threads(job.keyed["compute"]["threads"]):
            store = open_store(where)
            supply(store, open_store(own) if own else None, job, behind, device)
            before = once.Spent.now()
            took = _run(store, job, device, limit)
            spent = once.Spent(*(now - was for was, now in zip(before, once.Spent.now(), strict=True)))
            if took.sure == "fair" and job.kind == "train":  # one that trains for a moment is evaluated and kept as any
                short = job.config | {name: value for name, value in BRIEF.items() if name in job.config}
                brief = Job(**job.model_dump() | {"config": short, "keyed": {**job.keyed, "brief": True}})
                seen = _run(store, brief, device) if short != job.config else took
                peak = max(took.peak or 0, seen.peak or 0)
                took = took._replace(overhead=seen.overhead, bytes=seen.bytes, peak=peak or None)
            elif took.sure == "fair" and job.kind not in ("measure", "reference"):
                stand_in(store, job.key, {**behind, job.key: job}, device)
                took = took._replace(bytes=size_of(store.path(job.kind, job.key)))
            return Known(like, took, spent, os.getpid())
    except (Exception, SystemExit) as error:
        raise DecoctError(describe(error)) from error


def _run(store: Store, job: Job, device: str, limit: float = math.inf) -> Estimate:
    """Run the job's own work until it ends or enough was seen."""
    before = Mark.now()
    cell = Probed(job, store, Path(), open_dataset(Path(job.data)), device, silent, limit=limit)
    cell.progress = cell.watch
    try:
        cost = perform(cell)
    except Enough:
        start, end = cell.marks[0], carried_on(cell.marks[cell.phase :])
        peak = psutil.Process().memory_info().rss if device == "cpu" else None
        took = end.wall - start.wall, end.cpu - start.cpu, start.wall - before.wall
        return Estimate(*took, None, peak, "probe", "fair")
    own = cost.seconds - cost.once, cost.cpu_seconds - cost.cpu_once
    around = Mark.now().wall - before.wall - own[0]
    return Estimate(*own, around, size_of(store.path(job.kind, job.key)), cost.peak_memory, "probe", "sure")


def end_pool(pool: ProcessPoolExecutor) -> None:
    """End the processes of a pool, whatever they do."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()
        process.join()


def behind_of(job: Job, jobs: Mapping[str, Job]) -> dict[str, Job]:
    """The jobs that a job stands on, by key, so that no more than those travel to a worker."""
    own = {key: jobs[key] for key in job.inputs.values()}
    return own | {key: other for each in own.values() for key, other in behind_of(each, jobs).items()}
