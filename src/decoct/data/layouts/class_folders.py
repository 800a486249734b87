"""Class folders: ``train/WNID/…`` and ``val/WNID/…``, or a flat ``val/`` beside the development kit."""

import re
from collections.abc import Container, Iterator
from functools import cached_property
from pathlib import Path

from decoct.core.errors import DecoctError
from decoct.data.layouts import devkit
from decoct.data.layouts.layout import MAX_BYTES, TRAIN, VAL, Layout, Picture, Piece, named
from decoct.data.reading.tree import Walk, entries, subfolders

FLAT = ""  # in place of a class


class ClassFolders(Layout):
    """Pictures in folders that are named by WordNet ids."""

    title = "class folders"

    def files(self) -> Iterator[Path]:
        """Every picture of a class that is wanted; the kit, where val is flat."""
        for split, wnid in self._folders():
            yield from (self.root / file for file in self._listed(split, wnid))
            if wnid == FLAT:
                yield from devkit.sources(self.root)
        self._walk.tell()

    def pieces(self) -> list[Piece]:
        """A class folder each; a flat val is one."""
        return list(self._folders())

    def pictures(self, piece: Piece, only: Container[int] | None = None) -> Iterator[tuple[int, Picture]]:
        """The pictures of a folder by name, those of folders below it too."""
        split, wnid = map(str, piece)
        truth = devkit.val_wnids(self.root) if wnid == FLAT else []
        for number, file in enumerate(self._listed(split, wnid)):
            kind = numbered(file, truth) if wnid == FLAT else wnid
            if kind in self.wanted and (only is None or number in only):
                yield number, Picture(split, kind, named(file, kind, str(self.root)), self._load(file))

    def _folders(self) -> Iterator[tuple[str, str]]:
        for split in (TRAIN, VAL):
            folder = self.root / split
            if not folder.is_dir():
                raise DecoctError(f"{self.root} has no folder {split}/ with a folder for each class")
            names = subfolders(folder)
            if strange := [name for name in names if name not in self.order]:
                raise DecoctError(f"{folder}/{strange[0]} is no class of ImageNet-1K: name folders by WordNet id")
            if split == VAL and not names:
                yield split, FLAT
            yield from ((split, name) for name in names if name in self.wanted)

    @cached_property
    def _walk(self) -> Walk:
        """Over all classes, wanted or not."""
        parts = [self.root / split for split in (TRAIN, VAL) if (self.root / split).is_dir()]
        return Walk(self.root, (part / name for part in parts for name in subfolders(part) or [FLAT]))

    def _listed(self, split: str, wnid: str) -> list[str]:
        """Files of a piece relative to the root, sorted."""
        return self._walk.pictures(self.root / split / wnid)

    def _load(self, file: str) -> bytes:
        try:
            with (self.root / file).open("rb") as opened:
                data = opened.read(MAX_BYTES + 1)
        except OSError as error:
            raise DecoctError(f"cannot read {self.root / file}: {error.strerror or error}") from error
        if len(data) > MAX_BYTES:
            raise DecoctError(f"{self.root / file} has more than {MAX_BYTES:,} bytes, more than any picture: remove it")
        return data


def is_class_folders(root: Path) -> bool:
    """Whether a folder has a ``train`` with folders in it, and a ``val``."""
    return (root / VAL).is_dir() and (root / TRAIN).is_dir() and any(e.is_dir() for e in entries(root / TRAIN))


def numbered(file: str, truth: list[str]) -> str:
    """The class of a picture of val by the number in its name.

    Args:
        file: its name, such as "val/ILSVRC2012_val_00000293.JPEG".
        truth: of ``devkit.val_wnids``.

    Raises:
        DecoctError: no number, or none that the kit knows.
    """
    found = re.search(r"ILSVRC2012_val_(\d{8})\.\w+$", file)
    if not found or not 1 <= int(found[1]) <= len(truth):
        raise DecoctError(f"{file} is no ILSVRC2012_val_00000001 to {len(truth):08d}, which the kit knows: remove it")
    return truth[int(found[1]) - 1]
