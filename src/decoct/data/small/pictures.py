"""Pictures of any source decoded one after the other into a file on disk, what does not decode, and the usual size."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from decoct.core.errors import DecoctError
from decoct.core.kinds import Progress
from decoct.data.reading.decode import DecodeError, decode, shape
from decoct.data.source import Part

NAMED = 3  # of those that do not decode, in a message
SMALL, LARGE = 32, 64  # sides that pictures of many sizes are brought to


@dataclass(frozen=True)
class Picture:
    """One picture before it is read.

    Attributes:
        split: "train", "val" or "test".
        label: the number of its class.
        file: what it is called.
        load: gives its bytes, or raises ``DecodeError``.
    """

    split: str
    label: int
    file: str
    load: Callable[[], bytes]


def usual_size(shapes: Iterable[tuple[int, int]]) -> tuple[int, str]:
    """The side that pictures are brought to where nobody says one, and a line that says so.

    It is their own where all have one size of up to 64 px; else the larger of 32 and 64 px that the shorter sides of
    half of them reach, and 32 where not even half reach that.

    Args:
        shapes: (width, height) of each picture.
    """
    found = Counter(shapes)
    sides = Counter[int]()
    for (width, height), count in found.items():
        sides[min(width, height)] += count
    if len(found) == 1 and 4 <= (side := min(next(iter(found)))) <= LARGE:
        width, height = next(iter(found))
        cut = "" if width == height else ", the centre cropped"
        return side, f"all {found.total():,} pictures are {width} × {height} px and stay at {side} px{cut}"
    reach = {size: sum(count for side, count in sides.items() if side >= size) for size in (LARGE, SMALL)}
    size = LARGE if found and 2 * reach[LARGE] >= found.total() else SMALL
    span = f"{min(sides):,} to {max(sides):,} px" if len(sides) > 1 else f"{max(sides, default=0):,} px"
    return size, f"pictures whose shorter side has {span} are made {size} × {size} px"


def shapes(pictures: Iterable[Picture]) -> Iterator[tuple[int, int]]:
    """(width, height) of each picture that has a readable header."""
    for picture in pictures:
        try:
            found = shape(picture.load())
        except DecodeError:
            continue
        if found:
            yield found


def decode_pictures(
    pictures: Iterable[Picture],
    total: int,
    where: str,
    scratch: Path,
    size: int,
    channels: Literal["auto", 1, 3],
    skip_corrupt: bool,
    progress: Progress,
) -> tuple[dict[str, Part], tuple[str, ...]]:
    """Decode all pictures in order, in the memory of one.

    Args:
        pictures: what to decode.
        total: how many there are.
        where: what holds them, for the message.
        scratch: a folder for the pixels, which the parts are a map of.
        size: side of the squares.
        channels: 1, 3, or "auto": one if red, green and blue are equal in every picture.
        skip_corrupt: leave out what does not decode.
        progress: called with (pictures decoded, pictures in all).

    Returns:
        the parts by split, and the names of what was left out, sorted.

    Raises:
        DecoctError: pictures do not decode (unless ``skip_corrupt``), or of a split none does.
    """
    kept: dict[str, list[tuple[int, int, str]]] = {}
    bad: dict[str, str] = {}
    grey, stored, row = channels != 3, 1 if channels == 1 else 3, 0
    with (scratch / "pixels").open("wb") as pixels:
        for done, picture in enumerate(pictures):
            found = kept.setdefault(picture.split, [])
            try:
                image = decode(picture.load(), size, stored)
            except DecodeError as error:
                bad[picture.file] = str(error)
            else:
                pixels.write(image.tobytes())
                found.append((row, picture.label, picture.file))
                row += 1
                grey = grey and bool((image == image[:1]).all())
            progress(done + 1, total)
    if not kept:
        raise DecoctError(f"{where} holds no pictures")
    if bad and not (skip_corrupt and all(kept.values())):
        raise DecoctError(_complaint(where, bad, total))
    shape = (row, stored, size, size)
    images = np.memmap(scratch / "pixels", dtype=np.uint8, mode="r", shape=shape)[:, : 1 if grey else 3]
    parts = {}
    for split, entries in kept.items():
        rows, labels, files = zip(*entries, strict=True)
        parts[split] = Part(images, np.array(labels, dtype=np.int64), np.array(rows, dtype=np.int64), files)
    return parts, tuple(sorted(bad))


def _complaint(where: str, bad: dict[str, str], total: int) -> str:
    """Which pictures do not decode, and what to do."""
    few = "; ".join(f"{file} ({why})" for file, why in sorted(bad.items())[:NAMED])
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    return (
        f"{len(bad)} of {total} images in {where} do not decode: {few}{more}\n"
        "repair or remove them, or set skip_corrupt = true (--skip-corrupt) to leave them out"
    )
