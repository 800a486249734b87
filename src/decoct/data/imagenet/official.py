"""ImageNet's own archives: a tar with a tar for each class, a tar of val, and the kit with the classes of val.

That is ImageNet's development kit, or Kaggle's solution; it also goes with a flat folder of val.
"""

import csv
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from decoct.core.errors import DecoctError
from decoct.core.machine import blame
from decoct.data.imagenet import tarfiles
from decoct.data.imagenet.layout import TRAIN, VAL, Layout, Member, Piece

TRAIN_TAR, VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
ARCHIVE, FOLDER = "ILSVRC2012_devkit_t12.tar.gz", "ILSVRC2012_devkit_t12"
META, TRUTH = "data/meta.mat", "data/ILSVRC2012_validation_ground_truth.txt"
KAGGLE, SOLUTION = Path("ILSVRC", "Data", "CLS-LOC"), "LOC_val_solution.csv"  # as Kaggle's competition packs it


class OfficialTars(Layout):
    """The archives as image-net.org hands them out."""

    title = "the official tars"

    def files(self) -> Iterator[Path]:
        """Both archives and the kit."""
        for name in (TRAIN_TAR, VAL_TAR):
            if not (self.root / name).is_file():
                raise DecoctError(f"{self.root} lacks {name}: both {TRAIN_TAR} and {VAL_TAR} are needed")
            yield self.root / name
        yield from sources(self.root)

    def pieces(self) -> list[Piece]:
        """Each tar inside that of train, with its place in bytes; that of val whole."""
        list(self.files())
        places: dict[str, tuple[int, int]] = {}
        for info, _ in tarfiles.members(self.root / TRAIN_TAR):
            match = re.fullmatch(r"(?:.*/)?(n\d{8})\.tar", info.name)
            if not match or match[1] not in self.order:
                raise DecoctError(f"{TRAIN_TAR} holds '{info.name}', which is not a tar of a class of ImageNet-1K")
            if match[1] in places:
                raise DecoctError(f"{TRAIN_TAR} holds the class {match[1]} twice: get it again")
            places[match[1]] = info.offset_data, info.size
        trained = [(TRAIN, wnid, *place) for wnid, place in places.items() if wnid in self.wanted]
        return [*trained, (VAL,)]

    def members(self, piece: Piece) -> Iterator[Member]:
        """The members of a tar in their order."""
        split = str(piece[0])
        path = self.root / (TRAIN_TAR if split == TRAIN else VAL_TAR)
        where, start, end, truth = str(path), 0, sys.maxsize, list[str]()
        if split == TRAIN:
            where, start, end = f"{piece[1]}.tar in {path}", int(piece[2]), int(piece[2]) + int(piece[3])
        else:
            truth = val_wnids(self.root)
        for info, load in tarfiles.members(path, where, start):
            if info.offset_data + info.size > end:  # its own end is missing, and what follows was read on
                raise DecoctError(f"{where} has data after its end: it is damaged, get the archive again")
            if tarfiles.is_picture(info.name):
                yield split, numbered(info.name, truth) if split == VAL else str(piece[1]), info.name, where, load


def sources(root: Path) -> list[Path]:
    """The files that say it: the kit's archive, or its two files unpacked; above Kaggle's folder, the solution."""
    if root.parts[-3:] == KAGGLE.parts and (root.parents[2] / SOLUTION).is_file():
        return [root.parents[2] / SOLUTION]
    if (root / ARCHIVE).is_file():
        return [root / ARCHIVE]
    for folder in (root / FOLDER, root):
        if (folder / META).is_file() and (folder / TRUTH).is_file():
            return [folder / META, folder / TRUTH]
    raise DecoctError(
        f"the pictures of val in {root} carry no class, and the kit that lists their classes is missing\n"
        f"put {ARCHIVE} (2.5 MB, from image-net.org as the pictures are) beside them, or sort val into folders"
    )


def val_wnids(root: Path) -> list[str]:
    """WordNet id of each picture of val, in the order of their numbers, from 1."""
    files = sources(root)
    if files[0].name == SOLUTION:
        return _solved(files[0])
    meta, truth = _unpacked(files[0]) if len(files) == 1 else (files[0].read_bytes(), files[1].read_bytes())
    ids = _wnids(meta, files[0])
    try:
        return [ids[int(line)] for line in truth.decode().split()]
    except (ValueError, KeyError) as error:
        raise DecoctError(f"{TRUTH} of {files[-1]} holds no ILSVRC2012 ids of classes: {error}") from error


def numbered(file: str, truth: list[str]) -> str:
    """The class of a picture of val by the number in its name.

    Raises:
        DecoctError: no number, or none that the kit knows.
    """
    match = re.search(r"ILSVRC2012_val_(\d{8})\.\w+$", file)
    if not match or not 1 <= int(match[1]) <= len(truth):
        raise DecoctError(
            f"{file} is not one of ILSVRC2012_val_00000001 to {len(truth):08d}, which the kit knows: remove it"
        )
    return truth[int(match[1]) - 1]


def _solved(file: Path) -> list[str]:
    """By Kaggle's rows of name and "WNID x y x y …", in no order."""
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            wnids = {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(lines)}
        return [wnids[f"ILSVRC2012_val_{number:08d}"] for number in range(1, len(wnids) + 1)]
    except (OSError, ValueError, KeyError, IndexError, AttributeError, csv.Error) as error:
        blame(error)
        raise DecoctError(f"{file} does not say the class of each picture of val ({error}): get it again") from error


def _unpacked(archive: Path) -> tuple[bytes, bytes]:
    """Both files out of the archive, read into memory."""
    held = dict[str, bytes]()
    for info, load in tarfiles.members(archive):
        for name in (META, TRUTH):
            if info.name.endswith(f"/{name}") or info.name == name:
                held[name] = load()
    if missing := [name for name in (META, TRUTH) if name not in held]:
        raise DecoctError(f"{archive} lacks {missing[0]}: it is not the kit of ILSVRC2012, or not whole; get it again")
    return held[META], held[TRUTH]


def _wnids(meta: bytes, where: Path) -> dict[int, str]:
    """WordNet ids by ILSVRC2012 id. The numbers follow no order of the WordNet ids; inner nodes have children."""
    from scipy.io import loadmat

    try:
        synsets = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
        rows = [(row["ILSVRC2012_ID"], row["WNID"], row["num_children"]) for row in synsets]
        return {int(number): str(wnid) for number, wnid, children in rows if int(children) == 0}
    except Exception as error:  # scipy raises whatever its parser stumbled on
        raise DecoctError(f"{META} of {where} cannot be read: {error}: get the kit again") from error
