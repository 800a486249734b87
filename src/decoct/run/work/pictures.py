"""A set as one picture: a row a class, images in their order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from decoct.core.condensed import picture

GAP = 1  # pixels between images


def grid(
    images: NDArray[Any],
    labels: NDArray[np.int64],
    classes: int,
    most: int = 10,
    picks: NDArray[np.int64] | None = None,
) -> Image.Image:
    """Up to ``most`` classes × ``most`` images on a mid-grey ground; of the images, these alone are read.

    Args:
        images: [N, C, S, S] uint8, or float32 in [0, 1].
        labels: [n].
        classes: how many there are.
        most: rows and columns.
        picks: [n] the image that each label belongs to; None for all in their order.
    """
    rows = [np.flatnonzero(labels == c)[:most] for c in range(min(classes, most))]
    channels, height, width = images.shape[1:]
    columns = max(map(len, rows), default=1)
    sheet = np.full((channels, len(rows) * (height + GAP) + GAP, columns * (width + GAP) + GAP), 128, dtype=np.uint8)
    for r, members in enumerate(rows):
        for c, member in enumerate(members):
            top, left = GAP + r * (height + GAP), GAP + c * (width + GAP)
            image = images[member if picks is None else picks[member]]
            if image.dtype != np.uint8:
                image = np.clip(np.rint(image * 255), 0, 255)
            sheet[:, top : top + height, left : left + width] = image
    return picture(sheet)
