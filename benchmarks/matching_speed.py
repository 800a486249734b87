"""A step of DM against the bare forward passes of its real and learnt batches, timed in turns."""

import torch
from torch import Tensor

from decoct.condensers.matching.dm import DM
from decoct.core.budget import Budget
from decoct.core.kinds import Inputs
from decoct.data.dataset import load_data
from decoct.engine.matching import BLOCK, headless
from decoct.nets import zoo
from yardstick import race, table


def speed(ipc: int, seconds: float = 10.0, repeats: int = 5) -> str:
    """Markdown: images a second of both, and the ratio, on Fashion-MNIST at the paper's batch and net."""
    data, method = load_data("fashion_mnist"), DM()
    classes = len(data.class_names)
    net = headless(zoo.build(method.net, 1, classes, data.size, 0)).requires_grad_(False)
    batches = torch.randn(classes, method.batch, *data.shape), torch.randn(classes * ipc, *data.shape)

    def bare(steps: int) -> None:
        for _ in range(steps):
            forward(net, *batches)

    def ours(steps: int) -> None:
        DM(iterations=steps)(Inputs(data, Budget(ipc=ipc)))

    found = race(ours, bare, seconds=seconds, repeats=repeats, warm=1, least=2)
    images = classes * (method.batch + ipc)
    return table(
        ("method", "IPC", "ours, images/s", "bare forward, images/s", "ratio"), [("dm", ipc, *found.cells(images))]
    )


@torch.no_grad()
def forward(net: torch.nn.Module, real: Tensor, made: Tensor) -> None:
    """The net on what is ready: real images class by class in blocks, then the learnt ones."""
    for images in (*real, made):
        for part in images.split(BLOCK):
            net(part)
