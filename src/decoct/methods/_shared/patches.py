"""Patches of real images: crops of any box in one batched product, the easiest crops, and mosaics."""

from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import AfterValidator
from torch import Tensor

from decoct.data.augment.resample import resampling
from decoct.data.pixels import Pixels

Net = Callable[[Tensor], Tensor]  # normalised images -> logits


def _checked(scale: tuple[float, float]) -> tuple[float, float]:
    if not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError("must be two fractions of the image's area, 0 < low ≤ high ≤ 1")
    return scale


Scale = Annotated[tuple[float, float], AfterValidator(_checked)]  # of RandomResizedCrop


def square_boxes(
    draws: NDArray[np.float64], shapes: Sequence[tuple[int, int]] | NDArray[np.int64], scale: tuple[float, float]
) -> Tensor:
    """Boxes of RandomResizedCrop at ratio 1: integer (top, left, height, width), [n, k, 4].

    As torchvision's: an area that no square inside of the picture has is drawn again, and where ten were drawn in vain,
    the box is the largest square in the centre. Here one number stands for all ten: the share of it below the
    probability of that is the centre, the rest the areas that fit.

    Args:
        draws: [n, k, 3] uniform in [0, 1): area, top, left.
        shapes: [n] height and width of each picture.
        scale: least and largest share of its area.
    """
    area, top, left = np.moveaxis(draws, -1, 0)
    height, width = np.asarray(shapes, dtype=np.float64).T[:, :, None]
    least, (low, high) = np.minimum(height, width), scale
    largest = (least + 0.5) ** 2 / (height * width)  # whose side is still rounded to a square inside
    fits = np.where(largest >= high, 1.0, ((largest - low) / max(high - low, 1e-9)).clip(0, 1))
    vain = (1 - fits) ** 10
    area = low + (high - low) * fits * ((area - vain) / np.maximum(1 - vain, 1e-9)).clip(0)
    side = np.rint(np.sqrt(height * width) * np.sqrt(area)).clip(1, least)
    centre = draws[..., 0] < vain
    side = np.where(centre, least, side)
    places = [
        np.where(centre, (length - side) // 2, np.floor(place * (length - side + 1)))
        for place, length in ((top, height), (left, width))
    ]
    return torch.from_numpy(np.stack([*places, side, side], -1).astype(np.int64))


def crop(images: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Several boxes of each image, resized to ``side``.

    Args:
        images: [n, C, H, W] float.
        boxes: [n, k, 4] integer (top, left, height, width).
        side: height and width of the crops.

    Returns:
        [n, k, C, side, side].
    """
    top, left, height, width = boxes.to(images.device).unbind(-1)
    rows = resampling(top, height, images.shape[-2], side)[:, :, None]
    columns = resampling(left, width, images.shape[-1], side)[:, :, None]
    return rows @ images[:, None] @ columns.mT


def pad(crops: Tensor, size: int) -> Tensor:
    """[..., s, s] centred in zeros, [..., size, size]; an odd pixel goes to the bottom and right."""
    before = (size - crops.shape[-1]) // 2
    after = size - crops.shape[-1] - before
    return F.pad(crops, (before, after, before, after))


@torch.inference_mode()
def difficulty(teacher: Net, crops: Tensor, label: int, size: int, pixels: Pixels) -> Tensor:
    """The teacher's cross-entropy of crops against their true class; the realism score of RDED is its negative.

    Crops are normalised and zero-padded to the images' size, so the padding has the mean colour. Computed in float64
    from the logits, so that crops which the teacher is sure of still have an order.

    Args:
        teacher: in eval mode; takes normalised images. ``nets.precision.within`` gives it another precision.
        crops: [n, k, C, s, s] from 0 to 255.
        label: their class.
        size: of the images, at least s.
        pixels: the data's scale.

    Returns:
        [n, k] on the CPU.
    """
    logits = teacher(pad(pixels.normalise(crops), size).flatten(0, 1)).cpu().double()
    loss: Tensor = -logits.log_softmax(1)[:, label].unflatten(0, crops.shape[:2])
    return loss


def easiest(
    losses: NDArray[np.float64], keep: int, median: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The best crop of each image, then the best ``keep`` of those, easy to hard; the first of a tie comes first.

    Args:
        losses: [n, k] of k crops of n images.
        keep: at most n.
        median: those around the median instead, from it outwards.

    Returns:
        [keep] images and [keep] crops.
    """
    best = losses.min(1)
    images = outwards(best, keep) if median else np.argsort(best, kind="stable")[:keep]
    return images, losses.argmin(1)[images]


def outwards(scores: NDArray[np.float64], keep: int, middle: int | None = None) -> NDArray[np.int64]:
    """Positions of the ``keep`` scores around the median: the median, the next above, the next below, and so on.

    ``middle`` is the number of the first in ascending order, from 0; None for half of how many there are.
    """
    order = np.argsort(scores, kind="stable")
    place = np.arange(len(order)) - (len(order) // 2 if middle is None else middle)
    return order[np.argsort(2 * np.abs(place) - (place > 0), kind="stable")][:keep]


def mosaic(tiles: Tensor, factor: int, size: int) -> Tensor:
    """Images of factor × factor tiles: tile k·n + j becomes part k, row-major, of image j.

    Tiles of another size than their part take it by nearest neighbour, as in the authors' code of RDED and CIM.

    Args:
        tiles: [factor²·n, C, s, s] float.
        factor: tiles along a side.
        size: of the image; where it does not divide, the first rows and columns are one pixel larger.

    Returns:
        [n, C, size, size].
    """
    n = len(tiles) // factor**2
    sides = [size // factor + (i < size % factor) for i in range(factor)]
    bands = []
    for i, height in enumerate(sides):
        parts = []
        for j, width in enumerate(sides):
            k = i * factor + j
            part = tiles[k * n : (k + 1) * n]
            if part.shape[-2:] != (height, width):
                part = F.interpolate(part, (height, width))
            parts.append(part)
        bands.append(torch.cat(parts, -1))
    return torch.cat(bands, -2)
