"""Which cells of a store studies reach: what their runs planned, and what their sets were put together from."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decoct.core.errors import DecoctError, UsageError
from decoct.core.places import default_where, folder_of, is_url, store_of
from decoct.core.record import CELL, read_json
from decoct.core.scratch import machine
from decoct.core.spec import digest
from decoct.run.storage.store import Store

RUN = "run.json"


@dataclass(frozen=True)
class Root:
    """A run whose cells lie in a store.

    Attributes:
        run: its folder.
        jobs: kind by key of all that it planned.
        labels: what each is, in the study's words.
        inputs: keys that each reads, by role.
        note: name of the note that it left in the store, if another machine did: nobody here knows whether it is gone.
    """

    run: str
    jobs: Mapping[str, str]
    labels: Mapping[str, Mapping[str, Any]]
    inputs: Mapping[str, Mapping[str, str]]
    note: str | None = None

    @classmethod
    def of(cls, run: str, jobs: Iterable[Mapping[str, Any]], note: str | None = None) -> "Root":
        """From the jobs of a ``run.json``."""
        jobs = list(jobs)
        return cls(
            run,
            {str(job["key"]): str(job["kind"]) for job in jobs},
            {str(job["key"]): dict(job.get("labels", {})) for job in jobs},
            {str(job["key"]): dict(job.get("inputs", {})) for job in jobs},
            note,
        )


def place_of(word: str | None) -> str:
    """The store that a word on the command line means: a run's folder, a store's, or a URL; None is the user's own.

    Raises:
        UsageError: no such folder.
    """
    if word is None or is_url(word):
        return word or default_where()
    folder = folder_of(word)
    if not folder.is_dir():
        raise UsageError(f"{word}: no such folder; name what 'decoct run' made, a store, or a URL")
    if (folder / RUN).is_file():
        return store_of(folder, _read(folder / RUN)[0])
    return str(folder / "store") if (folder / "store").is_dir() else str(folder)


def roots(store: Store, folder: Path) -> tuple[list[Root], list[str]]:
    """The runs whose cells lie in a store: those of a folder, the one that the store is in, and those that left a note.

    Args:
        store: whose cells.
        folder: of runs.

    Returns:
        The runs, and the names of notes of this machine's runs that are gone.

    Raises:
        DecoctError: a ``run.json`` is damaged, so that nobody knows what it reaches.
    """
    found: dict[str, Root] = {}
    own = [] if is_url(store.where) else [store.root.parent / RUN]
    for path in (*own, *sorted(folder.glob(f"*/{RUN}"))):
        if path.is_file():
            said, jobs = _read(path)
            if same(store_of(path.parent, said), store.where):
                found[str(path.parent.resolve())] = Root.of(str(path.parent), jobs)
    gone = []
    for name, content in store.notes().items():
        try:
            facts = json.loads(content)
            run, of = Path(facts["run"]), facts["machine"]
            if of == machine() and not (run / RUN).is_file():
                gone.append(name)
            elif of != machine():
                found[f"{of} {run}"] = Root.of(str(run), facts["jobs"], name)
            elif str(run) not in found:
                found[str(run)] = Root.of(str(run), facts["jobs"])
        except (ValueError, KeyError, TypeError) as error:
            raise DecoctError(f"the note studies/{name} of {store.where} is damaged ({error}): remove it") from error
    return list(found.values()), gone


def keep_root(store: Store, out: Path, jobs: list[dict[str, Any]]) -> None:
    """Leave a note in a store that others may share: a run on this machine stands on its cells."""
    run = str(out.resolve())
    brief = [{"key": job["key"], "kind": job["kind"]} for job in jobs]
    facts = {"run": run, "machine": machine(), "jobs": brief}
    content = json.dumps(facts, sort_keys=True).encode()
    name = f"{digest([facts['machine'], run])}.json"
    store.note(name, content)


def reached(store: Store, runs: Iterable[Root], there: Iterable[tuple[str, str]]) -> set[str]:
    """Keys that runs planned, and those of the shards that their sets in the store were put together from."""
    keys = {key for root in runs for key in root.jobs}
    sets = [(kind, key) for kind, key in there if kind == "condense" and key in keys]
    store.prefetch(sets, lambda name: name == CELL)
    for kind, key in sets:
        keys |= set(record(store, kind, key).get("inputs", {}).values())
    return keys


def record(store: Store, kind: str, key: str) -> dict[str, Any]:
    """What a cell says of itself; nothing if that cannot be read."""
    try:
        found = read_json(store.file(kind, key, CELL))
        return dict(found)
    except (OSError, ValueError, TypeError, DecoctError):
        return {}


def same(a: str, b: str) -> bool:
    """Whether two words mean one store."""
    if is_url(a) or is_url(b):
        return a.rstrip("/") == b.rstrip("/")
    return folder_of(a).resolve() == folder_of(b).resolve()


def _read(path: Path) -> tuple[str, list[dict[str, Any]]]:
    """Where a run says its cells lie, and its jobs."""
    try:
        facts = read_json(path)
        return str(facts.get("store", "store")), list(facts["jobs"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DecoctError(f"{path} is damaged ({error}): remove it, or run the study again") from error
