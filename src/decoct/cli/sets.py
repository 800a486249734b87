"""Commands on one set: condense, train, measure, relabel."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

from rich.console import Group
from rich.table import Table
from typer import Argument, Option

from decoct.cli import options
from decoct.cli.options import Data, Force, Format, Json, Pictures, Set, Settings, Work, check_target
from decoct.console import answer, bars, out
from decoct.core.budget import Budget
from decoct.core.condensed import IMAGES, PICKS
from decoct.core.interfaces import Axis
from decoct.core.owned import whole
from decoct.core.spec import parse, summary

NONE, AXES = "–", get_args(Axis)


def condense(
    method: Annotated[str, Argument(metavar="METHOD", help="See 'decoct ls methods'.")],
    data: Data = "digits",
    ipc: Annotated[int | None, Option(min=1, help="Images of each class; default 10.")] = None,
    fraction: Annotated[float | None, Option(help="Or a share, such as 0.1, of each class.")] = None,
    images: Annotated[int | None, Option(min=1, help="Or the total number of images, the same of each class.")] = None,
    balanced: Annotated[
        bool | None, Option("--balanced/--unbalanced", help="The same number of each class, or in proportion.")
    ] = None,
    seed: Annotated[int, Option(help="Seed of the method's draws.")] = 0,
    folder: Annotated[Path | None, Option("--out", help="Folder of the set; default: such as METHOD-ipc10.")] = None,
    settings: Settings = None,
    force: Force = False,
    *,
    work: Work,
    pictures: Pictures,
    json: Json = False,
) -> None:
    """Make a small training set. Leaves the set, its pictures in images/CLASS, and picks.csv if it is a selection."""
    from decoct import api

    config = {"name": method, **options.fields(settings)}
    parse("condenser", config, work.plugins)  # a slip is told before the data are read
    budget = Budget.asked(ipc, fraction, images, balanced)
    target = folder or Path(f"{method}-{budget}".replace("=", "").replace(" ", "-"))
    check_target(target, force)
    with bars() as bar:
        using = work.using(bar)
        loaded = pictures.load(data, bar, work.plugins)
        made = api.condense(config, loaded, **budget.model_dump(), seed=seed, **using)
        with whole(target) as scratch:
            made.save(scratch)
            made.export(scratch / IMAGES)
            if made.member:
                made.write_picks(scratch / PICKS, loaded.train.files)
    assert made.cost is not None
    facts = {"out": str(target), "method": method, "images": len(made), "classes": len(made.class_names)}
    facts |= {"seconds": round(made.cost.seconds, 3), "peak_memory": made.cost.peak_memory}
    took = f"{made.cost.seconds:.1f} s with everything that it needed"
    said = f"{len(made)} images of {len(made.class_names)} classes in {target} ({took})"
    answer(json, facts | {"provenance": made.provenance.model_dump(mode="json")}, said)


def train(
    condensed: Set,
    data: Data = "digits",
    protocol: Annotated[str, Option(help="See 'decoct ls protocols'.")] = "erm",
    student: Annotated[
        str | None,
        Option(help="A net, timm:NAME, NAME@FILE, package.module:make. Default: the ConvNet that fits, or resnet18."),
    ] = None,
    seeds: Annotated[str, Option(help="Seeds, one student each, such as 0,1,2.")] = "0",
    settings: Settings = None,
    *,
    work: Work,
    form: Format,
    pictures: Pictures,
    json: Json = False,
) -> None:
    """Train students on a set. Gives their accuracy on the test images at the last step; with --json as fractions."""
    from decoct import api
    from decoct.nets.student import Student

    config, numbers = {"name": protocol, **options.fields(settings)}, options.seeds(seeds)
    parse("protocol", config, work.plugins)  # a slip is told before the data are read
    if student is not None:
        Student.of(student).check()
    stored = form.checked()
    with bars() as bar:
        using = work.using(bar)
        scores = api.train(
            condensed,
            pictures.load(data, bar, work.plugins),
            protocol=config,
            student=student,
            seeds=numbers,
            **using,
            set_format=stored,
        )
    interval = f" [{100 * scores.ci95[0]:.1f}, {100 * scores.ci95[1]:.1f}]" if scores.ci95 else ""
    over = f"n = {scores.n} students of one set" if scores.n > 1 else "one student: no interval"
    said = f"{100 * scores.mean:.1f} %{interval} ({over}; {scores.student}, {scores.protocol})"
    answer(json, scores.to_json(), said)


def measure(
    condensed: Set,
    data: Data = "digits",
    metric: Annotated[list[str] | None, Option("--metric", help="See 'decoct ls metrics'; default: all.")] = None,
    extractor: Annotated[
        list[str] | None,
        Option("--extractor", help="A net, dinov2, clip, pixels, timm:NAME, FILE.npy …; default: teacher, held_out."),
    ] = None,
    features: Annotated[
        list[str] | None,
        Option("--features", metavar="FILE.npy=SET.npy", help="Features of the set, beside an extractor FILE.npy."),
    ] = None,
    draws: Annotated[int, Option(min=0, help="Random sets of the same size to compare it with.")] = 20,
    resamples: Annotated[int, Option(min=0, help="Resamples for the intervals over images.")] = 20,
    everything: Annotated[bool, Option("--all", help="Print all readings, not only the leading ones.")] = False,
    *,
    work: Work,
    form: Format,
    pictures: Pictures,
    json: Json = False,
) -> None:
    """Measure representativeness, diversity, quality and cost of a set, beside random sets of the same size."""
    from decoct import api
    from decoct.needs.features import Extract
    from decoct.nets import zoo

    metrics = metric or sorted(summary("metric"))
    for name in metrics:
        parse("metric", name, work.plugins)  # a slip is told before the data are read
    for word in extractor or ():
        if word != zoo.HELD_OUT:
            Extract.of(word).check()
    given = options.pairs(features, "--features", "FILE.npy=SET.npy")
    stored = form.checked()
    with bars() as bar:
        using = work.using(bar)
        rows = api.measure(
            condensed,
            pictures.load(data, bar, work.plugins),
            metrics=metrics,
            extractors=extractor or ["teacher", zoo.HELD_OUT],
            draws=draws,
            resamples=resamples,
            **using,
            set_format=stored,
            features=given,
        )
    shown = rows if everything or metric else leading(rows)
    more = [f"{len(shown)} of {len(rows)} readings; --all prints them all, --json gives them"]
    answer(json, rows, readings(shown), *(more if len(shown) < len(rows) else ()))


def relabel(
    condensed: Set,
    data: Data = "digits",
    protocol: Annotated[
        str, Option(help="The protocol whose teachers, crops, mixing, batches and steps apply.")
    ] = "single_teacher",
    per: Annotated[str, Option(help="view: a label for every crop; image: one for every image.")] = "view",
    bits: Annotated[int, Option(help="Bits of a logit: 16 or 8.")] = 16,
    top_k: Annotated[int | None, Option("--top-k", min=1, help="Number of classes kept in a label.")] = None,
    prune: Annotated[float, Option(min=1, help="Keep one view out of this many, and reuse it.")] = 1,
    by: Annotated[str, Option(help="What is kept: batch, class (an equal share each) or epoch.")] = "batch",
    seed: Annotated[int, Option(help="Of the views.")] = 0,
    folder: Annotated[Path | None, Option("--out", help="The set with its labels; default SET-labelled.")] = None,
    settings: Settings = None,
    force: Force = False,
    *,
    work: Work,
    form: Format,
    pictures: Pictures,
    json: Json = False,
) -> None:
    """Label a set once with a protocol's teachers. 'decoct train' then learns from what is stored."""
    from decoct import api
    from decoct.core.spec import build
    from decoct.study.external_sets import load_set
    from decoct.training.recipe import Storing

    config = {"name": protocol, **options.fields(settings)}
    parse("protocol", config, work.plugins)  # a slip is told before the data are read
    storing = build(Storing, {"per": per, "bits": bits, "top_k": top_k, "prune": prune, "by": by}, "relabel")
    stored = form.checked()
    named = condensed.resolve() if condensed.name in ("", "..") else condensed
    target = folder or named.with_name(f"{named.name}-labelled")
    check_target(target, force, condensed)
    with bars() as bar:
        using = work.using(bar)
        loaded = pictures.load(data, bar, work.plugins)
        given = load_set(condensed, loaded, stored)
        made = api.relabel(given, loaded, protocol=config, storing=storing, seed=seed, **using)
        with whole(target) as scratch:
            if condensed.is_dir():
                shutil.copytree(condensed, scratch)
            if not (condensed / "condensed.json").is_file():
                given.save(scratch)  # so that the labels belong to these very pixels
            made.save(scratch)
    views = len(made.arrays["rows"]) if per == "view" else len(given)
    facts: dict[str, Any] = {"out": str(target), "protocol": protocol, "images": len(given), "labels": views}
    facts |= {"label_bytes": made.nbytes, "bytes_per_class": made.nbytes / made.classes}
    facts |= {"storing": storing.model_dump(mode="json")}
    what = f"{views:,} {per} labels" if views > 1 else f"1 {per} label"
    answer(json, facts, f"{what} in {target}: {made.nbytes:,} bytes")


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
            numbers = (row[key] for key in ("value", "lo", "hi", "random"))
            value, lo, hi, random = (NONE if number is None else f"{number:.3g}" for number in numbers)
            interval = NONE if NONE in (lo, hi) else f"[{lo}, {hi}]"
            z = NONE if row["z"] is None else f"{row['z']:+.1f}"
            table.add_row(row["metric"], value, interval, random, z)
        parts.append(table)
    return Group(*parts)
