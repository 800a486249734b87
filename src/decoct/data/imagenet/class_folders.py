"""Class folders on disk or in one archive: ``train/WNID/…`` and ``val/WNID/…``, or a flat ``val/`` beside the kit."""

from collections.abc import Iterator
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path, PurePosixPath

from decoct.core.errors import DecoctError
from decoct.core.machine import STRAINED, blame
from decoct.data.imagenet import official, tarfiles
from decoct.data.imagenet.layout import MAX_BYTES, TRAIN, VAL, Layout, Member, Piece
from decoct.data.reading.tree import Walk, entries, subfolders

FLAT = ""  # in place of a class
ENDINGS = (".tgz", ".tar.gz", ".tar")  # of archives


class ClassFolders(Layout):
    """Pictures in folders that are named by WordNet ids."""

    title = "class folders"

    def files(self) -> Iterator[Path]:
        """Every picture of a class that is wanted; the kit, where val is flat."""
        for split, wnid in self._folders():
            yield from (self.root / file for file in self._listed(split, wnid))
            if wnid == FLAT:
                yield from official.sources(self.root)
        self._walk.tell()

    def pieces(self) -> list[Piece]:
        """A class folder each; a flat val is one."""
        return list(self._folders())

    def members(self, piece: Piece) -> Iterator[Member]:
        """The pictures of a folder by name, those of folders below it too."""
        split, wnid = map(str, piece)
        truth = official.val_wnids(self.root) if wnid == FLAT else []
        for file in self._listed(split, wnid):
            own = official.numbered(file, truth) if wnid == FLAT else wnid
            yield split, own, file, str(self.root), partial(self._load, file)

    def _folders(self) -> Iterator[tuple[str, str]]:
        for split in (TRAIN, VAL):
            folder = self.root / split
            if not folder.is_dir():
                raise DecoctError(f"{self.root} has no folder {split}/ with a folder for each class")
            names = subfolders(folder)
            if strange := [name for name in names if name not in self.order]:
                raise DecoctError(f"{folder}/{strange[0]} is not a class of ImageNet-1K: name folders by WordNet id")
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
            blame(error, STRAINED)
            raise DecoctError(f"cannot read {self.root / file}: {error.strerror or error}") from error
        if len(data) > MAX_BYTES:
            raise DecoctError(f"{self.root / file} has more than {MAX_BYTES:,} bytes, more than any picture: remove it")
        return data


def is_class_folders(root: Path) -> bool:
    """Whether a folder has a ``train`` with folders in it, and a ``val``."""
    return (root / VAL).is_dir() and (root / TRAIN).is_dir() and any(e.is_dir() for e in entries(root / TRAIN))


class FolderArchive(Layout):
    """A tar, gzipped or not, of ``…/train/WNID/…`` and ``…/val/WNID/…``, as fastai's ``imagenette2.tgz``."""

    title = "class folders in an archive"

    def files(self) -> Iterator[Path]:
        """The archive."""
        yield self.root

    def pieces(self) -> list[Piece]:
        """The archive whole: what is gzipped has no places to start from."""
        return [()]

    def members(self, piece: Piece) -> Iterator[Member]:
        """The pictures in the archive's order."""
        for info, load in tarfiles.members(self.root):
            if tarfiles.is_picture(info.name):
                yield *self._place(info.name), info.name, str(self.root), load

    def _place(self, name: str) -> tuple[str, str]:
        """Split and class by the folders that a picture is in."""
        for split, wnid in pairwise(PurePosixPath(name).parts[:-1]):
            if split in (TRAIN, VAL) and wnid in self.order:
                return split, wnid
        raise DecoctError(
            f"{self.root}: '{name}' is not in train/ or val/ and the folder of a class of ImageNet-1K\n"
            "an archive of class folders holds train/WNID/… and val/WNID/…, as fastai's do"
        )
