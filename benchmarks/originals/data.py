"""Fashion-MNIST and nets that both programs are given: each net is trained once and kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from decoct import api
from decoct.core.budget import Budget
from decoct.core.interfaces import Inputs
from decoct.data.dataset import Dataset, load_data
from decoct.data.pixels import Pixels
from decoct.needs.teacher import Teach, load_teacher
from originals.beside import doubled
from originals.trees import replaced

EPOCHS = 2  # of a teacher that both sides invert


@cache
def fashion() -> Dataset:
    """The data."""
    return load_data("fashion_mnist")


def teacher(net: str = "convnet3_bn_w32") -> nn.Module:
    """A net of Fashion-MNIST in eval mode, a copy each time: the authors' hooks stay on it."""
    return deepcopy(_teacher(net))


@cache
def _teacher(net: str) -> nn.Module:
    """Trained once, in float32 whatever the default is now; its weights stay in the user's cache."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        cell = api.teach(Teach(net=net, epochs=EPOCHS), fashion())["folder"]
        return load_teacher(Path(cell), fashion(), "cpu").eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(default)


def double(net: nn.Module) -> nn.Module:
    """A copy in float64, whatever its input is."""
    copied = deepcopy(net).double()
    copied.register_forward_pre_hook(lambda _, args: (args[0].double(), *args[1:]))
    return copied


def inputs(nets: dict[str, nn.Module], ipc: int = 1, seed: int = 0, classes: int = 10, **facts: Any) -> Inputs:
    """What a condenser of decoct is given here; ``facts`` of the data set, such as ``flip``, are put in place."""
    return Inputs(replace(fashion(), **facts), Budget(ipc=ipc), seed, teachers=nets, classes=tuple(range(classes)))


def normalised(images: torch.Tensor) -> torch.Tensor:
    """[n, 1, 28, 28] from 0 to 255, normalised as both programs see it."""
    data = fashion()
    return (images.float() / 255 - data.mean[0]) / data.std[0]


@contextmanager
def in_double() -> Iterator[None]:
    """``doubled``, and decoct reads pixels as float64 as well: for sets that start at real images."""
    of = Pixels.of.__func__  # type: ignore[attr-defined]

    def made(cls: type[Pixels], data: Any, device: str) -> Pixels:
        scale = of(cls, data, device)
        return cls(scale.mean.double(), scale.std.double())

    load = lambda self, images: torch.as_tensor(images).double()  # noqa: E731
    with doubled(), replaced(Pixels, of=classmethod(made), load=load):
        yield
