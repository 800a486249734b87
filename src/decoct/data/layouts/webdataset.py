"""WebDataset shards: tars in which files of one stem are one sample, ``n01440764_10026.jpg`` and ``….cls``."""

from collections.abc import Container, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from decoct.core.errors import DecoctError
from decoct.data.layouts import tarfiles
from decoct.data.layouts.layout import Layout, Picture, Piece, named
from decoct.data.layouts.shards import by_split, split_of

PICTURES, CLASS = ("jpg", "jpeg", "png"), "cls"


class Sample(NamedTuple):
    """What the files of one stem say; they stand beside each other, in any order.

    Attributes:
        key: the stem, with its folders.
        data: the picture, or None so far; empty if it was not asked for.
        label: number of the class, or None so far.
    """

    key: str
    data: bytes | None = None
    label: int | None = None


class WebDataset(Layout):
    """Shards whose names say their split: ``imagenet1k-train-0000.tar``, ``imagenet1k-validation-00.tar``."""

    title = "WebDataset shards"

    def files(self) -> Iterator[Path]:
        """The shards of train and val."""
        for shards in by_split(tars(self.root)).values():
            yield from shards

    def pieces(self) -> list[Piece]:
        """Each shard."""
        found = by_split(tars(self.root))
        return [(split, shard.relative_to(self.root).as_posix()) for split in found for shard in found[split]]

    def pictures(self, piece: Piece, only: Container[int] | None = None) -> Iterator[tuple[int, Picture]]:
        """The samples of a shard in their order."""
        split, shard = str(piece[0]), self.root / str(piece[1])
        for number, sample in enumerate(samples(shard, only)):
            if sample.data is None or sample.label is None:
                lacks = "picture (.jpg, .jpeg, .png)" if sample.data is None else ".cls"
                raise DecoctError(f"{shard}: the sample '{sample.key}' has no {lacks}")
            wnid = self.wnid_of(sample.label, f"'{sample.key}' in {shard}")
            if wnid in self.wanted and (only is None or number in only):
                yield number, Picture(split, wnid, named(sample.key, wnid, str(shard)), sample.data)


def tars(root: Path) -> list[Path]:
    """Tars in a folder."""
    return [*root.glob("*.tar")]


def is_webdataset(root: Path) -> bool:
    """Whether a folder holds tars that are named as shards."""
    return any(split_of(file.name) for file in tars(root))


def samples(shard: Path, only: Container[int] | None = None) -> Iterator[Sample]:
    """The samples of a shard; files of other extensions, such as .json, are passed over.

    Args:
        shard: a tar.
        only: numbers of the samples whose pictures are read.

    Raises:
        DecoctError: the shard cannot be read, or a sample has two pictures or a class that is no number.
    """
    sample, number = None, -1
    with tarfiles.opened(shard) as file:
        for info, load in tarfiles.members(file, str(shard)):
            path = PurePosixPath(info.name)
            stem, _, extension = path.name.partition(".")
            if (kind := extension.lower()) not in (*PICTURES, CLASS):
                continue
            key = str(path.with_name(stem))
            if sample is None or sample.key != key:
                if sample is not None:
                    yield sample
                sample, number = Sample(key), number + 1
            if (sample.label if kind == CLASS else sample.data) is not None:
                raise DecoctError(f"{shard}: the sample '{key}' is there twice, or has two pictures: mend the shard")
            if kind == CLASS:
                sample = sample._replace(label=label_of(load(), f"'{info.name}' in {shard}"))
            else:
                sample = sample._replace(data=load() if only is None or number in only else b"")
    if sample is not None:
        yield sample


def label_of(data: bytes, where: str) -> int:
    """The number in a ``.cls`` file.

    Raises:
        DecoctError: it holds none.
    """
    try:
        return int(data.decode().strip())
    except ValueError:
        raise DecoctError(f"{where} holds {data[:20]!r}, not the number of a class") from None
