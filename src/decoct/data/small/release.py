"""Data as their authors release them: a fixed set of files, in a folder or in a tar of it that is never unpacked."""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

from decoct.core.errors import DecoctError

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


def look(place: Path, releases: tuple[Release, ...]) -> Found | None:
    """A release at a place: a tar, a folder with all its files, the folder around that, or a folder with the tar."""
    if place.is_file():
        release = holds(place, releases)
        return None if release is None else Found(release, place)
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


def holds(archive: Path, releases: tuple[Release, ...]) -> Release | None:
    """Which release a tar is of, by the folder of its first file."""
    with opened(archive) as members:
        for member in members:
            if member.isreg():
                folder = PurePosixPath(member.name).parent.name
                return next((release for release in releases if release.folder == folder), None)
    return None


def contents(found: Found) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of a release.

    Raises:
        DecoctError: a file is missing, is there twice, is no regular file, or is larger than any of a release.
    """
    release, path = found.release, found.path
    if path.is_dir():
        for name in release.files:
            with (path / name).open("rb") as file:
                yield name, within(file.read(MOST_BYTES + 1), path / name)
        return
    seen: set[str] = set()
    with opened(path) as members:
        for member in members:
            inside = PurePosixPath(member.name)
            if inside.parts != (release.folder, inside.name) or inside.name not in release.files:
                continue  # nothing is unpacked, so that it does not matter where other members say they belong
            content = members.extractfile(member) if member.isreg() else None
            if content is None:
                raise DecoctError(f"{path}: {member.name} is no regular file: download it again")
            if inside.name in seen:
                raise DecoctError(f"{path} holds {member.name} twice: download it again")
            seen.add(inside.name)
            yield inside.name, content.read()
    if missing := [name for name in release.files if name not in seen]:
        raise DecoctError(f"{path} has no {', '.join(missing)}: download it again")


class Bounded:
    """A file that refuses to give more than ``MOST_BYTES`` in all, so that a tiny tar cannot unpack to a huge one."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.file, self.path, self.given = file, path, 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self.file.read(size)
        self.given += len(data)
        if self.given > MOST_BYTES:
            raise DecoctError(
                f"{self.path} unpacks to more than {MOST_BYTES // 2**20} MiB: it is not what it is called"
            )
        return data


@contextmanager
def opened(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar, gzipped or not, read once from front to back.

    Raises:
        DecoctError: it is no tar, or damaged.
    """
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            unpacked: Any = gzip.GzipFile(fileobj=plain) if packed else plain
            stream: Any = Bounded(unpacked, path)
            with tarfile.open(fileobj=stream, mode="r|") as members:
                yield members
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DecoctError(f"cannot read {path}: {error}\nit is no tar, or damaged: download it again") from error


def within(data: bytes, path: Path) -> bytes:
    """The content, unless it is larger than a release."""
    if len(data) > MOST_BYTES:
        raise DecoctError(f"{path} is larger than {MOST_BYTES // 2**20} MiB: it is not what it is called")
    return data
