"""The recovery loop against naive rewrites, finite differences and the formulas' end points."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, nn
from torchvision.transforms.v2 import functional as tv

from decoct.core.errors import DecoctError
from decoct.engine.invert import BatchNormAlignment, GroupMoments, Views, cosine, frozen, recover


def three_layers(seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(2, 5, 3, padding=1),
        nn.BatchNorm2d(5),
        nn.ReLU(inplace=True),
        nn.Conv2d(5, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 4, 1),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Linear(36, 3),
    )
    for norm in (m for m in net if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return net.to(dtype).eval()


def naive_alignment(net, x):
    total, layer = 0.0, 0
    for module in net:
        if isinstance(module, nn.BatchNorm2d):
            channels = x.transpose(0, 1).flatten(1)
            mean, variance = channels.mean(1), channels.var(1, correction=0)
            apart = (variance - module.running_var).norm() + (mean - module.running_mean).norm()
            total, layer = total + (10 if layer == 0 else 1) * apart, layer + 1
        x = module(x)
    return total


def images_of(groups, b, dtype=torch.float32, seed=1):
    return torch.randn(groups, b, 2, 8, 8, generator=Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def identity(images, t):
    return images.flatten(0, 1)


@pytest.mark.parametrize("groups", [1, 3])
def test_alignment_loss_and_gradient_are_those_of_a_naive_rewrite(groups):
    net, images = three_layers(), images_of(groups, 4).requires_grad_()
    with BatchNormAlignment(net, groups) as alignment:
        net(images.flatten(0, 1))
        ours = alignment.loss()
    (gradient,) = torch.autograd.grad(ours.sum(), images)
    naive = torch.stack([naive_alignment(net, group) for group in images])
    torch.testing.assert_close(ours, naive, rtol=1e-6, atol=1e-6)
    (expected,) = torch.autograd.grad(naive.sum(), images)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)


def test_alignment_is_zero_where_the_stored_statistics_are_those_of_the_batch():
    net, x = nn.Sequential(nn.BatchNorm2d(2)).double().eval(), images_of(1, 4, torch.float64)
    net[0].running_mean = x[0].mean((0, 2, 3))
    net[0].running_var = x[0].var((0, 2, 3), correction=0)
    with BatchNormAlignment(net, 1) as alignment:
        net(x[0])
        assert alignment.loss().item() == pytest.approx(0, abs=1e-12)


def test_alignment_takes_float32_statistics_under_autocast():
    net, x = three_layers(), images_of(1, 4)
    with BatchNormAlignment(net, 1) as alignment, torch.autocast("cpu", torch.bfloat16):
        net(x[0])
        assert alignment.loss().dtype == torch.float32


def test_alignment_leaves_no_hook_behind():
    net = three_layers()
    with BatchNormAlignment(net, 1):
        pass
    assert not any(m._forward_pre_hooks for m in net.modules())


def test_a_net_without_batch_norm_is_refused_with_names_of_nets_that_have_it():
    with pytest.raises(DecoctError, match="convnet3_bn, resnet18, resnet10t or test_resnet"):
        BatchNormAlignment(nn.Sequential(nn.Conv2d(1, 1, 1), nn.GroupNorm(1, 1)), 1)
    with pytest.raises(DecoctError, match="no batch norm"):
        BatchNormAlignment(nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False)), 1)


@given(groups=st.integers(1, 3), b=st.integers(1, 4), side=st.integers(1, 5), seed=st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_moments_of_groups(groups, b, side, seed):
    x = torch.randn(groups * b, 3, side, side, generator=Generator().manual_seed(seed), dtype=torch.float64) * 2 + 5
    mean, variance = GroupMoments.apply(x, groups, torch.tensor([4.0, 5.0, 0.0]).double())
    grouped = x.unflatten(0, (groups, b))
    torch.testing.assert_close(mean, grouped.mean((1, 3, 4)))
    torch.testing.assert_close(variance, grouped.var((1, 3, 4), correction=0))


def test_moments_keep_their_precision_far_from_zero():
    x = 1000 + torch.randn(8, 3, 16, 16, generator=Generator().manual_seed(0))
    _, variance = GroupMoments.apply(x, 1, torch.full((3,), 1000.5))
    torch.testing.assert_close(variance[0].double(), x.double().var((0, 2, 3), correction=0), rtol=1e-5, atol=0)


def test_gradients_against_finite_differences():
    net, labels = three_layers(dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    generators = [Generator().manual_seed(i) for i in range(2)]
    views = Views.draw(generators, 1, 8, scale=(0.5, 1), flip=True, jitter=2, device="cpu")
    norms = [m for m in net if isinstance(m, nn.BatchNorm2d)]

    def objective(images):
        with BatchNormAlignment(net, 2) as alignment:
            ce = F.cross_entropy(net(views(images, 0)), labels)
            return ce + 0.1 * alignment.loss().sum()

    images = images_of(2, 2, torch.float64).requires_grad_()
    assert norms and torch.autograd.gradcheck(objective, images, eps=1e-6, atol=1e-5)


def test_step_sizes_start_at_lr_and_end_at_zero():
    assert cosine(0.25, 0, 1000) == 0.25
    assert cosine(0.25, 500, 1000) == pytest.approx(0.125)
    assert cosine(0.25, 1000, 1000) == 0
    assert cosine(0.25, 999, 1000) == pytest.approx(0.25 * (np.pi / 1000) ** 2 / 4, rel=1e-5)


@given(size=st.integers(2, 20), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_a_view_is_torchvisions_crop_then_flip_then_roll_of_the_whole_group(size, seed):
    generators = [Generator().manual_seed(seed), Generator().manual_seed(seed + 1)]
    views = Views.draw(generators, 3, size, scale=(0.08, 1), flip=True, jitter=4, device="cpu")
    images = torch.rand(2, 3, 2, size, size, generator=Generator().manual_seed(0))
    seen = views(images, 2)
    for g in range(2):
        expected = tv.resized_crop(images[g], *views.boxes[2, g].tolist(), [size, size], antialias=True)
        expected = expected.flip(-1) if views.mirrored[2, g] else expected
        expected = torch.roll(expected, tuple(views.rolls[2, g].tolist()), (-2, -1))
        torch.testing.assert_close(seen[3 * g : 3 * g + 3], expected, rtol=1e-4, atol=1e-5)


def test_rolls_include_both_ends_and_flips_come_only_where_allowed():
    def draw(**rest):
        return Views.draw([Generator().manual_seed(0)], 400, 8, scale=(0.5, 1), device="cpu", **rest)

    views = draw(flip=True, jitter=4)
    assert [views.rolls[..., axis].unique().tolist() for axis in (0, 1)] == [[0, 1, 2, 3, 4]] * 2
    assert 120 < views.mirrored.sum() < 280
    assert not draw(flip=False, jitter=4).mirrored.any()
    assert not draw(flip=False, jitter=0).rolls.any()
    area = views.boxes[..., 2] * views.boxes[..., 3] / 64
    assert area.min() >= 0.4 and area.max() <= 1  # integer sides blur the scale


def naive_recover(start, loss, lr, iterations, low, high):
    images = start.clone().requires_grad_()
    first, second = torch.zeros_like(start), torch.zeros_like(start)
    for t in range(iterations):
        (gradient,) = torch.autograd.grad(loss(images), images)
        first, second = 0.5 * first + 0.5 * gradient, 0.9 * second + 0.1 * gradient**2
        corrected = (second / (1 - 0.9 ** (t + 1))).sqrt() + 1e-8
        step = lr * (1 + np.cos(np.pi * t / iterations)) / 2 * first / (1 - 0.5 ** (t + 1)) / corrected
        images = (images - step).detach().maximum(low).minimum(high).requires_grad_()
    return images.detach()


def test_recovery_is_adam_on_pixels_and_returns_the_clamped_last_iterate():
    target, start = images_of(1, 3, torch.float64, seed=2), images_of(1, 3, torch.float64, seed=3)
    low, high = torch.tensor([-1.0, -0.5]).view(2, 1, 1).double(), torch.tensor([0.7, 1.0]).view(2, 1, 1).double()

    def loss(images):
        return ((images - target) ** 2).sum() + 3 * images.abs().sum()

    def terms(seen):
        return {
            "far": ((seen - target[0]) ** 2).sum()[None],
            "large": seen.abs().sum()[None],
        }

    before, calls = start.clone(), []
    weights = {"far": 1.0, "large": 3.0}
    last, trace = recover(
        start, terms, weights, identity, lr=0.3, iterations=25, low=low, high=high, progress=lambda *a: calls.append(a)
    )
    assert torch.equal(start, before)
    torch.testing.assert_close(last, naive_recover(start, loss, 0.3, 25, low, high))
    assert (last >= low).all() and (last <= high).all() and (last == low).any() and (last == high).any()
    assert trace["far"].shape == (25,)
    assert trace["far"][0].item() == pytest.approx(((start - target) ** 2).sum().item(), rel=1e-6)
    assert calls == [(10, 25), (20, 25), (25, 25)]


def test_groups_together_are_groups_alone():
    net, start, labels = three_layers(), images_of(3, 4), torch.tensor([0, 1, 2, 0])

    def run(groups):
        generators = [Generator().manual_seed(g) for g in groups]
        views = Views.draw(generators, 12, 8, scale=(0.5, 1), flip=True, jitter=2, device="cpu")
        with BatchNormAlignment(net, len(groups)) as alignment:

            def terms(seen):
                ce = F.cross_entropy(net(seen), labels.repeat(len(groups)), reduction="none")
                return {"ce": ce.unflatten(0, (len(groups), 4)).mean(1), "bn": alignment.loss()}

            weights, edge = {"ce": 1.0, "bn": 0.01}, torch.tensor(2.0)
            return recover(start[groups], terms, weights, views, lr=0.1, iterations=12, low=-edge, high=edge)

    together, trace = run([0, 1, 2])
    alone = [run([g]) for g in range(3)]
    torch.testing.assert_close(together, torch.cat([images for images, _ in alone]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(trace["bn"], torch.stack([t["bn"] for _, t in alone]).mean(0), rtol=1e-4, atol=1e-4)


def test_a_loss_that_is_not_finite_names_the_iteration_and_the_last_finite_value():
    calls = 0

    def terms(seen):
        nonlocal calls
        calls += 1
        return {"ce": seen.sum()[None] * 0 + (float("nan") if calls == 13 else 2.5)}

    edge = torch.tensor(1.0)
    with pytest.raises(DecoctError, match=r"iteration 13 of 50 \(it was 5 the iteration before\)"):
        recover(images_of(1, 1), terms, {"ce": 2.0}, identity, lr=0.1, iterations=50, low=-edge, high=edge)


def test_a_teacher_is_left_as_it_was_found():
    net = three_layers().train()
    net[0].weight.requires_grad_(False)
    net[1].eval()
    with frozen(net) as teacher:
        assert not any(m.training for m in teacher.modules())
        assert not any(p.requires_grad for p in teacher.parameters())
    assert net.training and net[0].training and not net[1].training
    assert [p.requires_grad for p in net.parameters()] == [False] + [True] * (len(list(net.parameters())) - 1)
