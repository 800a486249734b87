"""The index of a layout: every wanted picture, where it is, and the checksum of its bytes. One pass makes it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress
from decoct.core.machine import blame
from decoct.core.scratch import replace
from decoct.core.spec import digest
from decoct.data.imagenet.layout import TRAIN, VAL, Layout, Picture, Piece
from decoct.data.reading.decode import decode
from decoct.data.reading.parallel import recorded

SPLITS, CHANNELS = (TRAIN, VAL), 3
SUM = 16  # bytes of a picture's sum, BLAKE2b: it tells copies apart from others, and content that changed
COLUMNS = ("piece", "number", "split", "label", "name")  # of an index, beside the sums
Rows = list[tuple[int, str, str, str, str]]  # number, split, class, name, and the sum in hexadecimal digits


@dataclass(frozen=True, eq=False)
class Index:
    """Pictures in the order of split, class and name, which is the same for every layout.

    Attributes:
        piece, number: [N] where each is: number of the piece, and of the picture in it.
        split: [N] 0 for train, 1 for val.
        label: [N] place of its class among the sorted WordNet ids.
        name: [N] of its file.
        sum: [N, 16] uint8, of its bytes.
    """

    piece: NDArray[np.int64]
    number: NDArray[np.int64]
    split: NDArray[np.int64]
    label: NDArray[np.int64]
    name: NDArray[Any]
    sum: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.piece)

    def files(self, wnids: tuple[str, ...], rows: NDArray[np.int64]) -> tuple[str, ...]:
        """Paths of some pictures in class folders."""
        triples = zip(self.split[rows].tolist(), self.label[rows].tolist(), self.name[rows].tolist(), strict=True)
        return tuple(f"{SPLITS[split]}/{wnids[label]}/{name}" for split, label, name in triples)

    def taken(self, rows: NDArray[np.int64]) -> "Index":
        """Some of the pictures, in the order of ``rows``."""
        where = self.piece[rows], self.number[rows]
        return Index(*where, self.split[rows], self.label[rows], self.name[rows], self.sum[rows])

    @property
    def stored(self) -> NDArray[np.int64]:
        """[N] rows in the order in which the layout stores them."""
        return np.lexsort((self.number, self.piece))

    def by_piece(self) -> list[NDArray[np.int64]]:
        """Rows of each piece that has some, in the order in which the layout stores them."""
        rows = self.stored
        return np.split(rows, np.flatnonzero(np.diff(self.piece[rows])) + 1) if len(rows) else []

    def groups(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """A number for each of some pictures, equal where their bytes are; numbered by first appearance."""
        halves = np.ascontiguousarray(self.sum[rows]).view("<u8")
        _, first, group = np.unique(halves, axis=0, return_index=True, return_inverse=True)
        place = np.empty(len(first), dtype=np.int64)
        place[np.argsort(first)] = np.arange(len(first))
        return place[group.reshape(-1)]

    def manifest(self, wnids: tuple[str, ...]) -> dict[str, Any]:
        """The content as plain JSON. It is equal in every layout, so one that was decoded before is found again."""
        sha = hashlib.sha256(digest(list(wnids)).encode())
        for start in range(0, len(self), 2**14):
            rows = np.arange(start, min(start + 2**14, len(self)))
            sha.update("\n".join(self.files(wnids, rows)).encode() + b"\n")
            sha.update(self.sum[rows].tobytes())
        return {"pictures": len(self), "content": sha.hexdigest()}


def make(layout: Layout, wnids: tuple[str, ...], workers: int, progress: Progress, record: Path) -> Index:
    """Read all pictures once; ``record`` keeps what was read, so that a killed process can be resumed.

    Raises:
        DecoctError: a class has no pictures, a picture is there twice, or they cannot be read.
    """
    pieces, label = layout.pieces(), {wnid: c for c, wnid in enumerate(wnids)}
    columns: list[list[Any]] = [[] for _ in range(6)]
    listed = recorded(partial(_listed, layout), len(pieces), pieces.__getitem__, workers, record, layout.title)
    for done, (which, rows) in enumerate(listed, 1):
        for place, where, wnid, name, known in rows:
            values = (which, place, SPLITS.index(where), label[wnid], name, bytes.fromhex(known))
            for column, value in zip(columns, values, strict=True):
                column.append(value)
        progress(done, len(pieces))
    piece, number, split, labels = (np.array(column, dtype=np.int64) for column in columns[:4])
    names = np.array(columns[4] or [""], dtype=np.str_)[: len(piece)]
    sums = np.frombuffer(b"".join(columns[5]), dtype=np.uint8).reshape(-1, SUM)
    order = np.lexsort((names, labels, split))
    index = Index(piece[order], number[order], split[order], labels[order], names[order], sums[order])
    check(index, wnids, layout)
    return index


def check(index: Index, wnids: tuple[str, ...], layout: Layout) -> None:
    """Refuse a class that has no pictures in a split, and a picture that is there twice."""
    for split, name in enumerate(SPLITS):
        empty = np.flatnonzero(np.bincount(index.label[index.split == split], minlength=len(wnids)) == 0)
        if len(empty):
            also = f", nor have {len(empty) - 1} more classes" if len(empty) > 1 else ""
            raise DecoctError(
                f"{layout.root} ({layout.title}): class {wnids[empty[0]]} has no pictures in {name}{also}\n"
                "get what is missing, and run again"
            )
    same = (index.name[1:] == index.name[:-1]) & (index.label[1:] == index.label[:-1])
    twice = np.flatnonzero(same & (index.split[1:] == index.split[:-1]))
    if len(twice):
        file = index.files(wnids, twice[:1])[0]
        raise DecoctError(f"{layout.root} ({layout.title}): {file} is there twice\nremove the copy, and run again")


def save(index: Index, path: Path) -> None:
    """Write an index as Parquet, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: pa.array(getattr(index, name)) for name in COLUMNS}
    sums = pa.FixedSizeBinaryArray.from_buffers(pa.binary(SUM), len(index), [None, pa.py_buffer(index.sum.tobytes())])
    replace(path, lambda aside: pq.write_table(pa.table({**columns, "sum": sums}), aside))


def load(path: Path) -> Index | None:
    """An index that was saved; None if there is none that can be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        piece, number, split, label = (table[name].to_numpy() for name in COLUMNS[:-1])
        names = np.array(table["name"].to_pylist(), dtype=np.str_)
        sums = np.frombuffer(b"".join(table["sum"].to_pylist()), dtype=np.uint8).reshape(-1, SUM)
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        blame(error)  # or every picture would be read again
        return None
    return Index(piece, number, split, label, names, sums)


def content(data: bytes) -> bytes:
    """The sum of a picture's bytes."""
    return hashlib.blake2b(data, digest_size=SUM).digest()


def read(layout: Layout, piece: Piece | None, numbers: NDArray[np.int64]) -> Iterator[tuple[int, Picture]]:
    """The pictures of a piece with these numbers, each with its number's place; no more is read than needed.

    Raises:
        DecoctError: some are gone, as the piece is where it is None, or cannot be read.
    """
    left = {number: place for place, number in enumerate(numbers.tolist())}
    for number, picture in layout.pictures(piece, left) if piece is not None else ():
        yield left.pop(number), picture
        if not left:
            return
    raise DecoctError(f"{len(left)} pictures in {layout.root} were there before and are gone: run again")


def decoded(picture: Picture, known: bytes, size: int | None, where: str) -> NDArray[np.uint8]:
    """The pixels of a picture, [3, size, size], or [3, H, W] at its own size.

    Raises:
        DecodeError: it does not decode.
        DecoctError: its bytes have another sum than when it was listed.
    """
    if content(picture.data) != known:
        raise DecoctError(f"{picture.file} in {where} changed while it was read: run again")
    return decode(picture.data, size, CHANNELS)


def _listed(layout: Layout, piece: Piece) -> Rows:
    """Of each picture of a piece: number, split, class, name, and the sum of its bytes."""
    return [(number, p.split, p.wnid, p.name, content(p.data).hex()) for number, p in layout.pictures(piece)]
