"""Resized crops against torchvision's, image by image."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as reference

from decoct.data.augment import resample
from decoct.data.augment.augment import draw_boxes
from decoct.data.augment.resample import resampling, resized_crop


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def random_boxes(count, height, width, generator, low=(1, 1), high=None):
    """Boxes inside an image with sides from ``low`` to ``high``."""
    top_h, top_w = high or (height, width)
    boxes = torch.empty(count, 4, dtype=torch.int64)
    for box in boxes:
        box[2] = torch.randint(low[0], top_h + 1, (), generator=generator)
        box[3] = torch.randint(low[1], top_w + 1, (), generator=generator)
        box[0] = torch.randint(0, height - int(box[2]) + 1, (), generator=generator)
        box[1] = torch.randint(0, width - int(box[3]) + 1, (), generator=generator)
    return boxes


def naive(images, boxes, size, mirrored):
    made = []
    for image, box, mirror in zip(images, boxes.tolist(), mirrored, strict=True):
        crop = reference.resized_crop(image, *box, [size, size], antialias=True)
        made.append(crop.flip(2) if mirror else crop)
    return torch.stack(made)


@settings(deadline=None, max_examples=80)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.integers(1, 32),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**31),
)
def test_crops_of_any_boxes_are_torchvision_s(height, width, size, channels, seed):
    images = torch.rand(4, channels, height, width, generator=rng(seed))
    boxes = random_boxes(4, height, width, rng(seed))
    mirrored = torch.rand(4, generator=rng(seed)) < 0.5
    made = resized_crop(images, boxes, size, mirrored)
    assert made.shape == (4, channels, size, size)
    torch.testing.assert_close(made, naive(images, boxes, size, mirrored), atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("low", "high"),
    [((1, 1), (16, 16)), ((17, 17), (60, 50)), ((17, 1), (60, 16)), ((1, 17), (16, 50))],
    ids=["up", "down", "down and up", "up and down"],
)
def test_every_direction(low, high):
    images = torch.rand(20, 3, 60, 50, generator=rng())
    boxes = random_boxes(20, 60, 50, rng(1), low, high)
    mirrored = torch.arange(20) % 2 == 0
    made = resized_crop(images, boxes, 16, mirrored)
    torch.testing.assert_close(made, naive(images, boxes, 16, mirrored), atol=2e-5, rtol=0)


def test_both_ways_are_one_where_both_apply():
    images = torch.rand(12, 3, 30, 24, generator=rng())
    boxes, order = random_boxes(12, 30, 24, rng(1)), torch.arange(32)
    ways = [way(images, boxes, 32, order) for way in (resample._enlarged, resample._weighed)]
    torch.testing.assert_close(*ways, atol=2e-5, rtol=0)


def test_blocks_change_nothing(monkeypatch):
    images = torch.rand(7, 3, 20, 30, generator=rng())
    boxes, mirrored = random_boxes(7, 20, 30, rng(1), (9, 9)), torch.arange(7) % 3 == 0
    whole = resized_crop(images, boxes, 8, mirrored)
    for block in (1, 3 * 3 * 8 * 50):  # one and three images at a time
        monkeypatch.setattr(resample, "BLOCK", block)
        torch.testing.assert_close(resized_crop(images, boxes, 8, mirrored), whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [5, 12])
def test_the_whole_image_comes_back_and_pixels_outside_of_the_box_never_show(size):
    images = torch.rand(2, 3, size, size, generator=rng())
    whole = torch.tensor([[0, 0, size, size]] * 2)
    torch.testing.assert_close(resized_crop(images, whole, size), images)
    torch.testing.assert_close(resized_crop(images, whole, size, torch.tensor([True, False]))[0], images[0].flip(2))
    marked = torch.full((1, 1, 13, 13), 1e6)
    marked[:, :, 3:11, 2:9] = 0.5
    made = resized_crop(marked, torch.tensor([[3, 2, 8, 7]]), size)
    torch.testing.assert_close(made, torch.full_like(made, 0.5))


@pytest.mark.parametrize("size", [4, 10])
def test_gradients_are_those_of_torchvision_and_stay_in_the_box(size):
    images = torch.rand(2, 1, 14, 12, generator=rng())
    boxes, mirrored = torch.tensor([[2, 1, 9, 7], [5, 3, 8, 9]]), torch.tensor([False, True])
    weights = torch.randn(2, 1, size, size, generator=rng(1))
    ours, theirs = images.clone().requires_grad_(), images.clone().requires_grad_()
    (resized_crop(ours, boxes, size, mirrored) * weights).sum().backward()
    (naive(theirs, boxes, size, mirrored) * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=2e-5, rtol=0)
    assert ours.grad[0, 0].nonzero().min(0).values.tolist() == [2, 1]
    assert ours.grad[0, 0].nonzero().max(0).values.tolist() == [10, 7]


@pytest.mark.parametrize("size", [4, 10])
def test_double_precision_stays_and_an_empty_batch_is_one(size):
    boxes = torch.tensor([[0, 0, 8, 8]])
    assert resized_crop(torch.rand(1, 1, 8, 8, dtype=torch.float64), boxes, size).dtype == torch.float64
    assert resized_crop(torch.rand(0, 3, 8, 8), boxes[:0], size).shape == (0, 3, size, size)


@settings(deadline=None, max_examples=40)
@given(size=st.integers(1, 30), out=st.integers(1, 30), data=st.data())
def test_weights_are_those_of_interpolate(size, out, data):
    length = data.draw(st.integers(1, size))
    start = data.draw(st.integers(0, size - length))
    weights = resampling(torch.tensor([start]), torch.tensor([length]), size, out)[0]
    basis = torch.eye(size)[None, None, :, start : start + length]
    columns = F.interpolate(basis, (size, out), mode="bilinear", antialias=True)[0, 0]
    torch.testing.assert_close(weights, columns.T, atol=2e-5, rtol=0)
    turned = resampling(torch.tensor([start]), torch.tensor([length]), size, out, torch.arange(out).flip(0)[None])[0]
    torch.testing.assert_close(turned, weights.flip(0))


@settings(deadline=None, max_examples=30)
@given(size=st.integers(2, 40), channels=st.sampled_from([1, 3]), seed=st.integers(0, 2**31))
def test_bytes_on_a_cpu_are_the_floats_to_a_whole_level(size, channels, seed):
    images = torch.randint(0, 256, (5, channels, size, size), generator=rng(seed), dtype=torch.uint8)
    boxes = draw_boxes(5, size, (0.08, 1.0), rng(seed))
    mirrored = torch.rand(5, generator=rng(seed)) < 0.5
    for side in (size, max(1, size // 2)):
        made = resized_crop(images, boxes, side, mirrored)
        exact = resized_crop(images.float(), boxes, side, mirrored)
        assert made.dtype == torch.uint8
        assert (made.float() - exact).abs().max() <= 1.01
        assert (made.float() - exact).abs().mean() / 255 < 2 / 255


def test_a_box_over_the_border_is_zero_outside():
    """Of its own size, it is the crop of an image within a border of zeros."""
    x = torch.arange(1.0, 7.0)
    for start in (-2, 0, 3):
        weights = resampling(torch.tensor([start]), torch.tensor([6]), 6, 6)[0]
        assert torch.equal(weights @ x, torch.nn.functional.pad(x, (3, 3))[start + 3 : start + 9])
