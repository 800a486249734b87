"""Execute a job: load its inputs, do the work under the meter, leave a cell. The same everywhere it runs."""

import importlib.metadata
import os
import platform
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from decoct.core.kinds import Progress, silent
from decoct.core.record import CELL, MEASURED, Cost, write_json
from decoct.data.dataset import Dataset, open_dataset
from decoct.run.executors import give_memory_back, keep_memory
from decoct.run.jobs import Job
from decoct.run.store import Store


@dataclass
class Cell:
    """What the work of a kind gets: the job, its data and inputs, a folder to fill, and a meter to run under."""

    job: Job
    store: Store
    folder: Path
    data: Dataset
    device: str
    progress: Progress
    cost: Cost | None = None

    def input(self, kind: str, key: str) -> Path:
        """Folder of a cell that this job reads."""
        return self.store.path(kind, key)

    @contextmanager
    def meter(self) -> Iterator[None]:
        """Time and memory of the block are the job's cost; loading inputs and saving stay outside."""
        cuda = self.device.startswith("cuda")
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        give_memory_back()
        _reset_peak()
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        if cuda:
            torch.cuda.synchronize()
        self.cost = Cost(
            seconds=time.perf_counter() - wall,
            cpu_seconds=time.process_time() - cpu,
            peak_memory=torch.cuda.max_memory_allocated() if cuda else _peak(),
            device=self.device,
            hardware=torch.cuda.get_device_name() if cuda else _processor(),
            host=platform.node(),
            versions={name: importlib.metadata.version(name) for name in ("decoct", "torch", "numpy")}
            | {"python": platform.python_version()},
        )


def execute(root: Path, job: Job, device: str = "cpu", progress: Progress = silent) -> None:
    """Run a job and leave its cell in the store at ``root``; nothing if the cell is there already.

    Raises:
        Whatever the work raises; nothing is stored then.
    """
    from decoct.run.work import WORK

    store = Store(root)
    if store.has(job.kind, job.key):
        return
    keep_memory()
    with threads(job.keyed["compute"]["threads"]), store.writing(job.kind, job.key) as folder:
        cell = Cell(job, store, folder, open_dataset(Path(job.data)), device, progress)
        WORK[job.kind](cell)
        if cell.cost is None:
            raise RuntimeError(f"the work of a {job.kind} job ran without its meter")
        write_json(folder / MEASURED, cell.cost.model_dump(mode="json"))
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


def _reset_peak() -> None:
    """Start the process's memory peak anew, where Linux lets us."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak() -> int:
    """Peak resident bytes: since ``_reset_peak`` on Linux, of the process elsewhere."""
    try:
        status = Path("/proc/self/status").read_text("utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if os.uname().sysname == "Darwin" else peak * 1024


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
