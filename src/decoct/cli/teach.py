"""The command that trains or loads teachers, or a generator."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from rich.table import Column, Table
from typer import Argument, Option

from decoct.cli import options
from decoct.cli.options import Data, Json, Machine, Pictures, Settings
from decoct.console import answer, bars
from decoct.core.errors import UsageError


def teach(
    nets: Annotated[
        list[str] | None,
        Argument(metavar="[NET…]", help="Nets, such as convnet3_bn, resnet18 or any of timm's; default: the usual."),
    ] = None,
    data: Data = "digits",
    checkpoint: Annotated[Path | None, Option("--from", help="Load weights instead of training.")] = None,
    pretrained: Annotated[
        bool, Option("--pretrained", help="Load timm's or torchvision's ImageNet weights; cut the head.")
    ] = False,
    stop_at: Annotated[
        float | None, Option("--stop-at", metavar="FRACTION", help="Train until this accuracy on held-out images.")
    ] = None,
    generator: Annotated[
        bool,
        Option("--generator", help="Train a class-conditional diffusion model, not a classifier; --from: hub:NAME."),
    ] = False,
    folder: Annotated[
        Path | None, Option("--out", help="Also copy the weights there; of several nets, in a folder each.")
    ] = None,
    settings: Settings = None,
    *,
    machine: Machine,
    pictures: Pictures,
    json: Json = False,
) -> None:
    """Train or load teachers, and record the accuracy of each on held-out images."""
    if folder is not None and folder.exists():
        raise UsageError(f"{folder} exists: choose another --out")
    given, source = options.fields(settings), checkpoint and str(checkpoint)
    if generator:
        unfit = {f"the net {' '.join(nets or ())}": nets, "--pretrained": pretrained, "--stop-at": stop_at}
        if wrong := [name for name, value in unfit.items() if value]:
            raise UsageError(f"{wrong[0]} is for classifiers, and --generator trains a model that makes images")
        given |= {} if source is None else {"generator": source}
        _teach_generator(given, data, folder, machine, pictures, json)
        return
    from decoct import api
    from decoct.core.spec import build
    from decoct.needs.teacher import Teach
    from decoct.nets import zoo

    names = nets or ["teacher"]
    if checkpoint is not None and len(names) > 1:
        raise UsageError("--from is the file of one net: name one, and load the others separately")
    flags: dict[str, Any] = {"checkpoint": source, "stop_at": stop_at, "pretrained": pretrained}
    given |= {key: value for key, value in flags.items() if value not in (None, False)}
    specs = [build(Teach, {"net": net, **given}, "teacher") for net in names]
    for net in set(names) - {"teacher"}:
        zoo.check_name(net)  # a slip is told before the data are read
    with bars() as bar:
        compute, loaded = machine.compute(bar), pictures.load(data, bar)
        specs = [spec.model_copy(update={"net": zoo.resolve(spec.net, loaded.size)}) for spec in specs]
        made = api.teach(specs if len(specs) > 1 else specs[0], loaded, compute=compute, out=folder)
    if isinstance(made, list):
        answer(json, made, committee(made))
    else:
        right = f"{100 * made['val_accuracy']:.1f} % of held-out images"
        answer(json, made, f"{made['net']}: {right}, {made['folder']}")


def _teach_generator(
    given: Mapping[str, Any], data: str, folder: Path | None, machine: Machine, pictures: Pictures, json: bool
) -> None:
    """Train a generator, or check that a named one fits the data, and say where it is."""
    from decoct import api
    from decoct.core.spec import build
    from decoct.needs.generator import TeachGenerator, diffusers

    spec = build(TeachGenerator, given, "generator").pinned()  # a slip is told before the data are read
    diffusers()
    with bars() as bar:
        compute = machine.compute(bar)
        made = api.teach_generator(spec, pictures.load(data, bar), compute=compute, out=folder)
    how = f"trained in {made['seconds']:.0f} s" if made["trained_here"] else "supplied"
    what = f"{made['pixels']} px, {len(made['class_names'])} classes, {made['parameters'] / 1e6:.2f} million weights"
    where = f"{made['generator']}: {how}, {what}, {made['folder']}"
    answer(json, made, where, f"it has seen {made['seen']}")


def committee(teachers: Sequence[Mapping[str, Any]]) -> Table:
    """One line per teacher: how long it was trained, its accuracy on held-out images, its folder."""
    numbers = (Column(head, justify="right", no_wrap=True) for head in ("epochs", "steps", "val accuracy"))
    folder = Column("folder", overflow="fold")
    table = Table(Column("net", no_wrap=True), *numbers, folder, box=None, pad_edge=False)
    for facts in teachers:
        epochs = "loaded" if facts["checkpoint"] else f"{facts['epochs']:g}"
        right = f"{100 * facts['val_accuracy']:.1f} %"
        table.add_row(facts["net"], epochs, f"{facts['steps']}", right, facts["folder"])
    return table
