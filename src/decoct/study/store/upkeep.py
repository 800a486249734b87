"""Looking after a store: which runs use it, what a cell is, which cells are damaged, and which no run reaches."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from decoct.core.cells import STORE, Name, default_where, folder_of, is_url, store_of, within
from decoct.core.errors import DecoctError, UsageError
from decoct.core.integrity import DamagedError
from decoct.core.interfaces import Progress, silent
from decoct.core.machine import blame
from decoct.core.notation import from_json
from decoct.core.record import CELL, MEASURED, read_json
from decoct.core.remote import Entry
from decoct.core.scratch import LONG, machine
from decoct.core.spec import digest
from decoct.study.store.store import Store, open_store

RUN = "run.json"
STATES = ("whole", "damaged", "incomplete")


class Root(NamedTuple):
    """A run whose cells lie in a store: its folder, its jobs by key, and the note that another machine's run left."""

    run: str
    jobs: Mapping[str, Mapping[str, Any]]
    note: str | None = None


class Cell(NamedTuple):
    """A cell, or what an unfinished job left; "incomplete" without a record, and with faults by file."""

    kind: str
    key: str
    bytes: int
    touched: float
    state: str = "whole"
    faults: Mapping[str, str] = {}


def store_at(word: str | None) -> Store:
    """The store that a word means: a run's folder, a store's, a URL, None the own; a UsageError where no folder is."""
    if word is None or is_url(word):
        return open_store(word or default_where())
    folder = folder_of(word)
    if not folder.is_dir():
        raise UsageError(f"{word}: no such folder; name what 'decoct run' made, a store, or a URL")
    if (folder / RUN).is_file():
        return open_store(_read(folder / RUN)[0])
    return Store(folder / STORE if (folder / STORE).is_dir() else folder)


def roots(store: Store, folder: Path) -> tuple[list[Root], list[str]]:
    """The runs of a folder, the one around a store, and those that left a note, as far as their cells lie there.

    With them come the names of notes of this machine's runs that are gone. A DecoctError says that a ``run.json`` or a
    note is damaged, so that nobody knows what it reaches.
    """
    runs: dict[str, Root] = {}
    gone: list[str] = []
    for path in (store.root.parent / RUN, *sorted(folder.glob(f"*/{RUN}"))):
        if path.is_file() and _same((read := _read(path))[0]) == _same(store.where):
            runs[str(path.parent.resolve())] = Root(str(path.parent), read[1])
    for name, content in store.notes().items():
        try:
            facts = from_json(content)
            run, of, jobs = facts["run"], facts["machine"], {job["key"]: job for job in facts["jobs"]}
        except (ValueError, KeyError, TypeError) as error:
            raise DecoctError(f"the note studies/{name} of {store.where} is damaged ({error}): remove it") from error
        if of != machine():
            runs[f"{of} {run}"] = Root(run, jobs, name)
        elif Path(run, RUN).is_file():
            runs.setdefault(run, Root(run, jobs))
        else:
            gone.append(name)
    return list(runs.values()), gone


def keep_root(store: Store, out: Path, jobs: Iterable[Mapping[str, Any]]) -> None:
    """Leave a note in a store that others may share: a run on this machine uses its cells."""
    of, run, brief = machine(), str(out.resolve()), [{"key": job["key"], "kind": job["kind"]} for job in jobs]
    note = json.dumps({"run": run, "machine": of, "jobs": brief}, sort_keys=True).encode()
    store.note(f"{digest([of, run])}.json", note)


def show(prefix: str, folder: Path, place: str | None = None) -> dict[str, Any]:
    """What the one cell, or planned job, is whose key begins so: coordinates, inputs, readers, files, cost.

    The runs of a folder say in their words what it is. It is looked for in a place, as in ``store_at``, or in the
    stores of those runs and then in the user's own: the first that has it counts. None and several are a UsageError.
    """
    own = [*(_read(path)[0] for path in sorted(folder.glob(f"*/{RUN}"))), default_where()]
    stores = [store_at(place)] if place else [*map(open_store, {_same(where): where for where in own}.values())]
    seen = []
    for each in stores:
        complete = {key: kind for (kind, key), files in each.listing().items() if CELL in files}
        seen.append((each, roots(each, folder)[0], complete))
    known = {key for _, runs, there in seen for keys in (there, *(root.jobs for root in runs)) for key in keys}
    if not (keys := sorted(key for key in known if key.startswith(prefix))):
        places = ", ".join(store.where for store in stores)
        raise UsageError(f"no cell begins with {prefix} in {places}: --in names a run, a store or a URL")
    if len(keys) > 1:
        some = ", ".join(keys[:5])
        raise UsageError(f"{len(keys)} cells begin with {prefix}: {some}{' …' if len(keys) > 5 else ''}")
    (key,) = keys
    store, runs, there = max(seen, key=lambda each: (key in each[2], any(key in root.jobs for root in each[1])))
    jobs = {k: job for root in runs for k, job in root.jobs.items()}
    kinds = {k: job["kind"] for k, job in jobs.items()} | there
    kind = kinds[key]
    record = _record(store, kind, key)
    labels = [root.jobs[key]["labels"] for root in runs if root.jobs.get(key, {}).get("labels")]
    inputs = record.get("inputs") or jobs.get(key, {}).get("inputs", {})
    readers = sorted((job["kind"], k) for k, job in jobs.items() if key in job.get("inputs", {}).values())
    return {
        "kind": kind,
        "key": key,
        "complete": key in there,
        "what": [each for i, each in enumerate(labels) if each not in labels[:i]],
        "keyed": record.get("keyed", {}),
        "inputs": {role: {"kind": kinds.get(k), "key": k, "there": k in there} for role, k in inputs.items()},
        "needed_by": [{"kind": kind, "key": reader} for kind, reader in readers],
        "runs": [root.run for root in runs if key in root.jobs],
        "files": {name: entry.size for name, entry in sorted(store.listing_of(kind, key).items())},
        "cost": _record(store, kind, key, MEASURED) or None,  # of what was brought along nobody knows
        "where": f"{store.where}/{within(kind, key)}",
    }


def verify(store: Store, progress: Progress = silent) -> Iterator[Cell]:
    """Look at every cell of a store; every byte is read, there where it lies, and told to ``progress``."""
    listing = store.listing()
    cells = _cells(listing)
    done, total = 0, sum(cell.bytes for cell in cells)
    for cell in cells:
        if CELL in (files := listing[cell[:2]]):
            faults = store.faults(*cell[:2], files)
            yield cell._replace(state="damaged" if faults else "whole", faults=faults)
        else:
            yield cell._replace(state="incomplete", faults={CELL: "is missing"})
        done += cell.bytes
        progress(done, total)


def repair(store: Store, cells: Iterable[Cell]) -> list[Cell]:
    """Remove damaged and incomplete cells, and say which; the next run makes what is missing."""
    # At a URL a cell's files come one after the other, the record last: an incomplete young one may be on its way.
    young = store.files.now() - LONG if is_url(store.where) else float("inf")
    gone = [cell for cell in cells if cell.state == "damaged" or (cell.state == "incomplete" and cell.touched <= young)]
    collect(store, gone)
    return gone


def garbage(store: Store, runs: Iterable[Root]) -> tuple[list[Cell], list[Cell], int]:
    """Cells that no run reaches, by its plan or as shards of its sets; checkpoints that nobody needs; how many stay."""
    listing = store.listing()
    done = {name for name, files in listing.items() if CELL in files}
    keys = {key for root in runs for key in root.jobs}
    sets = [(kind, key) for kind, key in done if kind == "condense" and key in keys]
    store.prefetch(sets, lambda name: name == CELL)
    keys |= {key for name in sets for key in _record(store, *name).get("inputs", {}).values()}
    idle = [cell for cell in _cells(listing) if cell.key not in keys]
    begun = [cell for cell in _cells(store.begun()) if cell[:2] in done or cell.key not in keys]
    return idle, begun, len(listing) - len(idle)


def collect(store: Store, cells: Iterable[Cell], begun: Iterable[Cell] = (), notes: Iterable[str] = ()) -> None:
    """Remove them. A cell is none from the first moment on, so that whoever is killed here leaves no half."""
    for cell in cells:
        store.remove(*cell[:2])
    for cell in begun:
        store.finish(*cell[:2])
    for name in notes:
        store.drop(name)
    store.sweep()


def _cells(listing: Mapping[Name, Mapping[str, Entry]]) -> list[Cell]:
    return [
        Cell(*name, sum(entry.size for entry in files.values()), max(entry.modified for entry in files.values()))
        for name, files in sorted(listing.items())
    ]


def _read(path: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """Where the cells of a run lie, and its jobs by key."""
    try:
        facts = read_json(path)
        return store_of(path.parent, str(facts.get("store", STORE))), {job["key"]: job for job in facts["jobs"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        blame(error)
        raise DecoctError(f"{path} is damaged ({error}): remove it, or run the study again") from error


def _record(store: Store, kind: str, key: str, name: str = CELL) -> dict[str, Any]:
    """What a cell says of itself, or of what it took; nothing if that cannot be read."""
    try:
        return dict(read_json(store.file(kind, key, name)))
    except (DamagedError, OSError, ValueError, TypeError) as error:
        blame(error)  # or ``gc`` would not see what a set was made from
        return {}


def _same(where: str) -> str:
    """Equal for two words that mean one store."""
    return where.rstrip("/") if is_url(where) else str(folder_of(where).resolve())
