"""Training images on the device, or on the host if the device has no room for them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from decoct.data.augment.augment import gather_crops
from decoct.data.augment.resample import resized_crop
from decoct.data.send import send
from decoct.data.whitening import Whitening
from decoct.nets import room as memory

COPIED = 2**31  # bytes of images up to which a memory map is read as a whole; larger ones are read batch by batch
SHARE = 0.6  # of the free memory of a device that images may take; the rest is for nets and activations


def tensor(images: NDArray[Any]) -> Tensor:
    """Images [N, C, S, S] as a tensor: in memory, or still mapped where they are large.

    Raises:
        DecoctError: they are large and in no cache.
    """
    if images.nbytes <= COPIED:
        return torch.from_numpy(np.array(images))
    with warnings.catch_warnings():  # torch warns that a map cannot be written; nobody does
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.asarray(images))


class HostImages(UserWarning):
    """A set does not fit on the device."""


@dataclass(frozen=True)
class Images:
    """Images that batches are taken from.

    Attributes:
        stored: [N, C, S, S] uint8, or float32 in [0, 1]: on ``device``, or on the host, where it may be a memory map.
        mean: [C, 1, 1] on the scale of the images, on ``device``.
        std: likewise.
        device: where batches go.
        padded: the same images within a black border, where they are on the device and crops need it.
        whitening: on ``device``, in the place of mean and std; or None.
    """

    stored: Tensor
    mean: Tensor
    std: Tensor
    device: torch.device
    padded: Tensor | None = None
    whitening: Whitening | None = None

    @classmethod
    def of(
        cls,
        images: Tensor,
        mean: Sequence[float],
        std: Sequence[float],
        device: str,
        pad: int = 0,
        room: int | None = None,
        whitening: Whitening | None = None,
    ) -> "Images":
        """Put images [N, C, S, S] on the device if they fit, with the border that crops need.

        Mean and deviation are per channel, on the scale 0 to 1. The images may take ``room`` bytes there; None stands
        for ``SHARE`` of what is free.
        """
        where = torch.device(device)
        white = 255.0 if images.dtype == torch.uint8 else 1.0
        centre, spread = (torch.tensor(v, device=where).view(-1, 1, 1) * white for v in (mean, std))
        whiten = None if whitening is None else whitening.to(where)
        side = images.shape[-1]
        needed = images.nbytes + (images.nbytes * (side + 2 * pad) ** 2 // side**2 if pad else 0)
        if needed <= (free(where) if room is None else room):
            try:
                moved = images.to(where)
                return cls(moved, centre, spread, where, F.pad(moved, [pad] * 4) if pad else None, whiten)
            except RuntimeError as error:  # another job on the device has taken the room meanwhile
                if not memory.ran_out(error):
                    raise
        if where.type != "cpu":
            what = f"{images.nbytes / 2**30:.1f} GiB of training images do not fit on {device}"
            warnings.warn(
                f"{what}: they stay in the host's memory and go over batch by batch", HostImages, stacklevel=3
            )
        return cls(images, centre, spread, where, whitening=whiten)

    @property
    def white(self) -> float:
        """The value of a white pixel."""
        return 255.0 if self.stored.dtype == torch.uint8 else 1.0

    @property
    def size(self) -> int:
        """Side of the images."""
        return self.stored.shape[-1]

    def __len__(self) -> int:
        return len(self.stored)

    def rows(self, rows: Tensor) -> Tensor:
        """[B, C, S, S] on the device, of the type that is stored."""
        batch = self.stored[send(rows, self.stored)]
        if self.device.type == "cuda" and not batch.is_cuda:  # "cuda" and "cuda:0" are one place, but not equal
            batch = batch.pin_memory()  # so that the copy runs beside the computation
        return send(batch, self.device)

    def cropped(self, rows: Tensor, corners: Tensor, pad: int, mirrored: Tensor | None) -> Tensor:
        """Crops of the images within a black border: [B, C, S, S] on the device, of the type that is stored."""
        if self.padded is not None:
            return gather_crops(self.padded, rows, corners, self.size, mirrored)
        every = torch.arange(len(rows), device=self.device)
        return gather_crops(F.pad(self.rows(rows), [pad] * 4), every, corners, self.size, mirrored)

    def resized(self, rows: Tensor, boxes: Tensor, mirrored: Tensor | None) -> Tensor:
        """Boxes of the images, resized to their size: [B, C, S, S] on the device."""
        if self.stored.device.type == self.device.type == "cpu":  # no need to gather whole images first
            return resized_crop(self.stored, boxes, self.size, mirrored, rows)
        return resized_crop(self.rows(rows), boxes, self.size, mirrored)

    def normalise(self, x: Tensor) -> Tensor:
        """From the stored scale to the one that nets see."""
        return torch.sub(x, self.mean).div_(self.std) if self.whitening is None else self.whitening(x / self.white)


def free(device: torch.device) -> int:
    """Bytes that images may take on a device."""
    return int(SHARE * memory.free(device))
