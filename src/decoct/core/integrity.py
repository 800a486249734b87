"""Checks that the bytes of a cell are still as they were written."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from decoct.core.errors import DecoctError
from decoct.core.machine import blame
from decoct.core.record import CELL, MEASURED, complete, read_cost, read_json, write_json
from decoct.core.spec import digest

FILES = "files"  # of cell.json: name -> {sha256, bytes}
State = tuple[int, int, int, int]  # what changes when a file does, as far as the file system tells without reading it


class DamagedError(DecoctError):
    """A file of a cell, in a folder or at a URL, is not what was written; the message says how to repair its store."""

    def __init__(self, cell: Path | str, file: str, why: str, store: Path | str) -> None:
        remedy = f"`decoct verify --repair {store}` removes it, and the next run recomputes it"
        super().__init__(f"{cell} is damaged: {file} {why}; {remedy}")
        self.file, self.why = file, why


class Sum(NamedTuple):
    """What a file was when its cell was written: its content's digest in hex, and its length."""

    sha256: str
    bytes: int


def seal(folder: Path) -> None:
    """Put the sums of all files of a finished cell into its record, but of the record and of what was measured."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    sums = {
        name: Sum(_sha256(str(path), _state(path)), path.stat().st_size)._asdict()
        for name, path in files.items()
        if name not in (CELL, MEASURED)
    }
    write_json(folder / CELL, read_json(folder / CELL) | {FILES: sums})


def sealed(folder: Path) -> Mapping[str, Sum]:
    """The sums of a cell that is there; a DamagedError if its record cannot be read, or says what its key does not."""
    path = folder / CELL
    try:
        return _sums(str(path), _state(path), folder.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        blame(error)
        raise DamagedError(folder, CELL, f"cannot be read ({error})", folder.parents[2]) from error


def faults(folder: Path) -> dict[str, str]:
    """What is wrong with a cell that is there, by file: all its bytes are read."""
    try:
        names = [*sealed(folder), MEASURED]
    except DamagedError as damaged:
        return {damaged.file: damaged.why}
    return {name: why for name in names if (why := _fault(folder, name))}


def check(folder: Path) -> Path:
    """A cell's folder, its files found as they were written; a DamagedError names cell and file, and what to do."""
    for name in sealed(folder):
        check_file(folder, name)
    return folder


def check_file(folder: Path, name: str, most: float = float("inf")) -> Path:
    """Path of a file of a cell, or of no cell, as in ``check``; above ``most`` bytes only its length is compared."""
    if complete(folder) and (why := _fault(folder, name, most)):
        raise DamagedError(folder, name, why, folder.parents[2])
    return folder / name


def _fault(folder: Path, name: str, most: float = float("inf")) -> str | None:
    """What is wrong with a file of a cell; None if it is as it was, or if the cell has none of that name."""
    path, expected = folder / name, sealed(folder).get(name)
    try:
        if name == MEASURED:
            read_cost(path)
        elif expected:
            state = _state(path)
            if state[0] != expected.bytes:
                return f"has {state[0]:,} bytes where {expected.bytes:,} were written"
            if state[0] <= most and _sha256(str(path), state) != expected.sha256:
                return "has other bytes than were written"
    except FileNotFoundError:
        if name == MEASURED and "external" in read_json(folder / CELL)["keyed"]:
            return None  # nobody measured what that took
        return "is missing"
    except ValueError as error:
        return str(error)
    except OSError as error:
        blame(error)
        return f"cannot be read ({error.strerror or error})"
    return None


def _state(path: Path) -> State:
    """Length, times and inode: a fetched file may have all but the time of change from the one that it replaces."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


@lru_cache(maxsize=1 << 16)
def _sums(path: str, state: State, key: str) -> dict[str, Sum]:
    """The sums in a record, which is of this key."""
    facts: dict[str, Any] = read_json(Path(path))
    if facts.get("key", key) != key:
        raise ValueError(f"it is the record of {facts['key']}")
    if "external" not in facts["keyed"]:  # what decoct did not make is keyed by content
        inputs = {role: read for role, read in facts["inputs"].items() if not role.startswith("shard:")}
        if digest({"kind": facts["kind"], "keyed": facts["keyed"], "inputs": inputs}) != key:
            raise ValueError("its content does not match its key")
    return {name: Sum(**each) for name, each in facts[FILES].items()}


@lru_cache(maxsize=1 << 17)
def _sha256(path: str, state: State) -> str:
    """The state is the memo's key alone: a file that changed is read again."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
