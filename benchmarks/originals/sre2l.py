"""SRe2L's recovery for CIFAR, whose only view is a roll; its constants of CIFAR are those of Fashion-MNIST here."""

import random
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decoct.data.pixels import Pixels
from decoct.methods.decoupled._shared.invert import Views
from decoct.methods.decoupled.sre2l import SRe2L
from originals.beside import AFTER, Agreement, compare, doubled, in_turn, watched
from originals.data import double, fashion, inputs, teacher
from originals.trees import DoneError, on_cpu, program, recorded, replaced

REPOSITORY = "VILA-Lab/SRe2L"
PROGRAM = "SRe2L/*small_dataset/recover_cifar.py"
SETTING = "Fashion-MNIST, convnet3_bn_w32, a block of one image of each class, no mirror, no crop, rolls up to 4 px"
OURS = {"name": "sre2l", "preset": "small", "nets": ["convnet3_bn_w32"], "scale": [1.0, 1.0], "iterations": 300}
HOW = Namespace(batch_size=10, lr=0.25, jitter=4, r_bn=0.01, first_bn_multiplier=10.0, verifier=False)


def agree(tree: Path) -> Agreement:
    """Both from the noise and with the rolls that decoct draws."""
    steps = max(AFTER) + 1
    spec = SRe2L(preset="small", nets=("net",), scale=(1.0, 1.0), iterations=steps)
    with doubled(), recorded(Views, "draw") as views, watched(shape=fashion().shape) as ours:
        spec(inputs({"net": double(teacher())}, flip=False))
    with doubled(), watched(shape=fashion().shape) as theirs:
        rolls = in_turn(views[0].rolls[:, 0].flatten().tolist())
        run(tree, double(teacher()), in_turn([ours[0].images[0]]), rolls, steps)
    return Agreement(compare(ours, theirs))


def make(tree: Path, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Ten images of each class, truncated to 8 bits as the program does, without its JPEG."""
    random.seed(seed)
    rng = torch.Generator().manual_seed(seed)
    start = lambda *_, **__: torch.randn(10, *fashion().shape, generator=rng)  # noqa: E731
    images = [run(tree, teacher(), start, random.randint, OURS["iterations"]) for _ in range(10)]
    return np.concatenate(images), np.tile(np.arange(10), 10)


def run(
    tree: Path, net: nn.Module, start: Callable[..., Tensor], roll: Callable[..., int], iterations: int
) -> NDArray[np.uint8]:
    """One image of each class by the authors' program, uint8 [10, 1, 28, 28]."""
    scale, made = Pixels.of(fashion(), "cpu"), []

    def save(how: Any, images: Tensor, *_: Any) -> None:
        made.append((images.numpy() * 255).astype(np.uint8))
        raise DoneError  # behind the first block: the program goes on to classes that Fashion-MNIST lacks

    ours = {
        "clip_cifar": lambda x: x.clamp(scale.low, scale.high),
        "denormalize_cifar": lambda x: ((x * scale.std + scale.mean) / 255).clamp(0, 1),
        "save_images": save,
    }
    how = Namespace(**vars(HOW), iteration=iterations, store_best_images=True)
    with on_cpu(), program(tree / PROGRAM) as theirs, replaced(theirs, **ours):
        randn = replaced(torch, randn=lambda *a, **k: start(*a, **k).detach().clone().requires_grad_())
        with randn, replaced(random, randint=roll):
            try:
                theirs.get_images(how, net, None, 0)
            except DoneError:
                pass
    return made[0]
