"""CIM's residuals of one class; its constants of CIFAR are those of Fashion-MNIST here."""

import random
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decoct.core.seeds import seed as seeded
from decoct.data.augment import dsa
from decoct.data.pixels import Pixels
from decoct.methods.decoupled import cim
from decoct.methods.decoupled.cim import CIM
from originals.beside import AFTER, Agreement, Step, compare, in_turn, watched
from originals.data import double, fashion, in_double, inputs, teacher
from originals.trees import DoneError, on_cpu, program, recorded, replaced

REPOSITORY = "LINs-lab/CIM"
PROGRAM = "condense/condense.py"
SETTING = "Fashion-MNIST, convnet3_bn_w32, the ten images of one class, chosen among 300"
NET, IPC = "convnet3_bn_w32", 10
OURS: dict[str, Any] = {"name": "cim", "teacher": NET, "iterations": 50}
HOW = Namespace(
    **{"dataset": "cifar10", "model": "conv3", "factor": 2, "ipc": IPC, "mipc": 300, "workers": 0, "depth": -1},
    dsa_strategy="crop_cutout_flip",
)


def agree(tree: Path) -> Agreement:
    """Both from the candidates and with the flips, crops and cutouts that decoct draws."""
    steps, shape = max(AFTER) + 1, fashion().shape
    with in_double(), recorded(dsa, "draw") as drawn, recorded(cim, "mosaic") as mosaics, watched(shape=shape) as ours:
        CIM(teacher="net", iterations=steps)(inputs({"net": double(teacher(NET))}, IPC, classes=1))
    rng = np.random.default_rng(seeded(0, "cim", "candidates", 0))
    rows = rng.permutation(np.flatnonzero(fashion().train.labels == 0))[: HOW.mipc]
    side, (coins, numbers) = (shape[-1] + 1) // 2, ([], [])
    for flip, crop, cutout in zip(*(drawn[i::3] for i in range(3)), strict=True):
        coins.append(0.0 if bool(flip.values) else 0.9)
        centre = cutout.values[0, :2] + side // 2
        numbers += [0, *crop.values[0].tolist(), *centre.tolist()]  # 0: which of the one kind that is drawn from
    draws = replaced(np.random, uniform=in_turn(coins), randint=in_turn(numbers))
    with in_double(), watched(shape=shape) as theirs, draws:
        _, start = run(tree, double(teacher(NET)), [rows], steps)
    return Agreement(compare(on(mosaics[0] / 255, ours), on(start, theirs)))


def on(start: Tensor, steps: Sequence[Step]) -> list[Step]:
    """Steps of residuals as those of the images that they are added to."""
    return [replace(step, images=start + step.images) for step in steps]


def make(tree: Path, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Ten images of each class, of random candidates, clamped to what a picture holds."""
    random.seed(seed)
    np.random.seed(seed)
    labels = fashion().train.labels
    rows = [np.array(random.sample(np.flatnonzero(labels == c).tolist(), HOW.mipc)) for c in range(10)]
    made, _ = run(tree, teacher(NET), rows, OURS["iterations"])
    return made.clamp(0, 1).numpy().astype(np.float32), np.repeat(np.arange(10), IPC)


def run(tree: Path, net: nn.Module, rows: Sequence[NDArray[np.int64]], iterations: int) -> tuple[Tensor, Tensor]:
    """Images of some classes by the authors' program and their start, from these candidates of each.

    Both are [n, 1, 28, 28], of any range around 0 to 1.
    """
    scale, made, zeros, kind = Pixels.of(fashion(), "cpu"), [], torch.zeros, torch.get_default_dtype()

    class Candidates(list[Any]):
        nclass = len(rows)

    images = fashion().train.images
    found = Candidates((torch.tensor(images[row], dtype=kind) / 255, c) for c, of in enumerate(rows) for row in of)

    def grey(*size: Any, **rest: Any) -> Tensor:  # the program's mosaics have three channels and 32 bits
        if len(size) == 1 and tuple(size[0])[1:] == (3, *fashion().shape[1:]):
            return zeros((size[0][0], *fashion().shape), **(rest | {"dtype": kind}))
        return zeros(*size, **rest)

    def save(what: dict[str, Tensor], _: str) -> None:
        made.append(what["data"])
        raise DoneError  # what follows writes pictures of them

    ours = {
        "load_dataset": lambda **_: found,
        "load_model": lambda **_: net,
        "load_normalize": lambda _: lambda x: scale.normalise(255 * x),
    }
    stubs = {name: ModuleType(name) for name in ("cv2", "lmdb", "matplotlib", "matplotlib.pyplot", "condense")}
    stubs["matplotlib"].use = lambda kind: None  # type: ignore[attr-defined]
    stubs["condense"].__path__ = [str((tree / PROGRAM).parent)]  # the folder, which a file in it hides
    temporary, loaded = tempfile.TemporaryDirectory(), program(tree / PROGRAM, tree, **stubs)
    with temporary as folder, on_cpu(), redirect_stdout(StringIO()), loaded as theirs, replaced(theirs, **ours):
        how = SimpleNamespace(**vars(HOW), niter=iterations, save_dir=folder)
        with replaced(torch, zeros=grey, save=save), recorded(theirs, "mix_images") as starts, suppress(DoneError):
            theirs.condense(how, lambda said: None, "cpu")
    return made[0], torch.cat([start.detach() for start in starts])
