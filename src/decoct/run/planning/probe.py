"""Probes: a job's real work for a few seconds, carried on to its end by the job's own progress."""

import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from decoct.core.kinds import silent
from decoct.core.once import Clock, Spent, real, timed_by
from decoct.core.record import CELL, write_cost, write_json
from decoct.core.spec import parse
from decoct.data.dataset import open_dataset
from decoct.run.cell import Cell
from decoct.run.execute import cores, threads, work_of
from decoct.run.jobs import Job
from decoct.run.memory import keep_memory
from decoct.run.planning.marks import Mark, carried_on, now
from decoct.run.planning.roofline import Gpu, Roofline
from decoct.run.planning.standin import stand_in
from decoct.run.storage.store import open_store
from decoct.run.workers.attempt import describe

STEPS = 2  # that are seen at least: the first one may work out what all others share
BRIEF = {"steps": 2, "epochs": 1, "full_epochs": 1}  # fields of a protocol that make a student's training end at once


class Enough(BaseException):
    """Ends a job from within its progress callback; no ``except Exception`` of a method keeps it."""


@dataclass(frozen=True)
class Sample:
    """What a probe found.

    Attributes:
        key: of the job.
        seconds: of its work, from start to end; None where that is not known.
        cpu_seconds: of its processors.
        overhead: seconds around the work: inputs are read, a student is evaluated, the cell is written.
        cpu_overhead: of its processors.
        bytes: of its cell.
        peak: bytes of memory.
        once: seconds besides, for what its process kept for the jobs after it.
        cpu_once: of its processors.
        process: that it ran in.
        finished: the job came to its end, or its seconds are carried on from a part.
        trouble: why nothing is known.
    """

    key: str
    seconds: float | None = None
    cpu_seconds: float | None = None
    overhead: float | None = None
    cpu_overhead: float | None = None
    bytes: int | None = None
    peak: int | None = None
    once: float = 0.0
    cpu_once: float = 0.0
    process: int = 0
    finished: bool = False
    trouble: str = ""


@dataclass
class Probed(Cell):
    """A cell whose work is looked at from its meter's start, and ended when enough was seen."""

    limit: float = 0.0
    clock: Clock = real
    began: float = 0.0  # on the wall
    marks: list[Mark] = field(default_factory=list)
    end: Mark = field(default=Mark(0.0, 0.0, 0, 0))
    after: list[Mark] = field(default_factory=list)  # of a student's evaluation
    past: int = 0  # marks before the phase that is under way

    @contextmanager
    def meter(self) -> Iterator[None]:
        """As of any cell."""
        with super().meter():
            self.began = time.perf_counter()
            self.marks.append(now(self.clock))
            yield
            self.end = now(self.clock)

    def watch(self, done: int, total: int) -> None:
        """Called with the job's progress; before its meter runs nothing counts.

        Raises:
            Enough: the limit has passed and the rate is known.
        """
        if not self.marks:
            return
        mark, last = now(self.clock, done, total), self.marks[-1]
        if last.total not in (0, total) or done < last.done:
            self.past = len(self.marks) - 1  # another phase, with steps of its own, starts where the last one ended
        self.marks.append(mark)
        spent = mark.wall - self.marks[0].wall if self.clock is real else time.perf_counter() - self.began
        seen = len(self.marks) - self.past - 1
        if 0 < done < total and spent >= self.limit and seen >= STEPS:
            raise Enough

    def watch_after(self, done: int, total: int) -> None:
        """Called with the progress of a student's evaluation, of which a part is enough where operations are counted.

        Raises:
            Enough: the rate is known.
        """
        self.after.append(now(self.clock, done, total))
        if self.clock is not real and 0 < done < total and len(self.after) >= STEPS:
            raise Enough

    def cut_short(self, before: Mark) -> Sample:
        """What was seen until ``Enough``, carried on; ``before`` is when loading began."""
        first, start = self.marks[0], self.marks[self.past]
        if self.after:
            wall, cpu = carried_on([self.end, *self.after])
            work, around = self.end.wall - first.wall, first.wall - before.wall + wall
            return Sample(
                self.job.key, work, self.end.cpu - first.cpu, around, first.cpu - before.cpu + cpu, finished=True
            )
        wall, cpu = carried_on([start._replace(done=0, total=0), *self.marks[self.past + 1 :]])
        return Sample(
            self.job.key,
            start.wall - first.wall + wall,
            start.cpu - first.cpu + cpu,
            first.wall - before.wall,
            first.cpu - before.cpu,
            peak=psutil.Process().memory_info().rss if self.device == "cpu" and self.clock is real else None,
        )


def probe(
    where: str,
    own: str | None,
    job: Job,
    jobs: Mapping[str, Job],
    device: str,
    limit: float,
    gpu: Gpu | None = None,
) -> Sample:
    """Probe a job, in a worker.

    Args:
        where: store of stand-ins and of what probes finished.
        own: the study's store, whose cells are used where they are.
        job: to probe.
        jobs: those behind it, by key.
        device: where to compute.
        limit: seconds of work after which what was seen is enough; a job that ends earlier is finished.
        gpu: whose seconds are counted instead of this machine's, by its roofline.

    Returns:
        What was found; an error of the job is in it.
    """
    keep_memory()
    try:
        with _threads(job, gpu):
            _supply(where, own, job, jobs, device)
            before = Spent.now()
            found = _measured(where, job, device, limit, gpu)
            kept = Spent.now()
            once, cpu_once = kept.seconds - before.seconds, kept.cpu_seconds - before.cpu_seconds
            found = replace(found, once=once, cpu_once=cpu_once, process=os.getpid())
            if found.finished or not found.seconds:
                return found
            return _completed(found, where, job, jobs, device, gpu)
    except (Exception, SystemExit) as error:
        return Sample(job.key, trouble=describe(error))


def brief(
    where: str, own: str | None, job: Job, jobs: Mapping[str, Job], device: str, gpu: Gpu | None = None
) -> Sample:
    """What stands around the work of a student, from one that trains for a moment; no seconds of work."""
    keep_memory()
    try:
        with _threads(job, gpu):
            _supply(where, own, job, jobs, device)
            return _around(Sample(job.key), where, job, device, gpu)
    except (Exception, SystemExit) as error:
        return Sample(job.key, trouble=describe(error))


def _threads(job: Job, gpu: Gpu | None) -> AbstractContextManager[None]:
    """Those of the job; where its operations are only counted, all that there are."""
    return threads(cores() if gpu and not _by_processors(job) else job.keyed["compute"]["threads"])


@contextmanager
def _clock(job: Job, gpu: Gpu | None) -> Iterator[Clock]:
    """What tells the time of the job."""
    if gpu is None:
        yield real
        return
    with Roofline(gpu, nets_alone=_by_processors(job)) as roofline, timed_by(roofline.clock):
        yield roofline.clock


def _by_processors(job: Job) -> bool:
    """Whether the job computes with features that lie in the machine's memory, wherever its nets are."""
    if job.kind != "condense":
        return job.kind in ("measure", "reference")
    return bool(parse("condenser", job.config, job.plugins).family == "coreset")


def _supply(where: str, own: str | None, job: Job, jobs: Mapping[str, Job], device: str) -> None:
    """Lay out what the job reads: real cells where there are some, else stand-ins."""
    store, known = open_store(where), {**jobs, job.key: job}
    todo, seen = list(job.inputs.values()), set[str]()
    while todo:
        key = todo.pop()
        if key in seen:
            continue
        seen.add(key)
        todo += known[key].inputs.values()
        target = store.path(known[key].kind, key)
        if own and not target.exists() and open_store(own).has(known[key].kind, key):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(open_store(own).cell(known[key].kind, key).resolve())
    for key in job.inputs.values():
        stand_in(store, key, known, device)


def _measured(where: str, job: Job, device: str, limit: float, gpu: Gpu | None = None) -> Sample:
    """Run the job's own work until it ends or enough was seen."""
    with _clock(job, gpu) as clock:
        return _timed(where, job, device, limit, clock)


def _timed(where: str, job: Job, device: str, limit: float, clock: Clock) -> Sample:
    store, before = open_store(where), now(clock)
    cell = Probed(job, store, Path(), open_dataset(Path(job.data)), device, silent, limit=limit, clock=clock)
    cell.progress, cell.evaluating = cell.watch, cell.watch_after
    try:
        with store.writing(job.kind, job.key) as cell.folder:
            work_of(job)(cell)
            if cell.cost is None:
                raise RuntimeError(f"the work of a {job.kind} job ran without its meter")
            write_cost(cell.folder, cell.cost)
            said = {"key": job.key, **job.model_dump(mode="json", include={"kind", "keyed", "inputs"})}
            write_json(cell.folder / CELL, said)
    except Enough:
        return cell.cut_short(before)
    end, cost, size = now(clock), cell.cost, size_of(store.path(job.kind, job.key))
    if clock is real:
        wall, cpu, peak = cost.seconds - cost.once, cost.cpu_seconds - cost.cpu_once, cost.peak_memory
    else:
        wall, cpu, peak = cell.end.wall - cell.marks[0].wall, cell.end.cpu - cell.marks[0].cpu, None
    around = end.wall - before.wall - wall, end.cpu - before.cpu - cpu
    return Sample(job.key, wall, cpu, *around, size, peak, finished=True)


def _completed(found: Sample, where: str, job: Job, jobs: Mapping[str, Job], device: str, gpu: Gpu | None) -> Sample:
    """What a job that was cut short leaves unsaid: of a student what stands around its work, else its cell's bytes."""
    if job.kind == "train":
        return _around(found, where, job, device, gpu)
    if job.kind in ("measure", "reference"):
        return found
    store = open_store(where)
    stand_in(store, job.key, {**jobs, job.key: job}, device)
    return replace(found, bytes=size_of(store.path(job.kind, job.key)))


def _around(found: Sample, where: str, job: Job, device: str, gpu: Gpu | None) -> Sample:
    """A student that trains for a moment is evaluated and kept as any."""
    short = {name: value for name, value in BRIEF.items() if name in job.config}
    if not short:
        return found
    fields = {**job.model_dump(exclude={"config", "keyed"}), "config": job.config | short}
    seen = _measured(where, Job(**fields, keyed={**job.keyed, "brief": True}), device, math.inf, gpu)
    peak = max(found.peak or 0, seen.peak or 0) or None
    return replace(found, overhead=seen.overhead, cpu_overhead=seen.cpu_overhead, bytes=seen.bytes, peak=peak)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
