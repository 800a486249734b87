"""Tiny ImageNet, 64 × 64 colour, 100,000 + 10,000 images in 200 classes of ImageNet."""

import hashlib
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, ClassVar, Literal

from pydantic import Field

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress
from decoct.core.machine import blame
from decoct.data.reading.decode import DecodeError
from decoct.data.source import Raw, Source, hash_file
from decoct.data.sources._shared.pictures import Picture, decode_pictures

FOLDER, ARCHIVE = "tiny-imagenet-200", "tiny-imagenet-200.zip"
WNIDS, WORDS, ANNOTATIONS = "wnids.txt", "words.txt", "val/val_annotations.txt"
PICTURE_BYTES, TABLE_BYTES = 2**20, 2**24  # at most: pictures have some 2 kB, the largest table 2.7 MB
DAMAGED = (zipfile.BadZipFile, zlib.error, UnicodeDecodeError, NotImplementedError, RuntimeError)  # what zipfile raises
UNREADABLE = (OSError, EOFError, *DAMAGED)
GET = "unpack the release again, or give path = the zip itself"


@dataclass(frozen=True)
class Files:
    """The release's files by their names within it, and how to open one."""

    where: Path
    names: tuple[str, ...]
    open: Callable[[str], IO[bytes]]


class TinyImageNet(Source):
    """Tiny ImageNet (Le and Yang, 2015, Stanford CS231N): the release's folder or its zip, which is not unpacked.

    The official val split is the test split; the official test split has no labels and is passed over. Classes stand in
    the sorted order of their WordNet ids, by which heads of ImageNet-1K can be cut.
    """

    name: ClassVar[str] = "tiny_imagenet"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"path"})
    classes: ClassVar[int] = 200
    per_class: ClassVar[dict[str, int]] = {"train": 500, "test": 50}
    path: Path  # tiny-imagenet-200, the folder around it, or the zip
    size: int = Field(default=64, ge=4, le=1024)  # side in pixels
    names: Literal["wnid", "english"] = "wnid"  # english: of words.txt, such as "goldfish, Carassius auratus"
    skip_corrupt: bool = False  # leave out pictures that do not decode, and list them

    def manifest(self) -> dict[str, str]:
        """Digest of the zip, or of each file that is read."""
        place = self.find()
        if place.is_file():
            return {ARCHIVE: hash_file(place)}
        with opened(place) as files:
            wanted = {file for _, _, file in listed(files, wnids(files))} | {WNIDS, ANNOTATIONS}
            if self.names == "english":
                wanted.add(WORDS)
        return {name: hash_file(place / name) for name in sorted(wanted)}

    def read(self, manifest: dict[str, str], scratch: Path, progress: Progress) -> Raw:
        """Decode every picture.

        Raises:
            DecoctError: the release is not whole, or pictures do not decode (unless ``skip_corrupt``).
        """
        with opened(self.find()) as files:
            order = wnids(files)
            pictures = listed(files, order)
            self.check(files, order, Counter((split, label) for split, label, _ in pictures))
            names = order if self.names == "wnid" else english(files, order)
            undecoded = (Picture(*one, partial(load, files, one[2], manifest.get(one[2]))) for one in pictures)
            where = str(files.where)
            parts, skipped = decode_pictures(
                undecoded, len(pictures), where, scratch, self.size, 3, self.skip_corrupt, progress
            )
        return Raw(names, parts, skipped)

    def check(self, files: Files, order: tuple[str, ...], counts: Counter[tuple[str, int]]) -> None:
        """Refuse what is not as large as the release, such as a copy that stopped half way."""
        if len(order) != self.classes:
            raise DecoctError(f"{files.where}: {WNIDS} names {len(order)} classes, not {self.classes}: {GET}")
        for split, size in self.per_class.items():
            for label, wnid in enumerate(order):
                if counts[split, label] != size:
                    official = "train" if split == "train" else "val"
                    raise DecoctError(
                        f"{files.where}: {wnid} has {counts[split, label]} {official} images, not {size}\n{GET},"
                        " or use folder:PATH for a set of your own"
                    )

    def find(self) -> Path:
        """The folder or zip that ``path`` means."""
        path = self.path.expanduser()
        for folder in (path, path / FOLDER):
            if (folder / WNIDS).is_file() or (folder / "train").is_dir():
                return folder
        for archive in (path, path / ARCHIVE):
            if archive.is_file():
                return archive
        raise DecoctError(
            f"no Tiny ImageNet in {path}: give path = the folder {FOLDER}, the folder around it, or {ARCHIVE}\n"
            "it is available at http://cs231n.stanford.edu/tiny-imagenet-200.zip"
        )


@contextmanager
def opened(place: Path) -> Iterator[Files]:
    """The files of a folder or a zip."""
    if place.is_dir():
        names = (path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
        yield Files(place, tuple(sorted(names)), lambda name: (place / name).open("rb"))
        return
    try:
        archive = zipfile.ZipFile(place)
    except UNREADABLE as error:
        blame(error)
        raise DecoctError(f"cannot read {place}: {error}\nit is not a zip, or is damaged: download it again") from error
    with archive:
        if twice := [name for name, times in Counter(archive.namelist()).items() if times > 1]:
            raise DecoctError(f"{place} holds {twice[0]} twice: download it again")
        inside = {name.removeprefix(f"{FOLDER}/"): name for name in archive.namelist() if not name.endswith("/")}
        yield Files(place, tuple(sorted(inside)), lambda name: archive.open(inside[name]))


def content(files: Files, name: str, most: int) -> bytes:
    """A file's content, unpacked up to the largest size allowed.

    Raises:
        DecodeError: it cannot be read, or is larger.
    """
    try:
        with files.open(name) as file:
            data = file.read(most + 1)
    except UNREADABLE as error:
        blame(error)
        raise DecodeError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    if len(data) > most:
        raise DecodeError(f"more than {most:,} bytes")
    return data


def load(files: Files, name: str, sha: str | None) -> bytes:
    """A picture's bytes: those that the manifest lists, where it lists pictures."""
    data = content(files, name, PICTURE_BYTES)
    if sha is not None and hashlib.sha256(data).hexdigest() != sha:
        raise DecoctError(f"{files.where / name} changed while it was read: run again")
    return data


def table(files: Files, name: str) -> list[list[str]]:
    """The cells of a table's lines, which tabs separate."""
    if name not in files.names:
        raise DecoctError(f"{files.where} has no {name}: {GET}")
    try:
        text = content(files, name, TABLE_BYTES).decode()
    except (DecodeError, UnicodeDecodeError) as error:
        raise DecoctError(f"cannot read {files.where / name}: {error}\n{GET}") from error
    return [line.split("\t") for line in text.splitlines() if line.strip()]


def wnids(files: Files) -> tuple[str, ...]:
    """The classes' WordNet ids, sorted.

    Raises:
        DecoctError: one is listed twice, or the folders of train are others.
    """
    lines = [line[0].strip() for line in table(files, WNIDS)]
    if twice := [wnid for wnid, times in Counter(lines).items() if times > 1]:
        raise DecoctError(f"{files.where / WNIDS} names {twice[0]} twice: {GET}")
    folders = {PurePosixPath(name).parts[1] for name in files.names if PurePosixPath(name).match("train/*/images/*")}
    if differing := sorted(folders ^ set(lines)):
        where = "a folder of train, but not" if differing[0] in folders else "not a folder of train, but"
        raise DecoctError(f"{files.where}: {differing[0]} is {where} in {WNIDS}: {GET}")
    return tuple(sorted(lines))


def listed(files: Files, order: tuple[str, ...]) -> list[tuple[str, int, str]]:
    """Split, label and name of every labelled picture: train, then the official val as test.

    Raises:
        DecoctError: val's table and val's pictures do not fit together.
    """
    place = {wnid: label for label, wnid in enumerate(order)}
    paths = [PurePosixPath(name) for name in files.names]
    train = [("train", place[p.parts[1]], str(p)) for p in paths if p.match("train/*/images/*") and is_jpeg(p)]
    shown = {str(path) for path in paths if path.match("val/images/*") and is_jpeg(path)}
    test: dict[str, tuple[str, int, str]] = {}
    for cells in table(files, ANNOTATIONS):
        file, wnid = f"val/images/{cells[0]}", cells[1] if len(cells) > 1 else ""
        if wnid not in place:
            raise DecoctError(f"{files.where / ANNOTATIONS} gives {cells[0]} the class '{wnid}', which {WNIDS} lacks")
        if file in test or file not in shown:
            wrong = "lists it twice" if file in test else "has no such picture"
            raise DecoctError(f"{files.where}: {file} of {ANNOTATIONS}: val {wrong}: {GET}")
        test[file] = ("test", place[wnid], file)
    if unlisted := sorted(shown - set(test)):
        raise DecoctError(f"{files.where / ANNOTATIONS} says no class of {unlisted[0]}: {GET}")
    return train + [test[file] for file in sorted(test)]


def is_jpeg(path: PurePosixPath) -> bool:
    """Whether a name is that of one of the release's pictures, not what a file manager left."""
    return path.suffix.upper() == ".JPEG" and not path.name.startswith(".")


def english(files: Files, order: tuple[str, ...]) -> tuple[str, ...]:
    """The classes' English names.

    Raises:
        DecoctError: a class has none, or two have the same.
    """
    words = {line[0]: line[1].strip() for line in table(files, WORDS) if len(line) > 1}
    if missing := [wnid for wnid in order if wnid not in words]:
        raise DecoctError(f"{files.where / WORDS} has no name for {missing[0]}: {GET}")
    names = tuple(words[wnid] for wnid in order)
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise DecoctError(f"two classes are called '{twice[0]}': take names = \"wnid\"")
    return names
