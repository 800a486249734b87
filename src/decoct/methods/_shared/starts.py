"""The division of a set into blocks of images that are optimised together, and the real images they start from."""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Condenser, Draft, Inputs, Need
from decoct.core.seeds import seed
from decoct.data.pixels import Pixels
from decoct.methods._shared.patches import Net, Scale, difficulty, easiest, mosaic, outwards, square_boxes
from decoct.methods._shared.pictures import Pictures, Which, cut_out
from decoct.needs.teacher import Teacher
from decoct.nets.precision import Precision, within
from decoct.nets.room import Halving


class Crops(NamedTuple):
    """Crops of real pictures.

    Attributes:
        rows: [n] of the train split.
        boxes: [n, 4] integer (top, left, height, width).
        which: pictures the boxes are of.
    """

    rows: NDArray[np.int64]
    boxes: Tensor
    which: Which = "cached"


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
    ranks = np.arange(number, len(crops.rows), ipc)
    factor, size = math.isqrt(len(ranks)), inputs.data.size
    pictures = Pictures(inputs.data.train, pixels, crops.which)
    tiles = pictures.cut(crops.rows[ranks], crops.boxes[ranks], size // factor, len(ranks))
    return pixels.normalise(mosaic(tiles, factor, size))


def whole(rows: NDArray[np.int64], size: int) -> Crops:
    """Whole images, as crops."""
    return Crops(rows, torch.tensor([0, 0, size, size]).repeat(len(rows), 1))


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
    members = np.flatnonzero(inputs.data.train.labels == c)
    places = outwards(-of_whole(inputs, teacher, pixels, c, members, batch), count, (len(members) + 1) // 2)
    return np.resize(members[places], count)  # a class of fewer images gives some twice


def of_whole(
    inputs: Inputs, teacher: Net, pixels: Pixels, c: int, rows: NDArray[np.int64], batch: int
) -> NDArray[np.float64]:
    """[n] the difficulty of whole images of a class."""
    pictures, draws = Pictures(inputs.data.train, pixels, "cached"), np.zeros((len(rows), 1, 3))
    return scored(teacher, pictures, rows, draws, (1.0, 1.0), c, inputs.data.size, batch)[0][:, 0]


def scored(
    teacher: Net,
    pictures: Pictures,
    rows: NDArray[np.int64],
    draws: NDArray[np.float64],
    scale: Scale,
    c: int,
    side: int,
    batch: int,
) -> tuple[NDArray[np.float64], Tensor]:
    """Random crops of pictures of a class, resized to ``side``: [n, k] difficulty, and [n, k, 4] boxes.

    Args:
        teacher: that scores.
        pictures: they are cut from.
        rows: [n] of the pictures.
        draws: [n, k, 3] of ``square_boxes``.
        scale: share of the area of a crop.
        c: class.
        side: of a crop.
        batch: crops in one forward pass.
    """
    n, k, _ = draws.shape
    losses, boxes = torch.empty(n, k, dtype=torch.float64), torch.empty(n, k, 4, dtype=torch.int64)
    pixels, size = pictures.pixels, pictures.split.images.shape[-1]
    halving = Halving("ranking crops", pixels.mean.device, "batch", k)
    for places, some in pictures.read(rows, max(1, batch // k)):
        boxes[places] = square_boxes(draws[places], [(p.shape[-2], p.shape[-1]) for p in some], scale)
        made = cut_out(some, boxes[places], side)
        losses[places] = torch.cat(list(halving(lambda part: difficulty(teacher, part, c, size, pixels), made)))
    return losses.numpy(), boxes


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
    which: Which | None = None,
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
        which: pictures crops are cut from; None for those on disk if the data have them.

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
    pictures, draws = Pictures(data.train, pixels, which), rng.random((len(rows), crops, 3))
    losses, boxes = scored(teacher, pictures, rows, draws, scale, c, data.size // factor, batch)
    best, places = easiest(losses, keep, median)
    return Crops(rows[best], boxes[best, places], "cached" if pictures.originals is None else "originals")


class EasiestCrops(Condenser):
    """The crops of real images that a teacher finds easiest, one of each image: RDED, and its control without mosaics.

    Attributes:
        teacher: net that scores crops.
        candidates: images of each class of which crops are taken.
        crops: of each image, of which the easiest stays.
        scale: least and largest share of the area that a crop takes.
        batch: crops in one forward pass.
        precision: of the teacher's forward passes; what it says is compared in float64.
        pictures: "originals" cuts crops from the pictures as they are on disk; "cached" from the data's squares, whose
            crops are enlarged where they take less than 1/f² of the area; None takes originals if the data have them.
    """

    version = 2

    quick = {"candidates": 20}
    teacher: str = "teacher"
    candidates: int = Field(300, ge=1)
    crops: int = Field(5, ge=1)
    scale: Scale = (0.08, 1.0)
    batch: int = Field(200, ge=1)
    precision: Precision = "float32"
    pictures: Which | None = None

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
            UsageError: originals of data that have none.
        """
        data, pixels, classes = inputs.data, Pixels.of(inputs.data, inputs.device), inputs.wanted()
        images = inputs.kept.array("images", (sum(quotas), *data.shape))
        real = Pictures(data.train, pixels, self.pictures)
        made = short = 0
        how: dict[str, Any] = {
            "factor": factor,
            "candidates": self.candidates,
            "crops": self.crops,
            "scale": self.scale,
            "which": self.pictures,
        }
        for done, (c, quota) in enumerate(zip(classes, quotas, strict=True)):
            if quota:
                keep, judge = quota * factor**2, within(inputs.teachers[self.teacher], self.precision)
                best = ranked_crops(inputs, judge, pixels, c, keep, names=("rded",), batch=self.batch, **how)
                tiles = real.cut(best.rows, best.boxes, data.size // factor, self.batch)
                levels = mosaic(tiles, factor, data.size).round().clamp(0, 255)
                images[made : made + quota] = levels.to(torch.uint8).cpu().numpy()
            made += quota
            short += int((data.train.labels == c).sum() < self.candidates)
            inputs.progress(done + 1, len(classes))
        originals = float(real.originals is not None)
        notes = {"classes_short_of_candidates": short / len(classes), "crops_of_originals": originals}
        return Draft.synthesised(images, np.repeat(classes, quotas), mosaic=factor, notes=notes)
