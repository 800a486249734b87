"""Augmentation against loops over single images, and against torchvision."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, ks_2samp, kstest
from torchvision.transforms import RandomResizedCrop

from decoct.data.augment.augment import Mix, _beta, draw_boxes, draw_crops, draw_cutmix, draw_mixup, gather_crops


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


# Crops


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
def test_every_crop_is_the_window_of_its_own_padded_image_at_its_corner(images, channels, size, pad, flip, dtype, seed):
    raw = torch.randint(0, 256, (images, channels, size, size), generator=rng(seed)).to(dtype)
    padded = F.pad(raw, [pad] * 4)
    rows = torch.randint(0, images, (12,), generator=rng(seed + 1))
    corners = draw_crops(12, pad, rng(seed))
    mirrored = torch.rand(12, generator=rng(seed)) < 0.5 if flip else None
    crops = gather_crops(padded, rows, corners, size, mirrored)
    assert crops.dtype == dtype
    assert crops.shape == (12, channels, size, size)
    for i, (row, (top, left)) in enumerate(zip(rows.tolist(), corners.tolist(), strict=True)):
        window = padded[row, :, top : top + size, left : left + size]
        assert torch.equal(crops[i], window.flip(2) if flip and mirrored[i] else window)


def test_crops_may_be_smaller_than_the_image_and_the_image_wider_than_high():
    images = torch.arange(2 * 5 * 7).view(2, 1, 5, 7)
    corners = torch.tensor([[2, 4], [0, 1]])
    crops = gather_crops(images, torch.tensor([1, 0]), corners, 3, torch.tensor([False, True]))
    assert torch.equal(crops[0], images[1, :, 2:5, 4:7])
    assert torch.equal(crops[1], images[0, :, 0:3, 1:4].flip(2))


def test_all_corners_are_equally_likely():
    corners = draw_crops(5400, 1, rng())
    assert corners.shape == (5400, 2)
    codes, counts = (3 * corners[:, 0] + corners[:, 1]).unique(return_counts=True)
    assert codes.tolist() == list(range(9))
    assert ((counts - 600) ** 2 / 600).sum() < 26  # chi-square with 8 degrees: p < 0.001


def test_without_a_border_the_images_come_back():
    images = torch.randint(0, 256, (5, 3, 4, 4), generator=rng(), dtype=torch.uint8)
    rows = torch.tensor([4, 0, 4])
    assert torch.equal(gather_crops(images, rows, draw_crops(3, 0, rng()), 4), images[rows])


# Boxes


@settings(deadline=None, max_examples=40)
@given(size=st.integers(1, 80), low=st.floats(0.01, 1), seed=st.integers(0, 2**31))
def test_boxes_lie_inside_the_image(size, low, seed):
    top, left, h, w = draw_boxes(300, size, (low, 1.0), rng(seed)).T
    assert (h >= 1).all() and (w >= 1).all()
    assert (top >= 0).all() and (top + h <= size).all()
    assert (left >= 0).all() and (left + w <= size).all()


@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.5, 1.0), (0.25, 1.0)])
def test_boxes_are_distributed_as_torchvision_draws_them(scale):
    size, count = 64, 4000
    ours = draw_boxes(count, size, scale, rng(1)).numpy()
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
@given(size=st.integers(1, 80), seed=st.integers(0, 2**31))
def test_boxes_with_least_shares_of_their_own_lie_inside_the_image(size, seed):
    low = torch.rand(300, generator=rng(seed))
    top, left, h, w = draw_boxes(300, size, (0.08, 1.0), rng(seed + 1), low).T
    assert (h >= 1).all() and (w >= 1).all()
    assert (top >= 0).all() and (top + h <= size).all()
    assert (left >= 0).all() and (left + w <= size).all()
    # A side is rounded by half a pixel, at most; the shorter one is sqrt(3/4) of a square's.
    assert (h * w >= ((low.sqrt() * size * 0.75**0.5 - 0.5).clamp(min=0)) ** 2).all()


def test_boxes_with_a_least_share_of_one_are_the_whole_image():
    boxes = draw_boxes(500, 64, (0.08, 1.0), rng(), torch.ones(500))
    assert (boxes == torch.tensor([0, 0, 64, 64])).all()


def test_boxes_with_one_least_share_for_all_are_distributed_as_those_of_a_scale():
    count, low = 4000, 0.25
    ours = draw_boxes(count, 64, (0.08, 1.0), rng(1), torch.full((count,), low)).numpy()
    theirs = draw_boxes(count, 64, (low, 1.0), rng(2)).numpy()
    for what in (
        lambda b: b[:, 2] * b[:, 3],
        lambda b: np.log(b[:, 3] / b[:, 2]),
        lambda b: b[:, 0],
        lambda b: b[:, 1],
    ):
        assert ks_2samp(what(ours), what(theirs)).pvalue > 1e-3


def test_each_box_has_its_own_least_share():
    low = torch.tensor([0.1, 0.5, 0.9]).repeat(2000)
    boxes = draw_boxes(6000, 64, (0.08, 1.0), rng(1), low)
    area = (boxes[:, 2] * boxes[:, 3]).view(-1, 3) / 64**2
    for i, least in enumerate((0.1, 0.5, 0.9)):
        alone = draw_boxes(4000, 64, (least, 1.0), rng(5))
        assert ks_2samp(area[:, i].numpy(), (alone[:, 2] * alone[:, 3] / 64**2).numpy()).pvalue > 1e-3


# Mixing


@settings(deadline=None, max_examples=60)
@given(
    batch=st.integers(2, 8),
    size=st.integers(2, 20),
    alpha=st.sampled_from([0.2, 1.0, 3.0]),
    seed=st.integers(0, 2**31),
)
def test_cutmix_puts_one_box_of_one_permutation_into_the_batch_and_its_share_is_the_area(batch, size, alpha, seed):
    # Each image has a value of its own, so every pixel says which image it came from.
    images = torch.arange(batch).float().view(-1, 1, 1, 1).expand(batch, 2, size, size).contiguous()
    before = images.clone()
    mix = draw_cutmix(batch, size, alpha, rng(seed))
    mixed = mix(images)
    assert torch.equal(images, before)
    top, bottom, left, right = mix.box
    assert 0 <= top <= bottom <= size and 0 <= left <= right <= size
    assert sorted(mix.order.tolist()) == list(range(batch))
    inside = torch.zeros(size, size, dtype=torch.bool)
    inside[top:bottom, left:right] = True
    for image, own, partner in zip(mixed, images, images[mix.order], strict=True):
        assert torch.equal(image[:, inside], partner[:, inside])
        assert torch.equal(image[:, ~inside], own[:, ~inside])
    assert mix.share == pytest.approx(float((~inside).float().mean()), abs=1e-6)


def test_the_area_of_the_box_follows_lambda_and_is_clipped():
    """The share of the image that is replaced is distributed as a rewrite of the paper draws it."""
    size, draws = 32, 3000
    generator = rng(5)
    shares = [1 - draw_cutmix(2, size, 1.0, generator).share for _ in range(draws)]
    numbers, expected = np.random.default_rng(0), []
    for _ in range(draws):
        lam = numbers.beta(1, 1)
        cut = int(size * math.sqrt(1 - lam))
        cx, cy = numbers.integers(0, size, 2)
        x = np.clip([cx - cut // 2, cx + cut // 2], 0, size)
        y = np.clip([cy - cut // 2, cy + cut // 2], 0, size)
        expected.append((x[1] - x[0]) * (y[1] - y[0]) / size**2)
    assert ks_2samp(shares, expected).pvalue > 1e-3


def test_mixup_blends_every_image_with_its_partner():
    images = torch.rand(5, 3, 4, 4, generator=rng())
    mix = draw_mixup(5, 0.8, rng(1))
    assert mix.box is None and sorted(mix.order.tolist()) == list(range(5))
    for image, own, partner in zip(mix(images), images, images[mix.order], strict=True):
        torch.testing.assert_close(image, mix.share * own + (1 - mix.share) * partner)
    assert torch.equal(Mix(mix.order, 1.0)(images), images)
    assert torch.equal(Mix(mix.order, 0.0)(images), images[mix.order])


@pytest.mark.parametrize("alpha", [0.3, 1.0, 2.0])
def test_lambda_is_a_beta_variate(alpha):
    generator = rng(2)
    assert kstest([_beta(alpha, generator) for _ in range(2000)], beta(alpha, alpha).cdf).pvalue > 1e-3
    shares = [draw_mixup(3, alpha, generator).share for _ in range(2000)]
    assert kstest(shares, beta(alpha, alpha).cdf).pvalue > 1e-3


@pytest.mark.parametrize("draw", [draw_cutmix, lambda n, size, alpha, generator: draw_mixup(n, alpha, generator)])
def test_all_permutations_are_equally_likely(draw):
    generator = rng(3)
    orders = torch.stack([draw(3, 8, 1.0, generator).order for _ in range(1200)])
    _, counts = (orders * torch.tensor([9, 3, 1])).sum(1).unique(return_counts=True)
    assert len(counts) == 6
    assert ((counts - 200) ** 2 / 200).sum() < 20.5  # chi-square with 5 degrees: p < 0.001


def test_draws_come_from_the_generator_alone():
    images = torch.rand(6, 3, 8, 8, generator=rng())

    def draw(seed):
        mixed = [draw_cutmix(6, 8, 1.0, rng(seed))(images), draw_mixup(6, 0.8, rng(seed))(images)]
        drawn = [draw_crops(6, 2, rng(seed)), draw_boxes(6, 8, (0.3, 1.0), rng(seed)), *mixed]
        return torch.cat([value.flatten() for value in drawn])

    torch.random.default_generator.manual_seed(0)
    state = torch.random.get_rng_state()
    one = draw(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.random.default_generator.manual_seed(9)
    assert torch.equal(draw(1), one)
    assert not torch.equal(draw(2), one)
