"""A training step in bfloat16 on a processor: as decoct takes it, as torch alone does, and in float32.

Where the processor has instructions for bfloat16, the first two are the same.

    python benchmarks/products.py --seconds 10
"""

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decoct.nets import zoo
from decoct.nets.layout import as_input, laid_out
from decoct.nets.precision import NATIVE, autocast
from decoct.study.memory import keep_memory
from yardstick import Loop, Race, race, table

# Nets with the channels and the side of their images, and the batch.
STEPS = {
    "convnet3_w32": (1, 28, 64),
    "convnet3_bn": (1, 28, 32),
    "resnet18": (3, 64, 2),
    "vit_tiny_patch16_224": (3, 224, 4),
}
CLASSES = 10


def loop(net: nn.Module, images: Tensor, labels: Tensor, precision: Callable[[], AbstractContextManager[None]]) -> Loop:
    """Forward passes in a precision, and backward passes."""

    def run(steps: int) -> None:
        for _ in range(steps):
            with precision():
                logits = net(as_input(images, net))
            F.cross_entropy(logits.float(), labels).backward()
            net.zero_grad()

    return run


def spread(seen: Race) -> str:
    """How many times as fast."""
    return f"{seen.ratio:.2f} ({seen.lowest:.2f} to {seen.highest:.2f})"


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=3, help="of one turn")
    arguments.add_argument("--repeats", type=int, default=3, help="turns of each loop")
    options = arguments.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    draw, rows = torch.Generator().manual_seed(0), []
    for name, (channels, side, batch) in STEPS.items():
        net = laid_out(zoo.build(name, channels, CLASSES, side, 0))
        images, labels = torch.randn(batch, channels, side, side, generator=draw), torch.arange(batch) % CLASSES
        half = [lambda: autocast("cpu", "bfloat16"), lambda: torch.autocast("cpu", torch.bfloat16), nullcontext]
        ours, torchs, full = (loop(net, images, labels, each) for each in half)
        how = {"seconds": options.seconds, "repeats": options.repeats, "warm": 1, "least": 2}
        beside, against = race(ours, torchs, **how), race(ours, full, **how)
        milliseconds = (f"{1000 / rate:,.0f}" for rate in (beside.ours, beside.bare, against.bare))
        rows.append([f"{name}, {side} px, {batch} images", *milliseconds, spread(beside), spread(against)])
    print(f"Instructions for bfloat16: {'yes' if NATIVE else 'no'}. One thread; milliseconds a step.\n")
    print(table(["", "ours", "torch's", "float32", "torch's / ours", "float32 / ours"], rows))


if __name__ == "__main__":
    main()
