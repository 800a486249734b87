"""A small class-conditional U-Net on pixels, of diffusers' parts."""

from typing import Any

import torch

from decoct.nets.pipeline import diffusers

GROUPS = 8
SMALLEST = 8  # pixels below which nothing is halved, but for images that are no larger
WIDER = 1, 2, 4, 4  # channels of each resolution, as multiples of the width


def unet(channels: int, classes: int, size: int, width: int, seed: int) -> Any:
    """A fresh ``UNet2DModel`` that takes classes 0 to ``classes`` − 1, and ``classes`` for none.

    Images are halved to 8 px or less while that goes evenly: 28 → 14 → 7. Attention stands at the smallest resolution,
    and nowhere if that is larger than 16 px. Time and class scale and shift the group norms (Dhariwal and Nichol, 2021,
    arXiv:2105.05233).

    Args:
        channels: of the images.
        classes: K.
        size: height and width.
        width: channels at full resolution, a multiple of 8.
        seed: of the weights.
    """
    library, sides = diffusers(), resolutions(size)
    widths = tuple(width * more for more in WIDER[: len(sides)])
    attends = sides[-1] <= 2 * SMALLEST
    last = ("AttnDownBlock2D", "AttnUpBlock2D") if attends else ("DownBlock2D", "UpBlock2D")
    above = len(sides) - 1
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        return library.UNet2DModel(
            sample_size=size,
            in_channels=channels,
            out_channels=channels,
            down_block_types=("DownBlock2D",) * above + last[:1],
            up_block_types=last[1:] + ("UpBlock2D",) * above,
            block_out_channels=widths,
            layers_per_block=1,
            norm_num_groups=GROUPS,
            attention_head_dim=width,
            add_attention=attends,
            resnet_time_scale_shift="scale_shift",
            num_class_embeds=classes + 1,
        )


def resolutions(size: int) -> list[int]:
    """Sides of the images at each level: 28, 14, 7; 8, 4; 64, 32, 16, 8."""
    sides = [size]
    while sides[-1] % 2 == 0 and len(sides) < len(WIDER) and (sides[-1] > SMALLEST or len(sides) == 1):
        sides.append(sides[-1] // 2)
    return sides
