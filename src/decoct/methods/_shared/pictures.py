"""The real pictures that crops are cut from: as they are on disk, or the squares that the data are made of."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from decoct.core.errors import UsageError
from decoct.data.dataset import Split
from decoct.data.pixels import Pixels
from decoct.methods._shared.patches import crop

Which = Literal["originals", "cached"]


class Pictures:
    """Pictures of a train split.

    Args:
        split: whose.
        pixels: the data's scale.
        which: "originals", as they are on disk; "cached", the data's squares; None for originals if the data have them.

    Raises:
        UsageError: originals of data that have none.
    """

    def __init__(self, split: Split, pixels: Pixels, which: Which | None = None) -> None:
        self.split, self.pixels = split, pixels
        if which == "originals" and split.originals is None:
            size = split.images.shape[-1]
            raise UsageError(
                f"pictures = 'originals', but of these data there are only the squares of {size} px in their cache: "
                "leave pictures out, or give the data's source cache = false (ImageNet-1K and what is cut from it)"
            )
        self.originals = None if which == "cached" else split.originals

    def read(self, rows: NDArray[np.int64], size: int) -> Iterator[tuple[NDArray[np.int64], Sequence[Tensor]]]:
        """Some pictures at a time, in one pass in the order in which they are stored.

        Args:
            rows: [n] of the split, without repetition.
            size: pictures at a time.

        Yields:
            Their places in ``rows``, and floats from 0 to 255: [C, H, W] each, or one tensor of squares.
        """
        if self.originals is None:
            for start in range(0, len(rows), size):
                places = np.arange(start, min(start + size, len(rows)))
                yield places, self.pixels.load(self.split.images[rows[places]])  # type: ignore[misc]
            return
        where, held = {int(row): place for place, row in enumerate(rows)}, dict[int, Tensor]()
        for number, (row, picture) in enumerate(self.originals(rows), 1):
            held[where[row]] = self.pixels.load(picture)
            if len(held) == size or number == len(rows):
                yield np.array(list(held)), list(held.values())
                held.clear()

    def cut(self, rows: NDArray[np.int64], boxes: Tensor, side: int, batch: int) -> Tensor:
        """A box of each picture, [n, 4], resized to ``side``: [n, C, side, side], from 0 to 255."""
        shape = (len(rows), self.split.images.shape[1], side, side)
        made = torch.empty(shape, device=self.pixels.mean.device)
        for places, some in self.read(rows, batch):
            made[places] = cut_out(some, boxes[places][:, None], side)[:, 0]
        return made


def cut_out(pictures: Sequence[Tensor], boxes: Tensor, side: int) -> Tensor:
    """Several boxes of each picture [C, H, W], [n, k, 4], resized to ``side``: [n, k, C, side, side]."""
    if isinstance(pictures, Tensor):
        return crop(pictures, boxes, side)
    return torch.stack(
        [
            torch.cat(
                [
                    F.interpolate(
                        picture[None, :, top : top + height, left : left + width],
                        (side, side),
                        mode="bilinear",
                        antialias=True,
                    )
                    for top, left, height, width in few
                ]
            )
            for picture, few in zip(pictures, boxes.tolist(), strict=True)
        ]
    )
