"""ResNets with the stem that small images need, with batch norm or instance norm."""

import re

from torch import nn

from decoct.core.errors import UsageError

SMALL = 64  # up to this many pixels the stem keeps the resolution
NAMES = ("resnet18", "resnet34", "resnet50", "resnet101")
NAME = re.compile(rf"(?P<net>{'|'.join(NAMES)})(?P<instance>_in)?")


def resnet(name: str, channels: int, classes: int, size: int) -> nn.Module | None:
    """torchvision's ResNet (He et al., 2015, arXiv:1512.03385); None for other names.

    Up to 64 px the stem is a 3 × 3 convolution of stride 1 without max-pooling, as in the CIFAR variants.
    ``resnet18_in`` … have instance norm (affine; a group norm with one channel a group) for batch norm, as the
    students of the generative distillation papers.

    Raises:
        UsageError: instance norm would see one pixel, and set it to zero.
    """
    match = NAME.fullmatch(name)
    if match is None:
        return None
    if match["instance"] and size <= 8:
        raise UsageError(f"{name} halves the image three times: of {size} px instance norm would see one pixel")
    from torchvision import models  # late: it takes a second to import

    norm = (lambda width: nn.GroupNorm(width, width)) if match["instance"] else nn.BatchNorm2d
    net: nn.Module = models.get_model(match["net"], weights=None, num_classes=classes, norm_layer=norm)
    if size <= SMALL:
        net.conv1 = nn.Conv2d(channels, 64, 3, stride=1, padding=1, bias=False)
        net.maxpool = nn.Identity()
    elif channels != 3:
        net.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    return net
