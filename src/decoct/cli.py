"""The command line: one Typer app. What takes long to import is imported by the command that needs it."""

import shutil
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from decoct import __version__
from decoct.console import bars, err, fail, guarded, out, say
from decoct.core.errors import UsageError
from decoct.core.spec import PACKAGES, suggest, summary

app = typer.Typer(
    help="Which small training set should I use, and is distilling one worth it?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]
Data = Annotated[str, typer.Option("--data", help="digits, fashion_mnist, folder:PATH, or a plug-in's source.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads of a job on the CPU; part of what is stored.")]
Plugins = Annotated[list[str], typer.Option("--plugin", help="Python file with further methods; may be repeated.")]
Settings = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="A field; may be repeated.")]
Skip = Annotated[bool, typer.Option("--skip-corrupt", help="Leave out, count and list images that do not decode.")]
Checkpoints = Annotated[
    list[str], typer.Option("--teacher", metavar="NET=FILE", help="Load a teacher's weights instead of training it.")
]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Which small training set should I use, and is distilling one worth it?"""
    if version:
        out.print(__version__)
        raise typer.Exit


@app.command()
def run(
    study: Annotated[Path | None, typer.Argument(help="TOML file; without it, the built-in study of digits.")] = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder of the run; default runs/NAME.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Jobs at once; default: the cores.")] = None,
    device: Device = "auto",
    seed: Annotated[int | None, typer.Option(help="Instead of the study's own.")] = None,
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Run a study and write its report; started again, it goes on where it stopped."""
    from decoct.report.page import write_report
    from decoct.run.execute import cores
    from decoct.run.run import run as run_study
    from decoct.run.study import Study

    plan = Study.default() if study is None else Study.from_toml(study)
    changes: dict[str, Any] = {} if seed is None else {"seed": seed}
    if skip_corrupt:
        changes["data"] = _source(plan.data) | {"skip_corrupt": True}
    plan = plan.model_copy(update=changes)
    folder = folder or Path("runs") / plan.name
    device = _device(device)
    at_once = workers or (max(1, cores() // plan.threads) if device == "cpu" else 1)
    done = goal = 0
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
            if error is not None:
                where = " ".join(str(value) for value in job.labels.values())
                err.print(f"failed: {job.kind} {where}: {error}", style="red", markup=False)

        run_study(
            plan,
            folder,
            workers=at_once,
            device=device,
            on_plan=planned,
            on_done=finished,
            progress=bar("reading the data"),
        )
    found = write_report(folder)
    _show(found, json)
    if found.failures:
        fail(f"{len(found.failures)} jobs failed; the report shows the holes\nthe same command tries them again", 1)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="What 'decoct run' made.")], json: Json = False) -> None:
    """Write a run's tables and page anew, finished or not."""
    from decoct.report.page import write_report

    _show(write_report(folder), json)


@app.command()
def condense(
    method: Annotated[str, typer.Argument(help="See 'decoct ls methods'.")],
    data: Data = "digits",
    ipc: Annotated[int, typer.Option(min=1, help="Images per class.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the method's draws.")] = 0,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder of the set; default METHOD-ipcN.")] = None,
    settings: Settings = [],
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it is there.")] = False,
    device: Device = "auto",
    threads: Threads = 1,
    plugin: Plugins = [],
    teacher: Checkpoints = [],
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Make a small training set: a saved set, its pictures as images/CLASS/*.png, and picks.csv for a selection."""
    from decoct import api

    target = folder or Path(f"{method}-ipc{ipc}")
    if target.exists() and not force:
        raise UsageError(f"{target} exists: choose another --out, or replace it with --force")
    with bars() as bar:
        compute = _compute(bar, device, threads, plugin)
        loaded = _load(data, plugin, skip_corrupt, bar)
        fields = _fields(settings)
        made = api.condense(
            {"name": method, **fields}, loaded, ipc=ipc, seed=seed, compute=compute, teachers=_teachers(teacher)
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".tmp-{target.name}-{uuid.uuid4().hex[:8]}")
        try:
            made.save(scratch)
            made.export(scratch / "images")
            if made.member:
                made.write_picks(scratch / "picks.csv", loaded.train.files)
            if target.exists():
                shutil.rmtree(target)
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    assert made.cost is not None
    facts = {"out": str(target), "method": method, "images": len(made), "classes": len(made.class_names)}
    facts |= {"seconds": round(made.cost.seconds, 3), "peak_memory": made.cost.peak_memory}
    if json:
        say(facts | {"provenance": made.provenance.model_dump(mode="json")})
    else:
        took = f"{made.cost.seconds:.1f} s with everything that it needed"
        out.print(f"{len(made)} images of {len(made.class_names)} classes in {target} ({took})", markup=False)


@app.command()
def train(
    condensed: Annotated[Path, typer.Argument(metavar="SET", help="A saved set, or a class-folder of images.")],
    data: Data = "digits",
    protocol: Annotated[str, typer.Option(help="See 'decoct ls protocols'.")] = "erm",
    student: Annotated[str | None, typer.Option(help="Default: convnet3 up to 64 px, resnet18 above.")] = None,
    seeds: Annotated[str, typer.Option(help="One student each, such as 0,1,2.")] = "0",
    settings: Settings = [],
    device: Device = "auto",
    threads: Threads = 1,
    plugin: Plugins = [],
    teacher: Checkpoints = [],
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Train students on a set; accuracy on the test images at the last step, as fractions."""
    from decoct import api

    try:
        numbers = tuple(int(s) for s in seeds.split(","))
    except ValueError:
        raise UsageError(f"--seeds takes whole numbers with commas between, not '{seeds}'") from None
    with bars() as bar:
        scores = api.train(
            condensed,
            _load(data, plugin, skip_corrupt, bar),
            protocol={"name": protocol, **_fields(settings)},
            student=student,
            seeds=numbers,
            compute=_compute(bar, device, threads, plugin),
            teachers=_teachers(teacher),
        )
    if json:
        say(scores.to_json())
        return
    interval = f" [{100 * scores.ci95[0]:.1f}, {100 * scores.ci95[1]:.1f}]" if scores.ci95 else ""
    over = f"n = {scores.n} students of one set" if scores.n > 1 else "one student: no interval"
    out.print(f"{100 * scores.mean:.1f} %{interval} ({over}; {scores.student}, {scores.protocol})", markup=False)


@app.command()
def measure(
    condensed: Annotated[Path, typer.Argument(metavar="SET", help="A saved set, or a class-folder of images.")],
    data: Data = "digits",
    metric: Annotated[list[str], typer.Option("--metric", help="See 'decoct ls metrics'; default: all.")] = [],
    extractor: Annotated[list[str], typer.Option("--extractor", help="A net trained on the data.")] = ["teacher"],
    device: Device = "auto",
    threads: Threads = 1,
    plugin: Plugins = [],
    teacher: Checkpoints = [],
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Measure representativeness, diversity and quality of a set."""
    from decoct import api

    with bars() as bar:
        rows = api.measure(
            condensed,
            _load(data, plugin, skip_corrupt, bar),
            metrics=metric or sorted(summary("metric")),
            extractors=extractor,
            compute=_compute(bar, device, threads, plugin),
            teachers=_teachers(teacher),
        )
    if json:
        say(rows)
        return
    from rich.table import Table

    columns = ("axis", "metric", "scope", "reference", "extractor")
    table = Table(*columns, "value", box=None)
    for row in rows:
        value = "–" if row["value"] is None else f"{row['value']:.4g}"
        table.add_row(*(str(row[c]) for c in columns), value)
    out.print(table)


@app.command()
def teach(
    net: Annotated[str, typer.Argument(help="A net, such as convnet3_bn, resnet18 or any of timm's.")] = "teacher",
    data: Data = "digits",
    checkpoint: Annotated[Path | None, typer.Option("--from", help="Load weights instead of training.")] = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Also copy the weights there.")] = None,
    settings: Settings = [],
    device: Device = "auto",
    threads: Threads = 1,
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Train a teacher on the whole train split, or load one; its accuracy on held-out images is put on record."""
    from decoct import api
    from decoct.core.spec import build
    from decoct.engine.teachers import Teach
    from decoct.nets import zoo

    if folder is not None and folder.exists():
        raise UsageError(f"{folder} exists: choose another --out")
    with bars() as bar:
        loaded = _load(data, [], skip_corrupt, bar)
        fields = _fields(settings) | ({"checkpoint": str(checkpoint)} if checkpoint else {})
        spec = build(Teach, {"net": zoo.resolve(net, loaded.size), **fields}, "teacher")
        facts = api.teach(spec, loaded, compute=_compute(bar, device, threads, []), out=folder)
    if json:
        say(facts)
    else:
        out.print(f"{facts['net']}: {100 * facts['val_accuracy']:.1f} % of held-out images, {facts['folder']}", markup=False)


@app.command()
def ls(
    what: Annotated[str, typer.Argument(help="methods, protocols, metrics, data, runs, or all.")] = "all",
    folder: Annotated[Path, typer.Option("--in", help="Where runs are looked for.")] = Path("runs"),
    json: Json = False,
) -> None:
    """List methods, protocols, metrics, data and runs."""
    kinds = {"methods": "condenser", "protocols": "protocol", "metrics": "metric", "data": "source"}
    if what not in (*kinds, "runs", "all"):
        raise UsageError(f"cannot list '{what}'.{suggest(what, [*kinds, 'runs', 'all'])}")
    found: dict[str, dict[str, str]] = {
        word: summary(kind) for word, kind in kinds.items() if what in (word, "all") and kind in PACKAGES
    }
    if what in ("runs", "all"):
        found["runs"] = _runs(folder)
    if json:
        say(found)
        return
    for word, entries in found.items():
        out.print(word, style="bold")
        width = max(map(len, entries), default=0)
        for name, line in entries.items():
            out.print(f"  {name:{width}}  {line}", markup=False, soft_wrap=True)
        if not entries:
            out.print(f"  none in {folder}/", markup=False)


@app.command()
def check(
    method: Annotated[str, typer.Argument(metavar="NAME", help="A condenser, built in or a plug-in's.")],
    plugin: Plugins = [],
    json: Json = False,
) -> None:
    """Run the contract suite on a method: a real construction on digits, cut down to seconds."""
    from decoct.run.contract import check as check_method

    with bars() as bar:
        findings = check_method(method, tuple(plugin), bar(f"checking {method}"))
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


def main() -> None:
    """Entry point of ``decoct``."""
    debug = "--debug" in sys.argv
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    with guarded(debug):
        app(args=arguments)


def _show(found: Any, json: bool) -> None:
    if json:
        say(found.to_json())
    else:
        from decoct.report.terminal import render

        out.print(render(found))
        out.print(f"\n{found.page}", markup=False, soft_wrap=True)


def _device(word: str) -> str:
    if word != "auto":
        return word
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _compute(bar: Any, device: str, threads: int, plugins: list[str]) -> Any:
    from decoct.api import Compute

    def watch(job: Any) -> Any:
        who = job.labels.get("net") or job.labels.get("extractor") or job.labels.get("method", "")
        return bar(f"{job.kind} {who}".strip())

    return Compute(device=_device(device), threads=threads, plugins=tuple(plugins), watch=watch)


def _source(data: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(data, dict):
        return data
    name, colon, path = data.partition(":")
    return {"name": name, "path": path} if colon else {"name": name}


def _load(data: str, plugins: list[str], skip_corrupt: bool, bar: Any) -> Any:
    from decoct.data.dataset import load_data

    config = _source(data) | ({"skip_corrupt": True} if skip_corrupt else {})
    loaded = load_data(config, plugins=plugins, progress=bar(f"reading {data}"))
    if loaded.skipped:
        names = ", ".join(loaded.skipped[:3]) + (" …" if len(loaded.skipped) > 3 else "")
        err.print(f"left out {len(loaded.skipped)} images that do not decode: {names}", markup=False)
    return loaded


def _fields(settings: list[str]) -> dict[str, Any]:
    """``key=value`` pairs; a value is TOML where it parses as such, else text."""
    import tomllib

    fields: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise UsageError(f"--set takes KEY=VALUE, not '{setting}'")
        try:
            fields[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            fields[key] = value
    return fields


def _teachers(pairs: list[str]) -> dict[str, Any]:
    from decoct.engine.teachers import Teach

    found = {}
    for pair in pairs:
        net, equals, file = pair.partition("=")
        if not equals:
            raise UsageError(f"--teacher takes NET=FILE, not '{pair}'")
        found[net] = Teach(net=net, checkpoint=file).pinned()
    return found


def _runs(folder: Path) -> dict[str, str]:
    from decoct.core.record import cell_dir, complete, read_json

    found = {}
    for manifest in sorted(folder.glob("*/run.json")):
        try:
            facts = read_json(manifest)
            students = [job for job in facts["jobs"] if job["kind"] == "train"]
            store = manifest.parent / "store"
            done = sum(complete(cell_dir(store, "train", job["key"])) for job in students)
            found[str(manifest.parent)] = f"{facts['data']['name']}, {done} of {len(students)} students trained"
        except (OSError, ValueError, KeyError, TypeError) as error:
            found[str(manifest.parent)] = f"damaged: {error}"
    return found
