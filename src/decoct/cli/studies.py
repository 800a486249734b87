"""Commands on whole studies and on what there is to study: run, report, compare, published, ls, check."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text
from typer import Argument, Option

from decoct.cli import options
from decoct.cli.options import Device, Everything, Json, Pictures, Plugins, Seed, StudyFile, asked_for, tell_read
from decoct.console import answer, bars, fail, out, say
from decoct.core.bounds import THREADS
from decoct.core.errors import UsageError
from decoct.core.spec import suggest, summary
from decoct.study.runs import runs


def run(
    context: typer.Context,
    study: StudyFile = None,
    folder: Annotated[Path | None, Option("--out", help="Folder of the run; default: runs/NAME.")] = None,
    store: Annotated[
        str | None, Option(metavar="DIR|URL", help="Where its cells go, such as s3://BUCKET/DIR; default: --out.")
    ] = None,
    workers: Annotated[
        int | None, Option(min=1, max=THREADS, help="Jobs at once; default: the cores, the GPUs, or all of a cluster.")
    ] = None,
    device: Device = "auto",
    on: Annotated[
        str | None, Option(metavar="PLACE", help="inline, pool or ray; default: inline for 1 worker, else pool.")
    ] = None,
    address: Annotated[
        str | None, Option(help="HOST:PORT of a Ray cluster, or auto; default: a Ray on this machine alone.")
    ] = None,
    gpus: Annotated[
        list[str] | None,
        Option(metavar="KIND=N", help="GPUs for a job of a kind, such as train=0.25 or measure=0; may be repeated."),
    ] = None,
    seed: Seed = None,
    *,
    pictures: Pictures,
    everything: Everything = False,
    json: Json = False,
) -> None:
    """Run a study and write its report. Started again, it continues."""
    from decoct.cli.underway import Underway
    from decoct.report.write import write_report
    from decoct.study.run import run as run_study

    plan = asked_for(study, seed, pictures.size, pictures.skip_corrupt)
    folder = folder or Path("runs") / plan.name
    place = options.place(on, workers, device, plan.threads, address, gpus)
    with Underway(plan.name, folder, known=place.on != "ray", debug=bool(context.obj)).shown() as seen:

        def read(data: Any) -> None:
            tell_read(data)
            seen.read()

        run_study(
            plan,
            folder,
            place=place,
            store=store,
            on_data=read,
            on_plan=seen.planned,
            on_start=seen.starts,
            on_done=seen.ends,
            on_back=seen.waits,
            progress=seen.reading,
        )
        seen.writing()
        summary = write_report(folder)
    _show(summary, json, everything)
    if summary.failures:
        jobs = "1 job" if len(summary.failures) == 1 else f"{len(summary.failures)} jobs"
        fail(f"{jobs} failed; the report shows what is missing\nthe same command tries again", 1)


def report(
    folders: Annotated[
        list[Path],
        Argument(metavar="DIR…", help="What 'decoct run' made; of several, those of one study are pooled."),
    ],
    budget: Annotated[
        str | None, Option("--for", metavar="TEXT", help="Only say what to use for '100 images', '2 MB' or '60 s'.")
    ] = None,
    within: Annotated[
        str | None,
        Option(metavar="X", help="Only say the smallest set shown within X points, or 'X %', of the full data."),
    ] = None,
    to: Annotated[
        Path | None,
        Option("--out", help="Folder of several; default: 'pooled' or 'leaderboard' beside the first."),
    ] = None,
    card: Annotated[
        Path | None,
        Option(metavar="FILE", help="Only write the run's card, to share: a .png or an .svg file."),
    ] = None,
    published: Annotated[
        bool, Option("--published", help="Only lay published numbers of other recipes beside the run's own.")
    ] = False,
    everything: Everything = False,
    json: Json = False,
) -> None:
    """Write a run's tables and page anew, finished or not; of several runs a leaderboard over their data sets.

    Runs that differ in their seed alone are pooled first, and are one run then.
    """
    from decoct.report.read import frame, pool

    if published and (budget is not None or within is not None or len(folders) > 1):
        raise UsageError("--published asks one run, and by itself: name one, and leave out --for and --within")
    if budget is not None and within is not None:
        raise UsageError("--for and --within are two questions: ask one at a time")
    if to is not None and len(folders) == 1:
        raise UsageError("--out is for several runs; one run's report lies in its own folder")
    if card is not None:
        from decoct.report.card.write import check_place

        check_place(card)
        if published or budget is not None or within is not None or to is not None:
            raise UsageError("--card writes a card and nothing else: leave out --for, --within, --published and --out")
    groups = pool.groups([frame.read(folder) for folder in folders])
    for option, asked in (("--for", budget), ("--within", within), ("--card", card)):
        if asked is not None and len(groups) > 1:
            raise UsageError(f"{option} asks one run, or runs that differ in their seed alone: name these")
    if card is not None:
        from decoct.report.card.write import write_card
        from decoct.report.summary import summarise

        write_card(summarise(pool.pool(groups[0])), card)
        answer(json, {"card": str(card)}, str(card))
    elif published or budget is not None or within is not None:
        from decoct.report.advice.recommend import recommend
        from decoct.report.advice.within import within as smallest
        from decoct.report.judged import judge
        from decoct.report.sections.evidence.published import side_by_side, to_json

        own = judge(tables := pool.pool(groups[0]))
        pooled = [f"{tables.manifest.pooled.sentence()}."] if tables.manifest.pooled else []
        if budget is not None:
            advice = recommend(own, budget)
            answer(json, advice.to_json(), *pooled, f"{advice.sentence()}.")
        elif within is not None:
            near = smallest(own, within)
            answer(json, near.to_json(), *pooled, f"{near.sentence()}.")
        else:
            answer(json, to_json(tables.manifest, own.accuracies), side_by_side(tables.manifest, own.accuracies))
    elif len(groups) > 1:
        from decoct.report.several import page, terminal

        to = to or folders[0].resolve().parent / "leaderboard"
        board, place = page.write_leaderboard([pool.pool(group) for group in groups], to), to / page.PAGE
        answer(json, board.to_json(place), terminal.board(board, everything), f"\nThe page: {place}")
    elif len(folders) > 1:
        from decoct.report.pooled import write_pooled

        _show(write_pooled(groups[0], to or folders[0].resolve().parent / "pooled"), json, everything)
    else:
        from decoct.report.write import write_frame

        _show(write_frame(folders[0], groups[0][0]), json, everything)


def compare(
    first: Annotated[Path, Argument(metavar="RUN_A", help="What 'decoct run' made.")],
    second: Annotated[Path, Argument(metavar="RUN_B", help="Another run on the same data.")],
    json: Json = False,
) -> None:
    """Say what changed from one run to another on the same data: settings, accuracies, metrics, costs."""
    from decoct.report.read import frame
    from decoct.report.several import terminal
    from decoct.report.several.compare import compare as compare_runs

    changes = compare_runs(frame.read(first), frame.read(second))
    answer(json, changes.to_json(), terminal.comparison(changes))


def published(
    method: Annotated[str | None, Option(help="Such as rded or CV-DD.")] = None,
    data: Annotated[str | None, Option(help="Such as imagenet1k or cifar100.")] = None,
    ipc: Annotated[int | None, Option(min=1, help="Images of each class.")] = None,
    protocol: Annotated[str | None, Option(help="A word of how students were trained.")] = None,
    json: Json = False,
) -> None:
    """List published accuracies with the source of each. They are of other recipes than decoct's protocols."""
    from decoct.report.sections.evidence.published import CAUTION, read, select

    rows = select(read(), method, data, ipc, protocol)
    heads = [Column(head, no_wrap=True) for head in ("method", "data")]
    heads += [Column(head, no_wrap=True, justify="right") for head in ("IPC", "%")]
    table = Table(*heads, "student", "protocol", "source", box=None, pad_edge=False)
    for row in rows:
        number = f"{row.accuracy:.1f}" + ("" if row.error is None else f" ± {row.error:g}")
        table.add_row(row.method, row.data, str(row.ipc or ""), number, row.student, row.protocol, row.source)
    count = "1 number" if len(rows) == 1 else f"{len(rows)} numbers"
    answer(json, [vars(row) for row in rows], table, f"{count}, in percent; each is of {CAUTION}")


def ls(
    what: Annotated[str, Argument(metavar="[WHAT]", help="methods, protocols, metrics, data, runs, or all.")] = "all",
    folder: Annotated[Path, Option("--in", help="Where runs are looked for.")] = Path("runs"),
    json: Json = False,
) -> None:
    """List methods, protocols, metrics, data and runs."""
    kinds = {"methods": "condenser", "protocols": "protocol", "metrics": "metric", "data": "source"}
    if what not in (*kinds, "runs", "all"):
        raise UsageError(f"cannot list '{what}'.{suggest(what, [*kinds, 'runs', 'all'])}")
    listed: dict[str, dict[str, str]] = {word: summary(kind) for word, kind in kinds.items() if what in (word, "all")}
    if what in ("runs", "all"):
        listed["runs"] = runs(folder)
    if json:
        say(listed)
        return
    for word, entries in listed.items():
        out.print(word, style="bold")
        width = max(map(len, entries), default=0)
        for name, line in entries.items():
            out.tell(f"  {name:{width}}  {line}")
        if not entries:
            out.tell(f"  none in {folder}" if word == "runs" else "  none")


def check(
    method: Annotated[str, Argument(metavar="NAME", help="A condenser or a protocol, built in or a plug-in's.")],
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Run the contract suite on a method or a protocol: real constructions and trainings on digits, cut down."""
    from decoct.study.contract import check as check_method

    if method.endswith(".toml"):
        raise UsageError(f"{method} is a study: 'decoct plan {method}' reads it and says what it takes")
    with bars() as bar:
        findings = check_method(method, tuple(plugin or ()), bar(f"checking {method}"))
    answer(json, [vars(each) for each in findings])
    for each in () if json else findings:
        detail = f": {each.detail}" if each.detail else ""
        out.tell(f"{'ok  ' if each.ok else 'FAIL'} {each.rule}{detail}", None if each.ok else "red")
    if broken := [f for f in findings if not f.ok]:
        fail(f"{method} breaks {len(broken)} of {len(findings)} rules", 1)


def _show(summary: Any, json: bool, everything: bool) -> None:
    """The sentences, the accuracies and where the page is; what else a terminal can show where it is asked for."""
    from decoct.report import terminal

    if json:
        say(summary.to_json())
        return
    lines = [Text(line) if out.is_terminal else line for line in summary.brief.lines]  # broken between words, or whole
    more = terminal.everything(summary, out.width) if everything else ()
    accuracies = [*terminal.accuracies(summary, out.width)]
    answer(False, None, *lines, *([""] if accuracies else []), *accuracies, *more, f"\nThe page: {summary.page}")
