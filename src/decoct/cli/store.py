"""Commands on stores: show a cell, verify all bytes, remove what no study reaches."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from decoct.cli.options import Json
from decoct.console import answer, bars, err, fail
from decoct.core.errors import UsageError

Where = Annotated[
    str | None, Argument(metavar="[RUN|STORE]", help="A run, a store, or a URL; default: the user's own store.")
]
SHOWN = 20  # cells that are named one by one


def show(
    key: Annotated[str, Argument(metavar="KEY", help="A cell's key, or how it begins.")],
    place: Annotated[
        str | None, Option("--in", metavar="PLACE", help="A run, a store, or a URL; default: all runs, and the own.")
    ] = None,
    runs: Annotated[Path, Option("--runs", metavar="DIR", help="Where runs are looked for.")] = Path("runs"),
    json: Json = False,
) -> None:
    """Show a cell: what it is, what it read, who needs it, its files, what it took, where it lies."""
    from decoct.report import wording
    from decoct.study.store import upkeep

    if not re.fullmatch("[0-9A-Za-z_-]+", key):
        raise UsageError(
            f"'{key}' is not a key: the names of cells are hexadecimal, as 'decoct show --json' prints them"
        )
    cell = upkeep.show(key, runs, place)
    shown = cell | {"files": {name: wording.size(size) for name, size in cell["files"].items()}}
    if took := cell["cost"]:
        of = f"{took['device']} of {took['host']}, peak {wording.size(took['peak_memory'])}"
        shown["cost"] = f"{wording.seconds(took['seconds'])} on {of}"
    rows = [f"{name.replace('_', ' '):10} {said}" for name, value in shown.items() for said in _some(_lines(value))]
    answer(json, cell, *rows)


def verify(
    where: Where = None,
    repair: Annotated[
        bool, Option("--repair", help="Remove what is damaged, so that the next run makes it again.")
    ] = False,
    json: Json = False,
) -> None:
    """Read every byte of a store and say which cells are not as they were written."""
    from decoct.report import wording
    from decoct.study.store import upkeep

    store = upkeep.store_at(where)
    with bars() as bar:
        cells = list(upkeep.verify(store, bar(f"reading {store.where}")))
    gone = upkeep.repair(store, cells) if repair else []
    counts = {state: sum(cell.state == state for cell in cells) for state in upkeep.STATES}
    bad = [cell._asdict() | {"removed": cell in gone} for cell in cells if cell.state != "whole"]
    lines = [f"{c.state}: {c.kind} {c.key}: {name} {why}" for c in cells for name, why in c.faults.items()]
    counted = ", ".join(f"{number} {state}" for state, number in counts.items() if number) or "no cells"
    facts = {"store": store.where, "cells": len(cells), **counts, "not_whole": bad}
    answer(json, facts, *lines, f"{store.where}: {counted}")
    if gone:
        again = "the next 'decoct run' of a study that needs them makes them again; give sets of your own again"
        err.tell(f"removed {wording.count(len(gone), 'cell')}; {again}")
    elif counts["damaged"]:
        how = f"'decoct verify --repair{f' {where}' if where else ''}' removes them, and the next run makes them again"
        fail(f"{wording.count(counts['damaged'], 'cell')} damaged, used by no job\n{how}", 1)


def gc(
    where: Where = None,
    folder: Annotated[Path, Option("--in", metavar="DIR", help="Folder of runs whose cells are kept.")] = Path("runs"),
    older: Annotated[
        float, Option("--older-than", metavar="HOURS", min=0.0, help="Hours; anything touched later is kept.")
    ] = 24.0,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Only list what would be removed (the default without --yes).")
    ] = False,
    yes: Annotated[bool, Option("--yes", help="Remove it.")] = False,
    json: Json = False,
) -> None:
    """Remove cells that no study reaches, and checkpoints of jobs that are done or that no study reaches."""
    from decoct.report import wording
    from decoct.study.store import upkeep

    if dry_run and yes:
        raise UsageError("--dry-run and --yes contradict each other: give one")
    store = upkeep.store_at(where)
    runs, gone = upkeep.roots(store, folder)
    *idle, kept = upkeep.garbage(store, runs)
    before = store.files.now() - 3600 * older
    cells, unfinished = ([each for each in part if each.touched <= before] for part in idle)
    young, size = sum(map(len, idle)) - len(cells) - len(unfinished), sum(each.bytes for each in (*cells, *unfinished))
    if yes:
        upkeep.collect(store, cells, unfinished, gone)
    facts = {"store": store.where, "runs": [root.run for root in runs], "bytes": size, "kept": kept, "young": young}
    facts |= {"removed": yes, "cells": [c._asdict() for c in cells], "unfinished": [c._asdict() for c in unfinished]}
    far = ", of another machine; if that run is gone, remove studies/{} there"
    lines = [f"kept for {root.run}{far.format(root.note) if root.note else ''}" for root in runs]
    for word, part in (("cell", cells), ("unfinished", unfinished)):
        lines += _some([f"{word}  {each.kind} {each.key}  {wording.size(each.bytes)}" for each in part])
    count = wording.count(len(cells), "cell") + (f" and {len(unfinished)} unfinished" if unfinished else "")
    done = "removed" if yes else "would be removed; --yes removes them"
    lines += [f"{store.where}: {count} {done}: {wording.size(size)}; {kept} kept"]
    if young:
        lines += [f"{young} more were touched in the last {older:g} h and are kept, since they may be in use"]
    answer(json, facts, *lines)


def _some(lines: Sequence[str]) -> Sequence[str]:
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"and {len(lines) - SHOWN} more"]


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{name}  {_brief(each)}" for name, each in value.items()]
    return [_brief(each) for each in value] if isinstance(value, list) else [_brief(value)]


def _brief(value: Any) -> str:
    """A table as ``name=value``, the tables in it in brackets."""
    if isinstance(value, dict):
        return ", ".join(f"{k}={f'({_brief(v)})' if isinstance(v, dict) else v}" for k, v in value.items())
    return str(value)
