"""Probes: a job's real work for a few seconds, extrapolated from the job's own progress.

Inputs that do not exist yet get a stand-in: a cell of the right form at little cost, since time depends on shapes, not
on values.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from decoct.core import arrayfile, once
from decoct.core.errors import DecoctError
from decoct.core.interfaces import silent
from decoct.data.dataset import Dataset, Split, open_dataset
from decoct.methods.coresets._shared.gradients import TRIED
from decoct.needs.features import Extract
from decoct.needs.out_of_sample import PROBABILITIES, ROWS, in_fold
from decoct.study.cell import Cell
from decoct.study.estimate.estimates import Estimate
from decoct.study.execute import describe, execute, sign, threads, work_of
from decoct.study.jobs import ExternalJob, Job
from decoct.study.memory import keep_memory
from decoct.study.store.store import Store, open_store

STEPS = 2  # that are seen at least: the first one may work out what all others share
WARM = 0.25  # of what was seen is not counted: caches fill, libraries load
FEW = 4  # images of each class that a stand-in is made from at least
BRIEF = {"steps": 2, "epochs": 1, "full_epochs": 1, "stop_at": None, "check_every": None}  # end a training at once
SHORTENED = ("teacher", "generator", "out_of_sample")  # kinds whose form does not depend on the length
NONE = {"trajectory": "experts", "labels": "stored labels"}  # kinds that nothing cheap can stand in for


def probe(where: str, own: str | None, job: Job, jobs: Mapping[str, Job], device: str, limit: float) -> Estimate:
    """Probe a job, in a worker: its cost, and that of work done once per process so far.

    ``where`` is a store of stand-ins and of what probes finish, ``own`` the study's, whose cells are read in place;
    ``jobs`` are those that it may use, by key. The probe stops after ``limit`` seconds of work.

    Raises:
        DecoctError: whatever went wrong, in one line.
    """
    keep_memory()
    try:
        with threads(job.keyed["compute"]["threads"]):
            store, cells = open_store(where), open_store(own) if own else None
            for key in job.inputs.values():
                stand_in(store, cells, key, jobs, device)
            if job.kind == "shard":  # shards are put together, and a real one does not fit stand-ins
                job = Job(**job.model_dump() | {"keyed": job.keyed | {"probed": True}})
            took = _run(store, job, device, limit)
            if job.kind == "train" and not store.has(job.kind, job.key):  # one that is cut short is not evaluated
                took = took._replace(overhead=_run(store, shortened(job), device).overhead)
            spent = once.Spent.now()
            return took._replace(once=spent.seconds, cpu_once=spent.cpu_seconds)
    except (Exception, SystemExit) as error:
        raise DecoctError(describe(error)) from error


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
    """A cell whose work is watched from its meter's start, and ended once enough was seen."""

    limit: float = math.inf
    start: Mark = field(default_factory=Mark.now)
    marks: list[Mark] = field(default_factory=list)  # of the phase that the work is in

    @contextmanager
    def meter(self) -> Iterator[None]:
        """As for any cell."""
        with super().meter():
            self.start = Mark.now()
            self.marks = [self.start]
            yield

    def watch(self, done: int, total: int) -> None:
        """Called with the job's progress; before its meter runs nothing counts.

        Raises:
            Enough: the limit has passed and the rate is known.
        """
        if not self.marks:
            return
        last, now = self.marks[-1], Mark.now(done, total)
        if done < last.done or last.total not in (0, total):  # another phase, with steps of its own
            self.marks = [last._replace(done=0)]
        self.marks.append(now)
        if 0 < done < total and now.wall - self.start.wall >= self.limit and len(self.marks) > STEPS:
            raise Enough


def carried_on(marks: list[Mark]) -> Mark:
    """The end of a piece of work, extrapolated from its marks.

    What was seen last goes on at its rate, the first ``WARM`` and the first step left out: t_last + (total − done) Δt /
    Δdone. Where one step is all there is, it is taken.
    """
    first, last = marks[0], marks[-1]
    warm = first.wall + WARM * (last.wall - first.wall)
    since = next((mark for mark in marks[1:] if mark.wall >= warm and mark.done < last.done), first)
    left = (last.total - last.done) / (last.done - since.done)
    return Mark(last.wall + left * (last.wall - since.wall), last.cpu + left * (last.cpu - since.cpu))


def _run(store: Store, job: Job, device: str, limit: float = math.inf) -> Estimate:
    """Run the job's own work until it ends, and leave its cell, or until enough was seen."""
    before, cells = Mark.now(), list[Probed]()

    def probed(*given: Any) -> Probed:
        cells.append(cell := Probed(*given))
        cell.limit, cell.progress = limit, cell.watch
        return cell

    try:
        made: Any = execute(store.where, job, device, cell_of=probed)  # never None: a cell of another class is made
        return Estimate.of(made, "probe")
    except Enough:
        start, end = cells[0].start, carried_on(cells[0].marks)
        return Estimate("probe", end.wall - start.wall, end.cpu - start.cpu, start.wall - before.wall)


def stand_in(store: Store, own: Store | None, key: str, jobs: Mapping[str, Job], device: str) -> None:
    """Leave a cell under a job's key, unless one is there: the study's own, else one of the same form.

    A set, or a shard of one, is a random draw of its size. All else is the job's own work on a few images of each
    class, of one epoch where the form of the result allows that. Rows of images are then repeated for all images.

    Raises:
        DecoctError: there is no stand-in for it.
    """
    job = jobs[key]
    if store.has(job.kind, key):
        return
    if isinstance(job, ExternalJob):  # it has no seed, and its key is of its content
        job = job.model_copy(update={"keyed": {"seed": 0, "external": "random"} | job.keyed})
    drawn = job.kind in ("condense", "shard")
    for needed in () if drawn else job.inputs.values():
        stand_in(store, own, needed, jobs, device)
    if own and own.has(job.kind, key):
        store.path(job.kind, key).parent.mkdir(parents=True, exist_ok=True)
        return store.path(job.kind, key).symlink_to(own.cell(job.kind, key).resolve())
    if job.kind in NONE:
        raise DecoctError(f"nothing stands in for {NONE[job.kind]}: known once they are in the store")
    data, brief = open_dataset(Path(job.data)), shortened(job) if job.kind in SHORTENED else job
    if drawn:
        brief = job.model_copy(update={"config": {"name": "random"}, "inputs": {}})
    # Rows that the user brought are of all images, and soon copied.
    whole = drawn or (job.kind == "features" and Extract(**job.config).origin == "rows")
    with store.writing(job.kind, key) as folder:
        work_of(job)(Cell(brief, store, folder, data if whole else few(data), device, silent))
        for split in ("train", "val") if job.kind == "features" and not whole else ():
            _repeat(folder / f"{split}.npy", 0, getattr(data, split), len(data.class_names))
        for file in folder.glob("*.npy") if job.kind == "dynamics" else ():
            _repeat(file, 1, data.train, len(data.class_names))
        if job.kind == "out_of_sample":
            fold = np.flatnonzero(in_fold(data.train.labels, job.keyed))
            made = arrayfile.load(folder / PROBABILITIES)
            np.save(folder / ROWS, fold)
            np.save(folder / PROBABILITIES, np.resize(made, (len(fold), made.shape[1])))
        sign(folder, job)


def shortened(job: Job) -> Job:
    """The same job, trained for a moment; one that loads a generator has nothing to shorten."""
    brief = {} if job.config.get("digest") else {name: BRIEF[name] for name in BRIEF if name in job.config}
    return job.model_copy(update={"config": job.config | brief})


def few(data: Dataset) -> Dataset:
    """The same data with only the images that are ``picked``."""

    def cut(split: Split) -> Split:
        picks = picked(split, len(data.class_names))
        return Split(np.ascontiguousarray(split.images[picks]), split.labels[picks])

    return replace(data, train=cut(data.train), val=cut(data.val), test=cut(data.test))


def picked(split: Split, classes: int) -> NDArray[np.int64]:
    """Rows of the first images of each class, and of those by which a method sees that features are a teacher's."""
    first = [np.flatnonzero(split.labels == c)[:FEW] for c in range(classes)]
    return np.unique(np.concatenate([*first, np.linspace(0, len(split) - 1, TRIED).astype(np.int64)]))


def _repeat(file: Path, axis: int, split: Split, classes: int) -> None:
    """Repeat along an axis what was made of a few images, for all images of a split.

    Floats are moved apart as far as they lie apart: near copies would make exact neighbours expensive.
    """
    made = arrayfile.load(file)
    repeated = np.take(made, np.arange(len(split)) % made.shape[axis], axis)
    if made.dtype.kind == "f":
        noise = np.random.default_rng(0).standard_normal(repeated.shape, np.float32)
        repeated += (made.std(dtype=np.float32) * noise).astype(made.dtype)
    np.moveaxis(repeated, axis, 0)[picked(split, classes)] = np.moveaxis(made, axis, 0)
    np.save(file, repeated)
