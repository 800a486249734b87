"""Moments against numpy, tiles by hand, sums over batches against one computation over all."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, nn

from decoct.core.errors import DecoctError
from decoct.nets.moments import (
    GroupMoments,
    Moments,
    Sums,
    at_once,
    flatten,
    group_moments,
    layers,
    on_inputs,
    running,
    tile_moments,
    tile_sums,
    unflatten,
    whole_tiles,
)


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def tiles(x, tile=16):
    """[B, C, H, W] -> [B, P, C, T²], in float64."""
    parts = whole_tiles(x, tile).double().unfold(2, tile, tile).unfold(3, tile, tile)
    return parts.permute(0, 2, 3, 1, 4, 5).flatten(1, 2).flatten(3)


# Groups


@given(groups=st.integers(1, 3), b=st.integers(1, 4), side=st.integers(1, 5), seed=st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_moments_of_groups(groups, b, side, seed):
    x = normal(groups * b, 3, side, side, seed=seed, dtype=torch.float64) * 2 + 5
    _, mean, variance = GroupMoments.apply(x, groups, torch.tensor([4.0, 5.0, 0.0]).double())
    grouped = x.unflatten(0, (groups, b))
    torch.testing.assert_close(mean, grouped.mean((1, 3, 4)))
    torch.testing.assert_close(variance, grouped.var((1, 3, 4), correction=0))
    torch.testing.assert_close(at_once(x, groups, x.dtype), (mean, variance))


def test_moments_keep_their_precision_far_from_zero():
    x = 1000 + normal(8, 3, 16, 16)
    _, _, variance = GroupMoments.apply(x, 1, torch.full((3,), 1000.5))
    torch.testing.assert_close(variance[0].double(), x.double().var((0, 2, 3), correction=0), rtol=1e-5, atol=0)


def test_moments_of_a_constant_have_no_negative_variance():
    _, _, variance = GroupMoments.apply(torch.full((3, 2, 7, 7), 1 / 3), 1, torch.tensor([0.1, 0.7]))
    assert (variance >= 0).all() and (variance < 1e-6).all()


def test_large_inputs_are_summed_in_pieces():
    x = normal(3, 2, 600, 600)  # a piece is 2^20 numbers: one image each
    _, mean, variance = GroupMoments.apply(x, 3, torch.zeros(2))
    torch.testing.assert_close(mean, x.mean((2, 3)), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(variance, x.var((2, 3), correction=0), rtol=1e-5, atol=0)


def test_the_gradient_of_moments_against_finite_differences():
    x = normal(6, 2, 3, 3, dtype=torch.float64).requires_grad_()
    centre = torch.tensor([0.3, -1.0]).double()
    assert torch.autograd.gradcheck(lambda x: GroupMoments.apply(x, 2, centre), x)
    assert torch.autograd.gradcheck(lambda x: tuple(group_moments(x, 2, centre, 16)[1].parts()), x)


def test_a_gpu_sums_half_precision_in_float32():
    x = (3 + normal(6, 2, 20, 20)).bfloat16()
    _, *expected = GroupMoments.apply(x.double(), 2, torch.zeros(2).double())
    for found, whole in zip(at_once(x, 2, torch.float32), expected, strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), whole, rtol=1e-3, atol=0)


def test_the_gradient_in_half_precision_is_that_of_float32_but_for_rounding():
    grads = []
    for x in (normal(4, 2, 8, 8).bfloat16(), normal(4, 2, 8, 8).bfloat16().float()):
        after, mean, variance = GroupMoments.apply(x.requires_grad_(), 2, torch.tensor([0.1, -0.1]))
        (after.square().sum() / 100 + 3 * mean.sum() + (variance * torch.tensor([2.0, -5.0])).sum()).backward()
        assert x.grad.dtype == x.dtype
        grads.append(x.grad.float())
    assert (grads[0] - grads[1]).norm() < 0.01 * grads[1].norm()


# Patches


def test_patch_statistics_by_hand():
    """Per tile position the channels are 0 and 10, 1 and 20, …: the mean is midway, the deviation half the distance.

    The second group's images are 1 and 3 everywhere.
    """
    of_channels = torch.tensor([[[0.0, 1], [2, 3]], [[10, 20], [30, 40]]])
    board = of_channels.repeat_interleave(16, 1).repeat_interleave(16, 2)
    x = torch.stack([board, board, torch.full_like(board, 1), torch.full_like(board, 3)])
    _, found = group_moments(x, 2, torch.zeros(2), tile=16)
    expected = Moments(
        mean=torch.tensor([[1.5, 25], [2, 2]]),
        variance=torch.tensor([[1.25, 125], [1, 1]]),
        patch_mean=torch.tensor([[5, 10.5, 16, 21.5], [2, 2, 2, 2]]),
        patch_variance=torch.tensor([[25, 9.5**2, 14**2, 18.5**2], [1, 1, 1, 1]]),
    )
    torch.testing.assert_close(found.parts(), expected.parts())


def test_half_precision_is_summed_in_float32():
    x = normal(4, 2, 16, 16).bfloat16()
    _, found = group_moments(x, 1, torch.zeros(2), tile=16)
    assert {part.dtype for part in found.parts()} == {torch.float32}
    torch.testing.assert_close(found.mean[0], x.float().mean((0, 2, 3)))
    assert group_moments(x.double(), 1, torch.zeros(2))[1].mean.dtype == torch.float64


# Layers


def block():
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sequential(nn.BatchNorm2d(2), nn.ReLU()), nn.Flatten(), nn.Linear(8, 3))


def test_batch_norms_and_convolutions_are_found_in_order():
    assert list(layers(block()).items()) == [("0", True), ("1.0", False)]


def test_running_statistics_are_those_of_each_batch_norm():
    net = block()
    found = running(net)
    assert list(found) == ["1.0"]
    assert found["1.0"].mean is net[1][0].running_mean and found["1.0"].variance is net[1][0].running_var
    assert len(found["1.0"].parts()) == 2


@pytest.mark.parametrize("norm", [nn.GroupNorm(1, 1), nn.BatchNorm2d(1, track_running_stats=False)])
def test_a_net_without_batch_norm_is_refused_with_names_of_nets_that_have_it(norm):
    with pytest.raises(DecoctError, match=r"no batch norm.*convnet3_bn, resnet18, resnet10t or test_resnet"):
        running(nn.Sequential(nn.Conv2d(1, 1, 1), norm))


def test_inputs_are_seen_before_they_change_in_place_and_no_hook_stays():
    net, seen = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Identity(), nn.ReLU(inplace=True)), {}
    nn.init.ones_(net[0].weight)
    nn.init.zeros_(net[0].bias)
    x = normal(1, 1, 4, 4)
    with on_inputs(net, ["0", "1"], lambda name, x: seen.__setitem__(name, x.min().item())):
        net(x)
    assert seen["0"] == x.min() and seen["1"] < 0  # what goes into "1" is rectified in place by what follows
    assert not any(module._forward_pre_hooks for module in net.modules())
    with on_inputs(net, ["2"], lambda name, x: x + 1):
        torch.testing.assert_close(net(x), (x + 1).relu())  # what it returns is what the layer takes


def test_hooks_go_with_an_error():
    net = block()
    with pytest.raises(RuntimeError, match="mine"), on_inputs(net, ["0"], lambda name, x: None):
        raise RuntimeError("mine")
    assert not net[0]._forward_pre_hooks


# Sums


@given(
    images=st.integers(1, 12),
    channels=st.integers(1, 3),
    classes=st.integers(1, 4),
    cuts=st.lists(st.integers(1, 11), max_size=3),
    seed=st.integers(0, 999),
)
@settings(max_examples=30, deadline=None)
def test_sums_over_batches_are_moments_of_all_and_of_each_class(images, channels, classes, cuts, seed):
    rng = np.random.default_rng(seed)
    x, labels = normal(images, channels, 4, 20, seed=seed), rng.integers(0, classes, images)
    sums = Sums(classes)
    for rows in np.split(np.arange(images), sorted(cut for cut in cuts if cut < images)):
        sums.add("conv", x[rows], torch.from_numpy(labels[rows]), 16)
        sums.add("norm", x[rows] + 9, torch.from_numpy(labels[rows]))
    whole, by_class = sums.moments(by_class=False), sums.moments(by_class=True)
    assert list(whole) == ["conv", "norm"] and whole["norm"].patch_mean is None
    everything, patched = x.double().numpy(), tiles(x).numpy()
    for c in range(classes):
        rows = labels == c
        rows = rows if rows.any() else rows | True  # a class without images has the statistics of all
        for found, chosen in ((by_class, rows), (whole, slice(None))):
            at = c if found is by_class else slice(None)
            mean, variance, patch_mean, patch_variance = (part[at].numpy() for part in found["conv"].parts())
            np.testing.assert_allclose(mean, everything[chosen].mean((0, 2, 3)), atol=1e-6)
            np.testing.assert_allclose(variance, everything[chosen].var((0, 2, 3)), atol=1e-6)
            np.testing.assert_allclose(patch_mean, patched[chosen].mean((0, 2, 3)), atol=1e-6)
            np.testing.assert_allclose(patch_variance, patched[chosen].var((0, 2, 3)), atol=1e-6)
            np.testing.assert_allclose(found["norm"].mean[at], everything[chosen].mean((0, 2, 3)) + 9, atol=1e-5)
    inside = sums.moments(by_class=True, within=True)["conv"]
    for c in range(classes):
        rows = labels == c
        rows = rows if rows.any() else rows | True
        np.testing.assert_allclose(inside.variance[c], everything[rows].var((2, 3)).mean(0), atol=1e-6)
        np.testing.assert_allclose(inside.patch_variance[c], patched[rows].var((2, 3)).mean(0), atol=1e-6)
        assert torch.equal(inside.mean[c], by_class["conv"].mean[c])


def test_sums_of_real_statistics_keep_small_variances_far_from_zero():
    x = 300 + normal(40, 1, 8, 8) / 10
    sums = Sums(1)
    for part in x.split(8):
        sums.add("norm", part, torch.zeros(8).long())
    assert sums.moments(False)["norm"].variance.item() == pytest.approx(x.double().var(correction=0).item(), rel=1e-5)


def test_flatten_and_unflatten_undo_each_other():
    moments = {"a.0": Moments(normal(3), normal(3)), "b": Moments(normal(2), normal(2), normal(4), normal(4))}
    flat = flatten(moments)
    assert set(flat) == {"a.0:mean", "a.0:variance", *(f"b:{p}" for p in vars(moments["b"]))}
    back = unflatten(flat)
    assert list(back) == ["a.0", "b"] and back["a.0"].patch_mean is None
    assert all(torch.equal(getattr(back["b"], name), value) for name, value in vars(moments["b"]).items())


# Tiles


def test_sums_of_an_image_by_hand():
    """A checkerboard of four tiles, row-major, each constant in each channel; whole tiles are not resized."""
    of_channels = torch.tensor([[[0.0, 1], [2, 3]], [[10, 20], [30, 40]]])
    x = of_channels.repeat_interleave(16, 1).repeat_interleave(16, 2)[None]
    total, squares, count = tile_sums(x, 16)
    assert count == 2 * 256 and total.dtype == squares.dtype == torch.float64
    assert (total / 256).tolist() == [[10, 21, 32, 43]]
    assert (squares / 256).tolist() == [[100, 401, 904, 1609]]


SIDES = {"height": st.integers(1, 40), "width": st.integers(1, 40), "tile": st.sampled_from([1, 3, 4, 16])}


@given(channels=st.integers(1, 3), **SIDES)
@settings(max_examples=60, deadline=None)
def test_sums_are_those_of_the_resized_images(channels, height, width, tile):
    """However small an image is: one that is within a tile is not resized, and the sums are the same."""
    x = normal(3, channels, height, width, seed=height * 41 + width) + 3
    rows, columns = -(-height // tile), -(-width // tile)
    large = F.interpolate(x.double(), (tile * rows, tile * columns), mode="bilinear")
    parts = large.unfold(2, tile, tile).unfold(3, tile, tile)  # [B, C, rows, columns, T, T]
    total, squares, count = tile_sums(x, tile)
    assert count == channels * tile**2
    torch.testing.assert_close(total, parts.sum((1, 4, 5)).flatten(1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(squares, parts.square().sum((1, 4, 5)).flatten(1), rtol=1e-5, atol=1e-5)


@given(groups=st.integers(1, 2), b=st.integers(1, 2), channels=st.integers(1, 3), **SIDES)
@settings(max_examples=40, deadline=None)
def test_moments_are_those_of_a_loop_over_tiles(groups, b, channels, height, width, tile):
    x = normal(groups * b, channels, height, width, seed=height * 41 + width)
    mean, variance = tile_moments(x, groups, torch.tensor(0.5), tile)
    rows, columns = -(-height // tile), -(-width // tile)
    large = F.interpolate(x, (tile * rows, tile * columns), mode="bilinear").numpy().astype(float)
    assert mean.shape == (groups, rows * columns)
    for g in range(groups):
        for position in range(rows * columns):
            top, left = tile * (position // columns), tile * (position % columns)
            part = large[g * b : g * b + b, :, top : top + tile, left : left + tile]
            assert mean[g, position].item() == pytest.approx(part.mean(), rel=1e-4, abs=1e-5)
            assert variance[g, position].item() == pytest.approx(part.var(), rel=1e-4, abs=1e-5)


def test_maps_of_whole_tiles_are_cut_as_they_are():
    """As in the authors' branches for small images, whose maps of 32, 16, 8 and 4 px tiles of 4 px cut up."""
    for side in (4, 8, 16, 32):
        x = normal(2, 3, side, side)
        assert whole_tiles(x, 4) is x
        mean, _ = tile_moments(x, 1, torch.tensor(0.0), 4)
        torch.testing.assert_close(mean[0], F.avg_pool2d(x.mean((0, 1))[None], 4).flatten(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(3, 7), (16, 16), (20, 33), (32, 16)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("tile", [4, 16])
def test_gradients_are_those_of_finite_differences(height, width, layout, tile):
    x = normal(2, 2, height, width, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: tile_moments(x, 1, torch.tensor(0.3).double(), tile), x, fast_mode=True)


@pytest.mark.parametrize("side", [7, 32])
def test_a_large_mean_costs_no_precision(side):
    x = 1000 + normal(4, 3, side, side)
    _, variance = tile_moments(x, 1, torch.tensor(1000.0), 16)
    _, exact = tile_moments(x.double(), 1, torch.tensor(1000.0).double(), 16)
    torch.testing.assert_close(variance.double(), exact, rtol=1e-4, atol=0)


@pytest.mark.parametrize("side", [7, 32])
def test_autocast_takes_nothing_away(side):
    x = normal(4, 3, side, side)
    plain = tile_moments(x, 2, torch.tensor(0.0), 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert all(map(torch.equal, tile_moments(x, 2, torch.tensor(0.0), 16), plain))


@pytest.mark.parametrize("side", [1, 7, 16, 32])
def test_a_constant_has_no_negative_variance(side):
    mean, variance = tile_moments(torch.full((2, 2, side, side), 1 / 3), 1, torch.tensor(0.1), 16)
    torch.testing.assert_close(mean, torch.full_like(mean, 1 / 3))
    assert (variance >= 0).all() and (variance < 1e-6).all()


def test_a_first_call_without_gradients_leaves_later_ones_theirs():
    x = normal(2, 2, 5, 11)
    with torch.inference_mode():
        tile_moments(x, 1, torch.tensor(0.0), 16)
    tile_moments(x.requires_grad_(), 1, torch.tensor(0.0), 16)[1].sum().backward()
    assert x.grad.abs().sum() > 0
