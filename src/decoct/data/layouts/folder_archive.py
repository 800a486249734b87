"""Class folders in one archive, as fastai releases Imagenette and Imagewoof: ``imagenette2-160.tgz``."""

from collections.abc import Container, Iterator
from itertools import pairwise
from pathlib import Path, PurePosixPath

from decoct.core.errors import DecoctError
from decoct.data.layouts import tarfiles
from decoct.data.layouts.layout import TRAIN, VAL, Layout, Picture, Piece, named

ENDINGS = (".tgz", ".tar.gz", ".tar")


class FolderArchive(Layout):
    """A tar, gzipped or not, of ``…/train/WNID/…`` and ``…/val/WNID/…``."""

    title = "class folders in an archive"

    def files(self) -> Iterator[Path]:
        """The archive."""
        yield self.root

    def pieces(self) -> list[Piece]:
        """The archive whole: what is gzipped has no places to start from."""
        return [()]

    def pictures(self, piece: Piece, only: Container[int] | None = None) -> Iterator[tuple[int, Picture]]:
        """The pictures in the archive's order."""
        with tarfiles.opened(self.root) as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            every = tarfiles.members(file, str(self.root), zipped)
            for number, (info, load) in enumerate(each for each in every if tarfiles.is_picture(each[0].name)):
                split, wnid = self._place(info.name)
                if wnid in self.wanted and (only is None or number in only):
                    yield number, Picture(split, wnid, named(info.name, wnid, str(self.root)), load())

    def _place(self, name: str) -> tuple[str, str]:
        """Split and class by the folders that a picture is in."""
        folders = PurePosixPath(name).parts[:-1]
        for split, wnid in pairwise(folders):
            if split in (TRAIN, VAL) and wnid in self.order:
                return split, wnid
        raise DecoctError(
            f"{self.root}: '{name}' is not in train/ or val/ and the folder of a class of ImageNet-1K\n"
            "an archive of class folders holds train/WNID/… and val/WNID/…, as fastai's do"
        )
