"""Names of unfinished files, which say which process of which machine writes them, so that others leave them alone."""

import hashlib
import os
import platform
import re
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

LONG = 24 * 3600.0  # seconds after which nobody still writes
BEAT, SILENT = 60.0, 600.0  # seconds between two signs of life of a writer, and without one after which it seems gone
ALIVE = ".alive"  # touched by the writer of a folder
OUTERMOST = "pid:[4026531836]"  # the PID namespace of a Linux that is in no container
NAME = re.compile(r"\.tmp-(?P<pid>\d+)-(?P<name>.+)-[0-9a-f]{8}@(?P<where>[0-9a-f]+)(\.[^@]*)?", re.DOTALL)


def scratch(name: str) -> str:
    """``.tmp-PID-NAME-RANDOM@WHERE``, a name that nobody else takes."""
    return f".tmp-{os.getpid()}-{name}-{uuid.uuid4().hex[:8]}@{here()}"


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a file beside ``path``, of the same ending; flush it, and move it there in one step."""
    beside = path.with_name(scratch(path.stem) + path.suffix)
    try:
        write(beside)
        sync(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)  # the disk may be full


@contextmanager
def working(root: Path, name: str) -> Iterator[Path]:
    """Make a folder in ``root`` to work in; it is removed at the end unless it was renamed."""
    folder = root / scratch(name)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settle(folder: Path, target: Path, mark: str) -> None:
    """Rename a finished folder to its place, unless one is there with the file that marks it as whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(target)
    except OSError:
        if not (target / mark).is_file():
            raise
    sync(target.parent)


def discard(folder: Path, root: Path) -> None:
    """Remove a folder, if there is one, by way of ``root``, so that it leaves its place in one step."""
    aside = root / scratch(folder.name)
    with suppress(FileNotFoundError):
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def sync(path: Path) -> None:
    """Flush a file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def here() -> str:
    """Where a process number means the same process: one boot of one machine, and in it one container."""
    return _digest(platform.node(), _boot(), _namespace())[:12]


def machine() -> str:
    """This machine's name, digested: it may hold any character. A container is a machine of its own."""
    inner = _namespace() not in ("", OUTERMOST)
    return _digest(platform.node(), *((_boot(), _namespace()) if inner else ()))[:8]


def written(name: str) -> str | None:
    """What is being written under a name of ``scratch``; None for any other name."""
    said = NAME.fullmatch(name)
    return said and said["name"]


def clock(folder: Path) -> float:
    """The time by the clock that dates files in a folder; by this machine's if none can be written there."""
    probe = folder / scratch("clock")
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with suppress(OSError):
            probe.unlink()


def abandoned(path: Path, after: float = LONG, now: float | None = None) -> bool:
    """Whether it was abandoned: its process has ended, or cannot be seen from here and has given no sign for long.

    Files that ``scratch`` did not name are left alone. ``after`` is in seconds, until ``now`` by the clock that dates
    the files, which is asked where it is not given: nobody's work shall go because this machine's clock jumped.
    """
    said = NAME.fullmatch(path.name)
    if not said:
        return False
    if said["where"] == here():
        return not alive(int(said["pid"]))
    signs = []
    for sign in (path / ALIVE, path):
        with suppress(OSError):  # it became what it was to be
            signs.append(sign.stat().st_mtime)
    return bool(signs) and (clock(path.parent) if now is None else now) - max(signs) > after


@contextmanager
def living(folder: Path) -> Iterator[None]:
    """Leave a sign of life in a folder every minute, for those who cannot see this process; remove it at the end."""
    sign, end = folder / ALIVE, threading.Event()

    def beat() -> None:
        while not end.wait(BEAT):
            with suppress(OSError):
                os.utime(sign)

    sign.touch()
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        sign.unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended and that nobody has waited for does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _boot() -> str:
    """Which start of which kernel this is; empty where nothing says it."""
    with suppress(OSError, UnicodeDecodeError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


def _namespace() -> str:
    """The namespace that this process's number counts in; empty where nothing says it."""
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()
