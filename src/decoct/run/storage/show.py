"""A cell as a person wants to see it: what it is, what it read, who needs it, what it holds and took."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from decoct.core.cells import within
from decoct.core.errors import DecoctError, UsageError
from decoct.core.places import default_where, is_url, store_of
from decoct.core.record import CELL, MEASURED, read_cost, read_json
from decoct.run.storage.reach import RUN, Root, place_of, record, roots, same
from decoct.run.storage.store import Store, open_store


@dataclass(frozen=True)
class Shown:
    """A cell of a store, or a job that is planned and not done.

    Attributes:
        key: of the cell.
        kind: of the cell.
        where: its folder or URL.
        complete: it is there.
        what: its coordinates, in the words of the studies that planned it.
        keyed: all that decides its bytes: spec, seed, data, threads.
        inputs: key, and whether that cell is there, by role.
        needed_by: kind and key of the jobs and cells that read it.
        runs: that planned it.
        files: bytes by name.
        cost: what it took, where that is known.
    """

    key: str
    kind: str
    where: str
    complete: bool
    what: list[dict[str, Any]]
    keyed: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    needed_by: list[dict[str, str]]
    runs: list[str]
    files: dict[str, int]
    cost: dict[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        return asdict(self)


def stores(given: str | None, folder: Path) -> list[str]:
    """Where to look for a cell: the place that is given, else those of all runs in a folder, and the user's own."""
    if given is not None:
        return [place_of(given)]
    found: list[str] = []
    for path in sorted(folder.glob(f"*/{RUN}")):
        try:
            where = store_of(path.parent, str(read_json(path).get("store", "store")))
        except (OSError, ValueError, AttributeError):
            continue  # whoever looks for a cell does not care for a run that is damaged
        found += [] if any(same(where, other) for other in found) else [where]
    own = default_where()
    return found if any(same(own, other) for other in found) else [*found, own]


def show(prefix: str, places: Iterable[str], folder: Path) -> Shown:
    """The one cell whose key begins so.

    Args:
        prefix: of its key.
        places: stores to look into; of several that hold the cell the first is shown.
        folder: of runs, which say in their words what it is.

    Raises:
        UsageError: no cell or planned job begins so, or several do.
    """
    found: dict[str, tuple[Store, str, list[Root]]] = {}
    looked = list(places)
    for where in looked:
        store = open_store(where)
        runs = roots(store, folder)[0]
        there = {key: kind for kind, key in _beginning(store, prefix)}
        planned = {key: kind for root in runs for key, kind in root.jobs.items() if key.startswith(prefix)}
        for key, kind in (planned | there).items():
            if key not in found or (key in there and not found[key][0].has(found[key][1], key)):
                found[key] = store, kind, runs
    if not found:
        raise UsageError(f"no cell begins with {prefix} in {', '.join(looked)}: --in names a run, a store or a URL")
    if len(found) > 1:
        some = ", ".join(f"{key} ({kind})" for key, (_, kind, _) in sorted(found.items())[:5])
        raise UsageError(f"{len(found)} cells begin with {prefix}: {some}{' …' if len(found) > 5 else ''}")
    ((key, (store, kind, runs)),) = found.items()
    return _shown(store, kind, key, runs)


def _shown(store: Store, kind: str, key: str, runs: list[Root]) -> Shown:
    facts = record(store, kind, key)
    own = [root for root in runs if key in root.jobs]
    inputs = facts.get("inputs") or next((root.inputs[key] for root in own), {})
    kinds = {
        role: role.partition(":")[0].replace("condensed", "condense").replace("held_out", "teacher") for role in inputs
    }
    readers = {k: root.jobs[k] for root in runs for k, read in root.inputs.items() if key in read.values()}
    files = store.listing_of(kind, key)
    try:
        cost = read_cost(store.file(kind, key, MEASURED)).model_dump(mode="json")
    except (OSError, ValueError, DecoctError):
        cost = None  # of an external set nobody knows
    return Shown(
        key=key,
        kind=kind,
        where=f"{store.where}/{within(kind, key)}" if is_url(store.where) else str(store.path(kind, key)),
        complete=CELL in files,
        what=_once(root.labels[key] for root in own if root.labels[key]),
        keyed=dict(facts.get("keyed", {})),
        inputs={
            role: {"kind": kinds[role], "key": read, "there": store.has(kinds[role], read)}
            for role, read in inputs.items()
        },
        needed_by=[{"kind": k, "key": reader} for reader, k in sorted(readers.items(), key=lambda each: each[::-1])],
        runs=[root.run for root in own],
        files={name: entry.size for name, entry in sorted(files.items())},
        cost=cost,
    )


def _beginning(store: Store, prefix: str) -> list[tuple[str, str]]:
    """Kind and key of the cells of a store whose key begins so."""
    if is_url(store.where):
        return [name for name in store.listing() if name[1].startswith(prefix)]
    cells = store.root.glob(f"[!.]*/{prefix[:2]:?<2}/{prefix}*/{CELL}")
    return [(cell.parents[2].name, cell.parent.name) for cell in cells]


def _once(labels: Iterable[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for each in labels:
        found += [] if dict(each) in found else [dict(each)]
    return found
