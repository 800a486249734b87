"""The command that labels a set once, so that students learn from it without its teachers."""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

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
from decoct.core.errors import UsageError


def relabel(
    condensed: Set,
    data: Data = "digits",
    protocol: Annotated[str, typer.Option(help="Whose teachers, crops, mixing, batches and steps.")] = "single_teacher",
    per: Annotated[str, typer.Option(help="view: a label for every crop; image: one for every image.")] = "view",
    bits: Annotated[int, typer.Option(help="Of a logit: 16 or 8.")] = 16,
    top_k: Annotated[int | None, typer.Option("--top-k", min=1, help="Classes that are kept of a label.")] = None,
    prune: Annotated[float, typer.Option(min=1, help="Keep one view out of so many, and use it again.")] = 1,
    by: Annotated[str, typer.Option(help="What is kept: batch, class (an equal share each) or epoch.")] = "batch",
    seed: Annotated[int, typer.Option(help="Of the views.")] = 0,
    folder: Annotated[Path | None, typer.Option("--out", help="The set with its labels; default SET-labelled.")] = None,
    settings: Settings = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what decoct made at --out.")] = False,
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
    """Label a set once with a protocol's teachers. 'decoct train' then learns from what is stored."""
    from decoct import api
    from decoct.core.spec import build, parse
    from decoct.engine.softlabels import Storing
    from decoct.run.external_sets import load_set
    from decoct.run.storage.replaced import check_free, whole

    config = {"name": protocol, **words.fields(settings)}
    parse("protocol", config, plugin or ())  # a slip is told before the data are read
    storing = build(Storing, {"per": per, "bits": bits, "top_k": top_k, "prune": prune, "by": by}, "relabel")
    stored = set_format(normalised, layout, resize, number, split)
    named = condensed.resolve() if condensed.name in ("", "..") else condensed
    target = folder or named.with_name(f"{named.name}-labelled")
    check_free(target, force)
    here, there = condensed.resolve(), target.resolve()
    if Path.cwd().is_relative_to(there) or here.is_relative_to(there) or there.is_relative_to(here):
        raise UsageError(f"--out {target} is where you are, holds the set or lies in it: choose a folder of its own")
    with bars() as bar:
        compute = compute_on(bar, device, threads, plugin or ())
        loaded = load(data, size, skip_corrupt, bar, plugin or ())
        given = load_set(condensed, loaded, stored)
        brought = words.teachers(teacher)
        made = api.relabel(
            given, loaded, protocol=config, storing=storing, seed=seed, compute=compute, teachers=brought
        )
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
    if json:
        say(facts)
    else:
        what = f"{views:,} {per} labels" if views > 1 else f"1 {per} label"
        out.print(f"{what} in {target}: {made.nbytes:,} bytes", markup=False, soft_wrap=True)
