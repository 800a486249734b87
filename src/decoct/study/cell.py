"""A cell in the making: a job with its data and inputs, a folder to fill, and the meter that its work runs under."""

import functools
import importlib
import importlib.metadata
import math
import os
import platform
import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

import torch

from decoct.core.interfaces import Machine, Progress
from decoct.core.needs import Work
from decoct.core.once import Spent
from decoct.core.record import Cost
from decoct.data.dataset import Dataset
from decoct.study.jobs import Job
from decoct.study.memory import give_memory_back
from decoct.study.store.store import KeptOnDisk, Store

POWERCAP = Path("/sys/class/powercap")  # Linux lets root alone read what is below, unless told otherwise
EVERY = 30.0  # seconds between two looks: the counters of some processors are at their end after 65 kJ, 3 min at 400 W


class Spends(NamedTuple):
    """What a job's work has taken so far, as in its ``Cost``; energy is NaN where nothing reports it."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    once: float = 0.0
    cpu_once: float = 0.0
    energy: float = 0.0


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
    estimate: str = ""  # of the memory that the work takes, in words, where there is one
    here: float = field(default=0.0, init=False)  # of the cost's seconds, those of this process
    _spends: Callable[[], Spends] = field(default=Spends, init=False)
    _kept: KeptOnDisk | None = field(default=None, init=False)

    def input(self, kind: str, key: str) -> Path:
        """Folder of a cell that this job reads, its files found as they were written, or a DamagedError."""
        return self.store.cell(kind, key)

    def machine(self) -> Machine:
        """Where and how the job computes, and where it leaves its state."""
        compute = self.job.keyed["compute"]
        return Machine(self.device, compute["precision"], compute["compile"], self.progress, self.kept())

    def kept(self) -> KeptOnDisk:
        """Where a job leaves intermediate results and the state of a training, for the case that it is killed."""
        if self._kept is None:
            self.store.resume(self.job.kind, self.job.key)
            folder = self.store.unfinished(self.job.kind, self.job.key)
            self._kept = KeptOnDisk(folder, saved=self.store.saved, spends=lambda: self._spends())
        return self._kept

    @contextmanager
    def meter(self) -> Iterator[None]:
        """Time, energy and memory of the block are the job's cost; loading inputs and saving stay outside.

        Where a job continues from what it left, the time and the energy that this took are added.
        """
        cuda = self.device.startswith("cuda")
        counters: tuple[Counter, ...] = ()  # of other accelerators nothing counts
        if cuda:
            counters = of_gpu(str(torch.cuda.get_device_properties(self.device).uuid))
            torch.cuda.init()  # before it there is no peak to reset
            torch.cuda.reset_peak_memory_stats(self.device)
        elif self.device == "cpu":
            counters = of_processor()
        give_memory_back()
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # where Linux lets us, the process's peak starts anew
        with Energy(counters) as energy:
            wall, cpu, once = time.perf_counter(), time.process_time(), Spent.now()

            def spends() -> Spends:
                seconds, cpu_seconds, kept = time.perf_counter() - wall, time.process_time() - cpu, Spent.now()
                own = kept.seconds - once.seconds, kept.cpu_seconds - once.cpu_seconds
                return Spends(seconds, cpu_seconds, *own, energy.drawn())

            self._spends = spends
            yield
            if cuda:
                torch.cuda.synchronize(self.device)
            self.here = spends().seconds
            spent = Spends(*(self._kept.spent().tolist() if self._kept else spends()))
        self.cost = Cost(
            seconds=spent.seconds,
            cpu_seconds=spent.cpu_seconds,
            once=spent.once,
            cpu_once=spent.cpu_once,
            device_seconds=0.0 if self.device == "cpu" else spent.seconds,
            energy=spent.energy if math.isfinite(spent.energy) else None,
            peak_memory=torch.cuda.max_memory_allocated(self.device) if cuda else _peak(),
            device=self.device,
            hardware=hardware(self.device),
            host=platform.node(),
            versions=dict(_versions()),
        )


@functools.cache
def _versions() -> dict[str, str]:
    """Of decoct, Python and the libraries that compute, read once per process."""
    libraries = {name: importlib.metadata.version(name) for name in ("decoct", "torch", "numpy")}
    return libraries | {"python": platform.python_version()}


def hardware(device: str) -> str:
    """Name of the GPU, or of the processor."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def _peak() -> int:
    """Peak resident bytes: since the meter began on Linux, of the process elsewhere."""
    try:
        status = Path("/proc/self/status").read_text("utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if os.uname().sysname == "Darwin" else peak * 1024


@dataclass(frozen=True)
class Counter:
    """A growing count of joules, from ``read``; at ``end`` it restarts from 0, or never if infinite."""

    read: Callable[[], float]
    end: float = math.inf


def of_gpu(uuid: str) -> tuple[Counter, ...]:
    """NVML's counter of a GPU, where ``pynvml`` (from nvidia-ml-py) is installed; none where there is none.

    The UUID is CUDA's; numbers of devices differ, since CUDA_VISIBLE_DEVICES leaves out and reorders. MIG slices have
    none: their UUID is no GPU's, or CUDA gives them that of their GPU, whose counter is of all slices together.
    """
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except Exception:  # not installed, no driver, no such GPU: nothing reports it, and the work goes on
        return ()
    with suppress(Exception):  # of a GPU that cannot be sliced, or an NVML that does not know of it
        if nvml.nvmlDeviceGetMigMode(handle)[0]:  # the present mode, before the one after the next reset
            return ()
    return (Counter(lambda: float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3),)


def of_processor(root: Path = POWERCAP) -> tuple[Counter, ...]:
    """RAPL's counters of the processor packages, Intel's and AMD's; none if one of them cannot be read.

    Zones within a package (core, uncore, dram) and around it (psys) are left out, and so is intel-rapl-mmio, which
    shows the same packages again.
    """
    try:
        zones = [z for z in sorted(root.glob("intel-rapl:*")) if (z / "name").read_text("utf-8").startswith("package")]
        return tuple(Counter(partial(_joules, z / "energy_uj"), _joules(z / "max_energy_range_uj")) for z in zones)
    except (OSError, ValueError):
        return ()


class Energy:
    """Joules that counters count in a ``with`` block; a thread reads those that wrap, lest one wraps twice unseen.

    A counter is of the whole device: of a GPU, or of the processor packages (sockets) without the main memory. It
    counts all that runs there, so jobs side by side are each charged for all of them: compare energies of jobs that ran
    alone. A GPU's moves every 20 to 100 ms, a processor's every millisecond; what is shorter comes out rough, or as 0.
    """

    def __init__(self, counters: Sequence[Counter], every: float = EVERY) -> None:
        self._counters, self._every = counters, every

    def __enter__(self) -> Self:
        self._drawn, self._last, self._over, self._looks = 0.0, self._read(), threading.Event(), threading.Lock()
        self._watch = threading.Thread(target=self._follow, daemon=True)
        if self._last and any(math.isfinite(counter.end) for counter in self._counters):
            self._watch.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._watch.is_alive():
            self._watch.join()

    def drawn(self) -> float:
        """Joules so far; NaN without counters, or where one could not be read at some point, or was reset."""
        self._look()
        return self._drawn if self._last and math.isfinite(self._drawn) else math.nan

    def _follow(self) -> None:
        while not self._over.wait(self._every):
            self._look()

    def _look(self) -> None:
        """Add what was counted since the last look; after one that failed there is nothing to add to."""
        with self._looks:
            before, self._last = self._last, self._read() if self._last else None
            if before and self._last:
                for counter, then, now in zip(self._counters, before, self._last, strict=True):
                    self._drawn += now - then if now >= then else now - then + counter.end

    def _read(self) -> list[float] | None:
        try:
            return [counter.read() for counter in self._counters]
        except Exception:  # whatever a driver raises, the work that it measures goes on
            return None


def _joules(file: Path) -> float:
    return int(file.read_text("utf-8")) / 1e6
