"""Colour jitter and PCA lighting in batches, with separate parameters for every image."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from decoct.data.send import send

LUMA = (0.2989, 0.587, 0.114)  # red, green, blue, as torchvision weighs them
EIGENVALUES = (0.2175, 0.0188, 0.0045)  # of ImageNet's pixels on the scale 0 to 1, as fb.resnet.torch has them
EIGENVECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))  # in columns

BRIGHTNESS, CONTRAST, SATURATION = range(3)


@dataclass(frozen=True)
class Jitter:
    """The parameters of a colour jitter.

    Attributes:
        factors: [B, 3] of brightness, contrast and saturation; 1 changes nothing.
        order: [B, 3] integer, which of the three comes first, second, third.
    """

    factors: Tensor
    order: Tensor


def draw_jitter(count: int, strength: float, generator: Generator) -> Jitter:
    """Factors uniform in [max(0, 1 − strength), 1 + strength] and a random order, for each image.

    Args:
        count: images.
        strength: of all three; .4 in MinimaxDiffusion (Gu et al., 2024, arXiv:2311.15529) and what follows it.
        generator: on the CPU.
    """
    factors = torch.empty((count, 3)).uniform_(max(0.0, 1 - strength), 1 + strength, generator=generator)
    return Jitter(factors, torch.rand((count, 3), generator=generator).argsort(1))


def jitter(images: Tensor, drawn: Jitter) -> Tensor:
    """Brightness, contrast and saturation in the order drawn: each is  clamp(f·x + (1 − f)·g, 0, 1).

    g is black for brightness, the image's mean luminance for contrast, each pixel's luminance for saturation. These are
    torchvision's ``adjust_*``, which clamp; MinimaxDiffusion's own code does not. Saturation leaves grey images alone.

    Args:
        images: [B, C, H, W] floating point in [0, 1]; C is 1 or 3.
        drawn: for B images.

    Returns:
        [B, C, H, W] in [0, 1].

    Raises:
        ValueError: images have neither 1 nor 3 channels.
    """
    channels = _channels(images)
    factors, order = send(drawn.factors, images).to(images.dtype), send(drawn.order, images)
    if channels == 1:
        factors = torch.cat([factors[:, :SATURATION], torch.ones_like(factors[:, SATURATION:])], 1)
    factors = factors.gather(1, order)[:, :, None, None, None]
    kinds = order[:, :, None, None, None]
    for factor, kind in zip(factors.unbind(1), kinds.unbind(1), strict=True):
        luma = _luminance(images)
        target = torch.where(kind == SATURATION, luma, luma.mean((2, 3), keepdim=True))
        images = (factor * images + (1 - factor) * target.masked_fill(kind == BRIGHTNESS, 0)).clamp(0, 1)
    return images


def draw_lighting(count: int, deviation: float, generator: Generator) -> Tensor:
    """Weights of the principal components, normal with mean 0 and the ``deviation`` (.1 as a rule): [count, 3]."""
    return torch.randn((count, 3), generator=generator) * deviation


def lighting(images: Tensor, drawn: Tensor) -> Tensor:
    """Shift the colour of each image along the principal components of ImageNet's pixels:  x + Σₖ αₖ·λₖ·vₖ.

    Grey images, which stand for three equal channels, get the mean of the three shifts. Nothing is clamped.

    Args:
        images: [B, C, H, W] floating point in [0, 1]; C is 1 or 3.
        drawn: [B, 3], the α of each image.

    Returns:
        [B, C, H, W].

    Raises:
        ValueError: images have neither 1 nor 3 channels.

    Source:
        Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012.
    """
    components = torch.tensor(EIGENVECTORS, device=drawn.device) * torch.tensor(EIGENVALUES, device=drawn.device)
    shift = (drawn[:, None, :] * components).sum(2)
    if _channels(images) == 1:
        shift = shift.mean(1, keepdim=True)
    return images + send(shift, images).to(images.dtype)[:, :, None, None]


def _luminance(images: Tensor) -> Tensor:
    """[B, 1, H, W]."""
    if images.shape[1] == 1:
        return images
    return LUMA[0] * images[:, 0:1] + LUMA[1] * images[:, 1:2] + LUMA[2] * images[:, 2:3]


def _channels(images: Tensor) -> int:
    channels = images.shape[1]
    if channels not in (1, 3):
        raise ValueError(f"colours of images with {channels} channels are not defined; 1 or 3 are")
    return channels
