"""The store: one folder a cell, found by its key, there whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from decoct.core import integrity
from decoct.core.cells import KEY, Cells, Name, files_below
from decoct.core.errors import DecoctError
from decoct.core.places import folder_of, is_url
from decoct.core.record import CELL, complete
from decoct.core.remote import Entry
from decoct.core.scratch import abandoned, living, scratch
from decoct.data.cache import FACTS, sync

UNFINISHED, STUDIES = "unfinished", "studies"
FULL = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


class Store(Cells):
    """Content-addressed cells below a root folder.

    A cell is written in ``.tmp-*``, sealed with the sums of its files, fsynced and renamed; whoever is killed leaves a
    temporary folder, never half a cell. Where two processes make the same cell, the first to finish wins and the
    other's copy is dropped.
    """

    def prepare(self) -> None:
        """Make the store if it is not there, sweep it, and see that it can be written.

        Raises:
            DecoctError: it cannot.
        """
        with self.room():
            self.root.mkdir(parents=True, exist_ok=True)
            Store.sweep(self)  # of a store at a URL its mirror alone: there the end of a run sweeps
            probe = self.root / scratch("probe")
            probe.mkdir()
            probe.rmdir()

    def unfinished(self, kind: str, key: str) -> Path:
        """Where a long job leaves its checkpoint until its cell is there.

        What a construction keeps lies in a folder of that name without ``.safetensors``.
        """
        return self.root / UNFINISHED / kind / f"{key}.safetensors"

    def resume(self, kind: str, key: str) -> None:
        """Bring here what a job left unfinished elsewhere: in a folder that is shared, it is here."""

    def saved(self, path: Path) -> None:
        """Told of every file of an unfinished job that was saved or removed."""

    def finish(self, kind: str, key: str) -> None:
        """Remove what an unfinished job left: its cell is there."""
        unfinished = self.unfinished(kind, key)
        unfinished.unlink(missing_ok=True)
        shutil.rmtree(unfinished.with_suffix(""), ignore_errors=True)

    def begun(self) -> dict[Name, dict[str, Entry]]:
        """What jobs left unfinished, by job and file."""
        return by_job(files_below(self.root, [self.root / UNFINISHED]))

    def faults(self, kind: str, key: str, files: Mapping[str, Entry]) -> dict[str, str] | None:
        """What is wrong with a complete cell, by file; None if it is older than sums are, so that nobody can tell.

        Args:
            kind: of the cell.
            key: of the cell.
            files: as ``listing`` has them.
        """
        return integrity.faults(self.path(kind, key))

    def note(self, name: str, content: bytes) -> None:
        """Leave what a study that has its cells here says of itself, so that ``gc`` leaves them alone."""
        with self.room():
            folder = self.root / STUDIES
            folder.mkdir(parents=True, exist_ok=True)
            beside = folder / scratch(name)
            beside.write_bytes(content)
            beside.replace(folder / name)

    def notes(self) -> dict[str, bytes]:
        """The notes that studies left, by name."""
        return {path.name: path.read_bytes() for path in (self.root / STUDIES).glob("[!.]*.json")}

    def drop(self, name: str) -> None:
        """Remove a study's note."""
        (self.root / STUDIES / name).unlink(missing_ok=True)

    def offer(self, data: Path) -> None:
        """Let workers elsewhere have a data set of this machine's cache: who shares this folder can share that."""

    def dataset(self, data: Path) -> Path:
        """The folder of a cached data set on this machine.

        Raises:
            DecoctError: it is not here.
        """
        if not (data / FACTS).is_file():
            raise DecoctError(
                f"the data set is not at {data} on this machine: let DECOCT_STORE name a folder that all machines "
                "share, or run the study with --store URL"
            )
        return data

    def remove(self, kind: str, key: str) -> None:
        """Remove a cell, which is none from the first moment on; nothing if it is not there."""
        if (folder := self.path(kind, key)).exists():
            aside = self.root / scratch(key)
            folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)

    @contextmanager
    def writing(self, kind: str, key: str) -> Iterator[Path]:
        """A temporary folder that becomes the cell when the block ends without an error.

        Raises:
            RuntimeError: the block left no ``cell.json`` in it.
            DecoctError: the disk is full or read-only.
        """
        target = self.path(kind, key)
        folder = self.root / scratch(key)
        with self.room():
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
            try:
                with living(folder):
                    yield folder
                if not (folder / CELL).is_file():
                    raise RuntimeError(f"a {kind} cell was written without {CELL}")
                integrity.seal(folder)
                for path in (*folder.rglob("*"), folder):
                    sync(path)
                self._publish(kind, key, folder)
                if target.exists() and not complete(target):
                    self.remove(kind, key)  # somebody took files out of it
                try:
                    folder.rename(target)
                except OSError:
                    if not complete(target):
                        raise
                sync(target.parent)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _publish(self, kind: str, key: str, folder: Path) -> None:
        """Called with a finished cell before it takes its place here."""

    def sweep(self) -> None:
        """Remove what killed processes left half-written: this machine's at once, others' after a day."""
        for path in (
            *self.root.glob(".tmp-*-*"),
            *(self.root / UNFINISHED).glob("*/.tmp-*-*"),
            *(self.root / STUDIES).glob(".tmp-*-*"),
        ):
            if abandoned(path):
                with suppress(FileNotFoundError):  # another driver sweeps as well
                    path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def room(self) -> Iterator[None]:
        """Say of a full or closed disk what to do about it."""
        try:
            yield
        except Exception as error:
            if said := trouble(error, self.root):
                raise DecoctError(said) from error
            raise


def by_job(listing: Mapping[str, Entry]) -> dict[Name, dict[str, Entry]]:
    """What lies below ``unfinished``, by kind and key of the job, and path in the store."""
    found: dict[Name, dict[str, Entry]] = {}
    for name, entry in listing.items():
        match name.split("/", 3):
            case [_, kind, file, *_] if KEY.fullmatch(key := file.removesuffix(".safetensors")):
                found.setdefault((kind, key), {})[name] = entry
    return found


def trouble(error: Exception, root: Path) -> str | None:
    """What to do about an error if it says that the disk of a store is full, or that the store cannot be written."""
    number = getattr(error, "errno", None)
    if number in FULL or "No space left on device" in str(error):  # libraries in Rust give the text alone
        return f"No space left on device, {root} is full: free some space, the same command goes on from there"
    where = getattr(error, "filename", None)
    if number in CLOSED and where is not None and Path(os.fsdecode(where)).is_relative_to(root):
        return f"{root} cannot be written ({os.strerror(number)}): make it writable, or name another --store"
    if number in CLOSED and where is not None and root.is_relative_to(Path(os.fsdecode(where))):
        return f"{root} cannot be made ({os.strerror(number)} at {os.fsdecode(where)}): name another --store"
    return None


def open_store(where: str) -> Store:
    """The store at a place, a folder or a URL of fsspec."""
    if is_url(where):
        from decoct.run.storage.remote import RemoteStore

        return RemoteStore(where)
    return Store(folder_of(where))
