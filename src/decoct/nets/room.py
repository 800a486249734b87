"""The memory of a device: how much it has, and how work continues when that is not enough."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch
from torch import Tensor

from decoct.core.errors import DecoctError, first_line

LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container; "max" where there is none
SAID = ("out of memory", "DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED")  # where torch has no class for it
OTHERWISE = "take a smaller net, or a device with more memory"

Made = TypeVar("Made")


class Halved(UserWarning):
    """A device ran out of memory, and the work continues with half as much at a time."""


class Halving:
    """Computes blocks whose parts do not touch each other: at once, or in two halves if the device runs out of memory.

    It halves once: from then on, no more is computed at a time than half of the block that was too much.

    Args:
        what: is done, such as "features of images".
        device: that computes.
        field: that says how many images there are in a block; "" if none does.
        each: images that one of a block stands for.
        otherwise: what to do where no block is small enough.
    """

    def __init__(
        self, what: str, device: str | torch.device, field: str = "", each: int = 1, otherwise: str = OTHERWISE
    ) -> None:
        self.what, self.device, self.field, self.each, self.otherwise = what, str(device), field, each, otherwise
        self.most: int | None = None

    def __call__(self, compute: Callable[[Any], Made], block: Any) -> Iterator[Made]:
        """``compute`` of a block that has a length and can be sliced, or of one part of it after the other.

        Raises:
            DecoctError: half a block is too much as well, or the block is no more than one.
        """
        if self.most is None and len(block) > 1:
            try:
                made = compute(block)
            except RuntimeError as error:
                if not ran_out(error):
                    raise
            else:
                yield made
                return
            # Behind the clause, since the error holds the frames that hold what was allocated.
            self.most = -(-len(block) // 2)
            release(self.device)
            now = f"from here on {self.most * self.each} at a time"
            warnings.warn(f"{self._said(len(block))}: {now}", Halved, stacklevel=3)
        for at in range(0, len(block), step := self.most or 1):
            fits = step // 2 * self.each
            advice = f"{self.field} = {fits} may fit" if self.field and fits else self.otherwise
            with told(self._said(min(step, len(block))), self.device, advice):
                made = compute(block[at : at + step])
            yield made

    def _said(self, count: int) -> str:
        images = count * self.each
        return f"{self.device} ran out of memory at {self.what}, {images} image{'s' * (images > 1)} at a time"


@contextmanager
def told(what: str, device: str, advice: str) -> Iterator[None]:
    """Raise a DecoctError where memory runs out in the block: what happened, what the device has, and what to do."""
    try:
        yield
    except RuntimeError as error:
        if not ran_out(error):
            raise
        raise DecoctError(f"{what}; {has(device)}\n{advice}") from error


class Held(torch.autograd.graph.saved_tensors_hooks):
    """What autograd keeps for the gradient of what is computed in the block, on any device.

    Attributes:
        sizes: bytes by storage.
    """

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        super().__init__(self._see, lambda x: x)

    def __enter__(self) -> "Held":  # type: ignore[override]
        """Start to look."""
        super().__enter__()
        return self

    def _see(self, x: Tensor) -> Tensor:
        self.sizes[place(x)] = x.untyped_storage().nbytes()
        return x

    def besides(self, own: Iterable[Tensor]) -> list[int]:
        """Bytes of each storage that is none of these tensors'."""
        out = {place(x) for x in own}
        return [size for at, size in self.sizes.items() if at not in out]


def place(x: Tensor) -> int:
    """Which storage a tensor is in, while that lives; of one without values its address says nothing."""
    return int(x.untyped_storage()._cdata)


def ran_out(error: BaseException) -> bool:
    """Whether an error says that a device has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in SAID)


def release(device: str) -> None:
    """Release memory that is allocated on a device but unused, so that a smaller piece fits."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps" and torch.backends.mps.is_available():
        torch.mps.empty_cache()


def lost(device: str) -> str:
    """Why a GPU no longer computes for this process; "" if it does.

    After an error in a kernel, or once the GPU is gone, every call fails until the process ends.
    """
    if not device.startswith("cuda"):
        return ""
    if not torch.cuda.is_available():
        return "no GPU is visible any more"
    try:
        torch.zeros(1, device=device).add(1).item()
    except RuntimeError as error:
        return "" if ran_out(error) else first_line(error)
    return ""


def has(device: str) -> str:
    """How much memory a device has, and which processes use it."""
    said = f"{device} has {room(device) / 2**30:,.1f} GiB"
    if not device.startswith("cuda"):
        return said
    free, total = torch.cuda.mem_get_info(device)
    others = total - free - torch.cuda.memory_reserved(device)
    said += f", this job took {torch.cuda.max_memory_allocated(device) / 2**30:,.1f} at most"
    return said + (f", other processes have {others / 2**30:,.1f}" if others > total / 20 else "")


def free(device: torch.device | str) -> int:
    """Bytes of memory that nobody uses of a device."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def room(device: str) -> int:
    """Bytes of memory that a device has, or that this container may use of it."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(device).total_memory)
    total = int(psutil.virtual_memory().total)
    try:
        limit = LIMIT.read_text("utf-8").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdecimal() else total
