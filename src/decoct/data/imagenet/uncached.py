"""Images without a cache: decoded from where they are stored whenever they are read, all of them in one pass."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress
from decoct.data.cache import histogram
from decoct.data.imagenet import index as lists
from decoct.data.imagenet.index import CHANNELS, Index
from decoct.data.imagenet.layout import Layout, Picture, Piece
from decoct.data.reading.decode import DecodeError
from decoct.data.reading.parallel import each

BATCH = 256  # pictures that are read before they are decoded
MOST = 2**31  # bytes of images that are made one array without being asked for row by row


class Batch(NamedTuple):
    """Some pictures in the order in which they are stored.

    Attributes:
        rows: [B] of the index.
        images: [B, 3, S, S] uint8, equal to the cache's.
        bad: rows that do not decode, and why; they are not among ``rows``.
    """

    rows: NDArray[np.int64]
    images: NDArray[np.uint8]
    bad: tuple[tuple[int, str], ...]


class Uncached:
    """[N, 3, S, S] uint8 images of one part of a data set, read as an array is; their pictures stay where they are.

    ``in_order`` reads all of them from the layout's start to its end. Rows that are asked for by number are read in the
    layout's order too: cheap where a picture is a file, while archives and shards are passed through up to it.

    Attributes:
        shape: (N, 3, S, S).
        dtype: uint8.
    """

    ndim = 4
    dtype = np.dtype(np.uint8)

    def __init__(self, count: int, size: int, opened: Callable[[], tuple[Layout, Index]]) -> None:
        """Take the number of images, their side, and what gives the layout and the index whose row i is image i."""
        self.shape = (count, CHANNELS, size, size)
        self._opened = opened

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes that all images would take."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        """The images of a number, a slice, a mask, or an array of numbers; memory holds them twice."""
        asked = np.arange(len(self))[key]
        rows, places = np.unique(asked, return_inverse=True)
        images = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        for batch in self._read(rows, BATCH, 1):
            images[np.searchsorted(rows, batch.rows)] = batch.images
        return np.asarray(images[places.reshape(asked.shape)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of them, where that is no more than 2 GiB."""
        if self.nbytes > MOST:
            raise DecoctError(
                f"{len(self):,} images that are in no cache ({self.nbytes / 1e9:,.1f} GB) are needed again and again\n"
                "selection, features and statistics do without one; for this, prepare the data with cache = true"
            )
        return self[:].astype(dtype or self.dtype, copy=False)

    def sized(self, size: int) -> "Uncached":
        """The same pictures, decoded at another size."""
        return Uncached(len(self), size, self._opened)

    def in_order(self, size: int, workers: int = 1) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """All images once, in the order in which they are stored, with their rows."""
        for batch in self._read(np.arange(len(self)), size, workers):
            yield batch.rows, batch.images

    def originals(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Some rows, without repetition, with their pictures at their own size, [3, H, W], in the stored order."""
        for row, picture, known in self._pictures(rows):
            yield row, lists.decoded(picture, known, None, str(self._where[0].root))

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """[N] rows in the order of ``in_order``."""
        return self._where[2].stored

    def save(self, file: Path) -> None:
        """Write which pictures they are; ``index.load`` reads it."""
        lists.save(self._where[2], file)

    @cached_property
    def _where(self) -> tuple[Layout, list[Piece], Index]:
        layout, index = self._opened()
        return layout, layout.pieces(), index

    def _read(self, rows: NDArray[np.int64], size: int, workers: int) -> Iterator[Batch]:
        for batch in self.batches(rows, size, workers):
            if batch.bad:  # it did when it was listed, and its bytes are the same
                row, why = batch.bad[0]
                raise DecoctError(f"image {row} of {self._where[0].root} does not decode: {why}")
            yield batch

    def batches(self, rows: NDArray[np.int64], size: int = BATCH, workers: int = 1) -> Iterator[Batch]:
        """Decode some rows in the order in which they are stored.

        This process reads, so that a disk or a file server sees one sequential pass; workers decode. Memory holds a few
        batches a worker.

        Args:
            rows: [n], without repetition.
            size: pictures at a time; the last batch has what is left.
            workers: processes that decode; one means this one.

        Raises:
            DecoctError: they cannot be read, or are not what was listed.
        """
        pictures = self._pictures(rows)
        some = iter(lambda: list(islice(pictures, size)), [])
        yield from each(partial(_decoded, str(self._where[0].root), self.shape[2]), some, workers)

    def _pictures(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, Picture, bytes]]:
        """Pictures of some rows, with the sums that they had; each piece is read once."""
        layout, pieces, index = self._where
        for places in index.taken(rows).by_piece():
            chosen = rows[places]
            piece = int(index.piece[chosen[0]])
            where = pieces[piece] if piece < len(pieces) else None
            for place, picture in lists.read(layout, where, index.number[chosen]):
                row = int(chosen[place])
                yield row, picture, index.sum[row].tobytes()


def survey(
    images: Uncached, train: NDArray[np.bool_], workers: int, progress: Progress
) -> tuple[dict[int, str], NDArray[np.int64]]:
    """Decode all images once and keep only a survey; ``train``, [N], says which images are train's.

    Returns:
        What does not decode, row and reason; and how often train has each value, [3, 256].
    """
    bad, values, done = dict[int, str](), np.zeros((CHANNELS, 256), dtype=np.int64), 0
    for batch in images.batches(np.arange(len(images)), BATCH, workers):
        values += histogram(batch.images[train[batch.rows]])
        bad |= dict(batch.bad)
        progress(done := done + len(batch.rows) + len(batch.bad), len(images))
    return bad, values


def _decoded(where: str, size: int, held: Sequence[tuple[int, Picture, bytes]]) -> Batch:
    rows, images, bad = list[int](), list[NDArray[np.uint8]](), list[tuple[int, str]]()
    for row, picture, known in held:
        try:
            images.append(lists.decoded(picture, known, size, where))
        except DecodeError as error:
            bad.append((row, str(error)))
        else:
            rows.append(row)
    whole = np.stack(images) if images else np.empty((0, CHANNELS, size, size), dtype=np.uint8)
    return Batch(np.array(rows, dtype=np.int64), whole, tuple(bad))
