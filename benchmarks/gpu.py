"""Everything that a GPU is needed for, in one call: training at 224 px, label teachers, the loader comparison. Minutes.

ResNet-18 at 224 px on 1,000 classes × 10 random uint8 images, bfloat16, channels last, each protocol with its own
recipe, beside a bare loop of the same net, batch, loss and, for soft labels, the same teachers' forward passes
(target: 90 % of it). Then ResNet-18 from JPEG files beside a DataLoader, as benchmarks/loader.py (target: 3 times as
fast as with two workers). Peak memory is what torch had allocated while decoct's loop and the bare one ran. By roofline
is what ``benchmarks/roofline.py`` says of the bare loop.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --device cpu --tiny     the same code on small numbers, where there is no GPU
"""

import argparse
import math
import os
import resource
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch

import loader
from decoct.core.interfaces import Machine, Task, TrainProtocol
from decoct.nets import zoo
from decoct.protocols.erm import ERM
from decoct.protocols.multi_teacher import MultiTeacher
from decoct.protocols.single_teacher import SingleTeacher
from decoct.study.memory import keep_memory
from decoct.training.loop import TrainingSet, train
from roofline import GPUS, Gpu, Roofline
from yardstick import Race, bare_loop, race, table

NET = "resnet18"


@dataclass(frozen=True)
class Scale:
    """How much work: of the benchmark itself, or of a dry run on a CPU."""

    classes: int = 1000
    size: int = 224
    ipc: int = 10
    seconds: float = 5.0
    repeats: int = 5
    warm: int = 10
    least: int = 10
    files: tuple[int, int] = (224, 100)  # the loader's size in pixels and images a class


TINY = Scale(classes=4, size=72, ipc=2, seconds=0.1, repeats=1, warm=1, least=1, files=(64, 10))


def random_set(scale: Scale, device: str) -> TrainingSet:
    """Random uint8 images in the device's memory: a training moves them once, which a turn is too short to pay for."""
    random = torch.Generator().manual_seed(0)
    shape = (scale.classes * scale.ipc, 3, scale.size, scale.size)
    pixels = torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)
    labels = torch.arange(scale.classes).repeat(scale.ipc)
    return TrainingSet(pixels.to(device), labels.to(device), (0.5,) * 3, (0.25,) * 3)


def raced(
    protocol: TrainProtocol, data: TrainingSet, scale: Scale, device: str, compiled: bool
) -> tuple[int, Race, float]:
    """Batch, decoct's loop under a protocol against the bare one, each on a net of its own; what the roofline says."""
    names = [zoo.resolve(name, scale.size) for name in protocol.label_teachers(scale.size)]
    teachers = [zoo.build(name, 3, scale.classes, scale.size, seed=1).to(device).eval() for name in names]
    mine, theirs = (zoo.build(NET, 3, scale.classes, scale.size, seed=0).to(device) for _ in range(2))
    recipe = protocol.recipe(Task(len(data.labels), scale.classes, scale.size, flip=True))
    images, labels = (data.images[: recipe.batch].float() / 255 - 0.5) / 0.25, data.labels[: recipe.batch]

    def ours(steps: int) -> None:
        machine = Machine(device, "bfloat16", compiled)
        train(mine, data, replace(recipe, steps=steps), seed=0, machine=machine, teachers=teachers)

    timing = {"seconds": scale.seconds, "repeats": scale.repeats, "warm": scale.warm, "least": scale.least}
    bare = bare_loop(theirs, images, labels, recipe, teachers=teachers, precision="bfloat16", compiled=compiled)
    found = race(ours, bare, **timing)
    if compiled:
        return recipe.batch, found, math.nan
    with Roofline(roof_of(device)) as roof:
        bare(1)
    return recipe.batch, found, recipe.batch / roof.seconds


def roof_of(device: str) -> Gpu:
    """The GPU that is here, as its maker describes it; an H100 where none or an unknown one is."""
    name = torch.cuda.get_device_name().replace(" ", "").lower() if device == "cuda" else ""
    return next((gpu for key, gpu in GPUS.items() if key.partition("_")[0] in name), GPUS["h100"])


def training(scale: Scale, device: str) -> list[list[object]]:
    """Rows: each protocol, hard labels with and without compilation."""
    data, rows = random_set(scale, device), []
    cases = {
        "`erm`": (ERM(), False),
        "`erm`, compiled": (ERM(), True),
        "`single_teacher`": (SingleTeacher(), False),
        "`multi_teacher`": (MultiTeacher(), False),
    }
    for name, (protocol, compiled) in cases.items():
        fresh_peak(device)
        batch, found, roof = raced(protocol, data, scale, device, compiled)
        teachers = ", ".join(zoo.resolve(one, scale.size) for one in protocol.label_teachers(scale.size))
        rows.append([name, teachers or "none", batch, *found.cells(batch), "≥ 0.90", f"{roof:,.0f}", peak(device)])
        torch.compiler.reset()
    return rows


def from_files(scale: Scale, device: str, workers: list[int]) -> list[list[object]]:
    """Rows: the loader comparison end to end, by workers of the DataLoader."""
    size, train_files = scale.files
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "images")
        loader.make(folder, {"train": train_files, "val": 1, "test": 1})
        data, _ = loader.prepared(folder, size)
        rows = []
        for count in workers:
            fresh_peak(device)
            target = "≥ 3" if count == 2 else ""
            timing = {"seconds": scale.seconds, "repeats": scale.repeats, "precision": "bfloat16", "target": target}
            row = loader.end_to_end(data, folder, workers=count, device=device, **timing)
            rows.append([row[0], count, *row[1:], peak(device)])
        return rows


def fresh_peak(device: str) -> None:
    """Count the peak from here."""
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak(device: str) -> str:
    """Gigabytes: of the device since ``fresh_peak``, or of this process on a CPU."""
    if device == "cuda":
        return f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9:.1f} GB of the process"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    arguments.add_argument("--tiny", action="store_true", help="small numbers: a dry run, its figures mean nothing")
    options = arguments.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "no GPU: torch.cuda is not available here, so there is nothing to measure\n"
            "run it on a machine with a GPU and a CUDA build of torch, or try the code with --device cpu --tiny",
            file=sys.stderr,
        )
        sys.exit(1)
    keep_memory()
    scale = TINY if options.tiny else Scale()
    where = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    print(
        f"{where}, {cores} cores, torch {torch.__version__}.{' A dry run: the figures mean nothing.' * options.tiny}\n"
    )
    how = f"`{NET}`, {scale.size} px, {scale.classes:,} classes × IPC {scale.ipc}, bfloat16, channels last"
    print(f"{how}; medians of {scale.repeats} turns.\n")
    ratio = "ratio (lowest to highest)"
    head = ["protocol", "teachers", "batch", "decoct, images/s", "bare loop, images/s", ratio, "target"]
    head += ["by roofline, images/s", "peak memory"]
    print(table(head, training(scale, options.device)), flush=True)
    print(f"\n{loader.CLASSES * scale.files[1]:,} JPEG files of {loader.PIXELS} px, end to end, bfloat16.\n")
    head = ["", "workers of the DataLoader", *loader.HEAD, ratio, "target", "peak memory"]
    print(table(head, from_files(scale, options.device, sorted({2, min(cores, 16)}))), flush=True)


if __name__ == "__main__":
    main()
