"""The command that trains or loads teachers, or a generator."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from decoct.cli import generators, words
from decoct.cli.options import Data, Device, Json, Settings, Size, Skip, Threads, compute_on, load
from decoct.console import bars, out, say
from decoct.core.errors import UsageError


def teach(
    nets: Annotated[
        list[str] | None,
        typer.Argument(metavar="NET", help="Nets, such as convnet3_bn, resnet18 or any of timm's."),
    ] = None,
    data: Data = "digits",
    checkpoint: Annotated[Path | None, typer.Option("--from", help="Load weights instead of training.")] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Load timm's or torchvision's ImageNet weights; cut the head.")
    ] = False,
    stop_at: Annotated[
        float | None,
        typer.Option("--stop-at", metavar="FRACTION", help="Train until this accuracy on held-out images."),
    ] = None,
    generator: Annotated[
        bool, typer.Option("--generator", help="No net but a class-conditional diffusion model; --from: hub:NAME.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Also copy the weights there; of several nets, in a folder each.")
    ] = None,
    settings: Settings = None,
    device: Device = "auto",
    threads: Threads = 1,
    size: Size = None,
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Train or load teachers. The accuracy of each on held-out images is put on record."""
    if generator:
        unfit = {f"the net {' '.join(nets or ())}": nets, "--pretrained": pretrained, "--stop-at": stop_at}
        where: dict[str, Any] = {"data": data, "source": checkpoint and str(checkpoint), "folder": folder}
        where |= {"device": device, "threads": threads, "size": size, "skip_corrupt": skip_corrupt, "json": json}
        generators.teach_generator(settings, **where, unfit=unfit)
        return
    from decoct import api
    from decoct.core.spec import build
    from decoct.needs.teacher import Teach
    from decoct.nets import zoo

    names = nets or ["teacher"]
    if folder is not None and folder.exists():
        raise UsageError(f"{folder} exists: choose another --out")
    if checkpoint is not None and len(names) > 1:
        raise UsageError("--from is the file of one net: name one, and load the others by themselves")
    flags: dict[str, Any] = {"checkpoint": checkpoint and str(checkpoint), "stop_at": stop_at, "pretrained": pretrained}
    fields = words.fields(settings) | {key: value for key, value in flags.items() if value not in (None, False)}
    specs = [build(Teach, {"net": net, **fields}, "teacher") for net in names]
    for net in set(names) - {"teacher"}:
        zoo.check_name(net)  # a slip is told before the data are read
    with bars() as bar:
        compute = compute_on(bar, device, threads)
        loaded = load(data, size, skip_corrupt, bar)
        specs = [spec.model_copy(update={"net": zoo.resolve(spec.net, loaded.size)}) for spec in specs]
        made = api.teach(specs if len(specs) > 1 else specs[0], loaded, compute=compute, out=folder)
    found = made if isinstance(made, list) else [made]
    if json:
        say(made)
    elif len(found) > 1:
        out.print(committee(found))
    else:
        right = f"{100 * found[0]['val_accuracy']:.1f} % of held-out images"
        out.print(f"{found[0]['net']}: {right}, {found[0]['folder']}", markup=False, soft_wrap=True)


def committee(found: Sequence[Mapping[str, Any]]) -> Table:
    """A line a teacher: how long it was trained, how good it is on held-out images, where it lies."""
    table = Table(box=None, pad_edge=False)
    table.add_column("net", no_wrap=True)
    for title in ("epochs", "steps", "val accuracy"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("folder", overflow="fold")
    for facts in found:
        epochs = "loaded" if facts["checkpoint"] else f"{facts['epochs']:g}"
        right = f"{100 * facts['val_accuracy']:.1f} %"
        table.add_row(facts["net"], epochs, f"{facts['steps']}", right, facts["folder"])
    return table
