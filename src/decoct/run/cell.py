"""A cell in the making: a job with its data and inputs, a folder to fill, and the meter that its work runs under."""

import functools
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

from decoct.core.kinds import Machine, Progress
from decoct.core.needs import Work
from decoct.core.once import Spent
from decoct.core.record import Cost
from decoct.data.dataset import Dataset
from decoct.run.energy import Counter, Energy, of_gpu, of_processor
from decoct.run.jobs import Job
from decoct.run.memory import give_memory_back
from decoct.run.storage.kept import KeptOnDisk
from decoct.run.storage.store import Store


@dataclass
class Cell(Work):
    """What the work of a kind gets: the job, its data and inputs, a folder to fill, and a meter to run under."""

    job: Job
    store: Store
    folder: Path
    data: Dataset
    device: str
    progress: Progress
    cost: Cost | None = None

    def input(self, kind: str, key: str) -> Path:
        """Folder of a cell that this job reads, after its files were found as they were written.

        Raises:
            DamagedError: they are not.
        """
        return self.store.cell(kind, key)

    def machine(self) -> Machine:
        """Where and how the job computes, and where it leaves its state."""
        compute = self.job.keyed["compute"]
        return Machine(self.device, compute["precision"], compute["compile"], self.progress, self.kept())

    def kept(self) -> KeptOnDisk:
        """Where a job leaves intermediate results and the state of a training, for the case that it is killed."""
        self.store.resume(self.job.kind, self.job.key)
        return KeptOnDisk(self.store.unfinished(self.job.kind, self.job.key), saved=self.store.saved)

    @contextmanager
    def meter(self) -> Iterator[None]:
        """Time, energy and memory of the block are the job's cost; loading inputs and saving stay outside."""
        cuda = self.device.startswith("cuda")
        counters = _counters(self.device)
        if cuda:
            torch.cuda.init()  # before it there is no peak to reset
            torch.cuda.reset_peak_memory_stats(self.device)
        give_memory_back()
        _reset_peak()
        with Energy(counters) as energy:
            wall, cpu, once = time.perf_counter(), time.process_time(), Spent.now()
            yield
            if cuda:
                torch.cuda.synchronize(self.device)
            seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
        kept = Spent.now()
        self.cost = Cost(
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            once=kept.seconds - once.seconds,
            cpu_once=kept.cpu_seconds - once.cpu_seconds,
            device_seconds=0.0 if self.device == "cpu" else seconds,
            energy=energy.joules,
            peak_memory=torch.cuda.max_memory_allocated(self.device) if cuda else _peak(),
            device=self.device,
            hardware=hardware(self.device),
            host=platform.node(),
            versions=dict(_versions()),
        )


@functools.cache
def _versions() -> dict[str, str]:
    """Of decoct, Python and the libraries that compute, read once a process."""
    found = {name: importlib.metadata.version(name) for name in ("decoct", "torch", "numpy")}
    return found | {"python": platform.python_version()}


def hardware(device: str) -> str:
    """Name of the GPU, or of the processor."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor()


def _counters(device: str) -> tuple[Counter, ...]:
    """What counts the energy of a device; of accelerators that are no GPU of CUDA, nothing does."""
    if device.startswith("cuda"):
        return of_gpu(str(torch.cuda.get_device_properties(device).uuid))
    return of_processor() if device == "cpu" else ()


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
