"""Jobs of students of one kind, trained at once by one worker; each leaves a cell of its own, or fails by itself.

What comes out is equal within rounding to what each job gives alone, not byte for byte, so it is done only where it is
asked for. Each cell's ``measured.json`` says how many were trained together.
"""

import warnings
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.kinds import Progress, silent
from decoct.core.record import Cost
from decoct.data.dataset import open_dataset
from decoct.engine.images import free
from decoct.engine.together import Pupil, cannot, step_bytes, train_together
from decoct.engine.train import Trained
from decoct.run.cell import Cell
from decoct.run.execute import execute, threads
from decoct.run.jobs import Job
from decoct.run.memory import keep_memory
from decoct.run.storage.store import open_store
from decoct.run.work.students import Prepared, examine, prepare, teachers_of

AHEAD = 2000  # jobs that are looked through for students of a kind
MOST = 8  # students that "auto" trains at once
OWN = ("condensed", "labels")  # inputs that students of one kind may have each its own of
Failures = dict[str, Exception | SystemExit]  # by the key of the job


class OneByOne(UserWarning):
    """Students that were to be trained together are trained one by one."""


@dataclass(frozen=True)
class Ready:
    """A student whose turn it is: its job with what was loaded for it."""

    cell: Cell
    prepared: Prepared

    @property
    def alike(self) -> tuple[object, ...]:
        """What must be the same for two to be trained together."""
        return self.prepared.recipe, self.prepared.images.images.shape, self.prepared.images.images.dtype


def wanted(text: str, device: str) -> int:
    """How many students are trained at once: a number, or for "auto" up to ``MOST`` on a GPU and one elsewhere.

    Raises:
        UsageError: neither.
    """
    if text == "auto":
        return MOST if device.startswith("cuda") else 1
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--together takes a number from 1 up, or auto, not '{text}'")
    return int(text)


def common(job: Job) -> dict[str, Any] | None:
    """What students of one kind have in common; None for a job that is done by itself."""
    if job.kind != "train" or "condensed" not in job.inputs or job.keyed["compute"]["compile"]:
        return None
    own = {"seed": None, "inputs": {role: None if role in OWN else key for role, key in job.inputs.items()}}
    return {**job.keyed, **own, "config": job.config, "data": job.data, "budget": job.labels.get("budget")}


def take(ready: deque[str], todo: Mapping[str, Job], most: int) -> list[str]:
    """Take the first job that is ready and, of those behind it, up to ``most`` - 1 students of its kind.

    Args:
        ready: keys; those taken are gone from it, the others keep their order.
        todo: jobs by key.
        most: students that are trained at once.
    """
    taken = [ready.popleft()]
    kind = common(todo[taken[0]]) if most > 1 else None
    if kind is None:
        return taken
    alike = (key for key in islice(ready, AHEAD) if common(todo[key]) == kind)
    taken += islice(alike, most - 1)
    for key in taken[1:]:
        ready.remove(key)
    return taken


def execute_together(
    where: Path | str, jobs: Sequence[Job], device: str = "cpu", progress: Progress = silent
) -> Failures:
    """Train the students of jobs of one kind at once, and leave the cell of each; those that are there are left alone.

    A group writes nothing before its last step and leaves no checkpoint: one that is killed begins anew. Students that
    cannot be trained together are trained one by one, with a warning that says why.

    Args:
        where: the store is.
        jobs: as ``groups`` gives them.
        device: where they compute.
        progress: called with (steps done, steps in all) of each group.

    Returns:
        What went wrong, by the key of the job; the others have their cells.
    """
    store, failures = open_store(str(where)), Failures()
    todo = [job for job in jobs if not store.has(job.kind, job.key)]
    if len(todo) < 2:
        return _one_by_one(where, todo, device, progress)
    keep_memory()
    with threads(todo[0].keyed["compute"]["threads"]):
        data = open_dataset(store.dataset(Path(todo[0].data)))
        alike: defaultdict[tuple[object, ...], list[Ready]] = defaultdict(list)
        for job in todo:
            cell = Cell(job, store, store.root, data, device, progress)  # gets a folder when it is written
            try:
                ready = Ready(cell, prepare(cell))
            except (Exception, SystemExit) as error:
                failures[job.key] = error
            else:
                alike[ready.alike].append(ready)
        for members in alike.values():
            failures |= _group(where, members, device, progress)
    return failures


def _group(where: Path | str, members: Sequence[Ready], device: str, progress: Progress) -> Failures:
    """Train students of one recipe together, as many at once as fit."""
    jobs, failures = [ready.cell.job for ready in members], Failures()
    try:
        first = members[0].prepared
        reason = "nothing else is like it" if len(members) == 1 else None
        reason = reason or cannot(first.student, first.images.images.shape[1:], device)
        if reason is None:
            teachers = teachers_of(members[0].cell)
            most = fitting(first, device)
            for at in range(0, len(members), most):
                failures |= _train(where, members[at : at + most], teachers, device, progress)
            return failures
    except (Exception, SystemExit) as error:  # out of memory, a teacher that is damaged: each finds out by itself
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if len(members) > 1:
        student = jobs[0].keyed["student"]
        warnings.warn(f"{len(members)} {student} are trained one by one: {reason}", OneByOne, stacklevel=2)
    rest = [job for job in jobs if job.key not in failures]
    return failures | _one_by_one(where, rest, device, progress)


def fitting(prepared: Prepared, device: str) -> int:
    """Students of a kind that fit the free memory of a GPU together, at least one; elsewhere, as many as are asked."""
    where = torch.device(device)
    if where.type != "cuda":
        return 2**31
    recipe, images = prepared.recipe, prepared.images.images
    one = step_bytes(prepared.student, (recipe.batch, *images.shape[1:]), device) + 2 * images.nbytes
    return max(1, free(where) // max(1, one))


def _train(
    where: Path | str, members: Sequence[Ready], teachers: Sequence[nn.Module], device: str, progress: Progress
) -> Failures:
    """Train students at once, then examine each and write its cell."""
    first, failures = members[0], Failures()
    pupils = [
        Pupil(r.prepared.student, r.prepared.images, r.cell.job.keyed["seed"], r.prepared.labels) for r in members
    ]
    with first.cell.meter():
        done = train_together(
            pupils,
            first.prepared.recipe,
            device=device,
            teachers=teachers,
            precision=first.cell.job.keyed["compute"]["precision"],
            progress=progress,
        )
    assert first.cell.cost is not None
    cost = share(first.cell.cost, len(members))
    for ready, one in zip(members, done, strict=True):
        if isinstance(one, DecoctError):
            failures[ready.cell.job.key] = one
            continue
        try:
            execute(where, ready.cell.job, device, work=partial(_leave, ready.prepared, one, cost))
        except (Exception, SystemExit) as error:
            failures[ready.cell.job.key] = error
    return failures


def _leave(prepared: Prepared, done: Trained, cost: Cost, cell: Cell) -> None:
    cell.cost = cost
    examine(cell, prepared, done)


def share(cost: Cost, students: int) -> Cost:
    """What each of some students cost that were trained at once."""
    parts = {name: getattr(cost, name) / students for name in ("seconds", "cpu_seconds", "device_seconds")}
    energy = None if cost.energy is None else cost.energy / students
    return cost.model_copy(update={**parts, "energy": energy, "together": students})


def _one_by_one(where: Path | str, jobs: Sequence[Job], device: str, progress: Progress) -> Failures:
    failures = Failures()
    for job in jobs:
        try:
            execute(where, job, device, progress)
        except (Exception, SystemExit) as error:
            failures[job.key] = error
    return failures
