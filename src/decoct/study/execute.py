"""Executes a job: loads its inputs, does the work under the meter, leaves a cell; the same everywhere."""

import gc
import os
import platform
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

import decoct
from decoct.core.errors import DecoctError, LostDeviceError
from decoct.core.interfaces import Progress, silent
from decoct.core.machine import STRAINED, trouble
from decoct.core.record import CELL, Cost, write_cost, write_json
from decoct.core.spec import find
from decoct.data.dataset import open_dataset
from decoct.nets.room import has, lost, ran_out, release
from decoct.study.cell import Cell
from decoct.study.device import check_precision, resolve
from decoct.study.jobs import Job
from decoct.study.memory import keep_memory
from decoct.study.store.store import open_store
from decoct.study.work.measuring import make_readings, make_reference
from decoct.study.work.sets import make_condensed, make_shard
from decoct.study.work.students import make_labels, make_student

LONGEST = 500  # characters of a failure that are kept
WORK: dict[str, Callable[[Cell], None]] = {  # of the runner's own kinds; a need says itself how it is made
    "shard": make_shard,
    "condense": make_condensed,
    "labels": make_labels,
    "train": make_student,
    "measure": make_readings,
    "reference": make_reference,
}


def work_of(job: Job) -> Callable[[Cell], None]:
    """What is done in the cell of a job."""
    if job.kind in WORK:
        return WORK[job.kind]
    make: Callable[[Cell], None] = find("need", job.kind, job.plugins).make
    return make


def execute(
    where: Path | str, job: Job, device: str = "cpu", progress: Progress = silent, cell_of: Callable[..., Cell] = Cell
) -> Cost | None:
    """Run a job, leave its cell in the store at a place, and say what it took; None if the cell is there already.

    Whatever the work raises comes through; nothing is stored then. ``cell_of`` makes the cell that the work fills; a
    cell of another class than usual is made in any case.

    Raises:
        UsageError: the device does not compute in the precision of the job.
        DecoctError: the device ran out of memory; what it has, and what to do.
    """
    store, start = open_store(str(where)), time.perf_counter()
    if cell_of is Cell and store.has(job.kind, job.key):
        return None
    keep_memory()
    for precision in precisions(job):
        check_precision(device, precision)
    data = open_dataset(store.dataset(Path(job.data)))
    with threads(job.keyed["compute"]["threads"]), store.writing(job.kind, job.key) as folder:
        cell = cell_of(job, store, folder, data, device, progress)
        try:
            work_of(job)(cell)
        except RuntimeError as error:
            if not ran_out(error):
                raise
            raise DecoctError(no_room(cell)) from error
        if cell.cost is None:
            raise RuntimeError(f"the work of a {job.kind} job ran without its meter")
        cost = cell.cost.model_copy(update={"around": time.perf_counter() - start - cell.here})
        write_cost(folder, cost)
        sign(folder, job)
    store.finish(job.kind, job.key)
    return cost


def precisions(job: Job) -> set[str]:
    """The precisions in which the nets of a job compute: trained nets, and those of its spec or of each extractor."""
    own = job.config.get("precision", "float32")
    trained: str = job.keyed.get("compute", {}).get("precision", "float32")
    return {trained, *(own.values() if isinstance(own, dict) else (own,))}


def no_room(cell: Cell) -> str:
    """Advice for a job that ran out of memory and whose result a smaller batch would change: two lines."""
    fields = {name: value for name, value in cell.job.config.items() if name.startswith(("batch", "block"))}
    lower = [name if value is None else f"{name} ({value} now)" for name, value in fields.items()]
    smaller = "budget or net" if cell.job.kind in ("shard", "condense") else "net"
    said = f"{cell.device} ran out of memory; {has(cell.device)}" + (f"; {cell.estimate}" if cell.estimate else "")
    advice = f"take a smaller {smaller}, or a device with more memory"
    return f"{said}\nlower {' or '.join(lower)}, {advice}" if lower else f"{said}\n{advice}"


def sign(folder: Path, job: Job) -> None:
    """Make a folder the cell of a job."""
    write_json(folder / CELL, {"key": job.key, **job.model_dump(mode="json", include={"kind", "keyed", "inputs"})})


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute with so many threads in the block, on a CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with threadpool_limits(number):
            yield
    finally:
        torch.set_num_threads(before)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def attempt(where: str, job: Job, device: str, version: str) -> None:
    """Execute a job, as an executor calls it, on a device and for a store somewhere.

    ``version`` is the driver's: a worker of another one would leave other bytes under the same key.

    Raises:
        DecoctError: whatever went wrong, in one line. An exception of a plug-in's own class might not survive the way
            back from a worker, and a plug-in that leaves by ``sys.exit`` shall not end the run.
        LostDeviceError: the job failed, and this process can no longer compute on the device at all.
    """
    if version != decoct.__version__:
        raise DecoctError(
            f"this run is driven by decoct {version}, and its worker on {platform.node()} has decoct "
            f"{decoct.__version__}: install the same version on both"
        )
    try:
        execute(where, job, resolve(device))
        return
    except (Exception, SystemExit) as error:
        doubtful = not isinstance(error, DecoctError) or not torch.cuda.is_available()
        failed = DecoctError(describe(error))
        failed.add_note("".join(traceback.format_exception(error)).rstrip())
    # Behind the clause: the error holds frames, and they what the job allocated, which the next job may need.
    gc.collect()
    if doubtful and (why := lost(device)):
        gone = LostDeviceError(f"{device} no longer computes: {why}")
        gone.add_note(failed.__notes__[0])
        raise gone
    release(device)
    raise failed


def describe(error: BaseException) -> str:
    """One line that says what went wrong."""
    said = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if strained := trouble(error, STRAINED):
        said = strained
    elif not isinstance(error, DecoctError):
        said = f"{type(error).__name__}: {said}".removesuffix(": ")
    return said if len(said) <= LONGEST else f"{said[:LONGEST]} …"
