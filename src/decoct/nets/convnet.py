"""ConvNet-D, the small net of the dataset-distillation literature."""

import re

from torch import Tensor, nn

from decoct.core.errors import UsageError

NAME = re.compile(r"convnet(?P<depth>[1-6])(?P<bn>_bn)?(?:_w(?P<width>[1-9]\d*))?")
DEEPEST = 6


def depth(size: int) -> int:
    """Blocks of the ConvNet that fits a resolution: as many as leave a last map of 3 × 3 or more, 2 × 2 below 12 px.

    That is 2 at 8 px, 3 at 28 and 32, 4 at 64, 5 at 128 and 6 at 224; from 32 to 128 px the depths of Cazenavette et
    al., 2022, arXiv:2203.11932.
    """
    least = 3 if size >= 12 else 2
    return max((d for d in range(1, DEEPEST + 1) if size // 2**d >= least), default=1)


def check_depth(name: str, size: int) -> None:
    """Raise a UsageError for a ConvNet whose last instance norm forgets the image.

    An instance norm of a 2 × 2 map fixes the mean and the variance of its four values. Where pooling then leaves one
    number of them, next to nothing tells images apart, and under soft labels students stay near chance. Batch norm
    looks at a whole batch and forgets nothing.
    """
    match = NAME.fullmatch(name)
    if match is None or match["bn"] or not 2 <= size // 2 ** (int(match["depth"]) - 1) < 3:
        return
    fits = name.replace(match["depth"], str(depth(size)), 1) if size >= 4 else "resnet18"
    raise UsageError(
        f"{name} hardly learns from {size} px: its last instance norm sees 2 × 2 positions, which pooling then takes "
        f"together\ntake {fits}, which fits {size} px"
    )


class ConvNet(nn.Module):
    """Blocks of 3 × 3 convolution, norm, ReLU and 2 × 2 average pooling, then one linear layer.

    Introduced for distillation by Zhao et al., 2021, arXiv:2006.05929, after Gidaris and Komodakis, 2018. As in their
    code, the first convolution pads grey images of 28 px by 3, so that maps are those of 32 px: 317,706 parameters of
    convnet3 for ten classes.

    Args:
        channels: of the images.
        classes: outputs.
        size: height and width of the images; at least 2 to the power of ``depth``.
        width: filters in every layer.
        depth: blocks.
        norm: "instance" (affine; a group norm with one channel a group) or "batch".
    """

    def __init__(
        self, channels: int, classes: int, size: int, width: int = 128, depth: int = 3, norm: str = "instance"
    ) -> None:
        super().__init__()
        if size < 2**depth:
            raise UsageError(f"convnet{depth} halves the image {depth} times: {size} px is less than {2**depth}")
        padding = 3 if (channels, size) == (1, 28) else 1
        blocks: list[nn.Module] = []
        for block in range(depth):
            blocks += [
                nn.Conv2d(width if block else channels, width, 3, padding=1 if block else padding),
                nn.GroupNorm(width, width) if norm == "instance" else nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                nn.AvgPool2d(2),
            ]
        self.features = nn.Sequential(*blocks, nn.Flatten())
        self.classifier = nn.Linear(width * ((size + 2 * (padding - 1)) // 2**depth) ** 2, classes)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, size, size] -> logits [B, classes]."""
        logits: Tensor = self.classifier(self.features(x))
        return logits


def convnet(name: str, channels: int, classes: int, size: int) -> ConvNet | None:
    """The net that ``convnet3``, ``convnet3_bn``, ``convnet3_w32``, ``convnet4_bn_w64`` … names; None for others."""
    match = NAME.fullmatch(name)
    if match is None:
        return None
    norm = "batch" if match["bn"] else "instance"
    return ConvNet(channels, classes, size, int(match["width"] or 128), int(match["depth"]), norm)
