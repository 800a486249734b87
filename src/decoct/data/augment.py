"""Augmentation in batches, on the device, with parameters of its own for every image."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def gather_crops(padded: Tensor, rows: Tensor, pad: int, flip: bool, generator: Generator) -> Tensor:
    """Random crop and flip of images that were padded once, in one gather.

    Args:
        padded: [N, C, S + 2·pad, S + 2·pad], any type, on any device.
        rows: [B] which images.
        pad: pixels on each side; 0 for no crop.
        flip: mirror each image with probability one half.
        generator: on the device of ``padded``.

    Returns:
        [B, C, S, S] of the same type.
    """
    _, channels, height, width = padded.shape
    size, b, device = height - 2 * pad, len(rows), padded.device
    offsets = torch.randint(0, 2 * pad + 1, (2, b), generator=generator, device=device)
    line = torch.arange(size, device=device)
    y, x = offsets[0, :, None] + line, offsets[1, :, None] + line
    if flip:
        mirrored = torch.rand(b, generator=generator, device=device) < 0.5
        x = torch.where(mirrored[:, None], x.flip(1), x)
    index = (y * width)[:, None, :, None] + x[:, None, None, :]
    plane = (rows.to(device)[:, None] * channels + torch.arange(channels, device=device)) * (height * width)
    return padded.view(-1)[index + plane[:, :, None, None]]


def crop_boxes(
    count: int, size: int, scale: tuple[float, float], generator: Generator, device: torch.device | str = "cpu"
) -> Tensor:
    """Boxes of RandomResizedCrop, ratio 3/4 to 4/3: integer (top, left, height, width), [count, 4].

    As torchvision draws them: up to ten tries, then the whole image.
    """
    shape = (count, 10)
    area = size * size * torch.empty(shape, device=device).uniform_(*scale, generator=generator)
    log_ratio = torch.empty(shape, device=device).uniform_(math.log(3 / 4), math.log(4 / 3), generator=generator)
    w = (area * log_ratio.exp()).sqrt().round().long()
    h = (area / log_ratio.exp()).sqrt().round().long()
    fits = (w > 0) & (w <= size) & (h > 0) & (h <= size)
    first = torch.where(fits.any(1), fits.int().argmax(1), 0)[:, None]
    h = torch.where(fits.any(1), h.gather(1, first)[:, 0], size)
    w = torch.where(fits.any(1), w.gather(1, first)[:, 0], size)
    place = torch.rand((2, count), generator=generator, device=device)
    top, left = (place[0] * (size - h + 1)).long(), (place[1] * (size - w + 1)).long()
    return torch.stack([top, left, h, w], 1)


def resized_crop(images: Tensor, boxes: Tensor, mirrored: Tensor) -> Tensor:
    """Bilinear resize of one box of each image to the image's own size; boxes never shrink, so none is aliased.

    Args:
        images: [B, C, S, S] float.
        boxes: [B, 4] integer (top, left, height, width).
        mirrored: [B] bool.

    Returns:
        [B, C, S, S], differentiable in the images.
    """
    size = images.shape[-1]
    line = (torch.arange(size, device=images.device) + 0.5) / size
    top, left, h, w = boxes.T.float()[:, :, None]
    # Pixel centres of the output inside the box; clamped, so that pixels outside of the box never leak in.
    y = torch.maximum(torch.minimum(top + line * h, top + h - 0.5), top + 0.5)
    x = torch.maximum(torch.minimum(left + line * w, left + w - 0.5), left + 0.5)
    x = torch.where(mirrored[:, None], x.flip(1), x)
    grid = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), -1) / size * 2 - 1
    return F.grid_sample(images, grid.to(images.dtype), "bilinear", "border", align_corners=False)


def cutmix(images: Tensor, alpha: float, generator: Generator) -> Tensor:
    """CutMix with one box and one permutation for the batch (Yun et al., 2019, arXiv:1905.04899).

    The box covers 1 − λ of the image before clipping, λ drawn from Beta(alpha, alpha).

    Args:
        images: [B, C, S, S].
        alpha: of the Beta distribution.
        generator: on the CPU.
    """
    size = images.shape[-1]
    lam = _beta(alpha, generator)
    half = int(size * math.sqrt(1 - lam)) // 2
    cy, cx = torch.randint(0, size, (2,), generator=generator).tolist()
    y, x = slice(max(cy - half, 0), min(cy + half, size)), slice(max(cx - half, 0), min(cx + half, size))
    order = torch.randperm(len(images), generator=generator).to(images.device)
    mixed = images.clone()
    mixed[:, :, y, x] = images[order, :, y, x]
    return mixed


def _beta(alpha: float, generator: Generator) -> float:
    if alpha == 1:
        return float(torch.rand((), generator=generator))
    a, b = torch._standard_gamma(torch.full((2,), alpha), generator=generator).tolist()
    return float(a / (a + b))
