"""What a store holds that no study reaches: cells, and checkpoints that nobody goes on from."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from decoct.core.cells import Name
from decoct.core.record import CELL
from decoct.core.remote import Entry
from decoct.run.storage.reach import Root, reached
from decoct.run.storage.store import Store


@dataclass(frozen=True)
class Garbage:
    """What may go.

    Attributes:
        cells: bytes of each cell that no run reaches.
        unfinished: bytes of what each job left that is done, or that no run reaches.
        young: cells and checkpoints that would go, but were touched lately: somebody may be at work on them.
        kept: cells that runs reach.
        notes: of runs that are gone.
    """

    cells: dict[Name, int]
    unfinished: dict[Name, int]
    young: int
    kept: int
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """That would be free."""
        return sum(self.cells.values()) + sum(self.unfinished.values())


def garbage(store: Store, runs: Iterable[Root], older: float, notes: Iterable[str] = ()) -> Garbage:
    """What no run reaches, and was not touched for so long.

    A cell is written aside or without its record, and is not touched again: what is younger may be of a driver whose
    ``run.json`` is not among those given.

    Args:
        store: any.
        runs: that count.
        older: seconds since a file of it was written last.
        notes: of runs that are gone.
    """
    cells, begun, before = store.listing(), store.begun(), time.time() - older
    keys = reached(store, runs, [name for name, files in cells.items() if CELL in files])
    idle = {name: files for name, files in cells.items() if name[1] not in keys}
    done = {name for name, files in cells.items() if CELL in files}
    left = {name: files for name, files in begun.items() if name in done or name[1] not in keys}
    young = sum(_touched(files) > before for found in (idle, left) for files in found.values())
    return Garbage(
        {name: _bytes(files) for name, files in idle.items() if _touched(files) <= before},
        {name: _bytes(files) for name, files in left.items() if _touched(files) <= before},
        young,
        len(cells) - len(idle),
        tuple(notes),
    )


def collect(store: Store, found: Garbage) -> None:
    """Remove it. A cell is none from the first moment on, so that whoever is killed here leaves no half."""
    for kind, key in found.cells:
        store.remove(kind, key)
    for kind, key in found.unfinished:
        store.finish(kind, key)
    for name in found.notes:
        store.drop(name)
    store.sweep()


def _touched(files: dict[str, Entry]) -> float:
    return max(entry.modified for entry in files.values())


def _bytes(files: dict[str, Entry]) -> int:
    return sum(entry.size for entry in files.values())
