"""The store: one folder per cell, found by its key, complete or absent."""

import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from decoct.core import integrity, tensorfile
from decoct.core.cells import KEY, Cells, MirroredCells, Name, default_store, folder_of, is_url, within
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Kept
from decoct.core.machine import CLOSED, FULL, STRAINED, blame
from decoct.core.machine import trouble as strained
from decoct.core.names import check_name
from decoct.core.record import CELL, complete
from decoct.core.remote import Entry
from decoct.core.scratch import abandoned, discard, living, scratch, settle, sync, working, written
from decoct.data.cache import FACTS

UNFINISHED, STUDIES, DATA = "unfinished", "studies", "data"
SPENT = "spent so far"  # beside the arrays of a state; no field has such a name


class Store(Cells):
    """Content-addressed cells below a root folder.

    A cell is written in ``.tmp-*``, sealed with the sums of its files, fsynced and renamed; whoever is killed leaves a
    temporary folder, never half a cell. Where two processes make the same cell, the first to finish wins and the
    other's copy is dropped.
    """

    def prepare(self) -> None:
        """Make the store if it is not there, sweep it, and raise a DecoctError if it cannot be written."""
        with self.room():
            self.root.mkdir(parents=True, exist_ok=True)
            self.sweep()
            self.files.write(probe := scratch("probe"), b"")
            self.files.remove([probe])

    def unfinished(self, kind: str, key: str) -> Path:
        """The folder where a long job leaves its state, and what it keeps, until its cell is there."""
        return self.root / UNFINISHED / kind / key

    def resume(self, kind: str, key: str) -> None:
        """Fetch what a job left unfinished elsewhere; in a shared folder it is here already."""

    def saved(self, path: Path) -> None:
        """Told of every file of an unfinished job that was saved or removed."""

    def finish(self, kind: str, key: str) -> None:
        """Remove what an unfinished job left: its cell is there."""
        shutil.rmtree(self.unfinished(kind, key), ignore_errors=True)

    def finish_late(self) -> None:
        """Do so for every cell whose job was stopped between its last two steps, or could not flush its cell."""
        for kind, key in self.begun():
            if self.has(kind, key):
                self.finish(kind, key)

    def begun(self) -> dict[Name, dict[str, Entry]]:
        """What jobs left unfinished, by job and file."""
        return by_job(self.files.list(UNFINISHED))

    def faults(self, kind: str, key: str, files: Mapping[str, Entry]) -> dict[str, str]:
        """What is wrong with a complete cell, by file; ``files`` are those that ``listing`` has of it."""
        return integrity.faults(self.path(kind, key))

    def note(self, name: str, content: bytes) -> None:
        """Leave a note about a study that has its cells here, so that ``gc`` leaves them alone."""
        with self.room():
            self.files.write(f"{STUDIES}/{name}", content)

    def notes(self) -> dict[str, bytes]:
        """The notes that studies left, by name."""
        names = [name for name in self.files.list(STUDIES) if not written(Path(name).name)]
        return {Path(name).name: self.files.read(name) or b"" for name in names}

    def drop(self, name: str) -> None:
        """Remove a study's note."""
        self.files.remove([f"{STUDIES}/{name}"])

    def offer(self, data: Path) -> None:
        """Offer a data set of this machine's cache to workers elsewhere; those that share this folder share it too."""

    def dataset(self, data: Path) -> Path:
        """The folder of a cached data set on this machine; a DecoctError if it is not here."""
        if not (data / FACTS).is_file():
            raise DecoctError(
                f"the data set is not at {data} on this machine: let DECOCT_STORE name a folder that all machines "
                "share, or run the study with --store URL"
            )
        return data

    def remove(self, kind: str, key: str) -> None:
        """Remove a cell in one step; do nothing if it is not there."""
        discard(self.path(kind, key), self.root)

    @contextmanager
    def writing(self, kind: str, key: str) -> Iterator[Path]:
        """A temporary folder that becomes the cell when the block ends; a DecoctError of a full or read-only disk."""
        target = self.path(kind, key)
        with self.room(), working(self.root, key) as folder:
            with living(folder):
                yield folder
            if not complete(folder):
                raise RuntimeError(f"a {kind} cell was written without {CELL}")
            integrity.seal(folder)
            for path in (*folder.rglob("*"), folder):
                sync(path)
            self._send(folder, within(kind, key), CELL)
            if not complete(target):
                discard(target, self.root)  # somebody took files out of it
            settle(folder, target, CELL)

    def _send(self, folder: Path, at: str, last: str) -> None:
        """Called with a finished cell before it takes its place here."""

    def underway(self) -> set[str]:
        """Keys of the cells that living processes of this machine or others are writing into this folder."""
        now = time.time()  # if it jumps, a job is made twice
        found = ((written(path.name), path) for path in self.root.glob(".tmp-*-*"))
        return {key for key, path in found if key and KEY.fullmatch(key) and not abandoned(path, now=now)}

    def sweep(self) -> None:
        """Remove what killed processes left half-written: this machine's at once, others' after a day."""
        for places in ("", f"{UNFINISHED}/*/*/", f"{STUDIES}/"):
            for path in self.root.glob(f"{places}.tmp-*-*"):
                if abandoned(path):
                    with suppress(FileNotFoundError):  # another driver sweeps as well
                        path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def room(self) -> Iterator[None]:
        """Turn an error of a full or read-only disk into one that says what to do."""
        try:
            yield
        except Exception as error:
            if said := trouble(error, self.root):
                raise DecoctError(said) from error
            raise


class RemoteStore(MirroredCells, Store):
    """A store at a URL: cells are made in this machine's mirror, and sent there with their record last.

    One without ``cell.json`` is none; whoever is killed leaves files that the next writer replaces. Of two writers of
    one cell the second compares: unless both wrote the same, the files there may be of both, and it sends its own anew.
    """

    def remove(self, kind: str, key: str) -> None:
        """Remove a cell there, its record first, so that it is none from the first moment on; and here."""
        at = within(kind, key)
        self.remote.remove([f"{at}/{CELL}"])
        self.remote.remove(list(self.remote.list(at)))
        super().remove(kind, key)

    def _send(self, folder: Path, at: str, last: str) -> None:
        """Send a folder unless it is there, the file without which it is nothing last."""
        if self.remote.read(f"{at}/{last}") is not None:
            return
        files = {f"{at}/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()}
        mark = files.pop(f"{at}/{last}").read_bytes()
        self.remote.put(files)
        if not self.remote.write(f"{at}/{last}", mark, new=True) and self.remote.read(f"{at}/{last}") != mark:
            self.remote.remove([f"{at}/{last}"])
            self.remote.put(files)
            self.remote.write(f"{at}/{last}", mark)

    def faults(self, kind: str, key: str, files: Mapping[str, Entry]) -> dict[str, str]:
        """What is wrong with a complete cell there, by file; its bytes are fetched and not kept."""
        with working(self.root, key) as aside:
            self.remote.get({f"{within(kind, key)}/{name}": aside / key / name for name in files})
            return integrity.faults(aside / key)  # the record is checked against the folder's name

    def resume(self, kind: str, key: str) -> None:
        """Replace the unfinished state here by the remote one, if any; it is never older, since saves are sent."""
        if there := self.begun().get((kind, key)):
            super().finish(kind, key)  # a construction must not find stages of two attempts
            self.remote.get({name: self.root / name for name in there})

    def saved(self, path: Path) -> None:
        """Send a file of an unfinished job, or remove it there if it is gone here."""
        name = path.relative_to(self.root).as_posix()
        self.remote.put({name: path}) if path.is_file() else self.remote.remove([name])

    def finish(self, kind: str, key: str) -> None:
        """Remove what an unfinished job left, here and there."""
        super().finish(kind, key)
        self.remote.remove(list(self.begun().get((kind, key), {})))

    def offer(self, data: Path) -> None:
        """Send a data set there, unless it is; its facts go last."""
        self._send(data, f"{DATA}/{data.name}", FACTS)

    def dataset(self, data: Path) -> Path:
        """The folder of a cached data set: on this machine as it was planned, or fetched into this machine's cache."""
        own = default_store() / DATA / data.name
        for folder in (data, own):
            if (folder / FACTS).is_file():
                return folder
        names = self.remote.list(f"{DATA}/{data.name}")
        if f"{DATA}/{data.name}/{FACTS}" not in names:
            raise DecoctError(f"the data set {data.name} is neither here nor at {self.where}: run the study again")
        with working(own.parent, data.name) as folder, self.room():
            self.remote.get({name: folder / Path(name).name for name in names})
            settle(folder, own, FACTS)
        return own


def by_job(listing: Mapping[str, Entry]) -> dict[Name, dict[str, Entry]]:
    """What lies below ``unfinished``, by kind and key of the job, and path in the store."""
    jobs: dict[Name, dict[str, Entry]] = {}
    for name, entry in listing.items():
        match name.split("/", 3):
            case [_, kind, key, _] if KEY.fullmatch(key):
                jobs.setdefault((kind, key), {})[name] = entry
    return jobs


def trouble(error: Exception, root: Path) -> str | None:
    """What to do about an error if it is of the machine: a full disk, a store that cannot be written …"""
    number = getattr(error, "errno", None)
    if number in FULL or "No space left on device" in str(error):  # libraries in Rust give the text alone
        return f"No space left on device, {root} is full: free some space; the same command continues"
    if said := strained(error, STRAINED):
        return said
    where = getattr(error, "filename", None)
    if number in CLOSED and where is not None and Path(os.fsdecode(where)).is_relative_to(root):
        return f"{root} cannot be written ({os.strerror(number)}): make it writable, or name another --store"
    if number in CLOSED and where is not None and root.is_relative_to(Path(os.fsdecode(where))):
        return f"{root} cannot be made ({os.strerror(number)} at {os.fsdecode(where)}): name another --store"
    return None


def open_store(where: str) -> Store:
    """The store at a place, a folder or a URL of fsspec."""
    return RemoteStore(where) if is_url(where) else Store(folder_of(where))


class KeptOnDisk(Kept):
    """Arrays as safetensors files, each there whole or not at all, in a folder that is made when one is saved.

    What changes step by step is saved every so many seconds. ``saved`` is called with every file that was saved or
    removed, to bring it to where another machine finds it. ``spends`` gives sums that grow with the work of this
    process, such as its seconds; with each file stands what the work had taken by then, over all processes.
    """

    def __init__(
        self,
        folder: Path,
        every: float = 300.0,
        saved: Callable[[Path], None] = lambda path: None,
        spends: Callable[[], Sequence[float]] = tuple,
    ) -> None:
        self.folder, self.every, self.saved, self.last = folder, every, saved, time.monotonic()
        self.spends, self.before = spends, np.zeros(())

    def spent(self) -> NDArray[np.float64]:
        """What the work has taken, with what stands behind the arrays that were loaded."""
        return self.before + self.spends()

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """What was saved under a name; None if nothing was, or if it is damaged."""
        try:
            arrays = dict(load_file(tensorfile.openable(self._file(name))))
        except (OSError, SafetensorError) as error:
            blame(error)  # or what long work left would be made again, and replaced
            return None
        before = arrays.pop(SPENT, None)
        if before is not None and len(before) == len(self.spends()):
            self.before = np.maximum(self.before, before)
        return arrays

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Save arrays under a name, in one rename."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._file(name)
        with suppress(FileNotFoundError):  # another process made the same cell meanwhile, and cleared the folder
            tensorfile.write(file, {**arrays, SPENT: self.spent()})
            self.saved(file)
        self.last = time.monotonic()

    def drop(self, name: str) -> None:
        """Remove what was saved under a name, if anything was."""
        file = self._file(name)
        if file.is_file():
            file.unlink(missing_ok=True)
            self.saved(file)

    def _file(self, name: str) -> Path:
        return self.folder / f"{check_name(name)}.safetensors"

    def due(self) -> bool:
        """Whether ``every`` seconds have gone by since something was saved."""
        return time.monotonic() - self.last >= self.every

    def array(self, name: str, shape: tuple[int, ...], dtype: Any = np.uint8) -> NDArray[Any]:
        """A memory map of zeros, of a file without a name, this process's own; an OSError if the disk is full."""
        check_name(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.folder) as file:
            if hasattr(os, "posix_fallocate"):  # or a full disk would kill the process, when a page of the map is used
                os.posix_fallocate(file.fileno(), 0, math.prod(shape) * np.dtype(dtype).itemsize)
            return np.memmap(file, dtype, "r+", shape=shape)
