"""RDED's patch shuffle: the tiles of an image change places, whole columns and whole rows at a time."""

import torch
from torch import Generator, Tensor

from decoct.data.send import send


def draw_shuffle(count: int, factor: int, generator: Generator) -> Tensor:
    """Orders of the columns and of the rows of ``factor`` × ``factor`` tiles, independent for each image.

    Args:
        count: images.
        factor: tiles along a side.
        generator: on the CPU.

    Returns:
        [count, 2, factor] integer: which column of tiles, then which row, stands at each place.
    """
    return torch.rand((count, 2, factor), generator=generator).argsort(-1)


def shuffle(images: Tensor, drawn: Tensor) -> Tensor:
    """Put columns and rows of tiles in the order drawn (Sun et al., 2024, arXiv:2312.03526).

    Where the factor does not divide the side, the first rows and columns of tiles are one pixel larger, as in the
    mosaic that made the image. Tiles move whole, so every pixel is kept and the sides still add up; the larger tiles
    are then anywhere. (The authors' code gives the remainder to the last tile.)

    Args:
        images: [B, C, H, W] of any type, on any device.
        drawn: [B, 2, factor], as ``draw_shuffle`` returns it.

    Returns:
        [B, C, H, W].
    """
    batch, channels, height, width = images.shape
    columns, rows = send(drawn, images).unbind(1)
    factor = columns.shape[1]
    each = torch.arange(batch, device=images.device)[:, None, None]
    if height % factor == 0 and width % factor == 0:  # whole tiles at once: several times as fast as pixels
        tiles = images.reshape(batch, channels, factor, height // factor, factor, width // factor)
        moved = tiles[each, :, rows[:, :, None], :, columns[:, None, :]]  # [B, factor, factor, C, h, w]
        return moved.permute(0, 3, 1, 4, 2, 5).reshape(images.shape)
    y, x = _pixels(rows, height)[:, :, None], _pixels(columns, width)[:, None, :]
    return images[each, :, y, x].permute(0, 3, 1, 2).contiguous()


def _pixels(order: Tensor, size: int) -> Tensor:
    """Which pixel of an axis stands where, when its tiles stand in an order: [B, factor] → [B, size]."""
    factor = order.shape[1]
    sides = send(torch.tensor([size // factor + (i < size % factor) for i in range(factor)]), order)
    tile = torch.repeat_interleave(sides, output_size=size)
    place = order.argsort(1)  # of each tile
    return place[:, tile].argsort(stable=True, dim=1)
