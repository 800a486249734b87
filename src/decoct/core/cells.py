"""The cells of a store as a reader sees them: where stores lie, what is there, and whether it is as written."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from decoct.core import integrity
from decoct.core.errors import DecoctError
from decoct.core.record import CELL, cell_dir, complete
from decoct.core.remote import Entry, Folder, Remote
from decoct.core.scratch import discard

Name = tuple[str, str]  # kind and key of a cell
Files = Mapping[str, Entry]
STORE = "store"  # of a run's folder, unless it has its cells elsewhere
KEY = re.compile("[0-9a-f]{32}")  # as ``decoct.core.spec.digest`` gives them


class Cells:
    """Cells below a root folder; ``open_cells`` and ``open_store`` find them by ``where``, here and in a worker."""

    def __init__(self, root: Path | str) -> None:
        self.root, self.where = Path(root), str(root)
        self.files = Folder(self.root)

    def path(self, kind: str, key: str) -> Path:
        """Where the cell is on this machine, or would be; its bytes are not checked."""
        return cell_dir(self.root, kind, key)

    def has(self, kind: str, key: str) -> bool:
        """Whether the cell is complete."""
        return complete(self.path(kind, key))

    def present(self, kind: str) -> set[str]:
        """Keys of all complete cells of a kind, in one listing."""
        keys: set[str] = set()
        if not (self.root / kind).is_dir():
            return keys
        with os.scandir(self.root / kind) as starts:  # three times as fast as a glob
            for start in (each for each in starts if each.is_dir()):
                with os.scandir(start.path) as cells:
                    keys |= {cell.name for cell in cells if complete(Path(cell.path))}
        return keys

    def cell(self, kind: str, key: str) -> Path:
        """Folder of a cell that is there, as in ``integrity.check``: files are hashed once a process or if changed."""
        folder = self.path(kind, key)
        return integrity.check(folder) if complete(folder) else folder

    def file(self, kind: str, key: str, name: str, most: float = float("inf")) -> Path:
        """Path of one file of a cell, to read, as in ``integrity.check_file``; it may not be there."""
        return integrity.check_file(self.path(kind, key), name, most)

    def size(self, kind: str, key: str, name: str) -> int | None:
        """Bytes of a file of a cell, which is not read; None if it is not there."""
        entry = self.listing_of(kind, key).get(name)
        return entry.size if entry else None

    def listing(self) -> dict[Name, dict[str, Entry]]:
        """Every file of every cell, complete or not, by its path in the cell."""
        # Folders that may hold cells of a kind: those with a folder of two letters in them.
        folders = (path for path in self.root.glob("[!.]*") if path.is_dir())
        kinds = [folder.name for folder in folders if any(len(path.name) == 2 for path in folder.iterdir())]
        return grouped({name: entry for kind in kinds for name, entry in self.files.list(kind).items()})

    def listing_of(self, kind: str, key: str) -> dict[str, Entry]:
        """The files of one cell, by path in it."""
        return grouped(self.files.list(within(kind, key))).get((kind, key), {})

    def refresh(self) -> None:
        """Forget what was there: nothing is remembered of a folder."""

    def prefetch(self, cells: Iterable[Name], wanted: Callable[[str], bool]) -> None:
        """Fetch what will be read, many files at once; here nothing has to be fetched."""


class MirroredCells(Cells):
    """Cells stored at a URL; the root is this machine's mirror, which may hold parts of a cell.

    A cell there is one if its ``cell.json`` is, which is written last. What was fetched is kept: cells never change.
    """

    def __init__(self, url: str) -> None:
        super().__init__(mirror_of(url))
        self.where = url.rstrip("/")
        self.files = self.remote = Remote(url)
        self._listing: dict[Name, dict[str, Entry]] | None = None

    def has(self, kind: str, key: str) -> bool:
        """Whether the cell is complete there, asked now; as of the last ``refresh``, if there was one."""
        return CELL in self._entries(kind, key)

    def present(self, kind: str) -> set[str]:
        """Keys of all complete cells of a kind, in one listing there."""
        return {key for (_, key), files in grouped(self.remote.list(kind)).items() if CELL in files}

    def listing(self) -> dict[Name, dict[str, Entry]]:
        """Every file there of every cell, complete or not, now."""
        return grouped(self.remote.list())

    def refresh(self) -> None:
        """List what is there; until the next refresh, the list answers all questions."""
        self._listing = self.listing()

    def cell(self, kind: str, key: str) -> Path:
        """Folder of a whole cell, which is there; what is not here, or no longer as it was written, is fetched."""
        folder = self._near(kind, key, partial(super().cell, kind, key), lambda name: True)
        if not complete(folder):
            raise DecoctError(f"{self.where} lacks the {kind} cell {key}: run the same again")
        return folder

    def file(self, kind: str, key: str, name: str, most: float = float("inf")) -> Path:
        """Path of one file, fetched alone if it is not here; it may not be there."""
        return self._near(kind, key, partial(super().file, kind, key, name, most), lambda each: each == name)

    def prefetch(self, cells: Iterable[Name], wanted: Callable[[str], bool]) -> None:
        """Fetch the wanted files of cells, many at once."""
        if self._listing is None:
            self.refresh()
        self._fetch({cell: self._entries(*cell) for cell in cells}, wanted)

    def _near(self, kind: str, key: str, look: Callable[[], Path], wanted: Callable[[str], bool]) -> Path:
        """What ``look`` finds here, after the wanted files were fetched if it finds nothing, or damage."""
        damaged = False
        try:
            if complete(self.path(kind, key)) and (path := look()).exists():
                return path
        except integrity.DamagedError:
            damaged = True  # what is there may be whole
        self._fetch({(kind, key): self._entries(kind, key)}, wanted, damaged)
        try:
            return look()
        except integrity.DamagedError as error:
            discard(self.path(kind, key), self.root)
            cell = f"{self.where}/{within(kind, key)}"
            raise integrity.DamagedError(cell, error.file, error.why, self.where) from error

    def _entries(self, kind: str, key: str) -> dict[str, Entry]:
        return self.listing_of(kind, key) if self._listing is None else self._listing.get((kind, key), {})

    def _fetch(self, cells: Mapping[Name, Files], wanted: Callable[[str], bool], anew: bool = False) -> None:
        """Fetch files of complete cells; they keep their time, by which those are known that are here already."""
        files = {
            self.path(*cell) / name: (f"{within(*cell)}/{name}", entry.modified)
            for cell, entries in cells.items()
            for name, entry in entries.items()
            if CELL in entries and (name == CELL or wanted(name))
        }
        if not anew:
            here = {path: path.stat().st_mtime for path in files if path.is_file()}
            files = {path: there for path, there in files.items() if abs(here.get(path, 0.0) - there[1]) > 1e-3}
        self.remote.get({name: path for path, (name, _) in files.items()})
        for path, (_, modified) in files.items():
            os.utime(path, (modified, modified))


class Together(Cells):
    """The cells of several places, read as one store: the first place that has a cell provides it."""

    def __init__(self, places: Sequence[Cells]) -> None:
        super().__init__(places[0].root)
        self.places, self.where = places, ", ".join(dict.fromkeys(place.where for place in places))

    def path(self, kind: str, key: str) -> Path:
        """Where the cell is on this machine, or would be in the first place."""
        return self._of(kind, key).path(kind, key)

    def has(self, kind: str, key: str) -> bool:
        """Whether one place has the cell."""
        return any(place.has(kind, key) for place in self.places)

    def present(self, kind: str) -> set[str]:
        """Keys of all complete cells of a kind."""
        return set[str]().union(*(place.present(kind) for place in self.places))

    def cell(self, kind: str, key: str) -> Path:
        """Folder of a cell that is there."""
        return self._of(kind, key).cell(kind, key)

    def file(self, kind: str, key: str, name: str, most: float = float("inf")) -> Path:
        """Path of one file of a cell; it may not be there."""
        return self._of(kind, key).file(kind, key, name, most)

    def listing(self) -> dict[Name, dict[str, Entry]]:
        """Every file of every cell."""
        return {name: files for place in reversed(self.places) for name, files in place.listing().items()}

    def listing_of(self, kind: str, key: str) -> dict[str, Entry]:
        """The files of one cell."""
        return self._of(kind, key).listing_of(kind, key)

    def refresh(self) -> None:
        """Ask every place again."""
        for place in self.places:
            place.refresh()

    def prefetch(self, cells: Iterable[Name], wanted: Callable[[str], bool]) -> None:
        """Bring near what each place has."""
        asked = list(cells)
        for place in self.places:
            place.prefetch(asked, wanted)

    def _of(self, kind: str, key: str) -> Cells:
        return next((place for place in self.places if place.has(kind, key)), self.places[0])


def within(kind: str, key: str) -> str:
    """Where a cell lies in its store."""
    return cell_dir(Path(), kind, key).as_posix()


def grouped(listing: dict[str, Entry]) -> dict[Name, dict[str, Entry]]:
    """The files of a listing by cell, without files that do not belong to cells."""
    cells: dict[Name, dict[str, Entry]] = {}
    for name, entry in listing.items():
        match name.split("/", 3):
            case [kind, start, key, file] if start == key[:2] and KEY.fullmatch(key):
                cells.setdefault((kind, key), {})[file] = entry
    return cells


def open_cells(where: str) -> Cells:
    """The cells at a place, a folder or a URL."""
    return MirroredCells(where) if is_url(where) else Cells(folder_of(where))


def is_url(where: str) -> bool:
    """Whether a store lies behind a file system of fsspec; ``file://`` is a folder."""
    return "://" in where and not where.startswith("file://")


def folder_of(where: str | Path) -> Path:
    """The folder that a path or a ``file://`` URL means."""
    word = str(where)
    return Path(unquote(urlsplit(word).path) if word.startswith("file://") else word).expanduser()


def recorded(store: str | Path | None) -> str:
    """How a run says where its cells lie: a URL, a folder's whole path, or "store", which moves with the run's own."""
    if store is None:
        return STORE
    return str(store) if is_url(str(store)) else str(folder_of(store).absolute())


def store_of(run: Path, said: str) -> str:
    """Where the cells of a run lie, by what it says."""
    return said if is_url(said) else str(run / said)  # a whole path stays as it is


def default_where() -> str:
    """``$DECOCT_STORE``, a folder or a URL, else ``decoct`` in the user's cache folder."""
    store = os.environ.get("DECOCT_STORE", "")
    return store if is_url(store) else str(default_store())


def default_store() -> Path:
    """``$DECOCT_STORE`` if that is a folder, else ``decoct`` in the user's cache folder."""
    store = os.environ.get("DECOCT_STORE", "")
    if store and not is_url(store):
        return folder_of(store)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "decoct"


def mirror_of(url: str) -> Path:
    """The folder in which this machine keeps what it has of a store at a URL."""
    return default_store() / "mirrors" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:32]
