"""What one graph an iteration is worth: SRe2L's iterations through ``torch.compile`` beside the same without, in turns.

    python benchmarks/graphs.py [--seconds 20]

Operations are what PyTorch calls in an iteration as it is; kernels are what is left of them in the graph, beside the
convolutions and products of matrices, which libraries compute in both. On a GPU each is a launch. *Apart* is the
difference of both gradients of an image over the norm of one, after the first iteration: the median, and how many
images are above 1e-5, such as where a ReLU's input near 0 is rounded to the other side.
"""

import argparse
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from decoct.core.budget import Budget
from decoct.core.interfaces import Inputs
from decoct.data.pixels import Pixels
from decoct.methods.decoupled._shared.invert import Views, frozen
from decoct.methods.decoupled._shared.recovery import Workpiece
from decoct.methods.decoupled.sre2l import SRe2L
from decoct.nets import zoo
from decoct.nets.layout import laid_out
from yardstick import Loop, race, table

CASES = (("convnet3_bn", 28, 1, 10, 10), ("resnet10t", 28, 1, 10, 10), ("resnet18", 64, 3, 10, 5))
LIBRARIES = ("aten.convolution", "aten.mm", "aten.addmm", "aten.bmm")


class Counted(TorchDispatchMode):
    """Counts operations that compute, and those of them that a library computes."""

    def __init__(self) -> None:
        super().__init__()
        self.all = self.libraries = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        view = all(each.alias_info is not None and not each.alias_info.is_write for each in func._schema.returns)
        self.all += not (view and func._schema.returns)
        self.libraries += str(func).startswith(LIBRARIES)
        return func(*args, **kwargs or {})


def given(net: str, size: int, channels: int, classes: int, ipc: int) -> Inputs:
    """A net with its own start and statistics, and data of which nothing but the shape counts."""
    judge = laid_out(zoo.build(net, channels, classes, size, seed=0)).eval().requires_grad_(False)
    rng = np.random.default_rng(0)
    for module in judge.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.copy_(torch.from_numpy(rng.normal(0, 0.3, module.num_features)))
            module.running_var.copy_(torch.from_numpy(rng.uniform(0.5, 2, module.num_features)))
    data = SimpleNamespace(
        train=SimpleNamespace(labels=np.repeat(np.arange(classes), ipc)),
        class_names=tuple(map(str, range(classes))),
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        flip=True,
        shape=(channels, size, size),
        size=size,
    )
    return Inputs(data, Budget(ipc=ipc), teachers={"teacher": judge})  # type: ignore[arg-type]


def iterations(inputs: Inputs, compiled: bool) -> tuple[Loop, Tensor]:
    """So many iterations, gradient and Adam included, and the images."""
    spec = SRe2L(preset="small").at(inputs.data.size)
    blocks = spec.blocks(range(len(inputs.data.class_names)), inputs.ipc(spec.name))
    work = Workpiece(spec, inputs, Pixels.of(inputs.data, "cpu"), lambda c: None, blocks, 0, 1, compiled)
    rng = torch.Generator().manual_seed(0)
    images = torch.randn(work.groups, len(blocks[0]), *inputs.data.shape, generator=rng).requires_grad_()
    views = Views.draw([rng] * work.groups, 64, inputs.data.size, scale=(0.5, 1), flip=True, jitter=4, device="cpu")
    optimiser = torch.optim.Adam([images], 0.25, betas=(0.5, 0.9))

    def loop(steps: int) -> None:
        with frozen(inputs.teachers["teacher"]), work.alignments["teacher"].watching():
            for t in range(steps):
                terms = work.terms(images, views.at(t % 64), work.labels.flatten(), t)
                optimiser.zero_grad(set_to_none=True)
                (terms["ce"] + 0.01 * terms["bn_loss"]).sum().backward()
                optimiser.step()

    return loop, images


def row(case: tuple[str, int, int, int, int], seconds: float, repeats: int) -> list[object]:
    """A net's."""
    import torch._inductor.metrics as made

    inputs = given(*case)
    bare, plain = iterations(inputs, False)
    with Counted() as counted:
        bare(1)
    torch.compiler.reset()
    made.reset()
    begin = time.perf_counter()
    ours, images = iterations(replace(inputs, compiled=True), True)
    ours(1)
    took = time.perf_counter() - begin
    made_grad, plain_grad = (each.grad.flatten(0, 1).flatten(1) for each in (images, plain))  # type: ignore[union-attr]
    apart = (made_grad - plain_grad).norm(dim=1) / plain_grad.norm(dim=1)
    found = race(ours, bare, seconds=seconds, repeats=repeats)
    net, size, *_ = case
    return [
        f"{net}, {size} px, {images.flatten(0, 1).shape[0]} images",
        counted.all,
        f"{made.generated_kernel_count} and {counted.libraries}",
        f"{apart.median():.1e}; {int((apart > 1e-5).sum())}",
        f"{took:.0f} s",
        f"{1000 / found.bare:,.0f} ms",
        f"{found.ratio:.2f} ({found.lowest:.2f} to {found.highest:.2f})",
    ]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=float, default=20.0, help="of a turn of each")
    asked.add_argument("--repeats", type=int, default=3)
    chosen = asked.parse_args()
    heads = ["", "operations", "kernels and library calls", "apart; images above 1e-5", "to compile", "an iteration"]
    print(table([*heads, "times as fast"], [row(case, chosen.seconds, chosen.repeats) for case in CASES]))


if __name__ == "__main__":
    main()
