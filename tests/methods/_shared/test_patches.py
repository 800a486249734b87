"""Crops against torchvision, mosaics by hand, the easiest crops against a brute-force ranking."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from torch import nn
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as tv

from decoct.data.pixels import Pixels
from decoct.methods._shared.patches import crop, difficulty, easiest, mosaic, outwards, pad, square_boxes


@given(size=st.integers(1, 40), data=st.data())
@settings(max_examples=50, deadline=None)
def test_crop_is_the_resized_crop_of_torchvision(size, data):
    side = data.draw(st.integers(1, size))
    height, width = data.draw(st.integers(1, size)), data.draw(st.integers(1, size))
    top, left = data.draw(st.integers(0, size - height)), data.draw(st.integers(0, size - width))
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(size))
    expected = tv.resized_crop(image, top, left, height, width, [side, side], antialias=True)
    ours = crop(image, torch.tensor([[[top, left, height, width]]]), side)[0]
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_the_whole_of_an_image_is_the_image():
    image = torch.randint(0, 256, (2, 3, 9, 9)).float()
    assert torch.equal(crop(image, torch.tensor([[[0, 0, 9, 9]]] * 2), 9)[:, 0], image)


@given(size=st.integers(1, 60), low=st.floats(0.01, 1), high=st.floats(0.01, 1), seed=st.integers(0, 99))
def test_square_boxes_stay_inside_and_within_the_scale(size, low, high, seed):
    low, high = sorted((low, high))
    draws = np.random.default_rng(seed).random((20, 5, 3))
    top, left, height, width = square_boxes(draws, [(size, size)] * 20, (low, high)).unbind(-1)
    assert torch.equal(height, width)
    assert min(top.min(), left.min()) >= 0 and max((top + height).max(), (left + width).max()) <= size
    assert height.min() >= max(1, round(size * low**0.5)) and height.max() <= max(1, round(size * high**0.5))


def test_boxes_reach_every_corner_and_do_not_depend_on_how_many_follow():
    boxes = square_boxes(np.random.default_rng(0).random((2000, 1, 3)), [(8, 8)] * 2000, (0.3, 0.9))
    assert {(t + h, w + left) for t, left, h, w in boxes[:, 0].tolist()} >= {(8, 8)}
    assert boxes[:, :, :2].min() == 0
    assert torch.equal(boxes[:30], square_boxes(np.random.default_rng(0).random((30, 1, 3)), [(8, 8)] * 30, (0.3, 0.9)))


@pytest.mark.parametrize("shape", [(30, 40), (60, 30), (20, 110)])  # of the last, every fifth crop is the centre
def test_boxes_of_pictures_that_are_no_squares_are_torchvisions(shape):
    """Sides, places and how often it is the square in the centre, against as many draws of RandomResizedCrop."""
    n, scale = 4000, (0.16, 0.8)
    ours = square_boxes(np.random.default_rng(0).random((n, 1, 3)), [shape] * n, scale)[:, 0].numpy()
    picture, cropper = torch.empty(1, *shape), RandomResizedCrop(8, scale=scale, ratio=(1.0, 1.0))
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        theirs = np.array([cropper.get_params(picture, cropper.scale, cropper.ratio) for _ in range(n)])
    assert (ours[:, :2] >= 0).all() and (ours[:, :2] + ours[:, 2:] <= shape).all()
    for column in range(4):
        assert ks_2samp(ours[:, column], theirs[:, column]).statistic < 0.035  # 1.4 · √(2/n) is .031 at 5 %
    centre = [*((length - min(shape)) // 2 for length in shape), min(shape), min(shape)]
    shares = [(boxes == centre).all(1).mean() for boxes in (ours, theirs)]
    assert shares[0] == pytest.approx(shares[1], abs=0.025)
    assert (shares[0] > 0.1) == (shape == (20, 110))


def test_padding_is_centred():
    assert pad(torch.ones(1, 1, 2, 2), 4)[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert pad(torch.ones(1, 1, 1, 1), 2)[0, 0].tolist() == [[1, 0], [0, 0]]


def test_mosaic_by_hand():
    tiles = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 1, 2, 2)  # two images of four parts
    first, second = mosaic(tiles, 2, 4)[:, 0]
    assert first.tolist() == [[0, 0, 2, 2], [0, 0, 2, 2], [4, 4, 6, 6], [4, 4, 6, 6]]
    assert second.tolist() == [[1, 1, 3, 3], [1, 1, 3, 3], [5, 5, 7, 7], [5, 5, 7, 7]]


def test_remaining_pixels_of_a_mosaic_go_to_the_first_rows_and_columns():
    tiles = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    assert mosaic(tiles, 2, 5)[0, 0].tolist() == [[0, 0, 0, 1, 1]] * 3 + [[2, 2, 2, 3, 3]] * 2
    nine = mosaic(torch.arange(9.0).view(9, 1, 1, 1).expand(9, 1, 2, 2), 3, 8)[0, 0]
    assert nine[0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2] and nine[:, 0].tolist() == [0, 0, 0, 3, 3, 3, 6, 6]


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12), k=st.integers(1, 4), data=st.data())
def test_easiest_against_a_ranking_of_all(seed, n, k, data):
    keep = data.draw(st.integers(1, n))
    losses = np.random.default_rng(seed).integers(0, 6, (n, k)).astype(float)  # many ties
    images, crops = easiest(losses, keep)
    everything = sorted((losses[i, j], i, j) for i in range(n) for j in range(k))
    expected, seen = [], set()
    for loss, i, j in everything:
        if i not in seen:
            seen.add(i)
            expected.append((loss, i, j))
    assert [(losses[i, j], i, j) for i, j in zip(images, crops, strict=True)] == expected[:keep]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([5.0], [0]),
        ([1.0, 0.0], [0, 1]),  # of an even number, the upper one is the median
        ([30.0, 10.0, 20.0], [2, 0, 1]),
        ([0.0, 1, 2, 3, 4], [2, 3, 1, 4, 0]),
        ([0.0, 1, 2, 3, 4, 5], [3, 4, 2, 5, 1, 0]),
        ([7.0, 7, 7], [1, 2, 0]),  # of a tie, the first is the lower one
    ],
)
def test_outwards_by_hand(scores, expected):
    for keep in range(1, len(scores) + 1):
        assert outwards(np.array(scores), keep).tolist() == expected[:keep]


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 15), k=st.integers(1, 4), data=st.data())
def test_middle_against_a_walk_from_the_median(seed, n, k, data):
    keep = data.draw(st.integers(1, n))
    losses = np.random.default_rng(seed).integers(0, 6, (n, k)).astype(float)  # many ties
    images, crops = easiest(losses, keep, median=True)
    best = [min(range(k), key=lambda j: losses[i, j]) for i in range(n)]
    left, walk = sorted(range(n), key=lambda i: (losses[i, best[i]], i)), []
    above, below = left[n // 2 :], left[: n // 2][::-1]
    walk.append(above.pop(0))
    while above or below:
        for side in (above, below):
            if side:
                walk.append(side.pop(0))
    assert images.tolist() == walk[:keep] and crops.tolist() == [best[i] for i in walk[:keep]]


def test_tiles_of_another_size_than_their_part_take_it_by_nearest_neighbour():
    tiles = torch.tensor([[0.0, 1], [2, 3]]).expand(4, 1, 2, 2)
    whole = mosaic(tiles, 2, 5)[0, 0]
    assert whole[:3, :3].tolist() == [[0, 0, 1], [0, 0, 1], [2, 2, 3]] and whole[3:, 3:].tolist() == [[0, 1], [2, 3]]
    large = torch.arange(16.0).view(1, 1, 4, 4).expand(4, 1, 4, 4)
    assert torch.equal(mosaic(large, 2, 4)[0, 0, :2, :2], large[0, 0, ::2, ::2])


@pytest.mark.parametrize("side", [8, 4])
def test_difficulty_is_the_cross_entropy_of_the_padded_normalised_crop(side):
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)).eval()
    crops = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 2, 3, side, side))).float()
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    losses = difficulty(teacher, crops, 3, 8, Pixels.of(SimpleNamespace(mean=mean, std=std), "cpu"))
    for i in range(3):
        for j in range(2):
            part = F.pad(tv.normalize(crops[i, j] / 255, mean, std), [(8 - side) // 2] * 4)
            with torch.no_grad():
                expected = F.cross_entropy(teacher(part[None]), torch.tensor([3])).item()
            assert losses[i, j] == pytest.approx(expected, rel=1e-4)


def test_crops_that_the_teacher_is_sure_of_still_have_an_order():
    class Sure(nn.Module):
        def forward(self, x):
            return torch.stack([20 + x.amax((1, 2, 3)), 0 * x.amax((1, 2, 3))], 1)

    crops = torch.arange(3.0).view(3, 1, 1, 1, 1) * 100
    losses = difficulty(Sure(), crops, 0, 1, Pixels.of(SimpleNamespace(mean=(0.0,), std=(1.0,)), "cpu"))[:, 0]
    assert losses[0] > losses[1] > losses[2] > 0
