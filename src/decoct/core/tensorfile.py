"""Arrays in a safetensors file: written without a copy of them in memory, read as maps of the file.

The library checks a header; what it checked lies in the order of its offsets, without gaps, up to the end of the file.
"""

import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from decoct.core.scratch import replace

DTYPES = {"BOOL": np.dtype(bool), "C64": np.dtype("<c8")} | {
    f"{kind}{8 * size}": np.dtype(f"<{kind.lower()}{size}")
    for kind, sizes in (("F", (2, 4, 8)), ("I", (1, 2, 4, 8)), ("U", (1, 2, 4, 8)))
    for size in sizes
}


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Save arrays by name, whole or not at all; maps of a file that is replaced keep its content."""
    whole = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    replace(path, lambda aside: save_file(whole, aside))


def openable(path: Path) -> Path:
    """The path; an OSError says why it cannot be opened, of which the library says "no such file" whatever it is."""
    with path.open("rb"):
        return path


def read(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays by name, read-only maps of the file: pages are read when they are used.

    The file may be removed or replaced meanwhile, but not changed in its place.

    Raises:
        OSError: there is no such file.
        SafetensorError: damaged.
        ValueError: of a type that numpy does not have.
    """
    with path.open("rb") as file, safe_open(path, framework="numpy") as checked:
        raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        at = 8 + int.from_bytes(raw[:8], "little")  # behind the header and the eight bytes that give its length
        arrays: dict[str, NDArray[Any]] = {}
        for name in checked.offset_keys():
            tensor = checked.get_slice(name)
            if tensor.get_dtype() not in DTYPES:
                raise ValueError(f"{name} is of the type {tensor.get_dtype()}, which numpy does not have")
            dtype, shape = DTYPES[tensor.get_dtype()], tensor.get_shape()
            flat = np.frombuffer(raw, dtype, math.prod(shape), at)
            arrays[name], at = flat.reshape(shape), at + flat.nbytes
    return arrays
