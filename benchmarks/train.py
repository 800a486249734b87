"""Throughput of the training loop beside a bare forward + backward + step loop of the same net, batch and optimiser.

The loop under test is what a study runs: protocol erm with its batch rule, random crops and flips, from a set of uint8
images. The bare loop steps on one batch that is ready: no data, no augmentation; precision, layout and compilation are
the same. Target: 90 % of it.

    python benchmarks/train.py --seconds 3
"""

import argparse
import os

import torch

from decoct.core.interfaces import Machine, Task
from decoct.nets import zoo
from decoct.nets.layout import has_batch_norm
from decoct.protocols.erm import ERM
from decoct.study.memory import keep_memory
from decoct.training.loop import TrainingSet, train
from yardstick import Race, bare_loop, race, table

TARGET, CLASSES = 0.90, 10
ROWS = {  # channels, size, training images
    "convnet3_w32": (1, 28, 6000),
    "convnet3_w128": (1, 28, 6000),
    "resnet18": (3, 64, 100),
    "mobilenetv3_small_050": (3, 224, 100),
}


def measured(name: str, seconds: float, repeats: int, precision: str, compiled: bool) -> tuple[int, Race]:
    """Batch, and decoct's loop against the bare one, each on a net of its own that started equal."""
    channels, size, images = ROWS[name]
    mine, theirs = (zoo.build(name, channels, CLASSES, size, seed=0) for _ in range(2))
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, channels, size, size), generator=random, dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, (images,), generator=random)
    data = TrainingSet(pixels, labels, (0.5,) * channels, (0.25,) * channels)
    task = Task(images, CLASSES, size, flip=True, batch_norm=has_batch_norm(mine))
    recipe = ERM(steps=1).recipe(task)
    first = (pixels[: recipe.batch].float() / 255 - 0.5) / 0.25, labels[: recipe.batch]
    bare = bare_loop(theirs, *first, recipe, precision=precision, compiled=compiled)

    def ours(steps: int) -> None:
        train(
            mine, data, ERM(steps=steps).recipe(task), seed=0, machine=Machine(precision=precision, compiled=compiled)
        )

    return recipe.batch, race(ours, bare, seconds=seconds, repeats=repeats, warm=3, least=5)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--nets", nargs="+", choices=ROWS, default=list(ROWS))
    arguments.add_argument("--seconds", type=float, default=3, help="of one turn")
    arguments.add_argument("--repeats", type=int, default=5, help="turns of each loop")
    arguments.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    arguments.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    arguments.add_argument("--compile", action="store_true")
    options = arguments.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    rows = []
    for name in options.nets:
        batch, found = measured(name, options.seconds, options.repeats, options.precision, options.compile)
        rows.append([f"`{name}`", f"{ROWS[name][1]} px", batch, *found.cells(batch)])
    how = f"{options.precision}{', compiled' if options.compile else ''}; threads: {options.threads}"
    print(f"{how}; medians of {options.repeats} turns, the ratio's with its lowest and highest.\n")
    print(table(["net", "size", "batch", "decoct, images/s", "bare loop, images/s", f"ratio (≥ {TARGET:.2f})"], rows))


if __name__ == "__main__":
    main()
