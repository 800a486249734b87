"""plan: what a study will cost, before it runs, and what to leave out to fit a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from decoct.cli.options import Device, Json, Seed, Size, Skip, StudyFile, asked_for, tell_read
from decoct.console import bars, err, out, say
from decoct.core.bounds import THREADS

SPREADS = (0.9, 1.2, 2.0)  # standard deviations of a difference between single sets, in points
KINDS: tuple[Literal["better", "same", "not better"], ...] = ("better", "same", "not better")


def plan(
    study: StudyFile = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of the run: its store is read, and plan.json is written there.")
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", metavar="DIR|URL", help="Another store than DIR/store of --out.")
    ] = None,
    others: Annotated[
        list[Path] | None,
        typer.Option("--from", exists=True, metavar="DIR", help="A run whose measured times are used; repeatable."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=THREADS, help="Jobs at once; default: the cores, or the GPUs.")
    ] = None,
    device: Device = "auto",
    seed: Seed = None,
    probe: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="SECONDS", help="Seconds of probing; 0: none. Default: until all kinds are probed."
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Say whether it fits 2h, 90m or 3d; if not, propose a smaller study."),
    ] = None,
    size: Size = None,
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Say what a study will cost before it runs, from earlier results and from short probes on this machine."""
    from decoct.cli import options
    from decoct.data.dataset import load_data
    from decoct.report import toml
    from decoct.study.estimate.plan import make_plan
    from decoct.study.estimate.proposals import propose, seconds_of
    from decoct.study.store.store import open_store

    limit = None if budget is None else seconds_of(budget)
    asked = asked_for(study, seed, size, skip_corrupt)
    place = options.place(None, workers, device, asked.threads, None)
    where = store or (str(folder / "store") if folder else None)
    cells = open_store(where) if where else None
    with bars() as bar:
        data = load_data(asked.data, plugins=asked.plugins, progress=bar("reading the data"))
        tell_read(data)
        made = make_plan(asked, data, store=cells, others=others or (), workers=place.workers, device=place.device)
        if probe != 0:
            made = made.probed(probe, bar("probing"))
    said = made.to_json() | {"sets_to_show": _sets(asked, data.size)}
    if limit:
        said["proposal"] = propose(made, limit)
        said["proposal"]["toml"] = toml.written(said["proposal"]["change"]).strip()
    if json:
        say(said)
    else:
        out.print(_table(said))
        if said["sets_to_show"]:
            out.print(_shown(said["sets_to_show"]))
        out.print("\n".join(_lines(said)), markup=False, soft_wrap=True)
    if folder is not None:
        err.print(str(made.write(folder)), markup=False, soft_wrap=True)


def _table(said: dict[str, Any]) -> Table:
    from decoct.report import wording

    title = Text(f"{said['study']}: {wording.count(said['jobs'], 'job')}, {said['todo']} to do")
    table = Table(title=title, title_justify="left", box=None)
    for heading in ("kind", "jobs", "to do", "work", "from"):
        table.add_column(heading, justify="left" if heading in ("kind", "from") else "right", no_wrap=True)
    for kind in said["kinds"]:
        work = ("> " if kind["unknown"] else "") + wording.seconds(kind["seconds"])
        row = [work if kind["unknown"] < kind["todo"] else "unknown", ", ".join(kind["sources"])]
        table.add_row(*map(Text, [kind["name"], str(kind["jobs"]), str(kind["todo"]), *(row if kind["todo"] else [])]))
    return table


def _sets(asked: Any, size: int) -> dict[str, Any]:
    """How many sets per method would show each result, by spread; empty for a study without a coreset."""
    from decoct.report.stats.margin import USUAL
    from decoct.report.stats.power import sets_to_show

    families = [m.family for m in (asked.methods() | asked.outsiders()).values()]
    coresets, natives = families.count("coreset"), asked.natives()
    protocols = sum(label not in natives for label in asked.recipes())
    pairs = coresets * (coresets - 1) // 2 + coresets * (len(families) - coresets)
    number = pairs * protocols * len(asked.students_at(size)) * len(asked.budgets)
    if not number:
        return {}
    margin = asked.margin or USUAL
    shown = {
        kind: {f"{sd:g}": sets_to_show(kind, sd / 100, margin, number, coresets) for sd in SPREADS} for kind in KINDS
    }
    return {"margin": margin, "comparisons": number, "replicates": asked.replicates.condense, "sets": shown}


def _shown(said: dict[str, Any]) -> Table:
    from decoct.report.wording import margin

    what = f"one of {said['comparisons']:,} comparisons in 4 of 5 studies"
    title = f"Sets per method, now {said['replicates']}, to show {what}"
    table = Table(title=Text(title), title_justify="left", box=None)
    for heading in ("", *(f"sd {sd:g} points" for sd in SPREADS)):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=bool(heading))
    within = margin(said["margin"])
    words = {
        "better": "better by 3 points",
        "same": f"same within {within}",
        "not better": f"not better than the best coreset by more than {within}",
    }
    for kind, by_sd in said["sets"].items():
        table.add_row(words[kind], *("> 1,000" if n is None else f"{n:,}" for n in by_sd.values()))
    return table


def _lines(said: dict[str, Any]) -> Iterator[str]:
    """Lines below the table: sums, the time on the clock, and whether the study and smaller ones fit."""
    from decoct.report.wording import count, seconds

    at_least = "at least " if said["unknown"] else "about "
    yield (
        f"Work: {at_least}{seconds(said['seconds'])} ({seconds(said['cpu_seconds'])} of processors), and "
        f"{seconds(said['overhead'])} around it for reading, evaluating and writing."
    )
    yield f"On the clock with {count(said['workers'], 'worker')}: {at_least}{seconds(said['clock'])}."
    if said["unknown"]:
        yield f"How long {count(said['unknown'], 'job')} will take is unknown: a longer --probe or --from may tell."
    yield from said["troubles"]
    if proposal := said.get("proposal"):
        limit, steps = seconds(proposal["limit"]), proposal["steps"]
        fits = {True: f"fits {limit}", False: f"does not fit {limit}", None: f"cannot be said to fit {limit}"}
        yield ""
        for step in steps:
            more = f" and {count(step['unknown'], 'job')} without an estimate" if step["unknown"] else ""
            yield f"{step['what']}: {seconds(step['seconds'])}{more}: {fits[step['fits']]}"
        if steps[-1]["fits"] is False:
            yield "Nothing else can be left out."
        if proposal["toml"]:
            yield f"Keys to change for the last of these:\n{proposal['toml']}"
