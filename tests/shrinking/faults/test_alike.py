"""Thumbnails compared: blocks, crops and differences against plain loops."""

import numpy as np
import pytest
from tests.shrinking.pictures import drawings, noisy

from decoct.shrinking.faults import alike


def naive_block(image, top, bottom, left, right):
    """The mean of a rectangle whose borders may cut pixels."""
    total = weight = 0.0
    for y in range(len(image)):
        for x in range(len(image)):
            share = max(0, min(bottom, y + 1) - max(top, y)) * max(0, min(right, x + 1) - max(left, x))
            total, weight = total + share * float(image[y, x]), weight + share
    return total / weight


def naive_blocks(image, top, bottom, left, right, n=alike.GRID):
    down, across = (bottom - top) / n, (right - left) / n
    return [
        [
            naive_block(image, top + y * down, top + (y + 1) * down, left + x * across, left + (x + 1) * across)
            for x in range(n)
        ]
        for y in range(n)
    ]


@pytest.mark.parametrize("side", [8, 12, 17, 28])
def test_blocks_are_means_of_the_pixels_they_cover(side):
    image = np.random.default_rng(side).integers(0, 256, (2, 2, side, side), dtype=np.uint8)
    blocks = alike.blocks(image)
    assert blocks.shape == (2, 2, 12, 12)
    assert np.allclose(blocks[1, 0], naive_blocks(image[1, 0], 0, side, 0, side), atol=1e-3)


def test_crops_lose_a_share_of_each_side():
    image = drawings(1, side=20)
    lost, crops = 0.03 * 20, alike.crops(image, (0.03, 0.1), 3)
    assert crops.shape == (1, 18, 3, 12, 12)
    assert np.allclose(crops[0, 17, 2], naive_blocks(image[0, 2], 2, 20, 2, 20), atol=1e-3)
    corner, centre = naive_blocks(image[0, 1], lost, 20, 0, 20 - lost), (lost / 2, 20 - lost / 2)
    assert np.allclose(crops[0, 6, 1], corner, atol=1e-3)  # lowest, leftmost
    assert np.allclose(crops[0, 4, 1], naive_blocks(image[0, 1], *centre, *centre), atol=1e-3)


def test_light_and_contrast_make_no_difference_but_colour_does():
    image = drawings(1)[0].astype(np.float32)
    bright = 0.9 * image + 12
    swapped = image[[2, 1, 0]]
    blocks = alike.blocks(np.stack([image, bright, swapped]))
    apart = alike.apart(alike.standard(blocks[:1]), alike.standard(blocks[1:]))
    assert apart[0] == pytest.approx(0, abs=1e-4)
    assert apart[1] > 0.5


def test_a_difference_is_that_of_the_worst_block():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 12, 12)), rng.normal(size=(2, 3, 12, 12))
    scaled = [[(each - each.mean()) / each.std() for each in side] for side in (a, b)]
    worst = [abs(x - y).max() for x, y in zip(*scaled, strict=True)]
    assert np.allclose(alike.apart(alike.standard(a), alike.standard(b)), worst, atol=1e-5)


@pytest.mark.parametrize(
    ("gain", "offset", "same"), [(1.0, 24, True), (1.0, 26, False), (1.24, 0, True), (1.26, 0, False), (0.79, 0, False)]
)
def test_brightness_and_contrast_may_differ_a_little(gain, offset, same):
    look = np.random.default_rng(0).normal(0, 20, (1, 3, 12, 12))
    look -= look.mean()
    before, after = alike.light(look), alike.light(gain * look + offset)
    assert alike.same_light(before, after).tolist() == alike.same_light(after, before).tolist() == [same]


def test_empty_pictures_are_flat_and_drawings_are_not():
    white = np.full((3, 32, 32), 255, np.uint8)
    blocks = alike.blocks(np.stack([white, noisy(white, levels=20), *drawings(3)]))
    assert alike.flat(alike.light(blocks)).tolist() == [True, True, False, False, False]
    assert np.isfinite(alike.standard(blocks)).all()
