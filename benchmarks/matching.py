"""A step of DM against the bare forward passes of its real and learnt batches, one after the other in one run.

python benchmarks/matching.py
"""

import time
from statistics import median

import torch
from torch import Tensor

from decoct.core.budget import Budget
from decoct.core.interfaces import Inputs
from decoct.data.dataset import load_data
from decoct.methods.matching._shared.synthetic import BLOCK
from decoct.methods.matching.dm import DM, headless
from decoct.nets import zoo
from yardstick import table


def speed(ipc: int, steps: int = 15) -> str:
    """Markdown: images a processor second of both, and bare ÷ step, on Fashion-MNIST at the paper's batch and net.

    The processor's time is what counts, on one thread, so that it matters little what else the machine does.
    """
    data, method = load_data("fashion_mnist"), DM(iterations=steps + 1)
    classes = len(data.class_names)
    net = headless(zoo.build(method.net, 1, classes, data.size, 0)).requires_grad_(False)
    batches = torch.randn(classes, method.batch, *data.shape), torch.randn(classes * ipc, *data.shape)
    ours: list[float] = []
    bare: list[float] = []
    begun = time.process_time()

    def between(done: int, total: int) -> None:
        nonlocal begun
        ended = time.process_time()
        forward(net, *batches)
        if done > 1:  # the first step also fills caches
            ours.append(ended - begun)
            bare.append(time.process_time() - ended)
        begun = time.process_time()

    method(Inputs(data, Budget(ipc=ipc), progress=between))
    ratios = [b / o for b, o in zip(bare, ours, strict=True)]
    images = classes * (method.batch + ipc)
    spread = f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
    cells = ("dm", ipc, f"{images / median(ours):,.0f}", f"{images / median(bare):,.0f}", spread)
    return table(("method", "IPC", "step, images/s", "bare forward, images/s", "bare ÷ step"), [cells])


@torch.no_grad()
def forward(net: torch.nn.Module, real: Tensor, made: Tensor) -> None:
    """The net on what is ready: real images class by class in blocks, then the learnt ones."""
    for images in (*real, made):
        for part in images.split(BLOCK):
            net(part)


if __name__ == "__main__":
    print(speed(ipc=10))
