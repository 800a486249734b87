"""What inversion looks at, against naive rewrites, torchvision's crops and finite differences."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision.transforms.v2 import functional as tv

from decoct.methods.decoupled._shared.invert import Alignment, FixedNorms, Views, curriculum, frozen, of_labels, view
from decoct.nets import zoo
from decoct.nets.moments import Moments, layers, running

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
        name: Moments(*(torch.randn(*leading, len(part), generator=generator).to(part) for part in parts))
        for name, parts in found.items()
    }


def judged(alignment, images, t=0):
    alignment.turn(t)
    with alignment.watching():
        return alignment.judge(images)


def naive_alignment(net, x, targets):
    found, total = naive_statistics(net, x), 0.0
    for i, name in enumerate(targets):
        apart = sum((s - t).square().sum().sqrt() for s, t in zip(found[name], targets[name].parts(), strict=False))
        total = total + (10 if i == 0 else 1) * apart
    return total


def images_of(groups, b=3, size=SIZE, dtype=torch.float32, seed=1):
    return normal(groups, b, 2, size, size, seed=seed, dtype=dtype)


def aligned(alignment, net, images):
    return judged(alignment, images.flatten(0, 1))[1]


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


def test_a_layer_that_is_left_out_costs_nothing_and_its_average_waits():
    """Two groups, of which the second leaves out the first convolution at iterations 0 and 2."""
    net, decay = three_layers(torch.float64), 0.6
    targets = targets_of(net)
    counts = [torch.tensor([1.0, float(t % 2)]).double() for t in range(4)]
    alignment = Alignment(net, 2, targets, decay=decay, kept=lambda t: {"0": counts[t]})
    averages: dict = {}
    for t in range(4):
        images = images_of(2, dtype=torch.float64, seed=t)
        ours = judged(alignment, images.flatten(0, 1), t)[1]
        for g in range(2):
            total = 0.0
            for i, (name, parts) in enumerate(naive_statistics(net, images[g]).items()):
                if name == "0" and not counts[t][g]:
                    continue
                for k, (now, goal) in enumerate(zip(parts, targets[name].parts(), strict=True)):
                    before = averages.get((g, name, k), now)
                    averages[g, name, k] = decay * before + (1 - decay) * now
                    total += (10 if i == 0 else 1) * (averages[g, name, k] - goal).norm()
            torch.testing.assert_close(ours[g], total)


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
    for name, value in two.averages.items():
        value.copy_(one.averages[name])
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
    with torch.autocast("cpu", torch.bfloat16):
        loss = aligned(alignment, net, images)
    assert loss.dtype == torch.float32
    assert {value.dtype for value in alignment.averages.values()} == {torch.float32}
    assert torch.autograd.grad(loss.sum(), images)[0].isfinite().all()


def test_groups_together_are_groups_alone():
    net, images = three_layers(torch.float64), images_of(3, dtype=torch.float64)
    together = aligned(Alignment(net, 3, targets_of(net)), net, images)
    alone = torch.cat([aligned(Alignment(net, 1, targets_of(net)), net, images[g : g + 1]) for g in range(3)])
    torch.testing.assert_close(together, alone)


def test_an_alignment_leaves_no_hook_behind_and_may_be_called_again():
    net = three_layers()
    alignment, images = Alignment(net, 1, running(net)), images_of(1)
    once = aligned(alignment, net, images)
    assert not any(m._forward_pre_hooks for m in net.modules())
    assert torch.equal(aligned(alignment, net, images), once)
    with pytest.raises(RuntimeError):
        aligned(alignment, net, images[..., :2, :2])
    assert not any(m._forward_pre_hooks for m in net.modules())


def test_every_layer_that_layers_finds_can_be_aligned():
    assert list(targets_of(three_layers())) == list(layers(three_layers()))


# Views


def test_gradients_against_finite_differences():
    net, labels = three_layers(dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    generators = [Generator().manual_seed(i) for i in range(2)]
    views = Views.draw(generators, 1, 8, scale=(0.5, 1), flip=True, jitter=2, device="cpu")

    def objective(images):
        logits, apart = judged(Alignment(net, 2, running(net)), view(images, *views.at(0)))
        return F.cross_entropy(logits, labels) + 0.1 * apart.sum()

    images = images_of(2, 2, 8, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(objective, images, eps=1e-6, atol=1e-5)


@given(size=st.integers(2, 20), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_a_view_is_torchvisions_crop_then_flip_then_roll_of_the_whole_group(size, seed):
    generators = [Generator().manual_seed(seed), Generator().manual_seed(seed + 1)]
    views = Views.draw(generators, 3, size, scale=(0.08, 1), flip=True, jitter=4, device="cpu")
    images = torch.rand(2, 3, 2, size, size, generator=Generator().manual_seed(0))
    seen = view(images, *views.at(2))
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


def test_the_least_share_may_change_with_the_iteration():
    low = torch.cat([torch.full((200,), 1.0), torch.full((200,), 0.3)])
    generators = [Generator().manual_seed(g) for g in range(2)]
    views = Views.draw(generators, 400, 32, scale=(0.08, 1.0), flip=False, jitter=0, device="cpu", low=low)
    area = (views.boxes[..., 2] * views.boxes[..., 3] / 32**2).float()
    assert (views.boxes[:200] == torch.tensor([0, 0, 32, 32])).all()
    assert 0.25 < area[200:].min() < 0.35 and area[200:].max() > 0.8
    images = torch.rand(2, 1, 1, 32, 32, generator=Generator().manual_seed(0))
    torch.testing.assert_close(view(images, *views.at(0)), images.flatten(0, 1))


def test_a_least_share_that_stays_is_that_of_the_scale():
    def draw(**rest):
        return Views.draw([Generator().manual_seed(3)], 300, 64, flip=True, jitter=4, device="cpu", **rest)

    one, other = draw(scale=(0.25, 1.0)), draw(scale=(0.08, 1.0), low=torch.full((300,), 0.25))
    assert torch.equal(one.mirrored, other.mirrored) and torch.equal(one.rolls, other.rolls)
    assert (one.boxes == other.boxes).float().mean() > 0.99  # rounding of an area may move a side by a pixel


def test_the_curriculum_goes_from_the_whole_image_to_the_least_share():
    t = torch.arange(0, 1001)
    shares = curriculum(t, 0.08, 800.0)
    assert shares[0] == 1 and (shares[800:] == torch.tensor(0.08)).all()
    assert shares[400].item() == pytest.approx((1 + 0.08) / 2)
    assert shares[200].item() == pytest.approx(0.08 + 0.92 * (1 + np.cos(np.pi / 4)) / 2)
    assert shares[799].item() == pytest.approx(0.08, abs=1e-4) and (shares.diff() <= 0).all()


def test_a_curriculum_over_all_iterations_ends_just_above_the_least_share():
    shares = curriculum(torch.arange(100), 0.2, 100)
    assert shares[0] == 1 and shares[99].item() == pytest.approx(0.2 + 0.8 * (1 - np.cos(np.pi / 100)) / 2, rel=1e-4)
    assert torch.equal(shares[40:], curriculum(torch.arange(40, 100), 0.2, 100))  # stages are parts of one whole


# Nets that are held fixed


def test_a_teacher_is_left_as_it_was_found():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).train()
    net[0].weight.requires_grad_(False)
    net[1].eval()
    with frozen(net) as teacher:
        assert not any(m.training for m in teacher.modules())
        assert not any(p.requires_grad for p in teacher.parameters())
    assert net.training and net[0].training and not net[1].training
    assert [p.requires_grad for p in net.parameters()] == [False] + [True] * (len(list(net.parameters())) - 1)


def used(name, size=32):
    """A net whose running statistics are not those it started with."""
    net, generator = zoo.build(name, 3, 5, size, 0), Generator().manual_seed(1)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                for value in (module.running_mean, module.running_var, module.weight, module.bias):
                    value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return net.eval().requires_grad_(False)


@pytest.mark.parametrize("name", ["convnet3_bn", "resnet18", "resnet10t", "mobilenetv3_small_050"])
def test_fixed_norms_give_the_logits_and_gradients_of_batch_norm(name):
    net, x = used(name).double(), torch.randn(3, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    plain = net(x)
    (slope,) = torch.autograd.grad(plain.square().sum(), x)
    with FixedNorms() as norms:
        for _ in range(2):  # the second from what the first kept
            fixed = net(x)
    (again,) = torch.autograd.grad(fixed.square().sum(), x)
    assert len(norms.maps) == sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    torch.testing.assert_close(fixed, plain)
    torch.testing.assert_close(again, slope)


@pytest.mark.parametrize("name", ["convnet2_bn", "resnet10t", "test_efficientnet"])
def test_a_norm_whose_input_is_matched_is_computed_with_its_moments(name):
    """The loss and the gradient are those of both apart; norms of timm that activate as well are left to themselves."""
    net = zoo.build(name, 3, 4, 32, seed=0).double().eval().requires_grad_(False)
    found = []
    for together in (False, True):
        x = normal(4, 3, 32, 32, dtype=torch.float64).requires_grad_()
        alignment = Alignment(net, 2, running(net))
        with FixedNorms() as norms, alignment.watching():
            alignment.norms = norms if together else None
            logits, apart = alignment.judge(x)
        assert norms.done is None
        found.append((logits, apart, *torch.autograd.grad(logits.square().sum() + apart.sum(), x)))
    torch.testing.assert_close(*found)
    layers_of = [net.get_submodule(layer) for layer in running(net)]
    fits = [norms.of(layer, x) is not None for layer in layers_of]
    assert all(fits) == (name != "test_efficientnet")


def test_norms_that_train_or_have_no_statistics_are_left_as_they_are():
    x, norm = torch.randn(4, 3, 5, 5), nn.BatchNorm2d(3)
    expected = F.batch_norm(x, None, None, norm.weight, norm.bias, True)
    with FixedNorms() as norms:
        assert torch.equal(norm.train()(x), expected)
        assert torch.equal(nn.BatchNorm2d(3, track_running_stats=False).eval()(x), expected)
    assert not norms.maps and norm.num_batches_tracked == 1


def test_without_weights_a_norm_is_fixed_too():
    x, norm = torch.randn(4, 3, 5, 5), nn.BatchNorm2d(3, affine=False).eval()
    norm.running_mean += 2
    with FixedNorms():
        torch.testing.assert_close(norm(x), (x - 2) / (1 + 1e-5) ** 0.5)


def test_on_a_gpu_maps_in_half_precision_are_never_widened():
    """On a device without values, which takes what a GPU takes: no map of the net is written in float32."""
    widths = set()

    class Written(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            made = function(*args, **kwargs or {})
            widths.update(each.dtype for each in tree_leaves(made) if torch.is_tensor(each) and each.numel() >= 256)
            return made

    net = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    net = net.to("meta").eval().requires_grad_(False)
    net[2].bfloat16()
    x = torch.empty(2, 4, 16, 16, dtype=torch.bfloat16, device="meta", requires_grad=True)
    alignment = Alignment(net, 2, running(net))
    with Written(), alignment.watching(), FixedNorms():
        _, apart = alignment.judge(x)
        apart.sum().backward()
    assert widths == {torch.bfloat16} and x.grad.dtype == torch.bfloat16
