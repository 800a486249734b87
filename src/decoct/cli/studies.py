"""Commands on whole studies and on what there is to study: run, report, compare, ls, check."""

import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from decoct.cli import words
from decoct.cli.options import Device, Json, Plugins, Seed, Size, Skip, StudyFile, asked_for, tell_read
from decoct.console import bars, err, fail, out, say
from decoct.core.errors import UsageError
from decoct.core.spec import suggest, summary
from decoct.run.runs import runs


def run(
    context: typer.Context,
    study: StudyFile = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder of the run; default: runs/NAME.")] = None,
    store: Annotated[
        str | None, typer.Option(metavar="DIR|URL", help="Where its cells go, such as s3://BUCKET/DIR; default: --out.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Jobs at once; default: the cores, the GPUs, or all of a cluster.")
    ] = None,
    device: Device = "auto",
    on: Annotated[
        str | None, typer.Option(metavar="PLACE", help="inline, pool or ray; default: inline for 1 worker, else pool.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="HOST:PORT of a Ray cluster, or auto; default: a Ray on this machine alone.")
    ] = None,
    gpus: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND=N", help="GPUs of Ray's for a job of a kind, such as train=0.25; may be repeated."),
    ] = None,
    seed: Seed = None,
    size: Size = None,
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Run a study and write its report. Started again, it goes on where it stopped."""
    from decoct.report.write import write_report
    from decoct.run.run import run as run_study

    plan = asked_for(study, seed, size, skip_corrupt)
    folder = folder or Path("runs") / plan.name
    place = words.place(on, workers, device, plan.threads, address, gpus)
    done = goal = 0
    told: set[str] = set()
    with bars() as bar:
        step = bar(plan.name)

        def planned(todo: int, total: int) -> None:
            nonlocal goal
            goal = todo
            err.print(f"{plan.name}: {total} jobs, {total - todo} of them in the store", markup=False)
            step(0, todo)

        def finished(job: Any, error: BaseException | None) -> None:
            nonlocal done
            done += 1
            step(done, goal)
            if error is not None and str(error) not in told:  # one cause may fail many jobs; the report names all
                told.add(str(error))
                err.print(f"failed: {job}: {error}", style="red", markup=False, soft_wrap=True)
                if context.obj:
                    err.print("".join(traceback.format_exception(error)), end="", soft_wrap=True)

        run_study(
            plan,
            folder,
            place=place,
            store=store,
            on_data=tell_read,
            on_plan=planned,
            on_done=finished,
            progress=bar("reading the data"),
        )
    found = write_report(folder)
    _show(found, json)
    if found.failures:
        jobs = "1 job" if len(found.failures) == 1 else f"{len(found.failures)} jobs"
        fail(f"{jobs} failed; the report shows what is missing\nthe same command tries again", 1)


def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR…", help="What 'decoct run' made; several give a leaderboard.")
    ],
    budget: Annotated[
        str | None,
        typer.Option("--for", metavar="TEXT", help="Only say what to use for '100 images', '2 MB' or '60 s'."),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of a leaderboard; default: 'leaderboard' beside the first run."),
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Only lay published numbers of other recipes beside the run's own.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a run's tables and page anew, finished or not; of several runs a leaderboard over their data sets."""
    if published and (budget is not None or len(folders) > 1):
        raise UsageError("--published asks one run, and by itself: name one, and leave out --for")
    if published:
        _published(folders[0], json)
    elif budget is not None:
        if len(folders) > 1:
            raise UsageError("--for asks one run: name one")
        _recommend(folders[0], budget, json)
    elif len(folders) > 1:
        _leaderboard(folders, to or folders[0].resolve().parent / "leaderboard", json)
    else:
        if to is not None:
            raise UsageError("--out is for a leaderboard of several runs; one run's report lies in its own folder")
        from decoct.report.write import write_report

        _show(write_report(folders[0]), json)


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="What 'decoct run' made.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another run on the same data.")],
    json: Json = False,
) -> None:
    """Say what changed from one run to another on the same data: settings, accuracies, metrics, costs."""
    from decoct.report.read import frame
    from decoct.report.several import terminal
    from decoct.report.several.compare import compare as compare_runs

    found = compare_runs(frame.read(first), frame.read(second))
    if json:
        say(found.to_json())
    else:
        out.print(terminal.comparison(found))


def ls(
    what: Annotated[
        str, typer.Argument(metavar="[WHAT]", help="methods, protocols, metrics, data, runs, or all.")
    ] = "all",
    folder: Annotated[Path, typer.Option("--in", help="Where runs are looked for.")] = Path("runs"),
    json: Json = False,
) -> None:
    """List methods, protocols, metrics, data and runs."""
    kinds = {"methods": "condenser", "protocols": "protocol", "metrics": "metric", "data": "source"}
    if what not in (*kinds, "runs", "all"):
        raise UsageError(f"cannot list '{what}'.{suggest(what, [*kinds, 'runs', 'all'])}")
    found: dict[str, dict[str, str]] = {word: summary(kind) for word, kind in kinds.items() if what in (word, "all")}
    if what in ("runs", "all"):
        found["runs"] = runs(folder)
    if json:
        say(found)
        return
    for word, entries in found.items():
        out.print(word, style="bold")
        width = max(map(len, entries), default=0)
        for name, line in entries.items():
            out.print(f"  {name:{width}}  {line}", markup=False, soft_wrap=True)
        if not entries:
            out.print(f"  none in {folder}" if word == "runs" else "  none", markup=False)


def check(
    method: Annotated[str, typer.Argument(metavar="NAME", help="A condenser, built in or a plug-in's.")],
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Run the contract suite on a method. It is a real construction on digits, cut down to seconds."""
    from decoct.run.contract import check as check_method

    with bars() as bar:
        findings = check_method(method, tuple(plugin or ()), bar(f"checking {method}"))
    if json:
        say([vars(finding) for finding in findings])
    else:
        for finding in findings:
            mark = "ok  " if finding.ok else "FAIL"
            style = None if finding.ok else "red"
            detail = f": {finding.detail}" if finding.detail else ""
            out.print(f"{mark} {finding.rule}{detail}", style=style, markup=False, soft_wrap=True)
    if broken := [f for f in findings if not f.ok]:
        fail(f"{method} breaks {len(broken)} of {len(findings)} rules", 1)


def _leaderboard(folders: list[Path], to: Path, json: bool) -> None:
    from decoct.report.several import terminal
    from decoct.report.several.page import PAGE, write_leaderboard

    board, page = write_leaderboard(folders, to), to / PAGE
    if json:
        say(board.to_json(page))
    else:
        out.print(terminal.board(board))
        out.print(f"\n{page}", markup=False, soft_wrap=True)


def _published(folder: Path, json: bool) -> None:
    from decoct.report.published import side_by_side, to_json
    from decoct.report.read import frame
    from decoct.report.summary import summarise
    from decoct.report.write import PAGE

    tables = frame.read(folder)
    accuracies = summarise(tables, folder / PAGE).accuracies
    if json:
        say(to_json(tables.manifest, accuracies))
    else:
        out.print(side_by_side(tables.manifest, accuracies))


def _recommend(folder: Path, budget: str, json: bool) -> None:
    from decoct.report.read import frame
    from decoct.report.sections.recommend import recommend
    from decoct.report.summary import summarise
    from decoct.report.write import PAGE

    tables = frame.read(folder)
    found = recommend(tables, summarise(tables, folder / PAGE).accuracies, budget)
    if json:
        say(found.to_json())
    else:
        out.print(found.sentence(), markup=False, soft_wrap=True)


def _show(found: Any, json: bool) -> None:
    if json:
        say(found.to_json())
    else:
        from decoct.report.terminal import render

        out.print(render(found))
        out.print(f"\n{found.page}", markup=False, soft_wrap=True)
