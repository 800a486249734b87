"""CIFAR-10 and CIFAR-100 as their authors release them: binary or Python batches, in a folder or a tar.

The tar is never unpacked, and nothing in it is unpickled.
"""

import gzip
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress
from decoct.core.machine import blame
from decoct.data.cache import default_store
from decoct.data.source import Part, Raw, Source, hash_file
from decoct.data.sources._shared.pickled import read_plain

SIDE, PIXELS = 32, 3 * 32 * 32
MOST_BYTES = 2**29  # CIFAR's hold 185 MB; what unpacks to more is no release


@dataclass(frozen=True)
class Release:
    """One of the two forms that a set is released in.

    Attributes:
        form: how a batch is written.
        folder: what the tar calls its folder.
        archive: what the tar is called.
        train: the files of the train split, in order.
        test: the file of the test split.
    """

    form: Literal["binary", "python"]
    folder: str
    archive: str
    train: tuple[str, ...]
    test: str

    @property
    def files(self) -> tuple[str, ...]:
        """All files that are read."""
        return (*self.train, self.test)


@dataclass(frozen=True)
class Found:
    """Where a release lies: a folder with its files, or a tar of it."""

    release: Release
    path: Path


@dataclass(frozen=True)
class Batch:
    """One file: images [n, 3, 32, 32] uint8, and for each kind of label [n] int64."""

    images: NDArray[np.uint8]
    labels: Mapping[str, NDArray[np.int64]]


class Cifar(Source):
    """Either version of a release, as a folder or a tar. Nothing of it is unpickled, nothing unpacked onto disk.

    A subclass says its releases, its kinds of labels, and which of them are the classes.
    """

    unkeyed: ClassVar[frozenset[str]] = frozenset({"path", "download"})
    title_of_set: ClassVar[str]
    releases: ClassVar[tuple[Release, ...]]
    names_of: ClassVar[Mapping[str, tuple[str, ...]]]  # class names by kind of label, in the order of a binary record
    sizes: ClassVar[Mapping[str, int]] = {"train": 50_000, "test": 10_000}
    path: Path | None = None  # the batches' folder, the folder around it, or a tar; by default, what was downloaded
    download: bool = False  # through torchvision

    @property
    def labels(self) -> str:
        """Which kind of label is the class: the last of a binary record, unless a subclass says otherwise."""
        return tuple(self.names_of)[-1]

    def manifest(self) -> dict[str, str]:
        """Digest of each file that is read: the batches, or the tar."""
        place = self.find()
        if place.path.is_file():
            return {place.release.archive: hash_file(place.path)}
        return {name: hash_file(place.path / name) for name in place.release.files}

    def read(self, manifest: dict[str, str], scratch: Path, progress: Progress) -> Raw:
        """Read all batches.

        Raises:
            DecoctError: a batch is damaged or cut short, a label is out of range, or the two kinds of labels disagree.
        """
        place = self.find()
        release, batches = place.release, {}
        for name, data in contents(place):
            batches[name] = parse(release.form, data, str(place.path / name), tuple(self.names_of))
            progress(len(batches), len(release.files))
        parts = {}
        for split, files in (("train", release.train), ("test", (release.test,))):
            for file in files:
                self.check(batches[file], self.sizes[split] // len(files), str(place.path / file))
            images = np.concatenate([batches[file].images for file in files])
            labels = np.concatenate([batches[file].labels[self.labels] for file in files])
            parts[split] = Part(images, labels, np.arange(len(images)))
        return Raw(self.names_of[self.labels], parts)

    def check(self, batch: Batch, size: int, where: str) -> None:
        """Refuse a batch that is not as long as the release's, or has labels that it cannot have."""
        if len(batch.images) != size:
            raise DecoctError(
                f"{where} holds {len(batch.images):,} images, not {size:,}\n"
                f"that is not {self.title_of_set} as released: download it again, or use folder:PATH for your own set"
            )
        for kind, names in self.names_of.items():
            labels = batch.labels[kind]
            if labels.min() < 0 or labels.max() >= len(names):
                wrong = int(labels.min()) if labels.min() < 0 else int(labels.max())
                raise DecoctError(
                    f"{where} has the {kind} label {wrong}; {self.title_of_set}'s are 0 to {len(names) - 1}"
                )
        if len(self.names_of) == 2:
            coarse, fine = self.names_of
            pairs = np.unique(np.stack([batch.labels[fine], batch.labels[coarse]], 1), axis=0)
            twice = np.flatnonzero(np.diff(pairs[:, 0]) == 0)
            if len(twice):
                name = self.names_of[fine][int(pairs[twice[0], 0])]
                raise DecoctError(f"{where} puts class '{name}' into two {coarse} classes: its labels are damaged")

    def find(self) -> Found:
        """The first place that holds a whole release."""
        place = self.path.expanduser() if self.path else default_store() / "downloads"
        release = look(place, self.releases)
        if release is None and self.download:
            self.fetch(place)
            release = look(place, self.releases)
        if release:
            return release
        raise DecoctError(
            f"no {self.title_of_set} in {place}{lacking(place, self.releases)}\n"
            f"give path = a folder with {self.releases[0].archive}, {self.releases[1].archive} or what is in it,\n"
            "or set download = true"
        )

    def fetch(self, folder: Path) -> None:
        """Download the tar, whose MD5 torchvision knows, into a folder. It is not unpacked."""
        from torchvision import datasets
        from torchvision.datasets.utils import download_url

        made = getattr(datasets, self.title_of_set.replace("-", ""))
        try:
            download_url(made.url, str(folder), made.filename, made.tgz_md5)
        except (OSError, RuntimeError) as error:
            blame(error)
            raise DecoctError(f"cannot download {self.title_of_set}: {error}\ngive path = a copy of it") from error


def parse(form: Literal["binary", "python"], data: bytes, where: str, kinds: tuple[str, ...]) -> Batch:
    """One batch.

    Source:
        www.cs.toronto.edu/~kriz/cifar.html. Binary: records of one byte for each kind of label and 3,072 for the
        pixels, red, green, blue, row by row. Python: a pickled dictionary with "data", [n, 3072] bytes in the same
        order, and a list for each kind of label.

    Args:
        kinds: of labels, in the order of a binary record.

    Raises:
        DecoctError: it is damaged.
    """
    pixels: Any
    if form == "binary":
        record = len(kinds) + PIXELS
        if not data or len(data) % record:
            raise DecoctError(
                f"{where} is damaged: {len(data):,} bytes are not a whole number of images of {record:,} bytes"
            )
        table = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
        pixels = table[:, len(kinds) :]
        labels = {kind: table[:, i].astype(np.int64) for i, kind in enumerate(kinds)}
    else:
        batch = read_plain(data, where)
        pixels = batch.get("data")
        if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != PIXELS or not len(pixels):
            raise DecoctError(f"{where} is damaged: its 'data' is not an array of images of {PIXELS:,} bytes")
        keys = {kind: "labels" if len(kinds) == 1 else f"{kind}_labels" for kind in kinds}
        labels = {kind: _listed(batch.get(key), len(pixels), where) for kind, key in keys.items()}
    return Batch(pixels.reshape(-1, 3, SIDE, SIDE), labels)


def look(place: Path, releases: tuple[Release, ...]) -> Found | None:
    """A release at a place: a tar, a folder with all its files, the folder around that, or a folder with the tar."""
    if place.is_file():
        with opened(place) as members:
            first = next((member.name for member in members if member.isreg()), "")
        inside = PurePosixPath(first).parent.name
        return next((Found(release, place) for release in releases if release.folder == inside), None)
    for release in releases:
        for folder in (place, place / release.folder):
            if all((folder / name).is_file() for name in release.files):
                return Found(release, folder)
    for release in releases:
        if (place / release.archive).is_file():
            return Found(release, place / release.archive)
    return None


def lacking(place: Path, releases: tuple[Release, ...]) -> str:
    """Which files are missing where some of a release are, for the message."""
    for release in releases:
        for folder in (place, place / release.folder):
            missing = [name for name in release.files if not (folder / name).is_file()]
            if 0 < len(missing) < len(release.files):
                return f": {folder} has no {', '.join(missing)}"
    return ""


def contents(place: Found) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of a release.

    Raises:
        DecoctError: a file is missing, is there twice, is not a regular file, or is larger than any of a release.
    """
    release, path = place.release, place.path
    if path.is_dir():
        for name in release.files:
            with (path / name).open("rb") as file:
                yield name, Bounded(file, path / name).read()
        return
    seen: set[str] = set()
    with opened(path) as members:
        for member in members:
            inside = PurePosixPath(member.name)
            if inside.parts != (release.folder, inside.name) or inside.name not in release.files:
                continue  # nothing is unpacked, so that it does not matter where other members say they belong
            content = members.extractfile(member) if member.isreg() else None
            if content is None:
                raise DecoctError(f"{path}: {member.name} is not a regular file: download it again")
            if inside.name in seen:
                raise DecoctError(f"{path} holds {member.name} twice: download it again")
            seen.add(inside.name)
            yield inside.name, content.read()
    if missing := [name for name in release.files if name not in seen]:
        raise DecoctError(f"{path} has no {', '.join(missing)}: download it again")


class Bounded:
    """A file that gives at most ``MOST_BYTES`` in all, so that a tiny tar cannot unpack to a huge file."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.file, self.path, self.given = file, path, 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self.file.read(MOST_BYTES + 1 - self.given if size < 0 else size)
        self.given += len(data)
        if self.given > MOST_BYTES:
            raise DecoctError(f"{self.path} holds more than {MOST_BYTES // 2**20} MiB: it is not what it is called")
        return data


@contextmanager
def opened(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar, gzipped or not, read once from front to back."""
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            unpacked: Any = gzip.GzipFile(fileobj=plain) if packed else plain
            stream: Any = Bounded(unpacked, path)
            with tarfile.open(fileobj=stream, mode="r|") as members:
                yield members
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        blame(error)
        raise DecoctError(f"cannot read {path}: {error}\nit is not a tar, or is damaged: download it again") from error


def _listed(values: Any, size: int, where: str) -> NDArray[np.int64]:
    if not isinstance(values, list) or not all(type(value) is int and abs(value) < 2**31 for value in values):
        raise DecoctError(f"{where} is damaged: its labels are not a list of whole numbers")
    if len(values) != size:
        raise DecoctError(f"{where} is damaged: {len(values):,} labels for {size:,} images")
    return np.array(values, dtype=np.int64)
