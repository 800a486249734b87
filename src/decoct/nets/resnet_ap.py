"""ResNets that average-pool where others stride: the students of the generative distillation papers."""

import re

from torch import Tensor, nn

from decoct.core.errors import UsageError

NAME = re.compile(r"resnet_ap(?P<depth>10|18)(?P<bn>_bn)?")
BLOCKS = {10: 1, 18: 2}  # in each of the four stages


class Block(nn.Module):
    """Two 3 × 3 convolutions and a shortcut; a block that halves the image pools after its first ReLU."""

    def __init__(self, channels: int, width: int, pool: int, batch_norm: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            norm(width, batch_norm),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(pool),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            norm(width, batch_norm),
        )
        self.shortcut: nn.Module = nn.Identity()
        if channels != width or pool > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, bias=False), nn.AvgPool2d(pool), norm(width, batch_norm)
            )

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, S, S] -> [B, width, S // pool, S // pool]."""
        out: Tensor = self.body(x) + self.shortcut(x)
        return out.relu()


class ResNetAP(nn.Module):
    """ResNet of basic blocks in which stride-1 convolutions and average pooling replace strides.

    From IDC (Kim et al., 2022, arXiv:2205.14959); ResNetAP-10 with instance norm is a student of MinimaxDiffusion
    (Gu et al., 2024, arXiv:2311.15529) and of the papers that follow it. The stem is a convolution 3 × 3 up to 64 px,
    3 × 3 with 2 × 2 pooling up to 128 px, and 7 × 7 with 4 × 4 pooling above.

    Args:
        channels: of the images.
        classes: outputs.
        size: height and width of the images.
        depth: 10 or 18.
        batch_norm: instead of instance norm (affine; a group norm with one channel a group).

    Raises:
        UsageError: the image is halved to nothing, or to one pixel, which instance norm would set to zero.
    """

    def __init__(self, channels: int, classes: int, size: int, depth: int = 10, batch_norm: bool = False) -> None:
        super().__init__()
        kernel, pool = (3, 1) if size <= 64 else (3, 2) if size <= 128 else (7, 4)
        least = 8 if batch_norm else 16
        if size < least:
            raise UsageError(f"resnet_ap{depth} halves the image three times: {size} px is less than {least}")
        stages: list[nn.Module] = []
        before = 64
        for stage, width in enumerate((64, 128, 256, 512)):
            for block in range(BLOCKS[depth]):
                stages.append(Block(before, width, 2 if stage and not block else 1, batch_norm))
                before = width
        self.features = nn.Sequential(
            nn.Conv2d(channels, 64, kernel, padding=kernel // 2, bias=False),
            norm(64, batch_norm),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(pool),
            *stages,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(512, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, size, size] -> logits [B, classes]."""
        logits: Tensor = self.classifier(self.features(x))
        return logits


def norm(width: int, batch_norm: bool) -> nn.Module:
    """Batch norm, or instance norm with a gain and a shift for every channel."""
    return nn.BatchNorm2d(width) if batch_norm else nn.GroupNorm(width, width)


def resnet_ap(name: str, channels: int, classes: int, size: int) -> ResNetAP | None:
    """The net that ``resnet_ap10``, ``resnet_ap10_bn``, ``resnet_ap18`` … names; None for others."""
    match = NAME.fullmatch(name)
    return match and ResNetAP(channels, classes, size, int(match["depth"]), bool(match["bn"]))
