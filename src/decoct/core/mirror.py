"""Cells at a URL: read through a folder of this machine, whole cells or single files, each fetched once."""

import os
import shutil
from collections.abc import Callable, Iterable
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from decoct.core import integrity
from decoct.core.cells import Cells, Name, grouped, within
from decoct.core.errors import DecoctError
from decoct.core.places import mirror_of
from decoct.core.record import CELL, complete
from decoct.core.remote import Entry, Remote
from decoct.core.scratch import scratch

PARTS = "parts"  # of the mirror: single files of cells that are not here whole


class MirroredCells(Cells):
    """Cells whose truth is a URL; the root is this machine's mirror of it.

    A cell there is one if its ``cell.json`` is, which is written last. What was fetched is kept: cells never change.
    One that was removed and made again has another mark, by which single files are kept apart.
    """

    def __init__(self, url: str) -> None:
        super().__init__(mirror_of(url))
        self.url = url.rstrip("/")
        self._listing: dict[Name, dict[str, Entry]] | None = None
        self._asked: dict[Name, dict[str, Entry]] = {}

    @property
    def where(self) -> str:
        """The URL."""
        return self.url

    @cached_property
    def remote(self) -> Remote:
        """The other side; it is not reached before it is needed."""
        return Remote(self.url)

    def has(self, kind: str, key: str) -> bool:
        """Whether the cell is complete there, asked now; as of the last ``refresh``, if there was one."""
        if self._listing is not None:
            return CELL in self._listing.get((kind, key), {})
        return self.remote.exists(f"{within(kind, key)}/{CELL}")

    def present(self, kind: str) -> set[str]:
        """Keys of all complete cells of a kind, in one listing there."""
        return {key for (_, key), files in grouped(self.remote.list(kind)).items() if CELL in files}

    def listing(self) -> dict[Name, dict[str, Entry]]:
        """Every file there of every cell, complete or not, now."""
        return grouped(self.remote.list())

    def listing_of(self, kind: str, key: str) -> dict[str, Entry]:
        """The files there of one cell, by path in it, now."""
        return grouped(self.remote.list(within(kind, key))).get((kind, key), {})

    def refresh(self) -> None:
        """List what is there; until the next time nothing else is asked."""
        self._listing, self._asked = self.listing(), {}

    def cell(self, kind: str, key: str) -> Path:
        """Folder of a whole cell, fetched aside and renamed if it is not here.

        Raises:
            DecoctError: it is not there.
            DamagedError: a file is not what was written.
        """
        folder = self.path(kind, key)
        if complete(folder):
            try:
                return integrity.check(folder, self.where)
            except integrity.DamagedError:
                self.forget(kind, key)  # what is there may be whole
        entries = self._files(kind, key)
        if CELL not in entries:
            raise DecoctError(f"{self.url} lacks the {kind} cell {key}: run the same again")
        self._fetch(kind, key, entries)
        return folder

    def file(self, kind: str, key: str, name: str, most: float = float("inf")) -> Path:
        """Path of one file, fetched alone if the cell is not here whole; it may not be there.

        Raises:
            DamagedError: it is not what was written.
        """
        if complete(folder := self.path(kind, key)):
            try:
                return integrity.check_file(folder, name, self.where, most)
            except integrity.DamagedError:
                self.forget(kind, key)  # what is there may be whole
        entries, parts = self._files(kind, key), self._parts(kind, key)
        if CELL in entries:
            self._fetch_parts({(kind, key): [each for each in (CELL, name) if each in entries]})
        try:
            return integrity.check_file(parts, name, self.where, most)
        except integrity.DamagedError as damaged:
            (parts / damaged.file).unlink(missing_ok=True)  # it is fetched anew when it was made again
            raise self._damaged(kind, key, damaged) from damaged

    def forget(self, kind: str, key: str) -> None:
        """Remove what this machine has of a cell; what is there stays."""
        if (folder := self.path(kind, key)).exists():
            aside = self.root / scratch(key)
            folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        for parts in (self.root / PARTS / kind).glob(f"*/{key}"):
            shutil.rmtree(parts, ignore_errors=True)
        self._asked.pop((kind, key), None)

    def size(self, kind: str, key: str, name: str) -> int | None:
        """Bytes of a file of a cell, which is not fetched; None if it is not there."""
        entry = self._files(kind, key).get(name)
        return entry.size if entry else None

    def prefetch(self, cells: Iterable[Name], wanted: Callable[[str], bool]) -> None:
        """Fetch the wanted files of cells that are there and not here, many at once."""
        if self._listing is None:
            self.refresh()
        there = {name: self._files(*name) for name in cells if not complete(self.path(*name))}
        self._fetch_parts({
            cell: [file for file in entries if file == CELL or wanted(file)]
            for cell, entries in there.items()
            if CELL in entries
        })  # fmt: skip

    def _files(self, kind: str, key: str) -> dict[str, Entry]:
        """What is there of a cell."""
        if self._listing is not None:
            return self._listing.get((kind, key), {})
        if (kind, key) not in self._asked:
            found = self.listing_of(kind, key)
            if CELL not in found:
                return found  # it may come yet
            self._asked[kind, key] = found
        return self._asked[kind, key]

    def _parts(self, kind: str, key: str) -> Path:
        """Where single files of a cell are kept, as it is now."""
        mark = self._files(kind, key).get(CELL)
        version = sha256(mark.version.encode()).hexdigest()[:8] if mark else "none"
        return self.root / PARTS / kind / version / key

    def _fetch_parts(self, files: dict[Name, list[str]]) -> None:
        """Single files, each aside and renamed; they keep the time at which they were written there."""
        paths = {(cell, name): self._parts(*cell) / name for cell, names in files.items() for name in names}
        missing = {at: path for at, path in paths.items() if not path.is_file()}
        asides = {at: path.with_name(scratch(path.name)) for at, path in missing.items()}
        for folder in {path.parent for path in asides.values()}:
            folder.mkdir(parents=True, exist_ok=True)
        try:
            self.remote.get({f"{within(*cell)}/{name}": aside for (cell, name), aside in asides.items()})
            for (cell, name), aside in asides.items():
                dated(aside, self._files(*cell)[name])
                aside.replace(missing[cell, name])
        finally:
            for aside in asides.values():
                aside.unlink(missing_ok=True)

    def _fetch(self, kind: str, key: str, entries: dict[str, Entry]) -> None:
        """A whole cell; what is damaged there is not taken over."""
        target = self.path(kind, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = self.root / scratch(key) / key  # its record is checked against the folder's name
        folder.mkdir(parents=True)
        try:
            for name in entries:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
            self.remote.get({f"{within(kind, key)}/{name}": folder / name for name in entries})
            for name, entry in entries.items():
                dated(folder / name, entry)
            try:
                integrity.check(folder, self.where)
            except integrity.DamagedError as damaged:
                raise self._damaged(kind, key, damaged) from damaged
            try:
                folder.rename(target)
            except OSError:
                if not complete(target):  # else another process fetched it meanwhile
                    raise
        finally:
            shutil.rmtree(folder.parent, ignore_errors=True)

    def _damaged(self, kind: str, key: str, found: integrity.DamagedError) -> integrity.DamagedError:
        """The same of the cell there, not of a copy here."""
        return integrity.DamagedError(f"{self.url}/{within(kind, key)}", found.file, found.why, self.where)


def dated(path: Path, entry: Entry) -> None:
    """Give a fetched file the time at which it was written."""
    os.utime(path, (entry.modified, entry.modified))
