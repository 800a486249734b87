"""The pictures of a layout in one sequential pass, decoded in batches, with no cache: for features and statistics."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from decoct.data.decode import DecodeError, decode
from decoct.data.layouts.layout import Layout, Picture
from decoct.data.parallel import each

CHANNELS = 3


class Batch(NamedTuple):
    """Some pictures in the order in which they are stored.

    Attributes:
        images: [B, 3, S, S] uint8, equal to the cache's.
        labels: [B] int64, places among the sorted WordNet ids of the classes that are read.
        files: [B] ``SPLIT/WNID/NAME``, by which a row is found again in ``Split.files`` of the cached data set.
        skipped: files that do not decode, with the reason; they are in none of the above.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    files: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


def stream(layout: Layout, split: str, size: int, batch: int = 256, workers: int = 1) -> Iterator[Batch]:
    """Read one of ImageNet's own splits from its start to its end.

    This process reads, so that a disk or a file server sees one sequential pass; workers decode. Memory holds a few
    batches a worker. Train comes whole: which part of it decoct holds out as val is known once all of it is.

    Args:
        layout: of ``recognise``.
        split: "train" or "val", as ImageNet calls them.
        size: side of the images.
        batch: pictures at a time; the last batch has what is left.
        workers: processes that decode.

    Raises:
        DecoctError: the pictures cannot be read.
    """
    label = {wnid: c for c, wnid in enumerate(sorted(layout.wanted))}
    yield from each(partial(decoded, label, size), _batches(layout, split, batch), workers)


def decoded(label: dict[str, int], size: int, pictures: Sequence[Picture]) -> Batch:
    """A batch of pictures as images."""
    images, labels, files, skipped = [], list[int](), list[str](), list[tuple[str, str]]()
    for picture in pictures:
        try:
            images.append(decode(picture.data, size, CHANNELS))
        except DecodeError as error:
            skipped.append((picture.file, str(error)))
        else:
            labels.append(label[picture.wnid])
            files.append(picture.file)
    whole = np.stack(images) if images else np.empty((0, CHANNELS, size, size), dtype=np.uint8)
    return Batch(whole, np.array(labels, dtype=np.int64), tuple(files), tuple(skipped))


def _batches(layout: Layout, split: str, batch: int) -> Iterator[list[Picture]]:
    """Pictures of a split, a batch at a time."""
    held: list[Picture] = []
    for piece in layout.pieces():
        if piece and piece[0] != split:  # a piece names its split first, unless it holds both
            continue
        for _, picture in layout.pictures(piece):
            if picture.split == split:
                held.append(picture)
            if len(held) == batch:
                yield held
                held = []
    if held:
        yield held
