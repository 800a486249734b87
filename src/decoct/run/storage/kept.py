"""Intermediate results of a construction, in a folder of the store that is gone when the cell is there."""

import math
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from decoct.core import tensorfile
from decoct.core.kinds import Kept
from decoct.core.names import check_name


class KeptOnDisk(Kept):
    """Arrays as safetensors files, each there whole or not at all, in a folder that is made when one is saved.

    What changes step by step is saved every so many seconds. ``saved`` is called with every file that was saved or
    removed, to bring it to where another machine finds it.
    """

    def __init__(self, folder: Path, every: float = 300.0, saved: Callable[[Path], None] = lambda path: None) -> None:
        self.folder, self.every, self.saved, self.last = folder, every, saved, time.monotonic()

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """What was saved under a name; None if nothing was, or if it is damaged."""
        with suppress(OSError, SafetensorError):
            return dict(load_file(self._file(name)))
        return None

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Save arrays under a name, in one rename."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._file(name)
        with suppress(FileNotFoundError):  # another process made the same cell meanwhile, and cleared the folder
            tensorfile.write(file, arrays)
            self.saved(file)
        self.last = time.monotonic()

    def drop(self, name: str) -> None:
        """Remove what was saved under a name, if anything was."""
        file = self._file(name)
        if file.is_file():
            file.unlink(missing_ok=True)
            self.saved(file)

    def _file(self, name: str) -> Path:
        return self.folder / f"{check_name(name)}.safetensors"

    def due(self) -> bool:
        """Whether ``every`` seconds have gone by since something was saved."""
        return time.monotonic() - self.last >= self.every

    def array(self, name: str, shape: tuple[int, ...], dtype: Any = np.uint8) -> NDArray[Any]:
        """A memory map of zeros, of a file that has no name: it is this process's own, and goes with it.

        Raises:
            OSError: the disk has no room for it.
        """
        check_name(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.folder) as file:
            if hasattr(os, "posix_fallocate"):  # or a full disk would kill the process, when a page of the map is used
                os.posix_fallocate(file.fileno(), 0, math.prod(shape) * np.dtype(dtype).itemsize)
            return np.memmap(file, dtype, "r+", shape=shape)
