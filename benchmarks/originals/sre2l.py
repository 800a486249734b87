"""SRe2L's recovery for ImageNet-1K; its constants of ImageNet are those of Fashion-MNIST here."""

import random
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision import transforms

from decoct.data.pixels import Pixels
from decoct.methods.decoupled._shared.invert import Views
from decoct.methods.decoupled.sre2l import SRe2L
from originals.beside import AFTER, Agreement, compare, doubled, in_turn, seen_as, watched
from originals.data import double, fashion, inputs, teacher
from originals.trees import DoneError, on_cpu, program, recorded, replaced

REPOSITORY = "VILA-Lab/SRe2L"
PROGRAM = "SRe2L/recover/data_synthesis.py"
SETTING = "Fashion-MNIST, convnet3_bn_w32, a block of one image of each class"
OURS = {
    **{"name": "sre2l", "preset": "small", "nets": ["convnet3_bn_w32"]},
    **{"scale": [0.08, 1.0], "jitter": 4, "iterations": 300},
}
HOW = Namespace(
    **{"batch_size": 10, "lr": 0.25, "jitter": 4, "r_bn": 0.01, "first_bn_multiplier": 10.0},
    **{"tv_l2": 0.0, "l2_scale": 0.0, "store_best_images": True},
)


def agree(tree: Path) -> Agreement:
    """Both from the noise and with the crops, mirrors and rolls that decoct draws."""
    steps, shape = max(AFTER) + 1, fashion().shape
    spec = SRe2L(preset="small", nets=("net",), scale=(0.08, 1.0), iterations=steps)
    with doubled(), recorded(Views, "draw") as views, watched(shape=shape) as ours:
        spec(inputs({"net": double(teacher())}))
    with doubled(), watched(shape=shape) as theirs, seen_as(views[0]):
        run(tree, double(teacher()), in_turn([ours[0].images[0]]), steps)
    return Agreement(compare(ours, theirs))


def make(tree: Path, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Ten images of each class, truncated to 8 bits as the program does, without its JPEG."""
    random.seed(seed)
    rng = torch.random.default_generator.manual_seed(seed)
    images = [run(tree, teacher(), lambda: torch.empty(10, *fashion().shape).normal_(generator=rng)) for _ in range(10)]
    return np.concatenate(images), np.tile(np.arange(10), 10)


def run(tree: Path, net: nn.Module, start: Callable[[], Tensor], iterations: int = 300) -> NDArray[np.uint8]:
    """One image of each class by the authors' program, uint8 [10, 1, 28, 28]."""
    scale, made = Pixels.of(fashion(), "cpu"), []
    crop = transforms.RandomResizedCrop

    def save(how: Any, images: Tensor, *_: Any) -> None:
        made.append((images.numpy() * 255).astype(np.uint8))
        raise DoneError  # behind the first block: the program goes on to classes that Fashion-MNIST lacks

    ours = {
        "clip": lambda x: x.clamp(scale.low, scale.high),
        "denormalize": lambda x: ((x * scale.std + scale.mean) / 255).clamp(0, 1),
        "save_images": save,
    }
    how = Namespace(**vars(HOW), iteration=iterations)
    sizes = replaced(transforms, RandomResizedCrop=lambda size: crop(fashion().size, antialias=True))
    noise = replaced(torch, randn=lambda *_, **__: start().detach().clone().requires_grad_())
    with on_cpu(), program(tree / PROGRAM) as theirs, replaced(theirs, **ours), sizes, noise, suppress(DoneError):
        theirs.get_images(how, net, None, 0)
    return made[0]
