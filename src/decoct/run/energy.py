"""Joules that a device draws while a job works on it, by its maker's counter; None where nothing reports them.

A counter is of the whole device: of a GPU, or of the processor packages (sockets) without the main memory. It counts
all that runs there, so jobs side by side are each charged for all of them: compare energies of jobs that ran alone.
A GPU's moves every 20 to 100 ms, a processor's every millisecond; what is shorter comes out rough, or as 0.
"""

import importlib
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

POWERCAP = Path("/sys/class/powercap")  # Linux lets root alone read what is below, unless told otherwise
EVERY = 30.0  # seconds between two looks: the counters of some processors are at their end after 65 kJ, 3 min at 400 W


@dataclass(frozen=True)
class Counter:
    """What ``read`` gives is a count of joules that grows; at ``end`` it starts anew from 0, or never if infinite."""

    read: Callable[[], float]
    end: float = math.inf


def of_gpu(uuid: str) -> tuple[Counter, ...]:
    """NVML's counter of a GPU, where ``pynvml`` (from nvidia-ml-py) is installed; none where there is none.

    The UUID is CUDA's; numbers of devices differ, since CUDA_VISIBLE_DEVICES leaves out and reorders.
    """
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except Exception:  # not installed, no driver, no such GPU: nothing reports it, and the work goes on
        return ()
    return (Counter(lambda: float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3),)


def of_processor(root: Path = POWERCAP) -> tuple[Counter, ...]:
    """RAPL's counters of the processor packages, Intel's and AMD's; none if one of them cannot be read.

    Zones within a package (core, uncore, dram) and around it (psys) are left out, and so is intel-rapl-mmio, which
    shows the same packages again.
    """
    try:
        zones = [zone for zone in sorted(root.glob("intel-rapl:*")) if _text(zone / "name").startswith("package")]
        return tuple(Counter(partial(_joules, z / "energy_uj"), _joules(z / "max_energy_range_uj")) for z in zones)
    except (OSError, ValueError):
        return ()


class Energy:
    """Joules that counters count in a ``with`` block; a thread looks at those that start anew, lest one does so twice.

    Attributes:
        joules: after the block; None without counters, or where one could not be read at some point, or was reset.
    """

    joules: float | None = None

    def __init__(self, counters: Sequence[Counter], every: float = EVERY) -> None:
        self._counters, self._every = counters, every

    def __enter__(self) -> Self:
        self._drawn, self._last, self._over = 0.0, self._read(), threading.Event()
        self._watch = threading.Thread(target=self._follow, daemon=True)
        if self._last and any(math.isfinite(counter.end) for counter in self._counters):
            self._watch.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._watch.is_alive():
            self._watch.join()
        self._look()
        self.joules = self._drawn if self._last and math.isfinite(self._drawn) else None

    def _follow(self) -> None:
        while not self._over.wait(self._every):
            self._look()

    def _look(self) -> None:
        """Add what was counted since the last look; after one that failed there is nothing to add to."""
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
    return int(_text(file)) / 1e6


def _text(file: Path) -> str:
    return file.read_text("utf-8").strip()
