"""Pictures of any origin decoded one by one into a file on disk, at the usual size if none is given."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress
from decoct.core.seeds import seed
from decoct.data.reading.decode import DecodeError, decode, shape, undecodable
from decoct.data.source import Part, Source

SMALL, LARGE = 32, 64  # sides that pictures of many sizes are made


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


class PictureSource(Source):
    """A source of pictures of any size: images are squares of ``size``, and what has no test split gets one from train.

    Pictures are oriented by EXIF, laid over white, their shorter side resized to ``size``, the centre cropped. Without
    a ``size`` they keep their own where all have one of up to 64 px; else it is the larger of 32 and 64 that half do.
    """

    size: int | None = Field(default=None, ge=4, le=1024)  # side in pixels; None for that of all where it is 64 or less
    channels: Literal["auto", 1, 3] = "auto"  # auto: one if red, green and blue are equal in every image
    test_fraction: float = Field(default=0.2, gt=0, lt=1)  # of train, where there is no test folder
    skip_corrupt: bool = False  # leave out pictures that do not decode, and list them

    def decoded(
        self, pictures: Callable[[], Iterable[Picture]], total: int, where: str, scratch: Path, progress: Progress
    ) -> tuple[dict[str, Part], tuple[str, ...], str]:
        """The parts, what was left out, and what was decided: ``decode_pictures`` as the fields say."""
        size, said = (self.size, "") if self.size else usual_size(shapes(pictures()))
        how = size, self.channels, self.skip_corrupt, progress
        return *decode_pictures(pictures(), total, where, scratch, *how), said

    def with_test(self, parts: dict[str, Part], class_names: tuple[str, ...]) -> dict[str, Part]:
        """The parts with a test split; a missing one becomes a stratified part of train, or of "all"."""
        if "test" in parts:
            return parts
        whole = parts["train"] if "train" in parts else parts["all"]
        train, test = whole.hold_out(self.test_fraction, seed(self.split_seed, "test"), class_names)
        return {**{name: part for name, part in parts.items() if name != "all"}, "train": train, "test": test}


def usual_size(shapes: Iterable[tuple[int, int]]) -> tuple[int, str]:
    """The default side for pictures of these widths and heights, and a line that says so.

    It is their own where all have one size of up to 64 px; else the larger of 32 and 64 px that the shorter sides of
    half of them reach, and 32 where not even half reach that.
    """
    counts, sides = Counter(shapes), Counter[int]()
    for (width, height), count in counts.items():
        sides[min(width, height)] += count
    if len(counts) == 1 and 4 <= (side := min(next(iter(counts)))) <= LARGE:
        width, height = next(iter(counts))
        cut = "" if width == height else ", the centre cropped"
        return side, f"all {counts.total():,} pictures are {width} × {height} px and stay at {side} px{cut}"
    large = sum(count for side, count in sides.items() if side >= LARGE)
    size = LARGE if counts and 2 * large >= counts.total() else SMALL
    span = f"{min(sides):,} to {max(sides):,} px" if len(sides) > 1 else f"{max(sides, default=0):,} px"
    return size, f"pictures whose shorter side has {span} are made {size} × {size} px"


def shapes(pictures: Iterable[Picture]) -> Iterator[tuple[int, int]]:
    """(width, height) of each picture that has a readable header."""
    for picture in pictures:
        try:
            known = shape(picture.load())
        except DecodeError:
            continue
        if known:
            yield known


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
        scratch: a folder for the pixels, which the parts are a map of.
        channels: 1, 3, or "auto": one if red, green and blue are equal in every picture.

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
            entries = kept.setdefault(picture.split, [])
            try:
                image = decode(picture.load(), size, stored)
            except DecodeError as error:
                bad[picture.file] = str(error)
            else:
                pixels.write(image.tobytes())
                entries.append((row, picture.label, picture.file))
                row += 1
                grey = grey and bool((image == image[:1]).all())
            progress(done + 1, total)
    if not kept:
        raise DecoctError(f"{where} holds no pictures")
    if bad and not (skip_corrupt and all(kept.values())):
        raise DecoctError(undecodable(where, bad, total))
    shape = (row, stored, size, size)
    images = np.memmap(scratch / "pixels", dtype=np.uint8, mode="r", shape=shape)[:, : 1 if grey else 3]
    parts = {}
    for split, entries in kept.items():
        rows, labels, files = zip(*entries, strict=True)
        parts[split] = Part(images, np.array(labels, dtype=np.int64), np.array(rows, dtype=np.int64), files)
    return parts, tuple(sorted(bad))
