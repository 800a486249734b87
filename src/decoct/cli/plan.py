"""plan: what a study will cost before it runs, and what to leave out of it to fit a time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from decoct.cli.options import Device, Json, Seed, Size, Skip, StudyFile, asked_for, tell_read
from decoct.console import bars, err, out, say

if TYPE_CHECKING:
    from decoct.run.planning.proposals import Proposal, Takes

SHOWN = 5  # troubles
HEAD = ("kind", "jobs", "in store", "to do", "work", "bytes", "peak", "from", "")


def plan(
    study: StudyFile = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of the run: its store is looked into, plan.json goes there.")
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", metavar="DIR|URL", help="Another store than DIR/store of --out.")
    ] = None,
    others: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="DIR", help="Another run whose results say how long jobs take; repeatable."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Jobs at once; default: the cores.")] = None,
    device: Device = "auto",
    seed: Seed = None,
    probe: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Of probes; 0: none. Default: 120, or 5 % of the work."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Whether it fits 2h, 90m, 3d; if not, a smaller study.")
    ] = None,
    size: Size = None,
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Say what a study will cost before it runs, from earlier results and from short probes on this machine."""
    from decoct.cli import words
    from decoct.report.sections.provenance import toml
    from decoct.run.execute import cores
    from decoct.run.planning.plan import check_out, make_plan
    from decoct.run.planning.proposals import propose, seconds_of
    from decoct.run.storage.store import open_store

    limit = None if budget is None else seconds_of(budget)
    if folder is not None:
        check_out(folder)
    asked, device = asked_for(study, seed, size, skip_corrupt), words.device(device)
    where = store or (str(folder / "store") if folder else None)
    cells = open_store(where) if where else None
    with bars() as bar:
        made = make_plan(
            asked,
            store=cells,
            others=others or (),
            workers=workers or (max(1, cores() // asked.threads) if device == "cpu" else 1),
            device=device,
            probe_for=probe,
            on_data=tell_read,
            reading=bar("reading the data"),
            probed=bar("probing"),
        )
        small = propose(asked, limit, lambda other: replace(made, study=other).takes) if limit else None
    if folder is not None:
        err.print(str(made.write(folder)), markup=False, soft_wrap=True)
    said, change = made.to_json(), toml(small.changed).strip() if small else ""
    if json:
        say(said | ({"proposal": small.to_json() | {"toml": change}} if small else {}))
        return
    out.print(_table(said))
    for line in _lines(said):
        out.print(line, markup=False, soft_wrap=True)
    more = [f"and {len(made.troubles) - SHOWN} more"] if len(made.troubles) > SHOWN else []
    for trouble in [*made.troubles[:SHOWN], *more]:
        out.print(trouble, style="yellow", markup=False, soft_wrap=True)
    for line in ["", *_fits(small, change)] if small else ():
        out.print(line, markup=False, soft_wrap=True)


def _table(said: dict[str, Any]) -> Table:
    from decoct.report import wording

    title = f"{said['study']}: {wording.count(said['jobs'], 'job')}, {said['todo']} to do"
    table = Table(title=Text(title), title_justify="left", box=None)
    for heading in HEAD:
        table.add_column(heading, justify="left" if heading in ("kind", "from", "") else "right", no_wrap=True)

    def known(kind: dict[str, Any], what: str, missing: str, shown: Callable[[float], str]) -> str:
        return ("> " if kind[missing] else "") + shown(kind[what]) if kind[missing] < kind["todo"] else "unknown"

    for kind in said["kinds"]:
        row = [kind["name"], *(str(kind[what]) for what in ("jobs", "done", "todo"))]
        if kind["todo"]:
            row += [known(kind, "seconds", "unknown", wording.seconds), known(kind, "bytes", "unsized", wording.size)]
            row += [wording.size(kind["peak"]) if kind["peak"] else "unknown"]
            row += [kind["source"].replace("none", ""), kind["sure"]]
        table.add_row(*map(Text, row))
    return table


def _lines(said: dict[str, Any]) -> list[str]:
    """What the table does not say."""
    from decoct.report.wording import count, seconds

    if not said["todo"]:
        return [f"All {said['jobs']} jobs are in the store: nothing is left to do."]
    at_least = "at least " if said["unknown"] else "about "
    lines = [
        f"Work: {at_least}{seconds(said['seconds'])} ({seconds(said['cpu_seconds'])} of processors), and "
        f"{seconds(said['overhead'])} around it for reading, evaluating and writing.",
        f"On the clock with {count(said['workers'], 'worker')}: {at_least}{seconds(said['clock'])}; the longest chain "
        f"of jobs takes {seconds(said['critical'])}.",
    ]
    return lines + [f"How long {count(n, 'job')} will take is not known." for n in [said["unknown"]] if n]


def _fits(small: "Proposal", change: str) -> list[str]:
    """Whether the study fits and, if not, whether the smaller one does; then what to change for that."""
    from decoct.report.wording import count, seconds

    def verdict(who: str, of: "Takes") -> str:
        takes = f"{'what is known of it' if of.unknown else 'it'} takes {seconds(of.seconds)}"
        if (fits := of.within(small.limit)) is not None:
            return f"{who} {'fits' if fits else 'does not fit'} {seconds(small.limit)}: {takes}."
        jobs = f"{of.unknown} of {count(of.known + of.unknown, 'job')} have no estimate"
        more = "A longer --probe, or --from the folder of a run with such jobs, would give one."
        return f"Whether {who.lower()} fits {seconds(small.limit)} cannot be said: {jobs}; {takes}. {more}"

    lines = [verdict("The study as it is", small.asked)]
    if small.asked.within(small.limit) is not False:
        return lines
    if not small.steps:
        return [*lines, "Nothing of it can be left out."]
    lines += [verdict("With these keys changed it", small.takes), change]
    return lines + [f"  {what}: {'saves' if s >= 0 else 'takes'} {seconds(abs(s))}" for what, s in small.steps]
