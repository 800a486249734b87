"""Loops of decoct raced against bare ones on a device: students, constructions, and training from files."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import loader
from decoct.core.budget import Budget
from decoct.core.interfaces import Inputs, Machine, Task, TrainProtocol
from decoct.methods.decoupled.rded import RDED
from decoct.methods.decoupled.sre2l import SRe2L
from decoct.nets import zoo
from decoct.nets.layout import as_input, laid_out
from decoct.protocols.erm import ERM
from decoct.protocols.multi_teacher import MultiTeacher
from decoct.protocols.single_teacher import SingleTeacher
from decoct.training.loop import TrainingSet, train
from devices.jobs import pictures
from devices.rows import Rows, Wrong
from devices.scale import Bench
from roofline import GPUS, Gpu, Roofline
from yardstick import Loop, Race, bare_inversion, bare_loop, race

NET = "resnet18"
RATES = ["decoct, images/s", "bare, images/s", "ratio (lowest to highest)"]
STUDENTS: tuple[tuple[TrainProtocol, str, bool], ...] = (
    (ERM(), "float32", False),
    (ERM(), "bfloat16", False),
    (ERM(), "bfloat16", True),
    (SingleTeacher(), "float32", False),
    (SingleTeacher(), "bfloat16", False),
    (MultiTeacher(), "float32", False),
    (MultiTeacher(), "bfloat16", False),
)


def speed(rows: Rows, bench: Bench) -> None:
    """Three tables."""
    if bench.cuda:
        torch.cuda.set_device(bench.device)  # which the clock waits for
    students(rows, bench)
    constructions(rows, bench)
    files(rows, bench)


def timing(bench: Bench) -> dict[str, Any]:
    """How races are run."""
    scale = bench.scale
    return {"seconds": scale.seconds, "repeats": scale.repeats, "warm": scale.warm, "least": scale.warm}


def students(rows: Rows, bench: Bench) -> None:
    """Rows: each protocol with its own recipe beside forward + backward + step with the same teachers."""
    classes, ipc, size = bench.scale.race
    gpu = roof_of(bench)
    rows.say(
        f"`{NET}` on {classes} classes × {ipc} random uint8 images of {size} px; medians of turns after each other, "
        f"{bench.scale.repeats} of each loop. The bare loop has the same net, batch, loss, layout, precision "
        "and, for soft labels, the same teachers' forward passes, on one batch that is ready; the target is .90 of it. "
        f"The roofline is that of an {gpu.name}, for the bare loop."
    )
    head = ["protocol", "teachers", "batch", *RATES, "by roofline, images/s", "peak memory"]
    rows.table("Students", head)
    data = random_set(bench)
    for protocol, precision, compiled in STUDENTS:

        def make(protocol: TrainProtocol = protocol, how: Machine = Machine(bench.device, precision, compiled)) -> Any:
            bench.fresh_peak()
            names = [zoo.resolve(name, size) for name in protocol.label_teachers(size)]
            batch, found, bare = raced(protocol, names, data, how, bench)
            cells = [", ".join(names) or "none", batch, *found.cells(batch)]
            if how.compiled:
                torch.compiler.reset()
                return [*cells, "", bench.peak()]
            return [*cells, by_roofline(gpu, bare, batch, cells), bench.peak()]

        rows.row(f"`{protocol.name}` {precision}{', compiled' * compiled}", make)


def random_set(bench: Bench) -> TrainingSet:
    """Random uint8 images in the device's memory: a training moves them once, which a turn is too short to pay for."""
    classes, ipc, size = bench.scale.race
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (classes * ipc, 3, size, size), generator=random, dtype=torch.uint8)
    labels = torch.arange(classes).repeat(ipc)
    return TrainingSet(pixels.to(bench.device), labels.to(bench.device), (0.5,) * 3, (0.25,) * 3)


def raced(
    protocol: TrainProtocol, teaching: list[str], data: TrainingSet, machine: Machine, bench: Bench
) -> tuple[int, Race, Loop]:
    """Batch, decoct's loop under a protocol against the bare one, each on a net of its own; and the bare one."""
    classes, _, size = bench.scale.race
    teachers = [zoo.build(name, 3, classes, size, seed=1).to(machine.device).eval() for name in teaching]
    mine, theirs = (zoo.build(NET, 3, classes, size, seed=0).to(machine.device) for _ in range(2))
    recipe = protocol.recipe(Task(len(data.labels), classes, size, flip=True))
    images, labels = (data.images[: recipe.batch].float() / 255 - 0.5) / 0.25, data.labels[: recipe.batch]

    def ours(steps: int) -> None:
        train(mine, data, replace(recipe, steps=steps), seed=0, machine=machine, teachers=teachers)

    how = {"precision": machine.precision, "compiled": machine.compiled}
    bare = bare_loop(theirs, images, labels, recipe, teachers=teachers, **how)
    return recipe.batch, race(ours, bare, **timing(bench)), bare


def by_roofline(gpu: Gpu, bare: Loop, images: int, cells: list[object]) -> str:
    """Images a second of a loop whose step is of so many images.

    Raises:
        Wrong: it cannot be counted; what was measured stays.
    """
    try:
        with Roofline(gpu) as roof:
            bare(1)
    except Exception as error:
        raise Wrong(cells, f"roofline: {type(error).__name__}: {error}") from error
    return f"{images / roof.seconds:,.0f}" if roof.seconds else "none"


def roof_of(bench: Bench) -> Gpu:
    """The GPU that is here, as its maker describes it; an H100 where none or an unknown one is."""
    name = torch.cuda.get_device_name(bench.device).replace(" ", "").lower() if bench.cuda else ""
    return next((gpu for key, gpu in GPUS.items() if key.partition("_")[0] in name), GPUS["h100"])


def constructions(rows: Rows, bench: Bench) -> None:
    """Rows: SRe2L's iterations beside bare ones, in both precisions; RDED's selection beside forward passes."""
    scale = bench.scale
    data = pictures(bench.folder / "large", 224, scale.classes, scale.each)
    net = laid_out(zoo.build(NET, 3, scale.classes, data.size, 0).to(bench.device)).eval().requires_grad_(False)
    ipc = max(1, 100 // scale.classes) if scale.race[2] == data.size else 1
    labels = torch.arange(scale.classes, device=bench.device).repeat(ipc)
    inputs = Inputs(data, Budget(ipc=ipc), device=bench.device, teachers={"teacher": net})
    rows.table("Constructions at 224 px", ["loop", "images at once", *RATES, "by roofline, images/s", "peak memory"])

    def beside(ours: Callable[[int], None], bare: Loop, images: int) -> list[object]:
        bench.fresh_peak()
        cells = [images, *race(ours, bare, **timing(bench)).cells(images)]
        return [*cells, by_roofline(roof_of(bench), bare, images, cells), bench.peak()]

    for precision in ("float32", "bfloat16"):
        if precision == "float32" or "precision" in SRe2L.model_fields:
            method = SRe2L(preset="imagenet1k", **({"precision": precision} if precision != "float32" else {}))
            bare = bare_inversion(net, labels, data.shape, 0.25, precision)

            for compiled in (False, True):
                given = replace(inputs, compiled=compiled)

                def ours(steps: int, method: SRe2L = method, given: Inputs = given) -> None:
                    method.model_copy(update={"iterations": steps})(given)

                title = f"`sre2l`, {precision}{', compiled' * compiled}"
                rows.row(title, lambda ours=ours, bare=bare: beside(ours, bare, len(labels)))
    rows.row("`rded`", lambda: beside(*selection(net, inputs), inputs_of(inputs)))


def inputs_of(inputs: Inputs) -> int:
    """Crops that RDED looks at in one step of its race: so many of each class."""
    method = RDED(preset="imagenet1k")
    return sum(min(method.candidates, count) for count in inputs.data.counts()) * method.crops


def selection(net: torch.nn.Module, inputs: Inputs) -> tuple[Loop, Loop]:
    """RDED for all classes, and forward passes of as many crops that are ready."""
    method, crops = RDED(preset="imagenet1k"), inputs_of(inputs)
    x = as_input(torch.randn(min(crops, method.batch), *inputs.data.shape, device=inputs.device), net)

    def ours(steps: int) -> None:
        for _ in range(steps):
            method(replace(inputs, budget=Budget(ipc=1)))

    @torch.inference_mode()
    def bare(steps: int) -> None:
        for _ in range(steps * math.ceil(crops / len(x))):
            net(x)

    return ours, bare


def files(rows: Rows, bench: Bench) -> None:
    """Rows: ResNet-18 from JPEG files beside a DataLoader, by its workers."""
    size, each = bench.scale.files
    folder = bench.folder / "images"
    if not folder.is_dir():
        loader.make(folder, {"train": each, "val": 1, "test": 1})
    rows.say(
        f"ResNet-18 with the ImageNet stem, end to end, from {loader.CLASSES * each:,} JPEG files of "
        f"{loader.PIXELS} px, at {size} px in bfloat16, beside a DataLoader; the target is 3 times as fast "
        "as with two workers."
    )
    rows.table("From files", ["", "decoct, images/s", "DataLoader, images/s", RATES[2], "peak memory"])
    for workers in sorted({2, bench.workers}):

        def make(workers: int = workers) -> list[object]:
            data, _ = loader.prepared(Path(folder), size)
            how = {"seconds": bench.scale.seconds, "repeats": bench.scale.repeats, "precision": "bfloat16"}
            bench.fresh_peak()
            _, *cells, _ = loader.end_to_end(data, folder, workers=workers, device=bench.device, **how)
            return [*cells, bench.peak()]

        rows.row(f"{workers} workers of the DataLoader", make)
