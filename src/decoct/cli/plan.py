"""plan: what a study will cost before it runs, and what to leave out of it to fit a time."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from decoct.cli import words
from decoct.cli.options import Device, Json, Size, Skip, tell_read
from decoct.console import bars, err, out, say

if TYPE_CHECKING:
    from decoct.run.planning.kinds import Kind
    from decoct.run.planning.plan import Plan
    from decoct.run.planning.proposals import Proposal, Takes

SHOWN = 5  # troubles


def plan(
    study: Annotated[
        Path | None, typer.Argument(metavar="[STUDY.toml]", help="Without it, the built-in study of digits.")
    ] = None,
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
    seed: Annotated[int | None, typer.Option(help="Instead of the study's own.")] = None,
    probe: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="For probes of what no earlier result tells; 0: none. Default: 120, or 5 % of the work; --for: 3600.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--for", metavar="GPU", help="One that is not here, such as h100: count what it would compute."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", metavar="TIME", help="Say whether it fits 2h, 90m, 3d; if not, propose a smaller study."
        ),
    ] = None,
    size: Size = None,
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Say what a study will cost before it runs, from earlier results and from short probes on this machine.

    With --for, what it would cost on a GPU that is not here, by that GPU's roofline.
    """
    from decoct.run.planning.duration import seconds_of

    limit = None if budget is None else seconds_of(budget)
    from decoct.run.execute import cores
    from decoct.run.planning.plan import check_out, make_plan, smaller
    from decoct.run.planning.proposals import propose
    from decoct.run.planning.roofline import gpu
    from decoct.run.storage.store import open_store
    from decoct.run.study import Study

    if folder is not None:
        check_out(folder)
    asked = Study.default() if study is None else Study.from_toml(study)
    changed: dict[str, Any] = {} if seed is None else {"seed": seed}
    changed["data"] = words.source(asked.data, size, skip_corrupt, asked.plugins)
    asked = asked.model_copy(update=changed)
    device, there = words.device(device), gpu(target) if target else None
    at_once = workers or (max(1, cores() // asked.threads) if device == "cpu" and not there else 1)
    where = store or (str(folder / "store") if folder else None)
    cells = open_store(where) if where else None
    with bars() as bar:
        found = make_plan(
            asked,
            store=cells,
            others=others or (),
            workers=at_once,
            device=device,
            probe=probe,
            gpu=there,
            on_data=tell_read,
            reading=bar("reading the data"),
            probed=bar("probing"),
        )
        small = None
        if limit is not None:
            small = propose(asked, limit, lambda other: smaller(found, other, cells).takes)
    if folder is not None:
        err.print(str(found.write(folder)), markup=False, soft_wrap=True)
    if json:
        say(found.to_json() | ({"proposal": small.to_json()} if small else {}))
    else:
        _show(found, small)


def _show(found: "Plan", small: "Proposal | None") -> None:
    from decoct.report import wording

    out.print(_table(found))
    for line in _lines(found):
        out.print(line, markup=False, soft_wrap=True)
    for trouble in found.troubles[:SHOWN]:
        out.print(trouble, style="yellow", markup=False, soft_wrap=True)
    if len(found.troubles) > SHOWN:
        out.print(f"and {len(found.troubles) - SHOWN} more", style="yellow")
    if small is None:
        return
    out.print()
    for line in _fits(small):
        out.print(line, markup=False, soft_wrap=True)
    if small.steps:
        out.print(small.toml, style="bold", markup=False, soft_wrap=True)
    for step in small.steps:
        saves = f"saves {wording.seconds(step.saves)}" if step.saves >= 0 else f"takes {wording.seconds(-step.saves)}"
        out.print(f"  {step.what}: {saves}", markup=False, soft_wrap=True)


def _fits(small: "Proposal") -> list[str]:
    """Whether the study fits, then whether the smaller one does, if there is one."""
    from decoct.report import wording

    limit, asked = wording.seconds(small.limit), small.asked
    if asked.within(small.limit):
        return [f"To fit {limit}: the study as it is fits: {wording.seconds(asked.seconds)}"]
    if asked.within(small.limit) is None:
        return _open(f"Whether the study fits {limit} cannot be said", asked)
    lines = [f"The study does not fit {limit}: {_takes('it', asked)}."]
    if not small.steps:
        return [*lines, "Nothing of it can be left out."]
    if small.met:
        takes = wording.seconds(small.takes.seconds)
        return [*lines, f"To fit {limit}, change these keys of the study; it then takes {takes}:"]
    if small.met is None:
        return [*lines, *_open("Whether it fits with these keys changed cannot be said", small.takes)]
    return [*lines, f"No smaller study fits {limit}; of the smallest, {_takes('all', small.takes)}:"]


def _open(said: str, takes: "Takes") -> list[str]:
    """That it cannot be said, why, and what would help."""
    from decoct.report import wording

    jobs = f"{wording.count(takes.unknown, 'job')} {'has' if takes.unknown == 1 else 'have'} no estimate"
    rest = f"; {_takes('', takes)}" if takes.known else ""
    return [
        f"{said}: {jobs}{rest}.",
        "A longer --probe, or --from the folder of a run with such jobs, would give one.",
    ]


def _takes(whole: str, takes: "Takes") -> str:
    """How long the whole takes or, where that is not known, what is known of it."""
    from decoct.report import wording

    known = "the known job alone takes" if takes.known == 1 else f"the {takes.known} known jobs alone take"
    return f"{known if takes.unknown else f'{whole} takes'} {wording.seconds(takes.seconds)}"


def _lines(found: "Plan") -> list[str]:
    """What the table does not say."""
    from decoct.report import wording

    if not found.todo:
        return [f"All {len(found.jobs)} jobs are in the store: nothing is left to do."]
    kinds, clock = found.kinds, found.schedule
    at_least = "at least " if found.unknown else "about "
    work, cpu = sum(kind.seconds for kind in kinds), sum(kind.cpu_seconds for kind in kinds)
    around = sum(kind.overhead for kind in kinds)
    far = any(kind.source == "roofline" for kind in kinds)
    of = f"on one {found.hardware}, by its roofline" if far else f"{wording.seconds(cpu)} of processors"
    lines = [
        f"Work: {at_least}{wording.seconds(work)} ({of}), and "
        f"{wording.seconds(around)} around it for reading, evaluating and writing.",
        f"On the clock with {wording.count(found.workers, 'worker')}: {at_least}{wording.seconds(clock.clock)}; the "
        f"longest chain of jobs takes {wording.seconds(clock.critical)}.",
    ]
    if found.unknown:
        lines.append(f"How long {wording.count(found.unknown, 'job')} will take is not known.")
    return lines


def _table(found: "Plan") -> Table:
    from decoct.report import wording

    title = f"{found.study.name}: {wording.count(len(found.jobs), 'job')}, {found.todo} to do"
    table = Table(title=Text(title), title_justify="left", box=None)
    for heading in ("kind", "jobs", "in store", "to do", "work", "bytes", "peak", "from", ""):
        table.add_column(heading, justify="left" if heading in ("kind", "from", "") else "right", no_wrap=True)
    for kind in found.kinds:
        table.add_row(*map(Text, _row(kind)))
    return table


def _row(kind: "Kind") -> tuple[str, ...]:
    from decoct.report import wording

    if not kind.todo:
        return kind.name, str(kind.jobs), str(kind.done), "0", "", "", "", "", ""
    known, sized = kind.unknown < kind.todo, kind.unsized < kind.todo
    work = ("> " if kind.unknown and known else "") + (wording.seconds(kind.seconds) if known else "unknown")
    size = ("> " if kind.unsized and sized else "") + (wording.size(kind.bytes) if sized else "unknown")
    peak = wording.size(kind.peak) if kind.peak else "unknown"
    source = {"none": ""}.get(kind.source, kind.source)
    return kind.name, str(kind.jobs), str(kind.done), str(kind.todo), work, size, peak, source, kind.sure
