"""The cells of a store as a reader sees them: where they lie, which are there, and whether they are as written."""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from decoct.core import integrity
from decoct.core.places import folder_of, is_url
from decoct.core.record import cell_dir, complete
from decoct.core.remote import Entry

Name = tuple[str, str]  # kind and key of a cell
KEY = re.compile("[0-9a-f]{32}")  # as ``decoct.core.spec.digest`` gives them


class Cells:
    """Cells below a root folder.

    Attributes:
        root: the folder.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    @property
    def where(self) -> str:
        """What ``open_cells`` and ``open_store`` find it by, here and in a worker."""
        return str(self.root)

    def path(self, kind: str, key: str) -> Path:
        """Where the cell is on this machine, or would be; nobody has looked whether it is as it was written."""
        return cell_dir(self.root, kind, key)

    def has(self, kind: str, key: str) -> bool:
        """Whether the cell is complete."""
        return complete(self.path(kind, key))

    def present(self, kind: str) -> set[str]:
        """Keys of all complete cells of a kind, in one listing."""
        found: set[str] = set()
        if not (self.root / kind).is_dir():
            return found
        with os.scandir(self.root / kind) as starts:  # three times as fast as a glob
            for start in (each for each in starts if each.is_dir()):
                with os.scandir(start.path) as cells:
                    found |= {cell.name for cell in cells if complete(Path(cell.path))}
        return found

    def cell(self, kind: str, key: str) -> Path:
        """Folder of a cell that is there, to read: each file is hashed once a process, and again if it changed.

        Raises:
            DamagedError: a file is not what was written.
        """
        folder = self.path(kind, key)
        return integrity.check(folder, self.where) if complete(folder) else folder

    def file(self, kind: str, key: str, name: str, most: float = float("inf")) -> Path:
        """Path of one file of a cell, to read; it may not be there.

        Args:
            kind: of the cell.
            key: of the cell.
            name: of the file.
            most: bytes above which only its length is compared.

        Raises:
            DamagedError: it is not what was written.
        """
        return integrity.check_file(self.path(kind, key), name, self.where, most)

    def size(self, kind: str, key: str, name: str) -> int | None:
        """Bytes of a file of a cell, which is not read; None if it is not there."""
        try:
            return (self.path(kind, key) / name).stat().st_size
        except OSError:
            return None

    def listing(self) -> dict[Name, dict[str, Entry]]:
        """Every file of every cell, complete or not, by its path in the cell."""
        return grouped(files_below(self.root, kinds(self.root)))

    def listing_of(self, kind: str, key: str) -> dict[str, Entry]:
        """The files of one cell, by path in it."""
        return grouped(files_below(self.root, [self.path(kind, key)])).get((kind, key), {})

    def refresh(self) -> None:
        """Forget what was there: nothing is remembered of a folder."""

    def prefetch(self, cells: Iterable[Name], wanted: Callable[[str], bool]) -> None:
        """Bring near what will be read, many files at once: it is near already."""


def within(kind: str, key: str) -> str:
    """Where a cell lies in its store, as ``cell_dir`` says it of a folder."""
    return f"{kind}/{key[:2]}/{key}"


def grouped(listing: dict[str, Entry]) -> dict[Name, dict[str, Entry]]:
    """The files of a listing by cell; what lies elsewhere than cells do, and may be anybody's, is left out."""
    found: dict[Name, dict[str, Entry]] = {}
    for name, entry in listing.items():
        match name.split("/", 3):
            case [kind, start, key, file] if start == key[:2] and KEY.fullmatch(key):
                found.setdefault((kind, key), {})[file] = entry
    return found


def kinds(root: Path) -> list[Path]:
    """Folders that may hold cells of a kind: those with a folder of two letters in them."""
    folders = (path for path in root.glob("[!.]*") if path.is_dir())
    return [folder for folder in folders if any(len(path.name) == 2 for path in folder.iterdir())]


def files_below(root: Path, folders: Iterable[Path]) -> dict[str, Entry]:
    """Every file below some folders, by its path from the root."""
    found: dict[str, Entry] = {}
    for folder in folders:
        for at, _, names in os.walk(folder):
            for name in names:
                path = Path(at, name)
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue  # somebody removes it meanwhile
                found[path.relative_to(root).as_posix()] = Entry(status.st_size, status.st_mtime, "")
    return found


def open_cells(where: str) -> Cells:
    """The cells at a place, a folder or a URL."""
    if is_url(where):
        from decoct.core.mirror import MirroredCells

        return MirroredCells(where)
    return Cells(folder_of(where))
