"""Whether the cells of a store are as they were written, and what to do about those that are not."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from decoct.core.kinds import Progress, silent
from decoct.core.places import is_url
from decoct.core.record import CELL
from decoct.core.scratch import LONG
from decoct.run.storage.reach import record
from decoct.run.storage.store import Store

State = Literal["whole", "unhashed", "damaged", "incomplete"]


@dataclass(frozen=True)
class Finding:
    """A cell, looked at.

    Attributes:
        kind: of the cell.
        key: of the cell.
        state: "whole"; "damaged"; "unhashed", of a version that left no sums; "incomplete", without its record.
        bytes: of its files.
        faults: what is wrong, by file.
        external: it is an external set, or labels of one: no job makes them again.
        busy: somebody may be writing it.
    """

    kind: str
    key: str
    state: State
    bytes: int
    faults: dict[str, str] = field(default_factory=dict)
    external: bool = False
    busy: bool = False


def verify(store: Store, progress: Progress = silent) -> Iterator[Finding]:
    """Look at every cell of a store: every byte is read, there where it lies.

    Args:
        store: any.
        progress: called with (bytes read, bytes in all).
    """
    listing = store.listing()
    total = sum(entry.size for files in listing.values() for entry in files.values())
    done, old = 0, time.time() - LONG
    for (kind, key), files in sorted(listing.items()):
        size = sum(entry.size for entry in files.values())
        if CELL not in files:
            # In a folder a cell is renamed into place whole, at a URL its files come one after the other.
            busy = is_url(store.where) and any(entry.modified > old for entry in files.values())
            yield Finding(kind, key, "incomplete", size, {CELL: "is missing"}, busy=busy)
        elif (faults := store.faults(kind, key, files)) is None:
            yield Finding(kind, key, "unhashed", size)
        elif faults:
            external = "external" in record(store, kind, key).get("keyed", {})
            yield Finding(kind, key, "damaged", size, faults, external)
        else:
            yield Finding(kind, key, "whole", size)
        done += size
        progress(done, total)


def repair(store: Store, found: list[Finding]) -> list[Finding]:
    """Remove damaged cells, and incomplete ones that nobody writes; the next run makes what is missing.

    Returns:
        What was removed.
    """
    bad = [each for each in found if each.state in ("damaged", "incomplete") and not each.busy]
    for each in bad:
        store.remove(each.kind, each.key)
    return bad
