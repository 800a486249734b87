"""Augmentation against loops over single images, and against torchvision."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.functional import hflip
from torchvision.transforms.functional import resized_crop as reference

from decoct.data.augment import crop_boxes, cutmix, gather_crops, resized_crop


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def windows(padded, size, flip):
    """Every crop of one padded image, by (top, left, mirrored)."""
    span = padded.shape[-1] - size + 1
    crops = {}
    for top in range(span):
        for left in range(span):
            crop = padded[:, top : top + size, left : left + size]
            crops[top, left, False] = crop
            if flip:
                crops[top, left, True] = crop.flip(2)
    return crops


@settings(deadline=None, max_examples=40)
@given(
    images=st.integers(1, 4),
    channels=st.sampled_from([1, 3]),
    size=st.integers(2, 6),
    pad=st.integers(0, 2),
    flip=st.booleans(),
    dtype=st.sampled_from([torch.uint8, torch.float32]),
    seed=st.integers(0, 2**31),
)
def test_every_crop_is_a_window_of_its_own_padded_image(images, channels, size, pad, flip, dtype, seed):
    raw = torch.randint(0, 256, (images, channels, size, size), generator=rng(seed)).to(dtype)
    padded = F.pad(raw, [pad] * 4)
    rows = torch.randint(0, images, (12,), generator=rng(seed + 1))
    crops = gather_crops(padded, rows, pad, flip, rng(seed))
    assert crops.dtype == dtype
    assert crops.shape == (12, channels, size, size)
    for crop, row in zip(crops, rows.tolist(), strict=True):
        assert any(torch.equal(crop, window) for window in windows(padded[row], size, flip).values())


@pytest.mark.parametrize("flip", [False, True])
def test_all_offsets_and_mirrors_are_equally_likely(flip):
    image = torch.arange(1, 17, dtype=torch.uint8).view(1, 1, 4, 4)
    padded = F.pad(image, [1] * 4)
    choices = windows(padded[0], 4, flip)
    crops = gather_crops(padded, torch.zeros(5400, dtype=torch.int64), 1, flip, rng())
    counts = torch.tensor([(crops == window).flatten(1).all(1).sum() for window in choices.values()])
    assert counts.sum() == 5400
    expected = 5400 / len(choices)
    assert len(choices) == (18 if flip else 9)
    assert ((counts - expected) ** 2 / expected).sum() < 45  # chi-square with 17 or 8 degrees: p < 0.001


def test_without_pad_and_flip_the_images_come_back():
    images = torch.randint(0, 256, (5, 3, 4, 4), generator=rng(), dtype=torch.uint8)
    rows = torch.tensor([4, 0, 4])
    assert torch.equal(gather_crops(images, rows, 0, False, rng()), images[rows])


@settings(deadline=None, max_examples=40)
@given(size=st.integers(1, 80), low=st.floats(0.01, 1), seed=st.integers(0, 2**31))
def test_boxes_lie_inside_the_image(size, low, seed):
    top, left, h, w = crop_boxes(300, size, (low, 1.0), rng(seed)).T
    assert (h >= 1).all() and (w >= 1).all()
    assert (top >= 0).all() and (top + h <= size).all()
    assert (left >= 0).all() and (left + w <= size).all()


@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.5, 1.0), (0.25, 1.0)])
def test_boxes_are_distributed_as_torchvision_draws_them(scale):
    size, count = 64, 4000
    ours = crop_boxes(count, size, scale, rng(1)).numpy()
    torch.random.default_generator.manual_seed(0)
    image = torch.zeros(1, size, size)
    theirs = np.array([RandomResizedCrop.get_params(image, list(scale), [3 / 4, 4 / 3]) for _ in range(count)])
    for what in (
        lambda box: box[:, 2] * box[:, 3],
        lambda box: np.log(box[:, 3] / box[:, 2]),
        lambda box: box[:, 0],
        lambda box: box[:, 1],
        lambda box: box[:, 0] + box[:, 2] / 2,
        lambda box: box[:, 3],
    ):
        assert ks_2samp(what(ours), what(theirs)).pvalue > 1e-3


@settings(deadline=None, max_examples=40)
@given(
    size=st.integers(2, 40),
    channels=st.sampled_from([1, 3]),
    scale=st.sampled_from([(0.01, 0.2), (0.08, 1.0), (0.5, 1.0)]),
    seed=st.integers(0, 2**31),
)
def test_resized_crops_are_torchvision_s_one_by_one(size, channels, scale, seed):
    images = torch.rand(6, channels, size, size, generator=rng(seed))
    boxes = crop_boxes(6, size, scale, rng(seed))
    mirrored = torch.rand(6, generator=rng(seed)) < 0.5
    made = resized_crop(images, boxes, mirrored)
    for image, box, mirror, ours in zip(images, boxes.tolist(), mirrored, made, strict=True):
        theirs = reference(image, *box, [size, size], InterpolationMode.BILINEAR, antialias=True)
        torch.testing.assert_close(ours, hflip(theirs) if mirror else theirs, atol=2e-5, rtol=0)


def test_the_whole_image_comes_back_and_pixels_outside_of_the_box_never_show():
    images = torch.rand(2, 3, 9, 9, generator=rng())
    whole = torch.tensor([[0, 0, 9, 9]] * 2)
    torch.testing.assert_close(resized_crop(images, whole, torch.tensor([False, True]))[0], images[0])
    marked = torch.full((1, 1, 9, 9), 1e6)
    marked[:, :, 3:6, 2:7] = 0.5
    made = resized_crop(marked, torch.tensor([[3, 2, 3, 5]]), torch.tensor([False]))
    torch.testing.assert_close(made, torch.full_like(made, 0.5))


def test_gradients_reach_the_pixels_of_the_box_alone():
    images = torch.rand(1, 1, 8, 8, generator=rng(), requires_grad=True)
    resized_crop(images, torch.tensor([[2, 1, 4, 5]]), torch.tensor([False])).sum().backward()
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[2:6, 1:6] = True
    assert torch.equal(images.grad[0, 0] > 0, inside)


@settings(deadline=None, max_examples=60)
@given(
    batch=st.integers(2, 8),
    size=st.integers(2, 20),
    alpha=st.sampled_from([0.2, 1.0, 3.0]),
    seed=st.integers(0, 2**31),
)
def test_cutmix_puts_one_box_of_one_permutation_into_the_batch(batch, size, alpha, seed):
    # Each image has a value of its own, so every pixel says which image it came from.
    images = torch.arange(batch).float().view(-1, 1, 1, 1).expand(batch, 2, size, size).contiguous()
    before = images.clone()
    mixed = cutmix(images, alpha, rng(seed))
    assert torch.equal(images, before)
    changed = (mixed != images).any(1)
    ys, xs = changed.any(0).any(1).nonzero().flatten(), changed.any(0).any(0).nonzero().flatten()
    if len(ys) == 0:
        return
    box = slice(int(ys[0]), int(ys[-1]) + 1), slice(int(xs[0]), int(xs[-1]) + 1)
    donors = mixed[:, 0, box[0], box[1]].flatten(1)
    assert (donors == donors[:, :1]).all()
    assert sorted(donors[:, 0].tolist()) == list(range(batch))
    outside = torch.ones(size, size, dtype=torch.bool)
    outside[box] = False
    assert torch.equal(mixed[:, :, outside], images[:, :, outside])


def test_the_area_of_the_box_follows_lambda():
    """The share of the image that is replaced is distributed as a rewrite of the paper draws it."""
    size, draws = 32, 3000
    images = torch.stack([torch.zeros(1, size, size), torch.ones(1, size, size)])
    generator, shares = rng(5), []
    while len(shares) < draws:
        mixed = cutmix(images, 1.0, generator)
        if share := float(mixed[0].mean()):  # the identity permutation, half of the draws, shows no box
            shares.append(share)
    numbers, expected = np.random.default_rng(0), []
    while len(expected) < draws:
        lam = numbers.beta(1, 1)
        cut = int(size * math.sqrt(1 - lam))
        cx, cy = numbers.integers(0, size, 2)
        x = np.clip([cx - cut // 2, cx + cut // 2], 0, size)
        y = np.clip([cy - cut // 2, cy + cut // 2], 0, size)
        if share := (x[1] - x[0]) * (y[1] - y[0]) / size**2:
            expected.append(share)
    assert ks_2samp(shares, expected).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [0.3, 2.0])
def test_lambda_is_a_beta_variate(alpha):
    from scipy.stats import beta, kstest

    from decoct.data.augment import _beta

    generator = rng(2)
    assert kstest([_beta(alpha, generator) for _ in range(2000)], beta(alpha, alpha).cdf).pvalue > 1e-3


def test_draws_come_from_the_generator_alone():
    images = torch.rand(6, 3, 8, 8, generator=rng())
    rows = torch.arange(6)

    def draw(seed):
        boxes = crop_boxes(6, 8, (0.3, 1.0), rng(seed))
        return torch.cat(
            [
                gather_crops(images, rows, 2, True, rng(seed)).flatten(),
                cutmix(images, 1.0, rng(seed)).flatten(),
                boxes.flatten(),
            ]
        )

    torch.random.default_generator.manual_seed(0)
    state = torch.random.get_rng_state()
    one = draw(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.random.default_generator.manual_seed(9)
    assert torch.equal(draw(1), one)
    assert not torch.equal(draw(2), one)
