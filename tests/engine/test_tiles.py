"""Tiles by hand, their moments against a loop over tiles, gradients against finite differences."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from decoct.engine.tiles import tile_moments, tile_sums


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_sums_of_an_image_by_hand():
    """A checkerboard of four tiles, row-major, each constant in each channel; whole tiles are not resized."""
    of_channels = torch.tensor([[[0.0, 1], [2, 3]], [[10, 20], [30, 40]]])
    x = of_channels.repeat_interleave(16, 1).repeat_interleave(16, 2)[None]
    total, squares, count = tile_sums(x)
    assert count == 2 * 256 and total.dtype == squares.dtype == torch.float64
    assert (total / 256).tolist() == [[10, 21, 32, 43]]
    assert (squares / 256).tolist() == [[100, 401, 904, 1609]]


@given(channels=st.integers(1, 3), height=st.integers(1, 40), width=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_sums_are_those_of_the_resized_images(channels, height, width):
    """However small an image is: below 65 pixels nothing is resized, and the sums are the same."""
    x = normal(3, channels, height, width, seed=height * 41 + width) + 3
    rows, columns = -(-height // 16), -(-width // 16)
    large = F.interpolate(x.double(), (16 * rows, 16 * columns), mode="bilinear")
    parts = large.unfold(2, 16, 16).unfold(3, 16, 16)  # [B, C, rows, columns, 16, 16]
    total, squares, count = tile_sums(x)
    assert count == channels * 256
    torch.testing.assert_close(total, parts.sum((1, 4, 5)).flatten(1), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(squares, parts.square().sum((1, 4, 5)).flatten(1), rtol=1e-6, atol=1e-6)


@given(
    groups=st.integers(1, 2),
    b=st.integers(1, 2),
    channels=st.integers(1, 3),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
)
@settings(max_examples=25, deadline=None)
def test_moments_are_those_of_a_loop_over_tiles(groups, b, channels, height, width):
    x = normal(groups * b, channels, height, width, seed=height * 41 + width)
    mean, variance = tile_moments(x, groups, torch.tensor(0.5))
    rows, columns = -(-height // 16), -(-width // 16)
    large = F.interpolate(x, (16 * rows, 16 * columns), mode="bilinear").numpy().astype(float)
    assert mean.shape == (groups, rows * columns)
    for g in range(groups):
        for position in range(rows * columns):
            top, left = 16 * (position // columns), 16 * (position % columns)
            part = large[g * b : g * b + b, :, top : top + 16, left : left + 16]
            assert mean[g, position].item() == pytest.approx(part.mean(), rel=1e-4, abs=1e-5)
            assert variance[g, position].item() == pytest.approx(part.var(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(3, 7), (16, 16), (20, 33), (32, 16)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_those_of_finite_differences(height, width, layout):
    x = normal(2, 2, height, width, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: tile_moments(x, 1, torch.tensor(0.3).double()), x, fast_mode=True)


@pytest.mark.parametrize("side", [7, 32])
def test_a_large_mean_costs_no_precision(side):
    x = 1000 + normal(4, 3, side, side)
    _, variance = tile_moments(x, 1, torch.tensor(1000.0))
    _, exact = tile_moments(x.double(), 1, torch.tensor(1000.0).double())
    torch.testing.assert_close(variance.double(), exact, rtol=1e-4, atol=0)


@pytest.mark.parametrize("side", [7, 32])
def test_autocast_takes_nothing_away(side):
    x = normal(4, 3, side, side)
    plain = tile_moments(x, 2, torch.tensor(0.0))
    with torch.autocast("cpu", torch.bfloat16):
        assert all(map(torch.equal, tile_moments(x, 2, torch.tensor(0.0)), plain))


@pytest.mark.parametrize("side", [1, 7, 16, 32])
def test_a_constant_has_no_negative_variance(side):
    mean, variance = tile_moments(torch.full((2, 2, side, side), 1 / 3), 1, torch.tensor(0.1))
    torch.testing.assert_close(mean, torch.full_like(mean, 1 / 3))
    assert (variance >= 0).all() and (variance < 1e-6).all()


def test_a_first_call_without_gradients_leaves_later_ones_theirs():
    x = normal(2, 2, 5, 11)
    with torch.inference_mode():
        tile_moments(x, 1, torch.tensor(0.0))
    tile_moments(x.requires_grad_(), 1, torch.tensor(0.0))[1].sum().backward()
    assert x.grad.abs().sum() > 0
