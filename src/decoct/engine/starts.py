"""Real images that an optimisation starts from: random ones, those of median difficulty, crops, mosaics of crops."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decoct.core.errors import DecoctError
from decoct.core.kinds import Inputs
from decoct.core.seeds import seed
from decoct.engine.blocks import Block
from decoct.engine.patches import Scale, crop, difficulty, easiest, middle, mosaic, outwards, square_boxes
from decoct.engine.pixels import Pixels

Crops = tuple[NDArray[np.int64], Tensor]  # [n] rows of the train split, [n, 4] boxes


class Starts:
    """Images by class and number, cut when they are asked for: what is kept is rows and boxes alone.

    Args:
        inputs: as the runner gave them.
        pixels: the data's scale.
        ipc: images a class.
        pick: class -> [ipc · factor²] rows and boxes of the train split, ranked.
        factor: tiles a side of each image.
    """

    def __init__(self, inputs: Inputs, pixels: Pixels, ipc: int, pick: Callable[[int], Crops], factor: int = 1) -> None:
        self.inputs, self.pixels, self.ipc, self.pick, self.factor = inputs, pixels, ipc, pick, factor
        self.picked: dict[int, Crops] = {}

    def images(self, block: Block) -> Tensor:
        """[B, C, S, S] normalised; part k of image j of a class is its crop k · ipc + j."""
        size, f, source = self.inputs.data.size, self.factor, self.inputs.data.train.images
        made = []
        for c, i in zip(block.classes, block.ids, strict=True):
            if c not in self.picked:
                self.picked[c] = self.pick(c)
            rows, boxes = self.picked[c]
            ranks = np.arange(f * f) * self.ipc + i
            tiles = crop(self.pixels.load(source[rows[ranks]]), boxes[ranks][:, None], size // f)[:, 0]
            made.append(mosaic(tiles, f, size))
        return self.pixels.normalise(torch.cat(made))


def whole(rows: NDArray[np.int64], size: int) -> Crops:
    """Whole images, as crops."""
    return rows, torch.tensor([0, 0, size, size]).repeat(len(rows), 1)


def random_rows(inputs: Inputs, name: str, c: int, count: int) -> NDArray[np.int64]:
    """Random images of a class, none twice while there are enough; more leave the first as they are."""
    members = np.flatnonzero(inputs.data.train.labels == c)
    rng = np.random.default_rng(seed(inputs.seed, name, "start", c))
    rounds = -(-count // len(members))
    return np.concatenate([rng.permutation(members) for _ in range(rounds)])[:count]


def median_rows(
    inputs: Inputs, teacher: nn.Module, pixels: Pixels, c: int, count: int, batch: int
) -> NDArray[np.int64]:
    """Images of a class around the median of the teacher's probability of it, from the median outwards (DELT)."""
    data, members = inputs.data, np.flatnonzero(inputs.data.train.labels == c)
    _, boxes = whole(members, data.size)
    losses = difficulty(teacher, data.train.images, members, boxes[:, None], c, data.size, pixels, batch)
    found = members[outwards(losses[:, 0], count)]
    return np.resize(found, count)  # a class of fewer images gives some twice


def ranked_crops(
    inputs: Inputs,
    teacher: nn.Module,
    pixels: Pixels,
    c: int,
    keep: int,
    *,
    names: tuple[str, ...],
    factor: int = 1,
    candidates: int = 300,
    crops: int = 5,
    scale: Scale = (0.08, 1.0),
    batch: int = 200,
    median: bool = False,
) -> Crops:
    """The easiest crops of random images of a class, one of each image, easy to hard; or those around the median.

    RDED's selection (Sun et al., 2024, arXiv:2312.03526): each crop is scored by the teacher's cross-entropy at S/f,
    zero-padded to S. A class with fewer images than ``candidates`` gives all, and so does any where ``candidates``
    would not fill the set.

    Args:
        inputs: as the runner gave them.
        teacher: that scores.
        pixels: the data's scale.
        c: class.
        keep: crops.
        names: of the random draws, beside the class.
        factor: f.
        candidates: images that are looked at.
        crops: of each.
        scale: share of the area of a crop.
        batch: crops in one forward pass.
        median: rank from the median outwards.

    Raises:
        DecoctError: the class has fewer images than crops are asked for.
    """
    data, members = inputs.data, np.flatnonzero(inputs.data.train.labels == c)
    if keep > len(members):
        raise DecoctError(
            f"class '{data.class_names[c]}' has {len(members)} images, but {names[0]} with factor {factor} "
            f"needs one for each of {keep} crops: lower --ipc or factor"
        )
    rng = np.random.default_rng(seed(inputs.seed, *names, c))
    rows = rng.permutation(members)[: candidates if keep <= candidates else None]
    boxes = square_boxes((len(rows), crops), data.size, scale, rng)
    losses = difficulty(teacher, data.train.images, rows, boxes, c, data.size // factor, pixels, batch)
    best, which = (middle if median else easiest)(losses, keep)
    return rows[best], boxes[best, which]
