"""What a cell's bytes were when it was written, and whether they are so still."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from decoct.core.errors import DecoctError
from decoct.core.record import CELL, MEASURED, parse_cost, read_json, write_json
from decoct.core.spec import digest

FILES = "files"  # of cell.json: name -> {sha256, bytes}; cells of older versions have none
REMEDY = "`decoct verify --repair {}` removes it, and the next run recomputes it"


class DamagedError(DecoctError):
    """A cell that is not what was written.

    Args:
        cell: its folder, or URL.
        file: in it.
        why: what is wrong.
        store: that it lies in.
    """

    def __init__(self, cell: Path | str, file: str, why: str, store: Path | str) -> None:
        super().__init__(f"{cell} is damaged: {file} {why}; {REMEDY.format(store)}")
        self.cell, self.file, self.why = str(cell), file, why


class Sum(NamedTuple):
    """What a file was when its cell was written.

    Attributes:
        sha256: of its content, in hex.
        bytes: its length.
    """

    sha256: str
    bytes: int


class State(NamedTuple):
    """What changes when a file does, as far as the file system tells without reading it."""

    size: int
    mtime_ns: int
    ctime_ns: int  # a fetched file may have the time and the inode of the one that it stands in for
    inode: int

    @classmethod
    def of(cls, path: Path) -> "State":
        """Of a file that is there."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def sums(folder: Path) -> dict[str, Sum]:
    """Of every file of a cell but its record and what was measured, by its path in the folder."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    named = {file.relative_to(folder).as_posix(): file for file in files}
    return {
        name: Sum(_sha256(str(file), State.of(file)), file.stat().st_size)
        for name, file in named.items()
        if name not in (CELL, MEASURED)
    }


def seal(folder: Path) -> None:
    """Put the sums of a finished cell into its record, which is replaced in one step."""
    facts = read_json(folder / CELL) | {FILES: {name: each._asdict() for name, each in sums(folder).items()}}
    beside = folder / f".{CELL}"
    write_json(beside, facts)
    beside.replace(folder / CELL)


def sealed(folder: Path, store: Path | str | None = None) -> Mapping[str, Sum] | None:
    """The sums of a cell that is there; None if it is older than sums are.

    Raises:
        DamagedError: its record cannot be read, or says what its key does not.
    """
    path = folder / CELL
    try:
        return _sealed(str(path), State.of(path), folder.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(folder, CELL, f"cannot be read ({error})", _store(folder, store)) from error


def read_sums(facts: Any, name: str) -> dict[str, Sum] | None:
    """The sums in a cell's record; None if it is older than sums are.

    Args:
        facts: parsed ``cell.json``.
        name: the key that the cell lies under.

    Raises:
        ValueError, KeyError, TypeError or AttributeError: that is no record, or not of this key.
    """
    if facts.get("key", name) != name:
        raise ValueError(f"it is the record of {facts['key']}")
    if FILES not in facts:
        return None
    if "keyed" in facts and "external" not in facts["keyed"]:  # an external set is keyed by content
        inputs = {role: key for role, key in facts["inputs"].items() if not role.startswith("shard:")}
        if digest({"kind": facts["kind"], "keyed": facts["keyed"], "inputs": inputs}) != name:
            raise ValueError("it says what its key does not")
    return {file: Sum(str(each["sha256"]), int(each["bytes"])) for file, each in facts[FILES].items()}


def fault(path: Path, expected: Sum, most: float = float("inf")) -> str | None:
    """What is wrong with a file; None if it is as it was. The same state of a file is read once a process.

    Args:
        path: of the file.
        expected: what it was.
        most: bytes above which only its length is compared.
    """
    try:
        state = State.of(path)
        if state.size != expected.bytes:
            return f"has {state.size:,} bytes where {expected.bytes:,} were written"
        if state.size <= most and _sha256(str(path), state) != expected.sha256:
            return "has other bytes than were written"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return None


def faults(folder: Path) -> dict[str, str] | None:
    """What is wrong with a cell that is there, by file; None if it is older than sums are, so that nobody can tell."""
    try:
        files = sealed(folder)
    except DamagedError as damaged:
        return {damaged.file: damaged.why}
    found = {name: why for name, each in (files or {}).items() if (why := fault(folder / name, each))}
    found |= {MEASURED: why} if (why := _cost_fault(folder)) else {}
    return found if found or files is not None else None


def cost_fault(content: bytes | None, facts: Any) -> str | None:
    """What is wrong with a cell's ``measured.json``; None if nothing is, as far as it has a sum.

    Args:
        content: of the file; None if it is not there, as of an external set: nobody measured what that took.
        facts: parsed ``cell.json``, which is asked where there is no content.
    """
    if content is None:
        return "is missing" if "keyed" in facts and "external" not in facts["keyed"] else None
    try:
        parse_cost(content)
    except ValueError as error:
        return str(error)
    return None


def check(folder: Path, store: Path | str | None = None) -> Path:
    """A cell's folder, after all its files were found as they were written, or too old to say.

    Raises:
        DamagedError: names cell and file, and what to do.
    """
    for name, each in (sealed(folder, store) or {}).items():
        if why := fault(folder / name, each):
            raise DamagedError(folder, name, why, _store(folder, store))
    return folder


def check_file(folder: Path, name: str, store: Path | str | None = None, most: float = float("inf")) -> Path:
    """Path of one file of a cell, after it was found as it was written, or too old to say, or of no cell.

    Raises:
        DamagedError: names cell and file, and what to do.
    """
    if (folder / CELL).is_file():
        expected = (sealed(folder, store) or {}).get(name)
        why = fault(folder / name, expected, most) if expected else _cost_fault(folder) if name == MEASURED else None
        if why:
            raise DamagedError(folder, name, why, _store(folder, store))
    return folder / name


def _cost_fault(folder: Path) -> str | None:
    try:
        return cost_fault((folder / MEASURED).read_bytes(), None)
    except FileNotFoundError:
        return cost_fault(None, read_json(folder / CELL))
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def _store(folder: Path, store: Path | str | None) -> Path | str:
    return folder.parents[2] if store is None else store


@lru_cache(maxsize=1 << 16)
def _sealed(path: str, state: State, name: str) -> dict[str, Sum] | None:
    return read_sums(read_json(Path(path)), name)


@lru_cache(maxsize=1 << 17)
def _sha256(path: str, state: State) -> str:
    """The state is the memo's key alone: a file that changed is read again."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
