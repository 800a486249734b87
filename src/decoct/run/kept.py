"""Intermediate results of a construction, in a folder of the store that is gone when the cell is there."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from decoct.core.kinds import Kept
from decoct.data.cache import sync


class KeptOnDisk(Kept):
    """Arrays as safetensors files, each there whole or not at all.

    Args:
        folder: made when the first array is saved.
        every: seconds between two savings of what changes step by step.
    """

    def __init__(self, folder: Path, every: float = 300.0) -> None:
        self.folder, self.every, self.last = folder, every, time.monotonic()

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """What was saved under a name; None if nothing was, or if it is damaged."""
        try:
            return dict(load_file(self.folder / f"{name}.safetensors"))
        except (OSError, SafetensorError):
            return None

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Save arrays under a name, in one rename."""
        self.folder.mkdir(parents=True, exist_ok=True)
        scratch = self.folder / f".tmp-{os.getpid()}-{name}"
        with suppress(FileNotFoundError):  # another process made the same cell meanwhile, and cleared the folder
            save_file({key: np.asarray(value, order="C") for key, value in arrays.items()}, scratch)
            sync(scratch)
            scratch.replace(self.folder / f"{name}.safetensors")
        self.last = time.monotonic()

    def drop(self, name: str) -> None:
        """Remove what was saved under a name, if anything was."""
        (self.folder / f"{name}.safetensors").unlink(missing_ok=True)

    def due(self) -> bool:
        """Whether ``every`` seconds have gone by since something was saved."""
        return time.monotonic() - self.last >= self.every

    def array(self, name: str, shape: tuple[int, ...], dtype: Any = np.uint8) -> NDArray[Any]:
        """A memory map of zeros, of a file that has no name: it is this process's own, and goes with it.

        Raises:
            OSError: the disk has no room for it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        scratch = self.folder / f".tmp-{os.getpid()}-{name}.npy"
        made = np.lib.format.open_memmap(scratch, "w+", dtype, shape)
        try:
            if hasattr(os, "posix_fallocate"):  # or a full disk would kill the process, when a page of the map is used
                with scratch.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, scratch.stat().st_size)
        finally:
            scratch.unlink()
        return made
