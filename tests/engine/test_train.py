"""The training loop against loops written by hand, and what it must never do."""

import dataclasses
import inspect
import math
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from decoct.core.errors import DecoctError
from decoct.core.seeds import seed as derive
from decoct.engine import train as module
from decoct.engine.recipe import Recipe, epoch_steps
from decoct.engine.train import TrainingSet, committee, objective, order, schedule, train
from decoct.nets.convnet import ConvNet

MEAN, STD = (0.4,), (0.3,)
SGD = Recipe(steps=60, batch=8, optimiser="sgd", lr=0.05, weight_decay=0.0, schedule="cosine")
ADAM = Recipe(steps=60, batch=8, optimiser="adamw", lr=1e-2, weight_decay=0.1, schedule="cosine")


def toy(n=20, classes=3, size=4, channels=1, seed=0, **rest):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, channels, size, size), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, classes, (n,), generator=generator)
    return TrainingSet(images, labels, MEAN * channels, STD * channels, **rest)


def linear(features=16, classes=3, seed=0):
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(features, classes))


def normal_net(channels=1, classes=3, size=8, seed=0):
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(seed)
        return ConvNet(channels, classes, size, width=8, depth=2, norm="batch")


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def inputs_of(net):
    """Every batch that goes into the net from now on."""
    seen = []
    net.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
    return seen


@pytest.fixture
def batches(monkeypatch):
    """Every batch that the loop's loss gets: (logits, labels, weights, teacher logits)."""
    seen = []

    def spy(logits, labels, weight, teacher, recipe):
        seen.append((logits.detach(), labels, weight, teacher))
        return objective(logits, labels, weight, teacher, recipe)

    monkeypatch.setattr(module, "objective", spy)
    return seen


# What the loop computes


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def flat(data):
    return ((data.images.double().numpy() / 255 - MEAN[0]) / STD[0]).reshape(len(data.images), -1)


def parameters(net):
    return net[1].weight.detach().double().numpy().copy(), net[1].bias.detach().double().numpy().copy()


def test_dc_s_loop_is_sgd_with_momentum_decay_on_all_and_one_drop_with_a_new_optimiser():
    data = toy(n=21)
    recipe = dataclasses.replace(SGD, momentum=0.9, weight_decay=0.01, decay_all=True, schedule="drop", drop_at=35)
    net = linear()
    w, b = parameters(net)
    done = train(net, data, recipe, seed=5)
    x, y = flat(data), np.eye(3)[data.labels]
    vw, vb, losses, seen = 0.0, 0.0, [], 0
    for step, rows in enumerate(islice(order(21, 8, 5), 60)):
        rows = rows.numpy()
        if step == 35:
            vw, vb = 0.0, 0.0
        p = softmax(x[rows] @ w.T + b)
        losses.append(-np.log((p * y[rows]).sum(1)).mean())
        slope = (p - y[rows]) / len(rows)
        vw = 0.9 * vw + slope.T @ x[rows] + 0.01 * w
        vb = 0.9 * vb + slope.sum(0) + 0.01 * b
        lr = 0.05 if step < 35 else 0.005
        w, b, seen = w - lr * vw, b - lr * vb, seen + len(rows)
    np.testing.assert_allclose(net[1].weight.detach(), w, atol=2e-5)
    np.testing.assert_allclose(net[1].bias.detach(), b, atol=2e-5)
    assert (done.steps, done.images_seen) == (60, seen)
    assert done.loss == pytest.approx(np.mean(losses[-6:]), rel=1e-4)


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("kind", ["mse_ce", "kl"])
def test_soft_labels_adamw_half_cosine_and_the_average_of_weights(kind, ema):
    data, teacher = toy(n=20), linear(seed=1).eval()
    recipe = dataclasses.replace(
        ADAM, schedule="half_cosine", loss=kind, ce_weight=0.3, temperature=4.0 if kind == "kl" else 1.0, ema=ema
    )
    net = linear()
    state = {"w": parameters(net)[0], "b": parameters(net)[1]}
    train(net, data, recipe, seed=5, teachers=[teacher])
    x, y = flat(data), np.eye(3)[data.labels]
    tw, tb = parameters(teacher)
    z = x @ tw.T + tb
    m = dict.fromkeys(state, 0.0)
    v = dict.fromkeys(state, 0.0)
    average = dict(state)
    for step, rows in enumerate(islice(order(20, 8, 5), 60)):
        rows = rows.numpy()
        s = x[rows] @ state["w"].T + state["b"]
        if kind == "kl":
            slope = (softmax(s / 4) - softmax(z[rows] / 4)) / 4 / len(rows)
        else:
            slope = 2 * (s - z[rows]) / (3 * len(rows)) + 0.3 * (softmax(s) - y[rows]) / len(rows)
        lr = 1e-2 * (1 + math.cos(math.pi * step / 120)) / 2
        for k, g in {"w": slope.T @ x[rows], "b": slope.sum(0)}.items():
            m[k], v[k] = 0.9 * m[k] + 0.1 * g, 0.999 * v[k] + 0.001 * g**2
            update = m[k] / (1 - 0.9 ** (step + 1)) / (np.sqrt(v[k] / (1 - 0.999 ** (step + 1))) + 1e-8)
            state[k] = state[k] * (1 - lr * (0.1 if k == "w" else 0.0)) - lr * update
            average[k] = 0.9 * average[k] + 0.1 * state[k]
    expected = state if ema is None else average
    np.testing.assert_allclose(net[1].weight.detach(), expected["w"], atol=2e-5)
    np.testing.assert_allclose(net[1].bias.detach(), expected["b"], atol=2e-5)
    if ema is not None:
        assert np.abs(average["w"] - state["w"]).max() > 1e-3


class Constant(nn.Module):
    """Logits that no parameter moves: what is left of a step is the weight decay."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
        with torch.no_grad():
            for p in self.parameters():
                p.fill_(1.0)

    def forward(self, x):
        return torch.zeros(len(x), 3) + 0 * sum(p.sum() for p in self.parameters())


@pytest.mark.parametrize("recipe", [SGD, ADAM], ids=["sgd", "adamw"])
@pytest.mark.parametrize("everything", [False, True])
def test_weight_decay_is_for_two_dimensions_and_more_unless_for_all(recipe, everything):
    net = Constant()
    train(net, toy(), dataclasses.replace(recipe, weight_decay=0.2, decay_all=everything), seed=0)
    left = math.prod(1 - recipe.lr * (1 + math.cos(math.pi * t / 60)) / 2 * 0.2 for t in range(60))
    for p in net.parameters():
        expected = left if p.ndim >= 2 or everything else 1.0
        torch.testing.assert_close(p.detach(), torch.full_like(p, expected))


@given(st.sampled_from(["cosine", "half_cosine", "drop"]), st.integers(1, 500), st.data())
def test_the_schedule_is_its_formula(kind, steps, data):
    t = data.draw(st.integers(0, steps - 1))
    drop = data.draw(st.integers(0, steps))
    recipe = dataclasses.replace(SGD, steps=steps, schedule=kind, drop_at=drop)
    half = math.cos(math.pi * t / steps / (4 if kind == "half_cosine" else 2)) ** 2  # (1 + cos 2a) / 2 = cos² a
    expected = (1.0 if t < drop else 0.1) if kind == "drop" else half
    assert schedule(recipe, t) == pytest.approx(expected, abs=1e-12)


def rows_of_logits(b, c):
    return st.lists(st.lists(st.floats(-8, 8), min_size=c, max_size=c), min_size=b, max_size=b)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 4), st.integers(2, 4), st.sampled_from([1.0, 4.0, 20.0]), st.booleans(), st.data())
def test_the_losses_are_their_formulas(b, c, t, weighted, data):
    s, z = data.draw(rows_of_logits(b, c)), data.draw(rows_of_logits(b, c))
    y = data.draw(st.lists(st.integers(0, c - 1), min_size=b, max_size=b))
    w = data.draw(st.lists(st.floats(0.1, 5), min_size=b, max_size=b)) if weighted else [1.0] * b

    def log_p(row, temperature=1.0):
        return [v / temperature - math.log(sum(math.exp(u / temperature) for u in row)) for v in row]

    ce = [-log_p(s[i])[y[i]] for i in range(b)]
    kl = [sum(math.exp(p) * (p - q) for p, q in zip(log_p(z[i], t), log_p(s[i], t), strict=True)) for i in range(b)]
    mse = [sum((u - v) ** 2 for u, v in zip(s[i], z[i], strict=True)) / c for i in range(b)]
    each = {"ce": ce, "kl": kl, "mse_ce": [m + 0.025 * e for m, e in zip(mse, ce, strict=True)]}
    for kind, values in each.items():
        recipe = dataclasses.replace(SGD, loss=kind, temperature=t, ce_weight=0.025)
        expected = sum(v * k for v, k in zip(values, w, strict=True)) / sum(w)
        wide = torch.tensor(w, dtype=torch.float64) if weighted else None
        tensors = torch.tensor(s, dtype=torch.float64), torch.tensor(y), wide, torch.tensor(z, dtype=torch.float64)
        assert float(objective(*tensors, recipe)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_kl_is_the_batchmean_of_torch_s_own():
    s, z = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0))
    theirs = nn.KLDivLoss(reduction="batchmean")(torch.log_softmax(s / 20, 1), torch.softmax(z / 20, 1))
    ours = objective(
        s, torch.zeros(8, dtype=torch.int64), None, z, dataclasses.replace(SGD, loss="kl", temperature=20.0)
    )
    torch.testing.assert_close(ours, theirs)


# Batches


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 99))
def test_an_epoch_is_a_permutation_but_for_a_last_batch_of_one(images, batch, seed):
    epochs = order(images, batch, seed)
    generator = torch.Generator().manual_seed(derive(seed, "order"))
    for _ in range(3):
        drawn = torch.randperm(images, generator=generator).tolist()
        chunks = [drawn[i : i + batch] for i in range(0, images, batch)]
        if batch > 1 and len(chunks) > 1 and len(chunks[-1]) == 1:
            chunks.pop()
        assert [rows.tolist() for rows in islice(epochs, len(chunks))] == chunks
        assert len(chunks) == epoch_steps(images, batch) or batch == 1


def test_an_epoch_keeps_its_last_batch_of_one_where_that_is_asked():
    assert [len(rows) for rows in islice(order(9, 4, 0, drop_single=False), 6)] == [4, 4, 1, 4, 4, 1]
    assert [len(rows) for rows in islice(order(9, 4, 0), 4)] == [4, 4, 4, 4]


@pytest.mark.parametrize(
    "recipe", [SGD, dataclasses.replace(SGD, pad=1, flip=True), dataclasses.replace(SGD, scale=(0.3, 1))]
)
def test_two_sets_of_one_size_see_their_images_in_the_same_order(recipe, batches):
    """Labels that are row numbers tell which images each batch held."""
    drawn = []
    for seed, start in ((0, 0), (0, 1), (1, 0)):
        data = dataclasses.replace(toy(n=20, seed=start), labels=torch.arange(20))
        train(linear(classes=20, seed=start), data, recipe, seed=seed)
        drawn.append(torch.cat([y for _, y, _, _ in batches]).tolist())
        batches.clear()
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == torch.cat(list(islice(order(20, 8, 0), 60))).tolist()


def test_same_seed_same_weights_another_seed_others():
    recipe = dataclasses.replace(ADAM, pad=1, flip=True, cutmix=1.0, loss="kl", temperature=20.0)
    teacher = normal_net(seed=9)

    def trained(seed):
        net = normal_net()
        train(net, toy(size=8), recipe, seed=seed, teachers=[teacher])
        return torch.cat([v.flatten().double() for v in net.state_dict().values()])

    one = trained(3)
    assert torch.equal(trained(3), one)
    assert not torch.equal(trained(4), one)


def test_dropout_draws_from_the_seed_and_leaves_the_global_generator_alone():
    def trained(global_seed, seed=0):
        net = nn.Sequential(*linear(), nn.Dropout(0.5))
        torch.random.default_generator.manual_seed(global_seed)
        state = torch.random.get_rng_state()
        train(net, toy(), ADAM, seed=seed)
        assert torch.equal(torch.random.get_rng_state(), state)
        return weights(net)

    assert torch.equal(trained(1), trained(2))
    assert not torch.equal(trained(1), trained(1, seed=1))


def test_floats_train_as_the_bytes_they_equal():
    data = toy()
    nets = linear(), linear()
    train(nets[0], data, ADAM, seed=0)
    train(nets[1], dataclasses.replace(data, images=data.images.float() / 255), ADAM, seed=0)
    torch.testing.assert_close(weights(nets[0]), weights(nets[1]), atol=1e-5, rtol=1e-4)


def test_a_last_batch_of_one_never_reaches_batch_norm():
    net = normal_net()
    seen = inputs_of(net)
    train(net, toy(n=17, size=8), dataclasses.replace(SGD, batch=16, steps=5), seed=0)
    assert [len(x) for x in seen] == [16] * 5


def test_crops_are_windows_of_the_image_in_a_black_border(batches):
    data = dataclasses.replace(toy(n=6), labels=torch.arange(6))
    net = linear(classes=6)
    seen = inputs_of(net)
    train(net, data, dataclasses.replace(SGD, pad=1, flip=True, steps=20, batch=6), seed=0)
    dark = torch.nn.functional.pad(data.images.float() / 255, [1] * 4)
    framed = (dark - MEAN[0]) / STD[0]
    used = set()
    for x, (_, rows, _, _) in zip(seen, batches, strict=True):
        for image, row in zip(x, rows.tolist(), strict=True):
            crops = {
                (i, j, k): framed[row][:, i : i + 4, j : j + 4] for i in range(3) for j in range(3) for k in (0, 1)
            }
            found = [
                key for key, crop in crops.items() if torch.allclose(image, crop.flip(2) if key[2] else crop, atol=1e-5)
            ]
            assert len(found) == 1
            used.add(found[0])
    assert len(used) == 18


def test_a_resized_crop_of_the_whole_area_is_the_image_or_its_mirror():
    """No box of the full area with another ratio fits, so every draw falls back to the image."""
    data = toy(n=4, size=6)
    net = linear(36)
    seen = inputs_of(net)
    train(net, data, dataclasses.replace(SGD, scale=(1.0, 1.0), flip=True, steps=20, batch=4), seed=0)
    images = (data.images.float() / 255 - MEAN[0]) / STD[0]
    mirrored = 0
    for x, rows in zip(seen, islice(order(4, 4, 0), 20), strict=True):
        for image, real in zip(x, images[rows], strict=True):
            flipped = torch.allclose(image, real.flip(2), atol=1e-4)
            mirrored += flipped
            assert flipped or torch.allclose(image, real, atol=1e-4)
    assert 20 < mirrored < 60


# Labels


def test_the_teacher_labels_the_very_batch_that_the_student_sees(batches):
    """Made several batches ahead, the labels equal those of each mixed, cropped batch alone."""
    recipe = dataclasses.replace(SGD, loss="kl", temperature=4.0, pad=1, flip=True, cutmix=1.0, steps=45)
    teachers = [normal_net(seed=s).eval() for s in (1, 2)]
    for teacher in teachers:  # statistics of its own, so that eval mode differs from train mode
        teacher.features[1].running_mean.fill_(0.7)
    student = normal_net()
    seen = inputs_of(student)
    train(student, toy(size=8), recipe, seed=0, teachers=teachers)
    assert len(batches) == 45 and module.AHEAD < 45 * 8
    for x, (_, _, _, z) in zip(seen, batches, strict=True):
        with torch.no_grad():
            alone = (teachers[0](x) + teachers[1](x)) / 2
        torch.testing.assert_close(z, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("ahead", [1, 20, 4096])
def test_how_far_ahead_labels_are_made_changes_nothing(monkeypatch, ahead):
    recipe = dataclasses.replace(ADAM, loss="mse_ce", ce_weight=0.1, cutmix=1.0)

    def trained():
        net = linear(64)
        train(net, toy(size=8), recipe, seed=0, teachers=[normal_net(seed=1)])
        return weights(net)

    usual = trained()
    monkeypatch.setattr(module, "AHEAD", ahead)
    torch.testing.assert_close(trained(), usual, atol=1e-5, rtol=1e-4)


def test_cutmix_keeps_the_unmixed_label(batches):
    data = dataclasses.replace(toy(n=16), labels=torch.arange(16))
    recipe = dataclasses.replace(SGD, loss="mse_ce", ce_weight=0.5, cutmix=1.0, steps=6)
    train(linear(classes=16), data, recipe, seed=0, teachers=[linear(classes=16, seed=1)])
    rows = list(islice(order(16, 8, 0), 6))
    assert [y.tolist() for _, y, _, _ in batches] == [r.tolist() for r in rows]


def test_sample_weights_travel_with_their_images(batches):
    data = toy(weights=torch.arange(20).float() + 1)
    data = dataclasses.replace(data, labels=torch.arange(20))
    train(linear(classes=20), data, SGD, seed=0)
    for _, labels, weight, _ in batches:
        assert torch.equal(weight, labels.float() + 1)


def test_a_teacher_is_not_trained_and_judges_in_eval_mode():
    teacher = normal_net(seed=1).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    recipe = dataclasses.replace(SGD, loss="kl", temperature=4.0, steps=10)
    train(normal_net(), toy(size=8), recipe, seed=0, teachers=[teacher])
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert all(p.grad is None for p in teacher.parameters())


def test_a_committee_s_label_is_the_mean_of_its_logits():
    x = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    nets = [linear(seed=s).eval() for s in range(3)]
    torch.testing.assert_close(committee(nets, x), sum(net(x) for net in nets).detach() / 3)
    assert not committee(nets, x).requires_grad
    nets[1][1].weight.data[0, 0] = torch.inf
    with pytest.raises(DecoctError, match=r"teacher.* not finite"):
        committee(nets, x)


@pytest.mark.parametrize("loss", ["kl", "mse_ce"])
def test_soft_labels_need_a_teacher(loss):
    with pytest.raises(DecoctError, match=f"'{loss}' needs at least one label teacher"):
        train(linear(), toy(), dataclasses.replace(SGD, loss=loss), seed=0)


# What is left


def test_the_loop_cannot_reach_test_data():
    names = {*inspect.signature(train).parameters, *(f.name for f in dataclasses.fields(TrainingSet))}
    assert names == {
        *("student", "data", "recipe", "seed", "device", "teachers", "precision", "compiled", "progress"),
        *("images", "labels", "mean", "std", "weights"),
    }
    assert not any(hasattr(module, name) for name in ("Dataset", "Split", "correct"))


def test_the_last_weights_are_returned_and_not_a_better_step_in_between():
    """Perfect weights are planted at step 50; large steps on noisy labels then lose them, and that is what counts."""
    data = toy(n=64, classes=2)
    x = torch.tensor(flat(data)).float()
    truth = (x[:, 0] > x[:, 1]).long()
    perfect = torch.zeros(2, 16)
    perfect[1, 0], perfect[1, 1] = 1.0, -1.0
    net, accuracies, snapshots = linear(classes=2), {}, {}

    def plant(done, total):
        if done == 50:
            net[1].weight.data.copy_(perfect)
            net[1].bias.data.zero_()
        with torch.no_grad():
            accuracies[done] = float((net(data.images.float()).argmax(1) == truth).float().mean())
        snapshots[done] = weights(net).clone()

    shuffled = dataclasses.replace(data, labels=truth.roll(1))
    train(net, shuffled, dataclasses.replace(SGD, steps=200, lr=0.5), seed=0, progress=plant)
    assert list(accuracies) == [50, 100, 150, 200]
    assert accuracies[50] == 1.0
    assert accuracies[200] < 0.9
    assert torch.equal(weights(net), snapshots[200])
    assert not net.training


def test_batch_norm_buffers_come_from_the_live_net_under_an_average():
    nets = normal_net(), normal_net()
    for net, ema in zip(nets, (None, 0.99), strict=True):
        recipe = dataclasses.replace(ADAM, ema=ema, steps=10)
        train(net, toy(size=8), recipe, seed=0)
    assert not torch.equal(weights(nets[0]), weights(nets[1]))
    for live, averaged in zip(nets[0].buffers(), nets[1].buffers(), strict=True):
        assert torch.equal(live, averaged)


def test_the_average_holds_no_graph_of_the_steps_behind_it(monkeypatch):
    """Otherwise memory grows with every step."""
    lerp, tracked = torch._foreach_lerp_, []

    def spy(average, *rest):
        lerp(average, *rest)
        tracked.extend(value.requires_grad for value in average)

    monkeypatch.setattr(torch, "_foreach_lerp_", spy)
    train(linear(), toy(), dataclasses.replace(ADAM, ema=0.9, steps=3), seed=0)
    assert tracked == [False] * 6


class Fails(nn.Module):
    """A linear net whose output is not a number at one step."""

    def __init__(self, at):
        super().__init__()
        self.net, self.at, self.calls = linear(), at, 0

    def forward(self, x):
        self.calls += 1
        return self.net(x) * (torch.nan if self.calls == self.at else 1)


@pytest.mark.parametrize(("at", "steps", "noticed"), [(7, 200, 50), (61, 200, 100), (1, 20, 20), (20, 20, 20)])
def test_a_loss_that_is_not_finite_stops_the_training_and_names_the_step(at, steps, noticed):
    net = Fails(at)
    with pytest.raises(DecoctError, match=f"not finite at step {at} of {steps}"):
        train(net, toy(), dataclasses.replace(SGD, steps=steps), seed=0)
    assert net.calls == noticed


def test_progress_ends_at_the_last_step():
    reports = []
    train(linear(), toy(), dataclasses.replace(SGD, steps=120), seed=0, progress=lambda *now: reports.append(now))
    assert reports == [(50, 120), (100, 120), (120, 120)]


def test_bfloat16_keeps_the_weights_and_the_loss_in_float32(batches):
    net = normal_net()
    done = train(net, toy(size=8), ADAM, seed=0, precision="bfloat16")
    full = normal_net()
    exact = train(full, toy(size=8), ADAM, seed=0)
    assert all(p.dtype == torch.float32 for p in net.parameters())
    assert all(logits.dtype == torch.float32 for logits, *_ in batches)
    assert not torch.equal(weights(net), weights(full))
    assert done.loss == pytest.approx(exact.loss, abs=0.1)
