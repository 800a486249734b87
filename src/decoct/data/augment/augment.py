"""Augmentation in batches with separate parameters for every image: drawn on the CPU, applied on any device."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from decoct.data.send import send


def draw_crops(count: int, pad: int, generator: Generator) -> Tensor:
    """Top and left corner of random crops out of images with a border of ``pad`` pixels: [count, 2] integer."""
    return torch.randint(0, 2 * pad + 1, (2, count), generator=generator).T


def gather_crops(padded: Tensor, rows: Tensor, corners: Tensor, size: int, mirrored: Tensor | None = None) -> Tensor:
    """Crops, mirrored where asked, of images that were padded once, in one gather.

    Args:
        padded: [N, C, H, W], any type, on any device.
        rows: [B] which images.
        corners: [B, 2] integer (top, left).
        size: of the crops.
        mirrored: [B] bool; None mirrors none.

    Returns:
        [B, C, size, size] of the same type.
    """
    _, channels, height, width = padded.shape
    device = padded.device
    corners, line = send(corners, device), torch.arange(size, device=device)
    y, x = corners[:, :1] + line, corners[:, 1:] + line
    if mirrored is not None:
        x = torch.where(send(mirrored, device)[:, None], x.flip(1), x)
    index = (y * width)[:, None, :, None] + x[:, None, None, :]
    plane = (send(rows, device)[:, None] * channels + torch.arange(channels, device=device)) * (height * width)
    return padded.view(-1)[index + plane[:, :, None, None]]


def draw_boxes(
    count: int, size: int, scale: tuple[float, float], generator: Generator, low: Tensor | None = None
) -> Tensor:
    """Boxes of RandomResizedCrop, ratio 3/4 to 4/3: integer (top, left, height, width), [count, 4].

    As torchvision draws them: up to ten tries, then the whole image.

    Args:
        count: boxes.
        size: of the image.
        scale: least and largest share of its area.
        generator: on the CPU.
        low: [count] least share of each box, instead of that of ``scale``.
    """
    shape = (count, 10)
    if low is None:
        share = torch.empty(shape).uniform_(*scale, generator=generator)
    else:
        share = torch.rand(shape, generator=generator)
        share = torch.lerp(low[:, None].expand(shape), torch.tensor(float(scale[1])), share)
    area = size * size * share
    log_ratio = torch.empty(shape).uniform_(math.log(3 / 4), math.log(4 / 3), generator=generator)
    w = (area * log_ratio.exp()).sqrt().round().long()
    h = (area / log_ratio.exp()).sqrt().round().long()
    fits = (w > 0) & (w <= size) & (h > 0) & (h <= size)
    first = torch.where(fits.any(1), fits.int().argmax(1), 0)[:, None]
    h = torch.where(fits.any(1), h.gather(1, first)[:, 0], size)
    w = torch.where(fits.any(1), w.gather(1, first)[:, 0], size)
    place = torch.rand((2, count), generator=generator)
    top, left = (place[0] * (size - h + 1)).long(), (place[1] * (size - w + 1)).long()
    return torch.stack([top, left, h, w], 1)


@dataclass(frozen=True)
class Mix:
    """How a batch is mixed with itself in another order.

    Attributes:
        order: [B] the partner of each image.
        share: of the image itself; the partner has the rest. Of the area under CutMix, after clipping.
        box: (top, bottom, left, right) that CutMix takes from the partner; None for mixup, which blends all pixels.
    """

    order: Tensor
    share: float
    box: tuple[int, int, int, int] | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """The mixed batch [B, C, S, S]; the one given stays as it is."""
        order = send(self.order, images)
        if self.box is None:
            return torch.lerp(images[order], images, self.share)
        top, bottom, left, right = self.box
        mixed = images.clone()
        mixed[:, :, top:bottom, left:right] = images[order, :, top:bottom, left:right]
        return mixed


def draw_cutmix(count: int, size: int, alpha: float, generator: Generator) -> Mix:
    """CutMix with one box and one permutation for the batch (Yun et al., 2019, arXiv:1905.04899).

    The box covers 1 − λ of the image before clipping, λ drawn from Beta(alpha, alpha).
    """
    half = int(size * math.sqrt(1 - _beta(alpha, generator))) // 2
    cy, cx = torch.randint(0, size, (2,), generator=generator).tolist()
    top, bottom, left, right = max(cy - half, 0), min(cy + half, size), max(cx - half, 0), min(cx + half, size)
    share = 1 - (bottom - top) * (right - left) / size**2
    return Mix(torch.randperm(count, generator=generator), share, (top, bottom, left, right))


def draw_mixup(count: int, alpha: float, generator: Generator) -> Mix:
    """mixup with one λ from Beta(alpha, alpha) and one permutation (Zhang et al., 2018, arXiv:1710.09412)."""
    share = _beta(alpha, generator)
    return Mix(torch.randperm(count, generator=generator), share)


def _beta(alpha: float, generator: Generator) -> float:
    if alpha == 1:
        return float(torch.rand((), generator=generator))
    a, b = torch._standard_gamma(torch.full((2,), alpha), generator=generator).tolist()
    return float(a / (a + b))
