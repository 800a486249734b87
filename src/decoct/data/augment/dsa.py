"""Differentiable Siamese augmentation: one kind of transform per batch, with its own parameters for every image.

Zhao and Bilen, 2021, arXiv:2102.08259; its colours and cutout come from DiffAugment (Zhao et al., 2020,
arXiv:2006.10738). Images are normalised, so the zeros that come in from outside have the mean colour.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from decoct.data.send import send

Op = Literal["colour", "crop", "cutout", "scale", "rotate", "flip"]
OPS: tuple[Op, ...] = ("colour", "crop", "cutout", "scale", "rotate", "flip")


@dataclass(frozen=True)
class DSA:
    """Strengths, at the authors' values; at 0, and 1 for ``scale``, nothing changes.

    In the authors' code the saturation's factor is u·strength and the contrast's u + strength, u uniform in [0, 1): at
    strength 0 these wash an image out. Here a strength is the spread around 1, which is the same at their values.

    Attributes:
        flip: probability of a mirror image.
        rotate: largest angle, in degrees, to either side.
        saturation: width of the factor's interval, 1 ± saturation/2.
        brightness: width of the shift's interval, 0 ± brightness/2, in units of the normalised pixels.
        contrast: half the width of the factor's interval, 1 ± contrast.
        scale: largest factor r; height and width shrink by factors of their own from [1/r, r].
        crop: largest shift, as a share of the side.
        cutout: side of the square that is cut out, as a share of the side.
    """

    flip: float = 0.5
    rotate: float = 15.0
    saturation: float = 2.0
    brightness: float = 1.0
    contrast: float = 0.5
    scale: float = 1.2
    crop: float = 0.125
    cutout: float = 0.5


@dataclass(frozen=True)
class Drawn:
    """One draw: a transform, and its parameters for B images, or for one where the images of a batch share them.

    Attributes:
        op: which transform.
        values: colour: [B, 3], brightness shift, saturation factor, contrast factor. crop: [B, 2] integer, how far down
            and right the crop lies. cutout: [B, 4] integer, top, left, bottom, right. scale: [B, 2], factors by which
            height and width shrink. rotate: [B], radians counter-clockwise. flip: [B] bool.
    """

    op: Op
    values: Tensor


def draw(
    count: int,
    size: int,
    flip: bool,
    generator: Generator,
    siamese: bool = False,
    params: DSA | None = None,
    ops: Sequence[Op] | None = None,
) -> Drawn:
    """Pick one transform, each as likely as another, and draw its parameters, as the authors do at every step.

    Args:
        count: images.
        size: height and width of the images.
        flip: whether mirroring is among the transforms; the authors leave it out for digits.
        generator: on the CPU.
        siamese: all images share what the first would get, so that batches of different sizes can be transformed alike.
        params: strengths; None for the authors'.
        ops: which transforms; None for all, without mirroring unless ``flip``.
    """
    ops = ops or (OPS if flip else OPS[:-1])
    op = ops[int(torch.randint(len(ops), (), generator=generator))]
    return Drawn(op, _values(op, 1 if siamese else count, size, params or DSA(), generator))


def apply(images: Tensor, drawn: Drawn) -> Tensor:
    """The transformed images, differentiable in the pixels.

    Args:
        images: [B, C, S, S] normalised, floating point, on any device.
        drawn: for B images, or shared.

    Returns:
        [B, C, S, S].
    """
    return TRANSFORMS[drawn.op](images, send(drawn.values, images))


def _values(op: Op, count: int, size: int, params: DSA, generator: Generator) -> Tensor:
    """Parameters as ``Drawn`` lists them; the first image's are drawn first."""
    if op == "colour":
        spread = torch.tensor([params.brightness / 2, params.saturation / 2, params.contrast])
        return torch.tensor([0.0, 1.0, 1.0]) + spread * (torch.rand((count, 3), generator=generator) * 2 - 1)
    if op == "crop":
        reach = int(size * params.crop + 0.5)
        return torch.randint(-reach, reach + 1, (count, 2), generator=generator)
    if op == "cutout":  # the centre is anywhere in the image, so a part of the square may lie outside
        side = int(size * params.cutout + 0.5)
        corner = torch.randint(0, size + 1 - side % 2, (count, 2), generator=generator) - side // 2
        return torch.cat([corner, corner + side], 1)
    if op == "scale":
        low, high = 1 / params.scale, params.scale
        return torch.rand((count, 2), generator=generator) * (high - low) + low
    if op == "rotate":
        return (torch.rand(count, generator=generator) * 2 - 1) * math.radians(params.rotate)
    return torch.rand(count, generator=generator) < params.flip


def _colour(images: Tensor, values: Tensor) -> Tensor:
    """x + b, then s·(x − m) + m with m the pixel's mean over channels, then c·(x − m) + m with m the image's mean."""
    brightness, saturation, contrast = values.to(images.dtype)[:, :, None, None, None].unbind(1)
    images = images + brightness
    images = torch.lerp(images.mean(1, keepdim=True), images, saturation)
    return torch.lerp(images.mean((1, 2, 3), keepdim=True), images, contrast)


def _crop(images: Tensor, values: Tensor) -> Tensor:
    """x[i + down, j + right], and 0 outside."""
    size, device = images.shape[-1], images.device
    y, x = (values[:, :, None] + torch.arange(size, device=device)).unbind(1)
    inside = ((y >= 0) & (y < size))[:, None, :, None] & ((x >= 0) & (x < size))[:, None, None, :]
    each = torch.arange(len(images), device=device)[:, None, None, None]
    plane = torch.arange(images.shape[1], device=device)[:, None, None]
    y, x = y.clamp(0, size - 1)[:, None, :, None], x.clamp(0, size - 1)[:, None, None, :]
    return images[each, plane, y, x].masked_fill(~inside, 0)


def _cutout(images: Tensor, values: Tensor) -> Tensor:
    """0 where  top ≤ i < bottom  and  left ≤ j < right."""
    line = torch.arange(images.shape[-1], device=images.device)
    top, left, bottom, right = values[:, :, None].unbind(1)
    y, x = (line >= top) & (line < bottom), (line >= left) & (line < right)
    return images.masked_fill(y[:, None, :, None] & x[:, None, None, :], 0)


def _scale(images: Tensor, values: Tensor) -> Tensor:
    """x(h·i, w·j), i and j from the centre, bilinear, and 0 outside."""
    height, width = values.unbind(1)
    none = torch.zeros_like(height)
    return _sampled(images, ((width, none), (none, height)))


def _rotate(images: Tensor, values: Tensor) -> Tensor:
    """x(R·(i, j)), i and j from the centre, R the rotation by the angle, bilinear, and 0 outside."""
    cosine, sine = values.cos(), values.sin()
    return _sampled(images, ((cosine, -sine), (sine, cosine)))


def _flip(images: Tensor, values: Tensor) -> Tensor:
    """x[i, S − 1 − j]."""
    return torch.where(values[:, None, None, None], images.flip(3), images)


def _sampled(images: Tensor, matrix: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """Each output pixel (j, i) takes the colour at  matrix · (j, i),  the image spanning [−1, 1]²."""
    rows = torch.stack([torch.stack([*row, torch.zeros_like(row[0])], 1) for row in matrix], 1)
    grid = F.affine_grid(rows.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid.to(images.dtype), "bilinear", "zeros", align_corners=False)


TRANSFORMS: dict[Op, Callable[[Tensor, Tensor], Tensor]] = {
    "colour": _colour,
    "crop": _crop,
    "cutout": _cutout,
    "scale": _scale,
    "rotate": _rotate,
    "flip": _flip,
}
