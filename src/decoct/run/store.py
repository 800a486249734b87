"""The store: one folder a cell, found by its key, there whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from decoct.core.record import CELL, cell_dir, complete
from decoct.data.cache import sync


class Store:
    """Content-addressed cells below a root folder.

    A cell is written in ``.tmp-*``, fsynced and renamed; whoever is killed leaves a temporary folder, never half a
    cell. Where two processes make the same cell, the first to finish wins and the other's copy is dropped.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    @property
    def where(self) -> str:
        """What ``open_store`` finds it by, here and in a worker."""
        return str(self.root)

    def path(self, kind: str, key: str) -> Path:
        """Where the cell is, or would be."""
        return cell_dir(self.root, kind, key)

    def has(self, kind: str, key: str) -> bool:
        """Whether the cell is complete."""
        return complete(self.path(kind, key))

    def unfinished(self, kind: str, key: str) -> Path:
        """Where a long job leaves its checkpoint until its cell is there."""
        return self.root / "unfinished" / kind / f"{key}.safetensors"

    @contextmanager
    def writing(self, kind: str, key: str) -> Iterator[Path]:
        """A temporary folder that becomes the cell when the block ends without an error.

        Raises:
            RuntimeError: the block left no ``cell.json`` in it.
        """
        target = self.path(kind, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = self.root / f".tmp-{os.getpid()}-{key}-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        try:
            yield folder
            if not (folder / CELL).is_file():
                raise RuntimeError(f"a {kind} cell was written without {CELL}")
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    sync(file)
            sync(folder)
            if target.exists() and not complete(target):
                shutil.rmtree(target)  # somebody took files out of it
            try:
                folder.rename(target)
            except OSError:
                if not complete(target):
                    raise
            sync(target.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what killed processes of this machine left half-written."""
        for path in (*self.root.glob(".tmp-*-*"), *(self.root / "unfinished").glob("*/.tmp-*-*")):
            pid = path.name.split("-")[1]
            if pid.isdecimal() and not _alive(int(pid)):
                path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)


def open_store(where: str) -> Store:
    """The store at a place."""
    return Store(where)


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A path to make a file or folder at, which becomes ``target`` when the block ends without an error.

    What was at ``target`` is replaced then, and is as it was before if the block raises.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".tmp-{target.name}-{uuid.uuid4().hex[:8]}")
    old = scratch.with_name(f"{scratch.name}-old")
    try:
        yield scratch
        if target.exists():
            target.rename(old)
        scratch.rename(target)
    finally:
        for path in (scratch, old):
            path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended and that nobody has waited for does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
