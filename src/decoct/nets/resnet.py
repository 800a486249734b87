"""ResNets with the stem that small images need."""

from torch import nn

SMALL = 64  # up to this many pixels the stem keeps the resolution
NAMES = ("resnet18", "resnet34", "resnet50", "resnet101")


def resnet(name: str, channels: int, classes: int, size: int) -> nn.Module | None:
    """torchvision's ResNet (He et al., 2015, arXiv:1512.03385); None for other names.

    Up to 64 px the stem is a 3 × 3 convolution of stride 1 without max-pooling, as in the CIFAR variants.
    """
    if name not in NAMES:
        return None
    from torchvision import models  # late: it takes a second to import

    net: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    if size <= SMALL:
        net.conv1 = nn.Conv2d(channels, 64, 3, stride=1, padding=1, bias=False)
        net.maxpool = nn.Identity()
    elif channels != 3:
        net.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    return net
