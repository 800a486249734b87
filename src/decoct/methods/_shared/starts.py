"""The division of a set into blocks of images that are optimised together, and the real images they start from."""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Condenser, Draft, Inputs, Need
from decoct.core.seeds import seed
from decoct.data.pixels import Pixels
from decoct.methods._shared.patches import Net, Scale, crop, difficulty, easiest, mosaic, outwards, square_boxes
from decoct.needs.teacher import Teacher
from decoct.nets.precision import Precision, within

Crops = tuple[NDArray[np.int64], Tensor]  # [n] rows of the train split, [n, 4] boxes


@dataclass(frozen=True)
class Block:
    """Images that share one crop an iteration, and whose statistics are matched together.

    Attributes:
        classes: of each image.
        ids: number of each image within its class.
    """

    classes: tuple[int, ...]
    ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice) -> "Block":
        return Block(self.classes[part], self.ids[part])

    @property
    def name(self) -> tuple[int, int]:
        """First class and id: what random draws derive from, so that they depend on nothing else."""
        return self.classes[0], self.ids[0]


def in_order(classes: Sequence[int], ipc: int, size: int) -> list[Block]:
    """Class after class, as the files of a class folder: ``size`` images per block, whole classes if they fit.

    A block never holds part of one class and part of another, unless whole classes fit: so it can be made by itself.
    """
    if ipc >= size:
        parts = [tuple(range(at, min(at + size, ipc))) for at in range(0, ipc, size)]
        return [Block((c,) * len(part), part) for c in classes for part in parts]
    each = size // ipc
    runs = [classes[at : at + each] for at in range(0, len(classes), each)]
    return [Block(tuple(c for c in run for _ in range(ipc)), tuple(range(ipc)) * len(run)) for run in runs]


def side_by_side(blocks: Sequence[Block], images: int, key: Callable[[Block], Hashable]) -> Iterator[list[Block]]:
    """Blocks of equal length and equal key, as many at a time as have ``images`` images, at least one."""
    alike: dict[Hashable, list[Block]] = {}
    for block in blocks:
        alike.setdefault((len(block), key(block)), []).append(block)
    for waiting in alike.values():
        together = max(1, images // len(waiting[0]))
        yield from (waiting[at : at + together] for at in range(0, len(waiting), together))


def cut(inputs: Inputs, pixels: Pixels, crops: Crops, number: int, ipc: int) -> Tensor:
    """Image ``number`` of the ``ipc`` of a class, a mosaic of f² of its f² · ipc crops, normalised, [1, C, S, S].

    Crops are ranked: part k of image i is crop k · ipc + i.
    """
    rows, boxes = crops
    ranks = np.arange(number, len(rows), ipc)
    factor, size = math.isqrt(len(ranks)), inputs.data.size
    tiles = crop(pixels.load(inputs.data.train.images[rows[ranks]]), boxes[ranks][:, None], size // factor)[:, 0]
    return pixels.normalise(mosaic(tiles, factor, size))


def whole(rows: NDArray[np.int64], size: int) -> Crops:
    """Whole images, as crops."""
    return rows, torch.tensor([0, 0, size, size]).repeat(len(rows), 1)


def random_rows(inputs: Inputs, name: str, c: int, count: int) -> NDArray[np.int64]:
    """Random images of a class, none twice while there are enough; asking for more keeps the first ones."""
    members = np.flatnonzero(inputs.data.train.labels == c)
    rng = np.random.default_rng(seed(inputs.seed, name, "start", c))
    rounds = -(-count // len(members))
    return np.concatenate([rng.permutation(members) for _ in range(rounds)])[:count]


def median_rows(inputs: Inputs, teacher: Net, pixels: Pixels, c: int, count: int, batch: int) -> NDArray[np.int64]:
    """Images of a class around the median of the teacher's probability of it, from the median outwards (DELT).

    In order of rising probability, number ⌈n/2⌉ from 0 is the first, as in the authors' code, and the next is above it.
    """
    data, members = inputs.data, np.flatnonzero(inputs.data.train.labels == c)
    _, boxes = whole(members, data.size)
    losses = difficulty(teacher, data.train.images, members, boxes[:, None], c, data.size, pixels, batch)
    places = outwards(-losses[:, 0], count, (len(members) + 1) // 2)
    return np.resize(members[places], count)  # a class of fewer images gives some twice


def ranked_crops(
    inputs: Inputs,
    teacher: Net,
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
    best, which = easiest(losses, keep, median)
    return rows[best], boxes[best, which]


class EasiestCrops(Condenser):
    """The crops of real images that a teacher finds easiest, one of each image: RDED, and its control without mosaics.

    Attributes:
        teacher: net that scores crops.
        candidates: images of each class of which crops are taken.
        crops: of each image, of which the easiest stays.
        scale: least and largest share of the area that a crop takes.
        batch: crops in one forward pass.
        precision: of the teacher's forward passes; what it says is compared in float64.
    """

    quick = {"candidates": 20}
    teacher: str = "teacher"
    candidates: int = Field(300, ge=1)
    crops: int = Field(5, ge=1)
    scale: Scale = (0.08, 1.0)
    batch: int = Field(200, ge=1)
    precision: Precision = "float32"

    def together(self, ipc: int) -> int | None:
        """Each class by itself."""
        return 1

    def needs(self) -> tuple[Need, ...]:
        """The teacher that scores crops."""
        return (Teacher(net=self.teacher),)

    def drafted(self, inputs: Inputs, quotas: Sequence[int], factor: int = 1) -> Draft:
        """Rank crops and tile them, class after class: so many images of each, of factor × factor tiles.

        Raises:
            DecoctError: a class has fewer images than its set has tiles.
        """
        data, pixels, classes = inputs.data, Pixels.of(inputs.data, inputs.device), inputs.wanted()
        images = inputs.kept.array("images", (sum(quotas), *data.shape))
        made = short = 0
        how: dict[str, Any] = {
            "factor": factor,
            "candidates": self.candidates,
            "crops": self.crops,
            "scale": self.scale,
        }
        for done, (c, quota) in enumerate(zip(classes, quotas, strict=True)):
            if quota:
                keep, judge = quota * factor**2, within(inputs.teachers[self.teacher], self.precision)
                rows, boxes = ranked_crops(inputs, judge, pixels, c, keep, names=("rded",), batch=self.batch, **how)
                tiles = []
                for at in range(0, keep, self.batch):
                    part = slice(at, at + self.batch)
                    real = pixels.load(data.train.images[rows[part]])
                    tiles.append(crop(real, boxes[part][:, None], data.size // factor)[:, 0])
                levels = mosaic(torch.cat(tiles), factor, data.size).round().clamp(0, 255)
                images[made : made + quota] = levels.to(torch.uint8).cpu().numpy()
            made += quota
            short += int((data.train.labels == c).sum() < self.candidates)
            inputs.progress(done + 1, len(classes))
        notes = {"classes_short_of_candidates": short / len(classes)}
        return Draft.synthesised(images, np.repeat(classes, quotas), mosaic=factor, notes=notes)
