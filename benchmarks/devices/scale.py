"""Where gpu-check runs, and how much of everything: minutes of a GPU, or a dry run on a CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import torch

from decoct.study.execute import cores


@dataclass(frozen=True)
class Scale:
    """Numbers of one run; the code is the same at every scale.

    Attributes:
        name: for the page.
        classes: of the pictures of 224 px.
        each: pictures of such a class.
        iterations: of a construction there.
        steps: of a student, everywhere.
        race: classes, images of each and side in pixels of what loops are raced on.
        seconds: of a turn.
        repeats: turns of each loop.
        warm: steps before anything is timed, and the least of a turn.
        files: pixels and images per class of the loader's comparison.
    """

    name: str
    classes: int
    each: int
    iterations: int
    steps: int
    race: tuple[int, int, int]
    seconds: float
    repeats: int
    warm: int
    files: tuple[int, int]


ROOM = 4 * 10**9  # bytes of memory that a worker takes at 224 px, about
FULL = Scale("full", 4, 16, 4, 8, (500, 10, 224), 1.0, 3, 5, (224, 50))
DRY = Scale("dry: fewer classes, iterations and turns", 3, 12, 2, 4, (4, 4, 72), 0.1, 1, 1, (64, 10))


def scale_of(device: str, full: bool, minutes: float) -> Scale:
    """That of a device, with turns as long as so many minutes in all allow."""
    scale = FULL if full or device != "cpu" else DRY
    return replace(scale, seconds=scale.seconds * minutes / 10)


@dataclass(frozen=True)
class Bench:
    """A run.

    Attributes:
        device: such as "cuda:1".
        scale: how much.
        folder: of pictures, cells and what else is made.
    """

    device: str
    scale: Scale
    folder: Path

    @property
    def cuda(self) -> bool:
        """Whether the device is CUDA's."""
        return self.device.startswith("cuda")

    @property
    def workers(self) -> int:
        """Processes at a time that compute on the CPU."""
        return max(1, min(16, cores(), psutil.virtual_memory().total // ROOM))

    def alive(self) -> None:
        """Raise whatever torch raises if the device computes no more."""
        (torch.ones(1, device=self.device) + 1).cpu()

    def fresh_peak(self) -> None:
        """Count the peak from here."""
        if self.cuda:
            torch.cuda.synchronize(self.device)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> str:
        """What torch had allocated at most since ``fresh_peak``; on another device nothing counts that."""
        return memory(torch.cuda.max_memory_allocated(self.device)) if self.cuda else ""

    def exact(self) -> Any:
        """A block of real float32; on a CPU, which has no other, of kernels other than usual."""
        return setting("cudnn" if self.cuda else "mkldnn", self.device != "mps")


def memory(count: int) -> str:
    """Bytes as megabytes or gigabytes."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


@contextmanager
def setting(which: str, there: bool = True) -> Iterator[None]:
    """A block in which convolutions on CUDA are not rounded to TF32 ("cudnn"), or oneDNN is off ("mkldnn")."""
    if not there:
        yield
        return
    if which == "cudnn":
        get, put, want = torch._C._get_cudnn_allow_tf32, torch._C._set_cudnn_allow_tf32, False
    else:
        get, put, want = torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled, False
    before = get()
    put(want)
    try:
        yield
    finally:
        put(before)
