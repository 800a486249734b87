"""Commands on stores: show a cell, verify all bytes, remove what no study reaches."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from decoct.cli.options import Json
from decoct.console import bars, err, fail, out, say
from decoct.core.errors import UsageError

Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Where runs are looked for.")]
Where = Annotated[
    str | None, typer.Argument(metavar="[RUN|STORE]", help="A run, a store, or a URL; default: the user's own store.")
]
SHOWN = 20  # cells that are named one by one


def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A cell's key, or how it begins.")],
    place: Annotated[
        str | None,
        typer.Option("--in", metavar="PLACE", help="A run, a store, or a URL; default: all runs, and the own."),
    ] = None,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> None:
    """Show a cell: what it is, what it read, who needs it, its files, what it took, where it lies."""
    from decoct.report import wording
    from decoct.run.storage.show import show as find
    from decoct.run.storage.show import stores

    if not re.fullmatch("[0-9A-Za-z_-]+", key):
        raise UsageError(f"'{key}' is no key: the names of cells are hexadecimal, as 'decoct show --json' prints them")
    found = find(key, stores(place, runs), runs)
    if json:
        say(found.to_json())
        return
    say_line(found.kind, found.key, "" if found.complete else "(not there)")
    for labels in found.what:
        say_line("what", " · ".join(f"{name.replace('_', ' ')} {value}" for name, value in labels.items()))
    for name, value in found.keyed.items():
        say_line(name, value if isinstance(value, str) else _brief(value))
    for role, read in found.inputs.items():
        say_line("reads", f"{role}  {read['key']}{'' if read['there'] else '  (not there)'}")
    for reader in found.needed_by[:SHOWN]:
        say_line("needed by", f"{reader['kind']}  {reader['key']}")
    if len(found.needed_by) > SHOWN:
        say_line("", f"and {len(found.needed_by) - SHOWN} more")
    for run in found.runs:
        say_line("in run", run)
    for name, size in found.files.items():
        say_line("file", f"{name}  {wording.size(size)}")
    if found.cost is not None:
        took = found.cost
        peak = wording.size(took["peak_memory"])
        say_line("took", f"{wording.seconds(took['seconds'])} on {took['device']} of {took['host']}, peak {peak}")
    say_line("lies at", found.where)


def verify(
    where: Where = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Remove what is damaged, so that the next run makes it again.")
    ] = False,
    json: Json = False,
) -> None:
    """Read every byte of a store and say which cells are not as they were written."""
    from decoct.run.storage.reach import place_of
    from decoct.run.storage.store import open_store
    from decoct.run.storage.verify import repair as remove
    from decoct.run.storage.verify import verify as look

    store = open_store(place_of(where))
    with bars() as bar:
        found = list(look(store, bar(f"reading {store.where}")))
    bad = [each for each in found if each.state in ("damaged", "incomplete")]
    gone = remove(store, found) if repair else []
    if json:
        cells = [vars(each) | {"removed": each in gone} for each in found if each.state != "whole"]
        counts = {state: sum(each.state == state for each in found) for state in STATES}
        say({"store": store.where, "cells": len(found), **counts, "not_whole": cells})
    else:
        for each in bad:
            for name, why in each.faults.items():
                out.print(f"{each.state}: {each.kind} {each.key}: {name} {why}", markup=False, soft_wrap=True)
        counted = ", ".join(f"{n} {state}" for state in STATES if (n := sum(each.state == state for each in found)))
        out.print(f"{store.where}: {counted or 'no cells'}", markup=False, soft_wrap=True)
        if any(each.state == "unhashed" for each in found):
            out.print("unhashed: written by a version that left no sums, so nobody can tell; they stay readable")
    if gone:
        external = any(each.external for each in gone)
        err.print(
            f"removed {_cells(len(gone))}; the next 'decoct run' of a study that needs them makes them again"
            + ("; give external sets again" if external else ""),
            markup=False,
            soft_wrap=True,
        )
    elif any(each.state == "damaged" for each in found):
        damaged = sum(each.state == "damaged" for each in found)
        word = f" {where}" if where else ""
        fail(
            f"{_cells(damaged)} damaged, used by no job\n'decoct verify --repair{word}' removes them, and the next run "
            "makes them again",
            1,
        )


def gc(
    where: Where = None,
    folder: Annotated[Path, typer.Option("--in", metavar="DIR", help="Its runs keep their cells.")] = Path("runs"),
    older: Annotated[
        float, typer.Option("--older-than", metavar="HOURS", min=0.0, help="What was touched later stays.")
    ] = 24.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go; so it is without --yes.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it.")] = False,
    json: Json = False,
) -> None:
    """Remove cells that no study reaches, and checkpoints of jobs that are done or that no study reaches."""
    from decoct.report import wording
    from decoct.run.storage.gc import collect, garbage
    from decoct.run.storage.reach import place_of, roots
    from decoct.run.storage.store import open_store

    if dry_run and yes:
        raise UsageError("--dry-run and --yes say the opposite: give one")
    store = open_store(place_of(where))
    runs, gone = roots(store, folder)
    found = garbage(store, runs, older * 3600, gone)
    if yes:
        collect(store, found)
    if json:
        named = {part: [{"kind": k, "key": key, "bytes": n} for (k, key), n in sorted(getattr(found, part).items())]
                 for part in ("cells", "unfinished")}  # fmt: skip
        facts = {"bytes": found.bytes, "kept": found.kept, "young": found.young, "removed": yes}
        say({"store": store.where, "runs": [root.run for root in runs], **facts, **named})
        return
    for root in runs:
        far = f", of another machine; if that run is gone, remove studies/{root.note} there" if root.note else ""
        out.print(f"kept for {root.run}{far}", markup=False, soft_wrap=True)
    for word, part in (("cell", found.cells), ("unfinished", found.unfinished)):
        for (kind, key), size in sorted(part.items())[:SHOWN]:
            out.print(f"{word}  {kind} {key}  {wording.size(size)}", markup=False, soft_wrap=True)
        if len(part) > SHOWN:
            out.print(f"  and {len(part) - SHOWN} more")
    count = _cells(len(found.cells)) + (f" and {len(found.unfinished)} unfinished" if found.unfinished else "")
    done = "removed" if yes else "would be removed, --yes does it"
    free = wording.size(found.bytes)
    out.print(f"{store.where}: {count} {done}: {free}; {found.kept} kept", markup=False, soft_wrap=True)
    if found.young:
        out.print(f"{found.young} more were touched in the last {older:g} h and stay: somebody may be at work on them")


STATES = ("whole", "damaged", "incomplete", "unhashed")


def say_line(name: str, *words: Any) -> None:
    """A name in a column of its own, and what is to be said."""
    out.print(f"{name:10} {' '.join(str(word) for word in words if word != '')}", markup=False, soft_wrap=True)


def _cells(number: int) -> str:
    return "1 cell" if number == 1 else f"{number} cells"


def _brief(value: Any) -> str:
    """A table as ``name=value``, the tables in it in brackets."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={_brief(each)}" for name, each in value.items()) + "}"
    return str(value)
