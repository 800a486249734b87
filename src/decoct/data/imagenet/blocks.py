"""Pictures of a layout decoded in parallel, each straight into its row of the files that the cache takes over.

Work is cut into blocks. A block counts as done when its rows are on disk and its line is in the record; what was being
written when a process died is written again.
"""

import hashlib
import os
import shutil
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from decoct.core import arrayfile
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress
from decoct.core.spec import digest
from decoct.data import cache
from decoct.data.imagenet.index import CHANNELS, Index, decoded, read
from decoct.data.imagenet.layout import Layout, Piece
from decoct.data.reading.decode import DecodeError
from decoct.data.reading.parallel import recorded
from decoct.data.split import stratified

PICTURES = 1024  # of a block, at most: what a kill costs each worker
RECORD = "done.jsonl"
ROWS = 256  # that are moved at once


class Block(NamedTuple):
    """Pictures of one piece, by their numbers in it, and where they go; no piece where it is gone."""

    piece: Piece | None
    numbers: NDArray[np.int64]
    parts: NDArray[np.int64]
    rows: NDArray[np.int64]
    sums: NDArray[np.uint8]


def planned(index: Index, fraction: float, seed: int, class_names: tuple[str, ...]) -> NDArray[np.int64]:
    """Where each picture of an index goes, [N]: 0 for train, 1 for val, 2 for test.

    Val is a stratified fraction of ImageNet's train, and ImageNet's val is test. Equal files stay on one side. Other
    sources group by pixels, which nobody knows before they are decoded, and rows of hundreds of gigabytes are not moved
    afterwards.
    """
    part = np.full(len(index), cache.SPLITS.index("test"))
    train = np.flatnonzero(index.split == 0)
    part[train] = stratified(index.label[train], index.groups(train), fraction, seed, class_names)
    return part


def needed(count: int, size: int) -> int:
    """Bytes that so many images take on disk."""
    return count * CHANNELS * size * size


def write(
    layout: Layout, index: Index, part: NDArray[np.int64], size: int, folder: Path, workers: int, progress: Progress
) -> dict[int, str]:
    """Decode all pictures into ``folder/PART.images.npy``, as far as that is not done, with any number of workers.

    Returns:
        What does not decode: row of the index, and why. Its row in the file is left as it is.

    Raises:
        DecoctError: a picture changed since it was indexed, or cannot be read.
        OSError: the disk is full.
    """
    cuts = [rows[start : start + PICTURES] for rows in index.by_piece() for start in range(0, len(rows), PICTURES)]
    content = hashlib.sha256(b"".join(column.tobytes() for column in (index.sum, index.piece, index.number, part)))
    about = digest({"index": content.hexdigest(), "size": size, "cuts": len(cuts)})
    counts = np.bincount(part, minlength=len(cache.SPLITS)).tolist()
    if not _allocate(folder, counts, size):
        (folder / RECORD).unlink(missing_ok=True)
    row = np.empty(len(index), dtype=np.int64)  # of each picture in its part, in the order of the index
    for which, images in enumerate(counts):
        row[part == which] = np.arange(images)
    pieces, count, bad = layout.pieces(), 0, dict[int, str]()

    def block(number: int) -> Block:
        rows = cuts[number]
        piece = int(index.piece[rows[0]])
        where = pieces[piece] if piece < len(pieces) else None
        return Block(where, index.number[rows], part[rows], row[rows], index.sum[rows])

    working = partial(write_block, layout, folder, size)
    for number, undecoded in recorded(working, len(cuts), block, workers, folder / RECORD, about):
        bad |= {int(cuts[number][place]): why for place, why in undecoded}
        progress(count := count + len(cuts[number]), len(index))
    return bad


def close_up(file: Path, keep: NDArray[np.bool_], channels: int | None = None) -> None:
    """Drop rows of a file of images or features in place, and the record, which does not hold any more.

    Args:
        file: of [N, …].
        keep: [N], the rows that stay.
        channels: how many of the first stay, of [N, C, …]; None for all.
    """
    (file.parent / RECORD).unlink(missing_ok=True)  # first: if this is interrupted, decoding starts again
    rows = arrayfile.read(file)
    kept, shape = np.flatnonzero(keep), rows.shape[1:]
    shape = shape if channels is None else (channels, *shape[1:])
    with file.open("r+b") as opened:
        opened.seek(len(cache.header(rows.shape, rows.dtype)))
        for start in range(0, len(kept), ROWS):
            opened.write(np.ascontiguousarray(rows[kept[start : start + ROWS], : shape[0]]).data)
        opened.truncate()
        opened.seek(0)  # last: a file that is as long as it was still says how many rows it had
        opened.write(cache.header((len(kept), *shape), rows.dtype))


def write_block(layout: Layout, folder: Path, size: int, block: Block) -> list[tuple[int, str]]:
    """Decode one block into the files; returns which of its pictures do not decode, and why."""
    bad, begin, image_bytes = [], len(cache.header((1, CHANNELS, size, size))), needed(1, size)
    with ExitStack() as stack:
        names = {which: folder / f"{cache.SPLITS[which]}.images.npy" for which in set(block.parts.tolist())}
        files = {which: stack.enter_context(path.open("r+b")) for which, path in names.items()}
        for i, picture in read(layout, block.piece, block.numbers):
            try:
                image = decoded(picture, block.sums[i].tobytes(), size, str(layout.root))
            except DecodeError as error:
                bad.append((i, str(error)))
                continue
            file = files[int(block.parts[i])]
            file.seek(begin + int(block.rows[i]) * image_bytes)
            file.write(image.data)
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
    return bad


def _allocate(folder: Path, counts: list[int], size: int) -> bool:
    """Make the files of images at their whole length, if the disk has the room; returns whether they were there."""
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
