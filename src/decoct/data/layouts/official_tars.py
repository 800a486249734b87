"""ImageNet's own archives: a tar of a tar for each class, a tar of val, and the development kit."""

import re
import sys
from collections.abc import Container, Iterator
from pathlib import Path

from decoct.core.errors import DecoctError
from decoct.data.layouts import devkit, tarfiles
from decoct.data.layouts.class_folders import numbered
from decoct.data.layouts.layout import TRAIN, VAL, Layout, Picture, Piece, named

TRAIN_TAR, VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"


class OfficialTars(Layout):
    """The archives as image-net.org hands them out."""

    title = "the official tars"

    def files(self) -> Iterator[Path]:
        """Both archives and the kit."""
        for name in (TRAIN_TAR, VAL_TAR):
            if not (self.root / name).is_file():
                raise DecoctError(f"{self.root} lacks {name}: both {TRAIN_TAR} and {VAL_TAR} are needed")
            yield self.root / name
        yield from devkit.sources(self.root)

    def pieces(self) -> list[Piece]:
        """Each tar inside that of train, with its place in bytes; that of val whole."""
        list(self.files())
        places: dict[str, tuple[int, int]] = {}
        with tarfiles.opened(self.root / TRAIN_TAR) as file:
            for info, _ in tarfiles.members(file, str(self.root / TRAIN_TAR)):
                found = re.fullmatch(r"(?:.*/)?(n\d{8})\.tar", info.name)
                if not found or found[1] not in self.order:
                    raise DecoctError(f"{TRAIN_TAR} holds '{info.name}', which is no tar of a class of ImageNet-1K")
                if found[1] in places:
                    raise DecoctError(f"{TRAIN_TAR} holds the class {found[1]} twice: get it again")
                places[found[1]] = info.offset_data, info.size
        trained = [(TRAIN, wnid, *place) for wnid, place in places.items() if wnid in self.wanted]
        return [*trained, (VAL,)]

    def pictures(self, piece: Piece, only: Container[int] | None = None) -> Iterator[tuple[int, Picture]]:
        """The members of a tar in their order."""
        split = str(piece[0])
        path = self.root / (TRAIN_TAR if split == TRAIN else VAL_TAR)
        where, start, end = str(path), 0, sys.maxsize
        if split == TRAIN:
            where, start, end = f"{piece[1]}.tar in {path}", int(piece[2]), int(piece[2]) + int(piece[3])
        truth = devkit.val_wnids(self.root) if split == VAL else []
        with tarfiles.opened(path) as file:
            file.seek(start)
            number = -1
            for info, load in tarfiles.members(file, where):
                if info.offset_data + info.size > end:  # its own end is missing, and what follows was read on
                    raise DecoctError(f"{where} goes on after its end: it is damaged, get the archive again")
                if not tarfiles.is_picture(info.name):
                    continue
                number += 1
                wnid = numbered(info.name, truth) if split == VAL else str(piece[1])
                if wnid in self.wanted and (only is None or number in only):
                    yield number, Picture(split, wnid, named(info.name, wnid, where), load())
