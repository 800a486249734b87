"""Throughput of the training loop beside a bare forward + backward + step loop of the same net, batch and optimiser.

The loop under test is what a study runs: protocol erm with its random crops and flips, from a set of uint8 images.
The bare loop steps on one batch that is ready. Target: 90 % of it.

    python benchmarks/train.py --seconds 5
"""

import argparse

import torch
import torch.nn.functional as F

from decoct.core.kinds import Task
from decoct.engine.train import TrainingSet, train
from decoct.nets import zoo
from decoct.protocols.erm import ERM
from decoct.run.executors import keep_memory
from yardstick import ratio, table

IMAGES, CLASSES, SIZE, TARGET = 6000, 10, 28, 0.90
WIDTHS = (32, 128)


def loops(width: int, data: TrainingSet):
    """decoct's loop and the bare one, each on a net of its own that started equal."""
    mine, theirs = (zoo.build(f"convnet3_w{width}", 1, CLASSES, SIZE, seed=0) for _ in range(2))
    task = Task(IMAGES, CLASSES, SIZE, flip=True)
    recipe = ERM(steps=1).recipe(task)
    batch = (data.images[: recipe.batch].float() / 255 - 0.5) / 0.25, data.labels[: recipe.batch]

    def ours(steps: int) -> None:
        train(mine, data, ERM(steps=steps).recipe(task), seed=0)

    def bare(steps: int) -> None:
        theirs.train()
        optimiser = torch.optim.AdamW(theirs.parameters(), recipe.lr, weight_decay=recipe.weight_decay, fused=True)
        x, y = batch
        for _ in range(steps):
            loss = F.cross_entropy(theirs(x), y)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()

    return ours, bare, recipe.batch


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=5, help="of one turn")
    arguments.add_argument("--repeats", type=int, default=5, help="turns of each loop")
    arguments.add_argument("--threads", type=int, default=1)
    options = arguments.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, 1, SIZE, SIZE), generator=random, dtype=torch.uint8)
    data = TrainingSet(images, torch.randint(0, CLASSES, (IMAGES,), generator=random), (0.5,), (0.25,))
    rows = []
    for width in WIDTHS:
        ours, bare, batch = loops(width, data)
        mine, theirs, share = ratio(ours, bare, seconds=options.seconds, repeats=options.repeats)
        rows.append([f"ConvNet-3, width {width}", f"{mine * batch:,.0f}", f"{theirs * batch:,.0f}", f"{share:.3f}"])
    print(f"{SIZE} px, batch {batch}, threads: {options.threads}; medians of {options.repeats} turns.\n")
    print(table(["net", "decoct, images/s", "bare loop, images/s", f"ratio (target ≥ {TARGET:.2f})"], rows))


if __name__ == "__main__":
    main()
