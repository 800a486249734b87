"""Nets that papers judge images with, by short names: which of timm's, at what size, and which of its outputs."""

from dataclasses import dataclass

TIMM = "timm:"  # before the name of any other of timm's nets


@dataclass(frozen=True)
class Standard:
    """A pretrained net, and how it is used.

    Attributes:
        net: timm's name of it.
        size: height and width that images are resized to; None for those it was pretrained at.
        projected: the last layer is kept: CLIP's projection into the space that pictures share with texts.
        dino_grid: positions of another grid of patches are resampled as DINOv2's own code does: bicubic, not
            antialiased, each step shorter by 1 in 10 · (patches a side) than the grids' ratio says.
        torchvision: name of the net whose weights torchvision's cache may hold under another file name than timm's.
    """

    net: str
    size: int | None = None
    projected: bool = False
    dino_grid: bool = False
    torchvision: str = ""


STANDARD = {
    "dinov2": Standard("vit_large_patch14_dinov2.lvd142m", 224, dino_grid=True),
    "dinov2_b": Standard("vit_base_patch14_dinov2.lvd142m", 224, dino_grid=True),
    "dinov2_s": Standard("vit_small_patch14_dinov2.lvd142m", 224, dino_grid=True),
    "clip": Standard("vit_base_patch32_clip_quickgelu_224.openai", projected=True),
    "clip_l336": Standard("vit_large_patch14_clip_quickgelu_336.openai", projected=True),
    "inception": Standard("inception_v3.tv_in1k", torchvision="inception_v3"),
}


def standard(name: str) -> Standard:
    """What a short name stands for; of any other name, that net of timm's as it is."""
    return STANDARD.get(name) or Standard(name)


def frozen(word: str) -> bool:
    """Whether a word for an extractor, or its title, means a pretrained net: a short name or timm:NAME, with a file."""
    return word.startswith(TIMM) or word.partition("@")[0] in STANDARD


def architecture(word: str) -> str:
    """Of a net by its word: ``resnet18`` of ``timm:resnet18.a1@0123``; of ``dinov2`` that of timm's net."""
    return standard(word.removeprefix(TIMM).partition("@")[0]).net.partition(".")[0]
