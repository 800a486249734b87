"""The files that a pool's images came from."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from decoct.core import arrayfile
from decoct.core.errors import DecoctError
from decoct.core.machine import STRAINED, blame
from decoct.data.reading.decode import formats
from decoct.shrinking.pool import Pool
from decoct.shrinking.reading.regroup import first
from decoct.shrinking.reading.sources import hub, mapped, named, webdataset

FILES = ("folder", "table")  # kinds of sources that consist of files
ENDINGS = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2"}  # where it is not the format's name


def original_path(pool: Pool, row: int) -> Path | None:
    """The file of an image; None where it is in none of its own, such as in a shard or a Python data set."""
    return Path(pool.facts["root"]) / pool.paths[row] if pool.facts["kind"] in FILES else None


def original(pool: Pool, row: int) -> tuple[bytes, str]:
    """The bytes of an image's file as they were found, and the extension that they should have.

    Where there are no such bytes, the picture as it was given, as PNG, which loses nothing.

    Raises:
        DecoctError: it is not there any more.
    """
    path = original_path(pool, row)
    if path is not None:
        try:
            return path.read_bytes(), path.suffix
        except OSError as error:
            blame(error, STRAINED)
            raise DecoctError(f"cannot read {path}: {error.strerror or error}") from error
    found = _found(pool, row)
    if isinstance(found, bytes):
        return found, _ending(found)
    image = found if isinstance(found, Image.Image) else Image.fromarray(found)
    made = io.BytesIO()
    image.save(made, "PNG")
    return made.getvalue(), ".png"


def _found(pool: Pool, row: int) -> Any:
    kind = pool.facts["kind"]
    if kind == "hub":
        return hub.original(pool.facts, pool.paths[row])
    if kind == "mapped":
        return mapped.original(first(pool), pool.paths[row])
    try:
        place = arrayfile.read(pool.folder / "places.npy")[row]
        return (webdataset if kind == "webdataset" else named).original(pool.facts, place)
    except (ValueError, IndexError) as error:
        raise DecoctError(f"the images kept in {pool.folder} are damaged: {error}; remove that folder") from error


def _ending(data: bytes) -> str:
    """The extension of the format that the bytes are."""
    with Image.open(io.BytesIO(data), formats=formats()) as image:
        name = str(image.format)
    return ENDINGS.get(name, f".{name.lower()}")
