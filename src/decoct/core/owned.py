"""Files that decoct writes where the user asked: complete or not at all, and never over foreign files."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from decoct.core.errors import UsageError
from decoct.core.hub_folder import is_export
from decoct.core.record import read_json, write_json
from decoct.core.scratch import abandoned, scratch, written

LIST = ".decoct.json"  # in a folder that decoct made: all that it made there
SHOWN = 3  # names of what is in the way


def check_own(folder: Path, names: Iterable[str], ours: bool) -> None:
    """Raise a UsageError if a folder holds files of these names, unless they are ``ours``."""
    if not ours and (there := [name for name in names if (folder / name).exists()]):
        raise UsageError(
            f"{folder} holds {', '.join(there)}, which decoct did not write\nchoose another --out, or move that away"
        )


def holds(path: Path, key: str) -> bool:
    """Whether a file is JSON with this key."""
    with suppress(OSError, ValueError):
        return isinstance(facts := read_json(path), dict) and key in facts
    return False


def check_free(target: Path, force: bool) -> None:
    """Raise a UsageError if the content of a place must not be replaced, or if decoct did not make all of it."""
    if not target.exists():
        return
    if not force:
        raise UsageError(f"{target} exists: choose another --out, or replace it with --force")
    if others := foreign(target):
        few = ", ".join(others[:SHOWN]) + (f" and {len(others) - SHOWN} more" if len(others) > SHOWN else "")
        if target.is_file():
            raise UsageError(f"{target} is not an export of decoct's, so --force leaves it alone: choose another --out")
        raise UsageError(
            f"--force replaces what decoct made and listed, and {target} holds what is on no list there: {few}\n"
            "choose another --out, or move that away"
        )


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A path to make a file or folder at, which becomes ``target`` when the block ends without an error.

    What was there is replaced then, and stays if the block raises; it is a UsageError if not all of it is decoct's.
    A folder gets a list of what is in it. What killed processes left half-made for the same place is removed.
    """
    place = target.resolve()  # a link stays one
    place.parent.mkdir(parents=True, exist_ok=True)
    beside, old = (place.with_name(scratch(place.name)) for _ in range(2))
    try:
        yield beside
        if beside.is_dir():
            made = {path.relative_to(beside).as_posix() for path in beside.rglob("*")}
            write_json(beside / LIST, sorted({LIST, *made}))
        check_free(target, force=True)
        if place.exists():
            place.rename(old)
        beside.rename(place)
    finally:
        if old.exists() and not place.exists():
            old.rename(place)
        _remove(beside)
        _remove_own(old)
    for path in place.parent.glob(".tmp-*"):
        if written(path.name) == place.name and abandoned(path):
            _remove(path)


def foreign(target: Path) -> list[str]:
    """Paths at a place that decoct did not make, without those in the folders named."""
    if not target.is_dir():
        return [] if is_export(target) else [target.name]
    own, others = _own(target), []
    for at, folders, files in os.walk(target):
        paths = {name: Path(at, name).relative_to(target).as_posix() for name in (*folders, *files)}
        links = {name for name in folders if Path(at, name).is_symlink()}  # decoct makes none
        strange = {name for name, path in paths.items() if path not in own} | links
        others += [paths[name] for name in strange]
        folders[:] = [name for name in folders if name not in strange]
    return sorted(others)


def _own(folder: Path) -> set[str]:
    """Paths of what decoct made in a folder: those of its list."""
    with suppress(OSError, ValueError):
        if isinstance(listed := read_json(folder / LIST), list):
            return {str(name) for name in listed}
    return set()


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)


def _remove_own(path: Path) -> None:
    """Remove what was replaced, but for what somebody put there meanwhile."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    own = _own(path)
    for each in sorted(path.rglob("*"), reverse=True):  # what is in a folder comes before it
        if each.relative_to(path).as_posix() in own:
            with suppress(OSError):
                each.rmdir() if each.is_dir() else each.unlink()
    with suppress(OSError):
        path.rmdir()
