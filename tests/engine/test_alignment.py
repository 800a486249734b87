"""Alignment against naive rewrites: batch norms, convolutions and patches, averages over iterations, classes."""

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, nn

from decoct.engine.alignment import Alignment, of_labels
from decoct.engine.moments import Moments, layers, running

SIZE = 24  # two tiles a side, after resizing


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def three_layers(dtype=torch.float32):
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(2, 5, 3, padding=1),
            nn.BatchNorm2d(5),
            nn.ReLU(inplace=True),
            nn.Conv2d(5, 6, 3),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 4, 1),
            nn.BatchNorm2d(4),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        )
        for norm in (m for m in net if isinstance(m, nn.BatchNorm2d)):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return net.to(dtype).eval()


def naive_statistics(net, x):
    """Of every layer's input by name: channel mean and variance, and patch mean and variance at convolutions."""
    found = {}
    for name, module in net.named_children():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            channels = x.transpose(0, 1).flatten(1)
            found[name] = [channels.mean(1), channels.var(1, correction=0)]
        if isinstance(module, nn.Conv2d):
            rows, columns = (-(-side // 16) for side in x.shape[2:])
            large = F.interpolate(x, (16 * rows, 16 * columns), mode="bilinear")
            parts = [
                large[:, :, 16 * i : 16 * i + 16, 16 * j : 16 * j + 16] for i in range(rows) for j in range(columns)
            ]
            found[name].append(torch.stack([part.mean() for part in parts]))
            found[name].append(torch.stack([part.var(correction=0) for part in parts]))
        x = module(x)
    return found


def targets_of(net, seed=7, leading=()):
    """Made-up targets for every batch norm and convolution."""
    found = naive_statistics(net, torch.zeros(1, 2, SIZE, SIZE, dtype=net[0].weight.dtype))
    generator = Generator().manual_seed(seed)
    return {
        name: Moments(*(torch.randn(*leading, len(part), generator=generator) for part in parts))
        for name, parts in found.items()
    }


def naive_alignment(net, x, targets):
    found, total = naive_statistics(net, x), 0.0
    for i, name in enumerate(targets):
        apart = sum((s - t).square().sum().sqrt() for s, t in zip(found[name], targets[name].parts(), strict=False))
        total = total + (10 if i == 0 else 1) * apart
    return total


def images_of(groups, b=3, size=SIZE, dtype=torch.float32, seed=1):
    return normal(groups, b, 2, size, size, seed=seed, dtype=dtype)


def aligned(alignment, net, images):
    with alignment:
        net(images.flatten(0, 1))
        return alignment.loss()


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("convolutions", [False, True])
def test_loss_and_gradient_are_those_of_a_naive_rewrite(groups, convolutions):
    net, images = three_layers(), images_of(groups).requires_grad_()
    targets = targets_of(net) | running(net) if convolutions else running(net)
    assert list(targets) == (["0", "1", "3", "4", "7", "8"] if convolutions else ["1", "4", "8"])
    ours = aligned(Alignment(net, groups, targets), net, images)
    (gradient,) = torch.autograd.grad(ours.sum(), images)
    naive = torch.stack([naive_alignment(net, group, targets) for group in images])
    assert ours.shape == (groups,)
    torch.testing.assert_close(ours, naive, rtol=1e-6, atol=1e-6)
    (expected,) = torch.autograd.grad(naive.sum(), images)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("first", [1.0, 10.0, 3.0])
def test_the_first_target_has_its_weight_and_the_others_one(first):
    net, images = three_layers(), images_of(2)
    targets = targets_of(net)
    each = {name: aligned(Alignment(net, 2, {name: targets[name]}, first=1.0), net, images) for name in targets}
    expected = first * each["0"] + sum(value for name, value in each.items() if name != "0")
    torch.testing.assert_close(aligned(Alignment(net, 2, targets, first=first), net, images), expected)


def test_loss_is_zero_where_the_targets_are_the_statistics_of_the_batch():
    net, images = three_layers(torch.float64), images_of(1, dtype=torch.float64)
    targets = {name: Moments(*(part.detach() for part in s)) for name, s in naive_statistics(net, images[0]).items()}
    assert aligned(Alignment(net, 1, targets), net, images).item() == pytest.approx(0, abs=1e-10)


def test_mean_and_variance_are_not_swapped():
    """Channel and patch targets of (2, 9) and images of mean 2 and variance 9: no distance; swapped, all of it."""
    net = nn.Sequential(nn.Conv2d(1, 1, 1))
    x = 2 + 3 * torch.tensor([-1.0, 1.0]).repeat(1, 1, 32, 16)

    def apart(*values):
        return aligned(Alignment(net, 1, {"0": Moments(*map(torch.tensor, values))}, first=1.0), net, x[None]).item()

    assert apart([2.0], [9.0], [2.0] * 4, [9.0] * 4) == pytest.approx(0, abs=1e-5)
    assert apart([2.0], [9.0], [9.0] * 4, [2.0] * 4) == pytest.approx(2 * (4 * 7**2) ** 0.5)
    assert apart([9.0], [2.0], [2.0] * 4, [9.0] * 4) == pytest.approx(2 * 7)


# Averages over iterations


def test_the_average_gives_the_value_and_the_current_statistics_the_gradient():
    net, decay = three_layers(torch.float64), 0.4
    targets = targets_of(net)
    alignment, averages = Alignment(net, 1, targets, decay=decay), {}
    for step in range(4):
        images = images_of(1, dtype=torch.float64, seed=step).requires_grad_()
        found = {name: torch.cat(parts) for name, parts in naive_statistics(net, images[0]).items()}
        now = {name: parts.detach() for name, parts in found.items()}
        averages = {n: now[n] if step == 0 else decay * averages[n] + (1 - decay) * now[n] for n in now}
        value, slope = torch.zeros(()).double(), torch.zeros(()).double()
        for i, (name, target) in enumerate(targets.items()):
            lengths = [len(part) for part in target.parts()]
            parts = zip(averages[name].split(lengths), found[name].split(lengths), target.parts(), strict=True)
            for mean, live, goal in parts:
                apart, weight = mean - goal, 10 if i == 0 else 1
                value += weight * apart.norm()
                slope = slope + weight * (apart / apart.norm()) @ live  # d‖a‖ = a/‖a‖ · ds, ds that of now alone
        ours = aligned(alignment, net, images)
        torch.testing.assert_close(ours[0], value)
        (gradient,) = torch.autograd.grad(ours.sum(), images)
        (expected,) = torch.autograd.grad(slope, images)
        torch.testing.assert_close(gradient, expected)


def test_a_first_average_is_the_plain_statistics_and_no_decay_is_no_memory():
    net, images = three_layers(), images_of(2)
    plain, averaged = Alignment(net, 2, running(net)), Alignment(net, 2, running(net), decay=0.8)
    torch.testing.assert_close(aligned(plain, net, images), aligned(averaged, net, images))
    other = images_of(2, seed=5)
    assert not torch.allclose(aligned(averaged, net, other), aligned(plain, net, other))
    assert not plain.averages
    torch.testing.assert_close(aligned(plain, net, images), aligned(Alignment(net, 2, running(net)), net, images))


def test_averages_carry_over_to_an_alignment_that_is_given_them():
    net = three_layers()
    one, two = (Alignment(net, 1, targets_of(net), decay=0.6) for _ in range(2))
    for step in range(3):
        aligned(one, net, images_of(1, seed=step))
    two.averages = {name: value.clone() for name, value in one.averages.items()}
    assert torch.equal(aligned(one, net, images_of(1, seed=9)), aligned(two, net, images_of(1, seed=9)))


# Classes


def test_share_of_the_loss_is_the_distance_from_the_mean_over_the_images_classes():
    net, images, labels = three_layers(), images_of(2), torch.tensor([[0, 0, 2], [1, 2, 2]])
    targets, by_class, share = targets_of(net), targets_of(net, 8, (3,)), 0.3
    ours = aligned(Alignment(net, 2, targets, by_class=by_class, labels=labels, share=share), net, images)
    for g in range(2):
        theirs = {
            name: Moments(*(torch.stack([part[c] for c in labels[g]]).mean(0) for part in m.parts()))
            for name, m in by_class.items()
        }
        naive = (1 - share) * naive_alignment(net, images[g], targets)
        naive = naive + share * naive_alignment(net, images[g], theirs)
        torch.testing.assert_close(ours[g], naive)


def test_class_targets_keep_means_with_means_and_variances_with_variances():
    by_class = {"x": Moments(*(torch.tensor([[1.0], [3.0]]) + 10 * part for part in range(4)))}
    found = of_labels(by_class, torch.tensor([[0, 1], [1, 1]]))["x"]
    assert found.mean.tolist() == [[2.0], [3.0]]
    assert found.variance.tolist() == [[12.0], [13.0]]
    assert found.patch_mean.tolist() == [[22.0], [23.0]]
    assert found.patch_variance.tolist() == [[32.0], [33.0]]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_none_or_all(share):
    net, images, labels = three_layers(), images_of(1), torch.tensor([[1, 1, 1]])
    targets, by_class = targets_of(net), targets_of(net, 8, (2,))
    ours = aligned(Alignment(net, 1, targets, by_class=by_class, labels=labels, share=share), net, images)
    goal = {name: Moments(*(part[1] for part in m.parts())) for name, m in by_class.items()} if share else targets
    torch.testing.assert_close(ours[0], naive_alignment(net, images[0], goal))


def test_shares_and_averages_work_together():
    """Whoever averages does so once: the classes' part sees the average of the whole's."""
    net, labels, decay = three_layers(), torch.tensor([[0, 1, 1]]), 0.8
    targets, by_class = targets_of(net), targets_of(net, 8, (2,))
    rest = {"by_class": by_class, "labels": labels, "share": 0.5, "decay": decay}
    ours = Alignment(net, 1, targets, **rest)
    whole, classes = (
        Alignment(net, 1, goal, decay=decay)
        for goal in (targets, {n: Moments(*(p[0] for p in m.parts())) for n, m in of_labels(by_class, labels).items()})
    )
    for step in range(3):
        images = images_of(1, seed=step)
        expected = (aligned(whole, net, images) + aligned(classes, net, images)) / 2
        torch.testing.assert_close(aligned(ours, net, images), expected)


# Computing


@pytest.mark.parametrize("patches", [False, True])
def test_statistics_are_float32_under_autocast(patches):
    net, images = three_layers(), images_of(2).requires_grad_()
    alignment = Alignment(net, 2, targets_of(net) if patches else running(net), decay=0.4)
    with alignment, torch.autocast("cpu", torch.bfloat16):
        net(images.flatten(0, 1))
        loss = alignment.loss()
    assert loss.dtype == torch.float32
    assert {value.dtype for value in alignment.averages.values()} == {torch.float32}
    assert torch.autograd.grad(loss.sum(), images)[0].isfinite().all()


def test_groups_together_are_groups_alone():
    net, images = three_layers(torch.float64), images_of(3, dtype=torch.float64)
    together = aligned(Alignment(net, 3, targets_of(net)), net, images)
    alone = torch.cat([aligned(Alignment(net, 1, targets_of(net)), net, images[g : g + 1]) for g in range(3)])
    torch.testing.assert_close(together, alone)


def test_an_alignment_leaves_no_hook_behind_and_may_be_entered_again():
    net = three_layers()
    alignment, images = Alignment(net, 1, running(net)), images_of(1)
    once = aligned(alignment, net, images)
    assert not any(m._forward_pre_hooks for m in net.modules())
    assert torch.equal(aligned(alignment, net, images), once)
    with pytest.raises(RuntimeError, match="mine"), alignment:
        raise RuntimeError("mine")
    assert not any(m._forward_pre_hooks for m in net.modules())


def test_every_layer_that_layers_finds_can_be_aligned():
    assert list(targets_of(three_layers())) == list(layers(three_layers()))
