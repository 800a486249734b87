"""Students a second: K replicates of a small net trained together, beside the same K trained one by one.

ConvNet-3 of width 32 on 10 random images a class of 28 px, ten classes, protocol erm with its batch rule; every student
has a set, weights, order and crops of its own. Both ways start from sets and nets that are ready; a student is so many
steps (``--steps``; a study's are 300 epochs of 7). Both take turns, in an order that changes, and the ratio of each
turn is the time one by one over the time together: above 1, training together pays.

    python benchmarks/together.py --device cuda
    python benchmarks/together.py --steps 60 --threads 1
"""

import argparse
import copy
import os
import sys
from statistics import median

import torch

from decoct.core.kinds import Task
from decoct.engine.recipe import Recipe
from decoct.engine.together import Pupil, train_together
from decoct.engine.train import TrainingSet, train
from decoct.nets import zoo
from decoct.protocols.erm import ERM
from decoct.run.memory import keep_memory
from yardstick import clock, table

NET, CLASSES, IPC, SIZE = "convnet3_w32", 10, 10, 28
HEAD = ["K", "batch", "together, students/s", "one by one, students/s", "ratio (lowest to highest)"]


def pupils(count: int, net: str, device: str) -> list[Pupil]:
    """Students with weights, sets and seeds of their own, their sets on the device."""
    made = []
    for seed in range(count):
        random = torch.Generator().manual_seed(seed)
        pixels = torch.randint(0, 256, (CLASSES * IPC, 1, SIZE, SIZE), generator=random, dtype=torch.uint8)
        data = TrainingSet(pixels.to(device), torch.arange(CLASSES).repeat(IPC).to(device), (0.5,), (0.25,))
        made.append(Pupil(zoo.build(net, 1, CLASSES, SIZE, seed).to(device), data, seed))
    return made


def compared(count: int, net: str, recipe: Recipe, device: str, repeats: int) -> list[object]:
    """A row: K students together and one by one, in turns."""
    start = pupils(count, net, device)

    def fresh() -> list[Pupil]:
        return [Pupil(copy.deepcopy(one.student), one.data, one.seed) for one in start]

    def at_once(_: int) -> None:
        train_together(fresh(), recipe, device=device)

    def alone(_: int) -> None:
        for one in fresh():
            train(one.student, one.data, recipe, seed=one.seed, device=device)

    at_once(1), alone(1)  # the first calls choose kernels and fill caches
    turns = []
    for turn in range(repeats):
        first, second = (at_once, alone) if turn % 2 else (alone, at_once)
        took = {first: clock(first, 1), second: clock(second, 1)}
        turns.append((took[at_once], took[alone]))
    ours, theirs = (count / median(column) for column in zip(*turns, strict=True))
    ratios = [theirs / ours for ours, theirs in turns]
    return [
        count,
        recipe.batch,
        f"{ours:.3g}",
        f"{theirs:.3g}",
        f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
    ]


def rows(counts: list[int], net: str, steps: int, device: str, repeats: int) -> list[list[object]]:
    """Rows by K."""
    recipe = ERM(steps=steps).recipe(Task(CLASSES * IPC, CLASSES, SIZE, flip=True, batch_norm="_bn" in net))
    return [compared(count, net, recipe, device, repeats) for count in counts]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--device", choices=["cuda", "cpu"], default="cpu")
    arguments.add_argument("--nets", nargs="+", default=[NET], help="such as convnet3_bn_w32")
    arguments.add_argument("--counts", nargs="+", type=int, default=[1, 2, 4, 8], metavar="K")
    arguments.add_argument("--steps", type=int, default=300, help="of one student")
    arguments.add_argument("--repeats", type=int, default=5, help="turns of each way")
    arguments.add_argument("--threads", type=int, default=1, help="on a CPU")
    options = arguments.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU: torch.cuda is not available here; leave out --device cuda", file=sys.stderr)
        sys.exit(1)
    keep_memory()
    torch.set_num_threads(options.threads)
    where = f"threads: {options.threads} of {os.cpu_count()}"
    if options.device == "cuda":
        where = torch.cuda.get_device_name()
    for net in options.nets:
        print(f"`{net}`, {options.steps} steps a student, float32; {where}; medians of {options.repeats} turns.\n")
        print(table(HEAD, rows(options.counts, net, options.steps, options.device, options.repeats)), flush=True)
        print()


if __name__ == "__main__":
    main()
