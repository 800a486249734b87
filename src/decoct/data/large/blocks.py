"""Pictures of a layout decoded in parallel, each straight into its row of the files that the cache takes over.

Work is cut into blocks. A block counts as done when its rows are on disk and its line is in the record; what was being
written when a process died is written again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError
from decoct.core.kinds import Progress
from decoct.core.spec import digest
from decoct.data import cache
from decoct.data.large.index import Index, check_content
from decoct.data.layouts.layout import Layout, Piece
from decoct.data.reading.decode import DecodeError, decode
from decoct.data.reading.parallel import each
from decoct.data.source import Part
from decoct.data.split import stratified

PICTURES = 1024  # of a block, at most: what a kill costs each worker
CHANNELS, RECORD = 3, "done.jsonl"
ROWS = 256  # that are moved at once


@dataclass(frozen=True, eq=False)
class Plan:
    """Where each picture of an index goes.

    Attributes:
        part: [N] 0 for train, 1 for val, 2 for test.
        row: [N] in its part, in the order of the index.
    """

    part: NDArray[np.int64]
    row: NDArray[np.int64]

    @property
    def counts(self) -> list[int]:
        """Rows of each part."""
        counts: list[int] = np.bincount(self.part, minlength=len(cache.SPLITS)).tolist()
        return counts


class Block(NamedTuple):
    """Pictures of one piece, by their numbers in it, and where they go."""

    piece: Piece
    numbers: NDArray[np.int64]
    parts: NDArray[np.int64]
    rows: NDArray[np.int64]
    sums: NDArray[np.uint8]


def planned(index: Index, fraction: float, seed: int, class_names: tuple[str, ...]) -> Plan:
    """Hold a stratified fraction of ImageNet's train out as val; ImageNet's val is test.

    Equal files stay on one side. Other sources group by pixels, which nobody knows before they are decoded, and rows of
    hundreds of gigabytes are not moved afterwards.
    """
    part = np.full(len(index), cache.SPLITS.index("test"))
    train = np.flatnonzero(index.split == 0)
    part[train] = stratified(index.label[train], index.groups(train), fraction, seed, class_names)
    row = np.empty(len(index), dtype=np.int64)
    for which in range(len(cache.SPLITS)):
        rows = np.flatnonzero(part == which)
        row[rows] = np.arange(len(rows))
    return Plan(part, row)


def needed(counts: Sequence[int], size: int) -> int:
    """Bytes that images take on disk."""
    return sum(counts) * CHANNELS * size * size


def decoded(
    layout: Layout, index: Index, plan: Plan, size: int, folder: Path, workers: int, progress: Progress
) -> dict[int, str]:
    """Decode all pictures into ``folder/PART.images.npy``, as far as that is not done.

    Args:
        layout: where they are.
        index: what there is.
        plan: where each goes.
        size: side of the images.
        folder: of these files and the record.
        workers: processes; what is written does not depend on them.
        progress: called with (images done, images in all).

    Returns:
        What does not decode: row of the index, and why. Its row in the file is left as it is.

    Raises:
        DecoctError: a picture changed since it was indexed, or cannot be read.
        OSError: the disk is full.
    """
    where, cuts = _cut(index)
    record, about = folder / RECORD, digest({"index": _content(index, plan), "size": size, "cuts": len(cuts)})
    done = _read(record, about) if _allocate(folder, plan.counts, size) else {}
    with record.open("w", encoding="utf-8") as lines:
        lines.write("".join(json.dumps(line) + "\n" for line in (about, *done.items())))
        lines.flush()
        os.fsync(lines.fileno())
        left, pieces = [b for b in range(len(cuts)) if b not in done], layout.pieces()
        count = len(index) - sum(len(cuts[b]) for b in left)
        blocks = (_block(index, plan, pieces, where[cuts[b]]) for b in left)
        progress(count, len(index))
        for b, bad in zip(left, each(partial(write_block, layout, folder, size), blocks, workers), strict=True):
            done[b] = bad
            lines.write(json.dumps((b, bad)) + "\n")
            lines.flush()
            os.fsync(lines.fileno())
            count += len(cuts[b])
            progress(count, len(index))
    return {int(where[cuts[b]][i]): why for b, bad in done.items() for i, why in bad}


def parts(
    folder: Path, index: Index, plan: Plan, size: int, wnids: tuple[str, ...], bad: dict[int, str]
) -> dict[str, Part]:
    """The parts that were decoded, as the cache takes them; rows of what does not decode are closed up.

    Closing up moves rows within a file, so the record goes first: if it is interrupted, decoding starts again.
    """
    good = np.ones(len(index), dtype=bool)
    good[list(bad)] = False
    if bad:
        (folder / RECORD).unlink(missing_ok=True)
    made = {}
    for which, name in enumerate(cache.SPLITS):
        rows = np.flatnonzero(plan.part == which)
        keep, file = good[rows], folder / f"{name}.images.npy"
        if not keep.all():
            close_up(file, keep, size)
        rows = rows[keep]
        images = np.lib.format.open_memmap(file, mode="r")
        made[name] = Part(images, index.label[rows], np.arange(len(rows)), index.files(wnids, rows), file)
    return made


def close_up(file: Path, keep: NDArray[np.bool_], size: int) -> None:
    """Drop rows of a file of images in place."""
    images = np.lib.format.open_memmap(file, mode="r")
    kept, shape = np.flatnonzero(keep), images.shape[1:]
    begin = len(cache.header(images.shape))
    with file.open("r+b") as opened:
        for start in range(0, len(kept), ROWS):
            rows = np.ascontiguousarray(images[kept[start : start + ROWS]])
            _write(opened.fileno(), rows, begin + start * int(np.prod(shape)))
        opened.truncate(begin + needed([len(kept)], size))
        _write(opened.fileno(), np.frombuffer(cache.header((len(kept), *shape)), np.uint8), 0)


def write_block(layout: Layout, folder: Path, size: int, block: Block) -> list[tuple[int, str]]:
    """Decode one block into the files; returns which of its pictures do not decode, and why.

    Raises:
        DecoctError: a picture is not what was indexed.
    """
    place, bad, left = {number: i for i, number in enumerate(block.numbers.tolist())}, [], len(block.numbers)
    names = {int(which): folder / f"{cache.SPLITS[which]}.images.npy" for which in np.unique(block.parts)}
    files = {which: os.open(path, os.O_RDWR) for which, path in names.items()}
    begin, image_bytes = len(cache.header((1, CHANNELS, size, size))), needed([1], size)
    try:
        for number, picture in layout.pictures(block.piece, place):
            i, left = place[number], left - 1
            check_content(picture, block.sums[i].tobytes(), str(layout.root))
            try:
                image = decode(picture.data, size, CHANNELS)
            except DecodeError as error:
                bad.append((i, str(error)))
            else:
                _write(files[int(block.parts[i])], image, begin + int(block.rows[i]) * image_bytes)
            if left == 0:
                break  # what follows is of other blocks
        if left:
            raise DecoctError(f"{left} pictures in {layout.root} were there before and are gone: run again")
        for file in files.values():
            os.fsync(file)
    finally:
        for file in files.values():
            os.close(file)
    return bad


def _cut(index: Index) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Rows of the index in the order of pieces, and the blocks as places in that order."""
    where = np.lexsort((index.number, index.piece))
    starts = np.flatnonzero(np.diff(index.piece[where], prepend=-1))
    pieces = np.split(np.arange(len(index)), starts[1:])
    return where, [piece[start : start + PICTURES] for piece in pieces for start in range(0, len(piece), PICTURES)]


def _block(index: Index, plan: Plan, pieces: list[Piece], rows: NDArray[np.int64]) -> Block:
    piece = pieces[int(index.piece[rows[0]])]
    return Block(piece, index.number[rows], plan.part[rows], plan.row[rows], index.sum[rows])


def _content(index: Index, plan: Plan) -> str:
    """What tells which picture goes where, and from where it comes."""
    sha = hashlib.sha256(index.sum.tobytes())
    for column in (index.piece, index.number, plan.part, plan.row):
        sha.update(column.tobytes())
    return sha.hexdigest()


def _allocate(folder: Path, counts: list[int], size: int) -> bool:
    """Make the files of images at their whole length; returns whether they were there already.

    Raises:
        DecoctError: the disk has not as much room.
    """
    shapes = {name: (count, CHANNELS, size, size) for name, count in zip(cache.SPLITS, counts, strict=True)}
    files = {name: folder / f"{name}.images.npy" for name in shapes}
    lengths = {name: len(cache.header(shape)) + int(np.prod(shape)) for name, shape in shapes.items()}
    there = all(files[name].is_file() and files[name].stat().st_size == length for name, length in lengths.items())
    taken = sum(file.stat().st_blocks * 512 for file in files.values() if there)
    total, free = sum(lengths.values()), shutil.disk_usage(folder).free
    if total - taken > free:
        raise DecoctError(
            f"{sum(counts):,} images at {size} px take {total / 1e9:,.1f} GB in {folder.parent.parent}, "
            f"where {free / 1e9:,.1f} GB are free\n"
            "free some space, choose a smaller size, or set DECOCT_STORE to a folder on a larger disk"
        )
    for name, file in files.items() if not there else ():
        with file.open("wb") as made:
            made.write(cache.header(shapes[name]))
            made.truncate(lengths[name])
    return there


def _read(record: Path, about: str) -> dict[int, list[tuple[int, str]]]:
    """Blocks that are done, with what does not decode in them; none if the record is of other work."""
    try:
        first, *lines = record.read_text("utf-8").splitlines()
        if json.loads(first) != about:
            return {}
    except (OSError, ValueError):
        return {}
    done: dict[int, list[tuple[int, str]]] = {}
    for line in lines:
        try:
            block, bad = json.loads(line)
        except ValueError:  # the last one, where a kill came while it was written
            break
        done[int(block)] = [(int(i), str(why)) for i, why in bad]
    return done


def _write(file: int, values: NDArray[Any], place: int) -> None:
    """All bytes of an array at a place in a file."""
    data = memoryview(np.ascontiguousarray(values).tobytes())
    while data:
        count = os.pwrite(file, data, place)
        data, place = data[count:], place + count
