"""Pictures decoded block by block in worker processes, each straight into its rows of the files of a pool."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from decoct.core.errors import DecoctError
from decoct.core.machine import STRAINED, blame
from decoct.data import cache
from decoct.data.imagenet.layout import MAX_BYTES
from decoct.data.reading.decode import DecodeError, Opened, opened
from decoct.shrinking.pool import FEATURES
from decoct.shrinking.reading.embed import BATCH, Net
from decoct.shrinking.reading.sources.listing import Place

OWN, HELD = 128, 32  # pictures of a block: what a kill costs, and what is held where they come through one process
Seen = tuple[int, int, int, int, str, bool]  # width, height, bytes, content, format, whether it is grey


@dataclass(frozen=True)
class Making:
    """What is made of every picture.

    Attributes:
        folder: of the files.
        count: rows of each.
        sizes: sides of the images; where it is not known yet which is wanted, all that may be.
        net: gives features; None for none.
    """

    folder: Path
    count: int
    sizes: tuple[int, ...]
    net: Net | None

    def files(self) -> dict[Path, tuple[int, ...]]:
        """Shape of each file."""
        shapes = {self.folder / images(size): (self.count, 3, size, size) for size in self.sizes}
        return shapes | ({self.folder / FEATURES: (self.count, self.net.features)} if self.net else {})


def images(size: int) -> str:
    """Name of the file of images of a size, before it is known which is kept."""
    return f"images{size}.npy"


def allocate(making: Making) -> bool:
    """Make the files at their whole length, if the disk has the room; returns whether they were there.

    Raises:
        DecoctError: it has not.
    """
    begins = {path: _header(path, shape) for path, shape in making.files().items()}
    lengths = {
        path: len(begins[path]) + int(np.prod(shape, dtype=np.int64)) * _dtype(path).itemsize
        for path, shape in making.files().items()
    }
    if all(path.is_file() and path.stat().st_size == length for path, length in lengths.items()):
        return True
    total, free = sum(lengths.values()), shutil.disk_usage(making.folder).free
    if total > free:
        raise DecoctError(
            f"{making.count:,} images as they are learnt from take {total / 1e9:,.1f} GB in {making.folder}, "
            f"where {free / 1e9:,.1f} GB are free\n"
            "free some space, choose a smaller size, or set DECOCT_STORE to a folder on a larger disk"
        )
    for path, length in lengths.items():
        with path.open("wb") as made:
            made.write(begins[path])
            made.truncate(length)
    return False


def write_block(making: Making, block: tuple[int, list[Place]]) -> list[Seen | str]:
    """Decode one block, first row and places, into the files.

    Returns:
        what was seen of each picture, or why it does not decode; its rows are zeros then.
    """
    start, places = block
    largest = max((*making.sizes, making.net.side if making.net else 0))
    squares = {size: np.zeros((len(places), 3, size, size), dtype=np.uint8) for size in making.sizes}
    features = np.zeros((len(places), making.net.features if making.net else 0), dtype=np.float32)
    seen: list[Seen | str] = []
    waiting: list[tuple[int, NDArray[np.uint8]]] = []

    def embed() -> None:
        if making.net and waiting:
            features[[row for row, _ in waiting]] = making.net.features_of(np.stack([each for _, each in waiting]))
            waiting.clear()

    for row, place in enumerate(places):
        try:
            data = bytes_of(place)
            picture = _picture(data, largest)
        except DecodeError as error:
            seen.append(str(error))
            continue
        for size, rows in squares.items():
            rows[row] = picture.square(size, 3)
        grey = picture.image.mode == "L" or all(bool((rows[row] == rows[row, :1]).all()) for rows in squares.values())
        seen.append((picture.width, picture.height, *_content(data), picture.format, grey))
        if making.net:
            waiting.append((row, picture.square(making.net.side, making.net.channels)))
            if len(waiting) == BATCH:
                embed()
    embed()
    for size, rows in squares.items():
        _write(making.folder / images(size), start, rows)
    if making.net:
        if not np.isfinite(features).all():
            raise DecoctError(f"features of {making.net.name} are not finite: take another net")
        _write(making.folder / FEATURES, start, features)
    return seen


def bytes_of(place: Place) -> bytes | NDArray[np.uint8]:
    """What a picture is decoded from: the bytes of its file, or its pixels.

    Raises:
        DecodeError: they cannot be read.
    """
    if isinstance(place, DecodeError):
        raise place
    if not isinstance(place, str | tuple):
        return place
    path, start, length = (place, 0, None) if isinstance(place, str) else place
    try:
        if not Path(path).is_file():  # a pipe would hang
            raise DecodeError("not a regular file" if Path(path).exists() else "no such file")
        if length is None and (size := os.stat(path).st_size) > MAX_BYTES:  # noqa: PTH116
            raise DecodeError(f"{size:,} bytes, more than any picture has")
        with open(path, "rb") as file:  # noqa: PTH123
            file.seek(start)
            return file.read(-1 if length is None else length)
    except (OSError, ValueError) as error:
        blame(error, STRAINED)
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(getattr(error, "strerror", None) or str(error)) from error


def joined(
    results: Iterator[tuple[int, list[Any]]], step: int, count: int
) -> tuple[dict[str, NDArray[Any]], dict[int, str]]:
    """What was seen of all pictures, as columns [count], and why some do not decode, by row.

    Args:
        results: number of a block, and what ``write_block`` gave.
        step: rows of a block.
        count: rows of all.
    """
    columns: dict[str, NDArray[Any]] = {
        "width": np.zeros(count, dtype=np.int32),
        "height": np.zeros(count, dtype=np.int32),
        "bytes": np.zeros(count, dtype=np.int64),
        "content": np.zeros(count, dtype=np.uint64),
        "format": np.full(count, "", dtype="U12"),
        "grey": np.zeros(count, dtype=bool),
    }
    bad: dict[int, str] = {}
    for number, seen in results:
        for row, what in enumerate(seen, number * step):
            if isinstance(what, str):
                bad[row] = what
                continue
            for column, value in zip(columns.values(), what, strict=True):
                column[row] = value
    return columns, bad


def _picture(data: bytes | NDArray[np.uint8], largest: int) -> Opened:
    if isinstance(data, np.ndarray):
        image = Image.fromarray(data)
        return Opened(image, image.width, image.height, "")
    return opened(data, largest)


def _content(data: bytes | NDArray[np.uint8]) -> tuple[int, int]:
    """How many bytes, and the first 8 of their SHA-256; of pixels their shape enters it."""
    more = b"" if isinstance(data, bytes) else str(data.shape).encode()
    raw = data if isinstance(data, bytes) else data.tobytes()
    return len(raw), int.from_bytes(hashlib.sha256(raw + more).digest()[:8], "little")


def _write(file: Path, start: int, rows: NDArray[Any]) -> None:
    with file.open("r+b") as opened:
        opened.seek(len(_header(file, (1, *rows.shape[1:]))) + start * rows[0].nbytes)
        opened.write(rows.data)
        opened.flush()
        os.fsync(opened.fileno())


def _dtype(file: Path) -> "np.dtype[Any]":
    return np.dtype(np.float32 if file.name == FEATURES else np.uint8)


def _header(file: Path, shape: tuple[int, ...]) -> bytes:
    return cache.header(shape, _dtype(file))
