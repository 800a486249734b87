"""How much two thumbnails differ: in their blocks, after light and contrast are taken out, also if one is cropped."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRID = 12  # blocks per side: 8 cannot see a smiley's mouth, 16 takes the edges of a crop for a difference
LIGHT = 25.0  # levels between the means of two copies, a tenth of the range
CONTRAST = 1.25  # ratio of their deviations: brightness × 1.08 makes 1.08, and clipping more
FLAT = 6.0  # levels: deviation of a picture in which noise decides what it resembles
HALF = 2**-10  # of a deviation, which float32 does not resolve

Blocks = NDArray[np.float32]


def blocks(images: NDArray[np.uint8]) -> Blocks:
    """[N, C, S, S] → [N, C, GRID, GRID] means of blocks."""
    along = _means(images.shape[-1], 0.0, 1.0)
    means: Blocks = along @ images.astype(np.float32) @ along.T
    return means


def light(look: NDArray[Any]) -> NDArray[np.float32]:
    """[..., C, GRID, GRID] → [..., 2] mean and deviation over blocks and channels."""
    rows = _rows(look)
    return np.stack([rows.mean(-1), rows.std(-1)], -1)


def standard(look: NDArray[Any]) -> Blocks:
    """[..., C, GRID, GRID] → [..., D] of mean 0 and deviation 1 over blocks and channels: colours still count."""
    return scaled(look, light(look))


def scaled(look: NDArray[Any], by: NDArray[np.float32]) -> Blocks:
    """``standard``, where ``light`` is known."""
    rows = _rows(look)
    rows -= by[..., :1]
    rows /= np.maximum(by[..., 1:], HALF)
    return rows


def flat(by: NDArray[np.float32]) -> NDArray[np.bool_]:
    """[N] which pictures are empty, or nearly, from ``light``."""
    empty: NDArray[np.bool_] = by[..., 1] < FLAT
    return empty


def same_light(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.bool_]:
    """[P] of which pairs brightness and contrast are about the same, from ``light`` [P, 2]."""
    ratio = np.maximum(first[:, 1], HALF) / np.maximum(second[:, 1], HALF)
    near: NDArray[np.bool_] = np.abs(first[:, 0] - second[:, 0]) <= LIGHT
    return near & (ratio <= CONTRAST) & (ratio >= 1 / CONTRAST)


def crops(images: NDArray[np.uint8], lost: Sequence[float], places: int) -> Blocks:
    """[N, C, S, S] → [N, len(lost) · places², C, GRID, GRID] blocks of crops that have lost such shares of each side.

    Args:
        images: the pictures.
        lost: shares of a side.
        places: of a crop along a side, evenly from one end to the other.
    """
    pixels, size, found = images.astype(np.float32), images.shape[-1], []
    for share in lost:
        along = np.concatenate([_means(size, at * share, 1 - share + at * share) for at in np.linspace(0, 1, places)])
        cut = (along @ pixels @ along.T).reshape(*images.shape[:2], places, GRID, places, GRID)
        found.append(cut.transpose(0, 2, 4, 1, 3, 5).reshape(len(images), places**2, -1, GRID, GRID))
    return np.concatenate(found, 1)


def apart(first: Blocks, second: Blocks) -> NDArray[np.float32]:
    """[...] largest difference of a block between two pictures that are ``standard``, in deviations of a picture."""
    largest: NDArray[np.float32] = np.abs(first - second).max(-1)
    return largest


def _rows(look: NDArray[Any]) -> NDArray[np.float32]:
    """A copy [..., D] in float32."""
    return look.reshape(*look.shape[:-3], -1).astype(np.float32)


@cache
def _means(size: int, start: float, end: float) -> NDArray[np.float32]:
    """[GRID, size] weights of pixels in the blocks between two shares of the side; a pixel may lie in two blocks."""
    edges = np.linspace(start * size, end * size, GRID + 1)
    pixel = np.arange(size)
    share = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    share = np.clip(share, 0, None)
    weights: NDArray[np.float32] = (share / share.sum(1, keepdims=True)).astype(np.float32)
    return weights
