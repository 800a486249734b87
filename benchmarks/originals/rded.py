"""RDED's choice of crops and its mosaics; its constants of ImageNet are those of Fashion-MNIST here."""

import random
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision import transforms
from torchvision.models._api import WeightsEnum

from decoct.data.pixels import Pixels
from decoct.methods._shared import starts
from decoct.methods.decoupled.rded import RDED
from originals.beside import Agreement, At, in_turn
from originals.data import double, fashion, in_double, inputs, teacher
from originals.trees import on_cpu, program, recorded, replaced

REPOSITORY = "LINs-lab/RDED"
PROGRAM = "synthesize/main.py"
SETTING = "Fashion-MNIST, convnet3_bn_w32, 300 images of each of three classes, 5 crops of each, factor 2"
NET, IPC, FEW = "convnet3_bn_w32", 10, 3
OURS: dict[str, Any] = {"name": "rded", "teacher": NET, "factor": 2}
HOW: dict[str, Any] = {
    **{"ipc": IPC, "mipc": 300, "num_crop": 5, "factor": 2},
    **{"workers": 0, "train_dir": "", "syn_data_path": ""},
}


def agree(tree: Path) -> Agreement:
    """Both on the images and boxes that decoct draws; there are no iterations, so scores stand in the loss's place."""
    net, drawn = double(teacher(NET)), []
    score = starts.scored

    def noted(judge: Any, pictures: Any, rows: NDArray[np.int64], *rest: Any) -> Any:
        found = score(judge, pictures, rows, *rest)
        drawn.append((rows, *found))
        return found

    with in_double(), replaced(starts, scored=noted), recorded(starts, "easiest") as picks:
        with recorded(starts, "mosaic") as mosaics:
            RDED(teacher="net", factor=2)(inputs({"net": net}, IPC, classes=FEW))
        boxes = [tuple(box) for _, _, some in drawn for box in some.flatten(0, 1).tolist()]
        crops = replaced(transforms.RandomResizedCrop, get_params=staticmethod(in_turn(boxes)))
        with crops:
            levels, scores, order = run(tree, net, [rows for rows, _, _ in drawn])
    mine = torch.stack([torch.from_numpy(losses) for _, losses, _ in drawn])
    same = np.mean([(ours[0] == theirs[: len(ours[0])]).mean() for ours, theirs in zip(picks, order, strict=True)])
    apart = (torch.cat(mosaics) - levels).abs().max()
    at = At(0, float((mine - scores).norm() / scores.norm()), 0.0, float(apart / levels.std()))
    facts = {"picks that are the same, in the same place": float(same), "levels that mosaics are apart": float(apart)}
    return Agreement([at], "no iterations: scores of crops for the loss, mosaics before rounding for the images", facts)


def make(tree: Path, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Ten mosaics of each class of random images and crops, truncated to 8 bits as the program does, without JPEG."""
    random.seed(seed)
    torch.manual_seed(seed)
    labels = fashion().train.labels
    rows = [np.array(random.sample(np.flatnonzero(labels == c).tolist(), HOW["mipc"])) for c in range(10)]
    levels, _, _ = run(tree, teacher(NET), rows)
    return levels.numpy().astype(np.uint8), np.repeat(np.arange(10), IPC)


def run(
    tree: Path, net: nn.Module, rows: Sequence[NDArray[np.int64]]
) -> tuple[Tensor, Tensor, list[NDArray[np.int64]]]:
    """Mosaics of some classes by the authors' program, of these images of each, before they are rounded.

    Returns:
        [n, 1, 28, 28] from 0 to 255, [classes, images, crops] scores, and of each class its images from easy to hard.
    """
    scale, made, zeros, argsort = Pixels.of(fashion(), "cpu"), [], torch.zeros, torch.argsort
    scores: list[Tensor] = []
    order: list[NDArray[np.int64]] = []
    images, kind = fashion().train.images, torch.get_default_dtype()
    crop = transforms.RandomResizedCrop

    class Candidates(torch.utils.data.Dataset[tuple[Tensor, int]]):
        transform: Any = None

        def __len__(self) -> int:
            return sum(len(some) for some in rows)

        def __getitem__(self, number: int) -> tuple[Tensor, int]:
            c, place = divmod(number, len(rows[0]))
            return self.transform(images[rows[c][place]].transpose(1, 2, 0)), c

    def grey(*size: Any, **rest: Any) -> Tensor:  # the program's mosaics have three channels and 32 bits
        if len(size) == 1 and tuple(size[0])[1:] == (3, *fashion().shape[1:]):
            return zeros((size[0][0], *fashion().shape), **(rest | {"dtype": kind}))
        return zeros(*size, **rest)

    def sorted_by(values: Tensor, **rest: Any) -> Tensor:
        order.append(argsort(values, **rest).numpy())
        return torch.from_numpy(order[-1])

    known = ModuleType("argument")
    known.args = None  # type: ignore[attr-defined]
    kept = replaced(WeightsEnum, get_state_dict=WeightsEnum.get_state_dict)  # the program puts another in its place
    with on_cpu(), kept, program(tree / PROGRAM, tree, argument=known) as theirs:
        parts = sys.modules[theirs.selector.__module__]
        ours = {
            "ImageFolder": lambda **_: Candidates(),
            "normalize": lambda x: scale.normalise(255 * x),
            "denormalize": lambda x: x * scale.std + scale.mean,
            "save_images": lambda how, levels, c: made.append(levels),
        }
        how = Namespace(**HOW, classes=range(len(rows)), input_size=fashion().size)
        sized = replaced(transforms, RandomResizedCrop=lambda size, **rest: crop(size, **rest))
        seen = replaced(torch, zeros=grey, argsort=sorted_by)
        quiet, scored = redirect_stderr(StringIO()), recorded(parts, "cross_entropy")
        with replaced(theirs, **ours), scored as found, sized, seen, torch.no_grad(), quiet:
            theirs.init_images(how, net)
        scores = [each.reshape(HOW["num_crop"], -1).T for each in found]
    return torch.cat(made), torch.stack(scores), order
