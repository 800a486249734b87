"""Commands on one set: condense, train, measure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Group
from rich.table import Table

from decoct.cli import words
from decoct.cli.options import (
    Checkpoints,
    Data,
    Device,
    Json,
    Layout,
    Normalised,
    Number,
    Plugins,
    Resize,
    Set,
    Settings,
    Size,
    Skip,
    Split,
    Threads,
    compute_on,
    load,
    set_format,
)
from decoct.console import bars, out, say
from decoct.core.budget import Budget
from decoct.core.condensed import IMAGES, PICKS
from decoct.core.errors import UsageError
from decoct.core.kinds import Axis
from decoct.core.spec import parse, summary
from decoct.run.storage.replaced import check_free, whole

NONE, AXES = "–", get_args(Axis)


def condense(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="See 'decoct ls methods'.")],
    data: Data = "digits",
    ipc: Annotated[int | None, typer.Option(min=1, help="Images of each class; default 10.")] = None,
    fraction: Annotated[float | None, typer.Option(help="Or a share, such as 0.1, of each class.")] = None,
    images: Annotated[int | None, typer.Option(min=1, help="Or images in all, as many of each class.")] = None,
    balanced: Annotated[
        bool | None,
        typer.Option("--balanced/--unbalanced", help="As many of each class, or in proportion."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the method's draws.")] = 0,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of the set; default such as METHOD-ipc10.")
    ] = None,
    settings: Settings = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what decoct made at --out.")] = False,
    device: Device = "auto",
    threads: Threads = 1,
    plugin: Plugins = None,
    teacher: Checkpoints = None,
    size: Size = None,
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Make a small training set. Leaves the set, its pictures in images/CLASS, and picks.csv if it is a selection."""
    from decoct import api

    config = {"name": method, **words.fields(settings)}
    parse("condenser", config, plugin or ())  # a slip is told before the data are read
    budget = Budget.asked(ipc, fraction, images, balanced)
    target = folder or Path(f"{method}-{budget}".replace("=", "").replace(" ", "-"))
    check_free(target, force)
    if Path.cwd().is_relative_to(target.resolve()):
        raise UsageError(f"--out {target} is where you are, or above it: choose a folder of its own for the set")
    with bars() as bar:
        compute = compute_on(bar, device, threads, plugin or ())
        brought = words.teachers(teacher)
        loaded = load(data, size, skip_corrupt, bar, plugin or ())
        made = api.condense(config, loaded, **budget.model_dump(), seed=seed, compute=compute, teachers=brought)
        with whole(target) as scratch:
            made.save(scratch)
            made.export(scratch / IMAGES)
            if made.member:
                made.write_picks(scratch / PICKS, loaded.train.files)
    assert made.cost is not None
    facts = {"out": str(target), "method": method, "images": len(made), "classes": len(made.class_names)}
    facts |= {"seconds": round(made.cost.seconds, 3), "peak_memory": made.cost.peak_memory}
    if json:
        say(facts | {"provenance": made.provenance.model_dump(mode="json")})
    else:
        took = f"{made.cost.seconds:.1f} s with everything that it needed"
        out.print(f"{len(made)} images of {len(made.class_names)} classes in {target} ({took})", markup=False)


def train(
    condensed: Set,
    data: Data = "digits",
    protocol: Annotated[str, typer.Option(help="See 'decoct ls protocols'.")] = "erm",
    student: Annotated[str | None, typer.Option(help="Default: the ConvNet that fits; resnet18 above 128 px.")] = None,
    seeds: Annotated[str, typer.Option(help="One student each, such as 0,1,2.")] = "0",
    settings: Settings = None,
    device: Device = "auto",
    threads: Threads = 1,
    plugin: Plugins = None,
    teacher: Checkpoints = None,
    normalised: Normalised = None,
    layout: Layout = None,
    resize: Resize = False,
    number: Number = None,
    split: Split = "train",
    size: Size = None,
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Train students on a set. Gives their accuracy on the test images at the last step; with --json as fractions."""
    from decoct import api
    from decoct.nets import zoo

    config, numbers = {"name": protocol, **words.fields(settings)}, words.seeds(seeds)
    parse("protocol", config, plugin or ())  # a slip is told before the data are read
    if student is not None:
        zoo.check_name(student)
    stored = set_format(normalised, layout, resize, number, split)
    with bars() as bar:
        compute = compute_on(bar, device, threads, plugin or ())
        brought = words.teachers(teacher)
        scores = api.train(
            condensed,
            load(data, size, skip_corrupt, bar, plugin or ()),
            protocol=config,
            student=student,
            seeds=numbers,
            compute=compute,
            teachers=brought,
            set_format=stored,
        )
    if json:
        say(scores.to_json())
        return
    interval = f" [{100 * scores.ci95[0]:.1f}, {100 * scores.ci95[1]:.1f}]" if scores.ci95 else ""
    over = f"n = {scores.n} students of one set" if scores.n > 1 else "one student: no interval"
    out.print(f"{100 * scores.mean:.1f} %{interval} ({over}; {scores.student}, {scores.protocol})", markup=False)


def measure(
    condensed: Set,
    data: Data = "digits",
    metric: Annotated[list[str] | None, typer.Option("--metric", help="See 'decoct ls metrics'; default: all.")] = None,
    extractor: Annotated[
        list[str] | None,
        typer.Option("--extractor", help="A net, timm:NAME, timm:NAME@FILE or FILE.npy; default: teacher, held_out."),
    ] = None,
    draws: Annotated[int, typer.Option(min=0, help="Random sets of the same size to set it beside.")] = 20,
    resamples: Annotated[int, typer.Option(min=0, help="For the intervals over images.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="Print all readings; without it those that lead.")] = False,
    device: Device = "auto",
    threads: Threads = 1,
    plugin: Plugins = None,
    teacher: Checkpoints = None,
    normalised: Normalised = None,
    layout: Layout = None,
    resize: Resize = False,
    number: Number = None,
    split: Split = "train",
    size: Size = None,
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Measure representativeness, diversity, quality and cost of a set, beside random sets of the same size."""
    from decoct import api
    from decoct.needs.features import Extract
    from decoct.nets import zoo

    metrics = metric or sorted(summary("metric"))
    for name in metrics:
        parse("metric", name, plugin or ())  # a slip is told before the data are read
    for word in extractor or ():
        if word != zoo.HELD_OUT:
            Extract.of(word).check()
    stored = set_format(normalised, layout, resize, number, split)
    with bars() as bar:
        compute = compute_on(bar, device, threads, plugin or ())
        brought = words.teachers(teacher)
        rows = api.measure(
            condensed,
            load(data, size, skip_corrupt, bar, plugin or ()),
            metrics=metrics,
            extractors=extractor or ["teacher", zoo.HELD_OUT],
            draws=draws,
            resamples=resamples,
            compute=compute,
            teachers=brought,
            set_format=stored,
        )
    if json:
        say(rows)
        return
    shown = rows if everything or metric else leading(rows)
    out.print(readings(shown))
    if len(shown) < len(rows):
        out.print(f"{len(shown)} of {len(rows)} readings; --all prints them all, --json gives them")


def leading(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What stands for each metric in each extractor's features: by class where it was read so."""
    best: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in (row for row in rows if row["lead"]):
        place = row["extractor"], row["metric"]
        if place not in best or (row["scope"], best[place]["scope"]) == ("per_class", "pooled"):
            best[place] = row
    return [row for row in rows if best.get((row["extractor"], row["metric"])) is row]


def readings(rows: Sequence[Mapping[str, Any]]) -> Group:
    """A table for each kind of reading: what it is of, by whose features, against what."""
    kinds: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: AXES.index(row["axis"])):
        against = "" if row["reference"] == "none" else f", against {row['reference']}"
        kinds.setdefault((row["axis"], f"{row['scope'].replace('_', ' ')}{against}", row["extractor"]), []).append(row)
    widths = (22, 9, 20, 9, 5) if out.width >= 80 else (0,) * 5
    parts: list[Table] = []
    for kind, own in kinds.items():
        table = Table(title=" · ".join(kind), title_justify="left", title_style="bold", box=None, pad_edge=False)
        table.add_column("metric", no_wrap=True, min_width=widths[0])
        for head, width in zip(("value", "95 % interval", "random", "z"), widths[1:], strict=True):
            table.add_column(head, justify="right", no_wrap=head != "95 % interval", min_width=width)
        for row in own:
            value, lo, hi, random = (_short(row[key]) for key in ("value", "lo", "hi", "random"))
            interval = NONE if NONE in (lo, hi) else f"[{lo}, {hi}]"
            z = NONE if row["z"] is None else f"{row['z']:+.1f}"
            table.add_row(row["metric"], value, interval, random, z)
        parts.append(table)
    return Group(*parts)


def _short(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}"
