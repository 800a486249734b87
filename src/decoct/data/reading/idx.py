"""The idx format of the MNIST family, plain or gzipped."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes.

    Args:
        path: the file; gzipped if it ends in ``.gz``.
        dimensions: how many the array must have.

    Returns:
        uint8 array of the shape that the header states.

    Raises:
        DecoctError: not an idx file of bytes with these dimensions, or not of the length that its header states.

    Source:
        LeCun, Cortes and Burges, "The MNIST database": magic 0, 0, type (8 is unsigned byte), number of dimensions;
        then each size as a big-endian 32-bit integer; then the values, last dimension fastest.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 + 4 * dimensions)
            if header[:4] != bytes((0, 0, 8, dimensions)) or len(header) != 4 + 4 * dimensions:
                raise DecoctError(f"{path} is not an idx file of bytes in {dimensions} dimensions")
            shape = struct.unpack(f">{dimensions}I", header[4:])
            length = math.prod(shape)
            data = bytearray()
            while chunk := file.read(min(2**24, length + 1 - len(data))):  # a false length asks for no memory
                data += chunk
    except (OSError, EOFError, zlib.error) as error:
        raise DecoctError(f"cannot read {path}: {error}") from error
    if len(data) != length:
        held = "more" if len(data) > length else len(data)
        raise DecoctError(f"{path} is damaged: its header states {length} bytes, it holds {held}")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)
