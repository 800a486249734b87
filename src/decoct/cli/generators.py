"""``decoct teach --generator``: a diffusion model that is trained on the data, or supplied and looked at."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from decoct.cli import words
from decoct.cli.options import compute_on, load
from decoct.console import bars, out, say
from decoct.core.errors import UsageError


def teach_generator(
    settings: Sequence[str] | None,
    *,
    data: str,
    source: str | None,
    folder: Path | None,
    device: str,
    threads: int,
    size: int | None,
    skip_corrupt: bool,
    json: bool,
    unfit: Mapping[str, Any],
) -> None:
    """Train or load a generator, and say where it is.

    Args:
        settings: ``KEY=VALUE`` words, fields of ``TeachGenerator``.
        data: word for the data.
        source: "hub:NAME" or a folder; None to train one.
        folder: for a copy; None for none.
        device: word for the device.
        threads: on a CPU.
        size: that pictures of a folder are brought to; None for the usual.
        skip_corrupt: whether pictures that do not decode are left out.
        json: print JSON.
        unfit: options that are for nets alone, by name; none may be set.
    """
    from decoct import api
    from decoct.core.spec import build
    from decoct.needs.generator import TeachGenerator, diffusers

    if wrong := [name for name, value in unfit.items() if value]:
        raise UsageError(f"{wrong[0]} is for a net that classifies, and --generator teaches one that makes images")
    if folder is not None and folder.exists():
        raise UsageError(f"{folder} exists: choose another --out")
    fields = words.fields(settings) | ({"generator": source} if source is not None else {})
    spec = build(TeachGenerator, fields, "generator").pinned()  # a slip is told before the data are read
    diffusers()
    with bars() as bar:
        compute = compute_on(bar, device, threads)
        made = api.teach_generator(spec, load(data, size, skip_corrupt, bar), compute=compute, out=folder)
    if json:
        say(made)
        return
    how = f"trained in {made['seconds']:.0f} s" if made["trained_here"] else "supplied"
    what = f"{made['pixels']} px, {len(made['class_names'])} classes, {made['parameters'] / 1e6:.2f} million weights"
    out.print(f"{made['generator']}: {how}, {what}, {made['folder']}", markup=False, soft_wrap=True)
    out.print(f"it has seen {made['seen']}", markup=False, soft_wrap=True)
