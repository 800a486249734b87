"""A layout of ImageNet: pieces that are read from start to end, each picture under one name."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple

from decoct.core.errors import DecoctError

TRAIN, VAL = "train", "val"
MAX_BYTES = 2**28  # of a picture as it is stored; ImageNet's largest has 15 MB
Piece = tuple[str | int, ...]  # of a layout: plain values that mean something to it alone
Member = tuple[str, str, str, str, Callable[[], bytes]]  # split, WordNet id, name, place, what reads it


class Picture(NamedTuple):
    """One picture of a layout, undecoded.

    Attributes:
        split: "train" or "val", as ImageNet calls them.
        wnid: WordNet id of its class.
        name: as in ImageNet's own archives, such as "n01440764_10026.JPEG", whatever the layout calls it.
        data: the whole file.
    """

    split: str
    wnid: str
    name: str
    data: bytes

    @property
    def file(self) -> str:
        """Its path in class folders: ``SPLIT/WNID/NAME``."""
        return f"{self.split}/{self.wnid}/{self.name}"


@dataclass(frozen=True)
class Layout(ABC):
    """A place that holds ImageNet or a part of it. Nothing of it is ever unpacked to disk.

    Attributes:
        root: folder or file.
        order: WordNet ids in the order of integer labels.
        wanted: those whose pictures are read; the others are passed over.
    """

    title: ClassVar[str]
    root: Path
    order: tuple[str, ...]
    wanted: frozenset[str]

    @abstractmethod
    def files(self) -> Iterator[Path]:
        """All files that it consists of."""

    @abstractmethod
    def pieces(self) -> list[Piece]:
        """What can be read on its own, without order among them; found without reading pictures.

        Raises:
            DecoctError: a class or a shard is missing, doubled or unknown, or a file is damaged.
        """

    @abstractmethod
    def members(self, piece: Piece) -> Iterator[Member]:
        """Every picture of a piece from its start to its end; its bytes can be read until the next one is asked for."""

    def pictures(self, piece: Piece, only: Container[int] | None = None) -> Iterator[tuple[int, Picture]]:
        """The pictures of a piece with their numbers in it, from its start to its end, one in memory at a time.

        Args:
            piece: one of ``pieces()``.
            only: the numbers that are asked for; the bytes of others are not read where they can be passed over.

        Raises:
            DecoctError: it cannot be read, is truncated, or says something that cannot be.
        """
        for number, (split, wnid, name, where, load) in enumerate(self.members(piece)):
            if wnid in self.wanted and (only is None or number in only):
                yield number, Picture(split, wnid, named(name, wnid, where), load())

    def wnid_of(self, label: int, where: str) -> str:
        """The class of an integer label."""
        if not 0 <= label < len(self.order):
            raise DecoctError(f"{where} has the label {label}: ImageNet-1K's are 0 to {len(self.order) - 1}")
        return self.order[label]


def named(name: str, wnid: str, where: str) -> str:
    """The name that ImageNet's own archives have for a picture: ``STEM.JPEG``, without a class behind it.

    Args:
        name: path or name in the layout; the hub's carry the class behind the stem, n01440764_10026_n01440764.JPEG.
        wnid: the class that the layout gives it.
        where: for the message.

    Raises:
        DecoctError: the name speaks of another class.
    """
    stem = PurePosixPath(name).name.partition(".")[0]
    said = re.match(r"(n\d{8})_", stem), re.search(r"_(n\d{8})$", stem)
    for other in (match[1] for match in said if match):
        if other != wnid:
            raise DecoctError(
                f"{where}: {name} is a picture of {other} by its name, but is filed as {wnid}\n"
                "class c must be the c-th of ImageNet-1K's sorted WordNet ids: mend the labels"
            )
    return f"{stem.removesuffix(f'_{wnid}')}.JPEG"
