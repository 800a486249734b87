"""The training loop against loops written by hand, and what it must never do."""

import dataclasses
import inspect
import math
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine
from decoct.nets.compiled import RanEager
from decoct.training import batches
from decoct.training import loop as module
from decoct.training.batches import Batches, order
from decoct.training.loop import TrainingSet, objective, train
from decoct.training.recipe import Recipe

SGD = Recipe(steps=60, batch=8, optimiser="sgd", lr=0.05, weight_decay=0.0, schedule="cosine")
ADAM = Recipe(steps=60, batch=8, optimiser="adamw", lr=1e-2, weight_decay=0.1, schedule="cosine")


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def state(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def assert_same(net, expected):
    assert all(torch.equal(value, expected[name]) for name, value in net.state_dict().items())


def inputs_of(net):
    """Every batch that goes into the net from now on."""
    seen = []
    net.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
    return seen


@pytest.fixture
def losses(monkeypatch):
    """What every loss of the loop is made from, (logits, labels, weights, teacher, recipe, mixed), and its value."""
    seen = []

    def spy(logits, *rest):
        loss = objective(logits, *rest)
        seen.append(((logits.detach(), *rest), float(loss.detach())))
        return loss

    monkeypatch.setattr(module, "objective", spy)
    return seen


# What the loop computes


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def flat(data):
    return ((data.images.double().numpy() / 255 - 0.4) / 0.3).reshape(len(data.images), -1)


def parameters(net):
    return net[1].weight.detach().double().numpy().copy(), net[1].bias.detach().double().numpy().copy()


@pytest.mark.parametrize("milestones", [(35,), (20, 21, 50), ()])
@pytest.mark.parametrize("restart", [False, True])
def test_dc_s_loop_is_sgd_with_momentum_decay_on_all_and_drops_with_a_new_optimiser(
    small_set, linear, milestones, restart
):
    data = small_set(n=21)
    recipe = replace(SGD, momentum=0.9, weight_decay=0.01, decay_all=True, schedule="multistep")
    recipe = replace(recipe, milestones=milestones, gamma=0.2, restart=restart)
    net = linear()
    w, b = parameters(net)
    done = train(net, data, recipe, seed=5)
    x, y = flat(data), np.eye(3)[data.labels]
    vw, vb, lr, losses, seen = 0.0, 0.0, 0.05, [], 0
    for step, rows in enumerate(islice(order(21, 8, 5), 60)):
        rows = rows.numpy()
        if step in milestones:
            vw, vb = (0.0, 0.0) if restart else (vw, vb)
            lr *= 0.2
        p = softmax(x[rows] @ w.T + b)
        losses.append(-np.log((p * y[rows]).sum(1)).mean())
        slope = (p - y[rows]) / len(rows)
        vw = 0.9 * vw + slope.T @ x[rows] + 0.01 * w
        vb = 0.9 * vb + slope.sum(0) + 0.01 * b
        w, b, seen = w - lr * vw, b - lr * vb, seen + len(rows)
    np.testing.assert_allclose(net[1].weight.detach(), w, atol=2e-5)
    np.testing.assert_allclose(net[1].bias.detach(), b, atol=2e-5)
    assert (done.steps, done.images_seen) == (60, seen)
    assert done.loss == pytest.approx(np.mean(losses[-6:]), rel=1e-4)


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("kind", ["mse_ce", "kl"])
def test_soft_labels_adamw_half_cosine_and_the_average_of_weights(small_set, linear, kind, ema):
    data, teacher = small_set(n=20), linear(seed=1).eval()
    recipe = replace(
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
def test_weight_decay_is_for_two_dimensions_and_more_unless_for_all(small_set, recipe, everything):
    net = Constant()
    train(net, small_set(), replace(recipe, weight_decay=0.2, decay_all=everything), seed=0)
    left = math.prod(1 - recipe.lr * (1 + math.cos(math.pi * t / 60)) / 2 * 0.2 for t in range(60))
    for p in net.parameters():
        expected = left if p.ndim >= 2 or everything else 1.0
        torch.testing.assert_close(p.detach(), torch.full_like(p, expected))


@pytest.mark.parametrize("hard", [0.0, 0.5, 1.0])
def test_the_student_sees_every_batch_of_the_stream_and_its_loss_gets_all_that_is_in_it(
    small_set, normal_net, losses, hard
):
    data = small_set(size=8, weights=torch.arange(20).float() + 1)
    recipe = replace(ADAM, loss="kl", temperature=4.0, pad=1, flip=True, cutmix=1.0, hard=hard, smoothing=0.1)
    student, teacher = normal_net(), normal_net(seed=1).eval()
    seen = inputs_of(student)
    done = train(student, data, recipe, seed=3, teachers=[teacher])
    batches = list(Batches(data, recipe, seed=3, teachers=[teacher]))
    for x, ((_, *given), _), batch in zip(seen, losses, batches, strict=True):
        assert torch.equal(x, batch.images)
        labels, weight, logits, used, mixed = given
        assert torch.equal(labels, batch.labels) and torch.equal(weight, batch.weights)
        assert (logits is None) == (batch.teacher is None)
        assert logits is None or torch.equal(logits, batch.teacher)
        assert used == recipe and mixed.share == batch.mixed.share
        assert all(torch.equal(mixed[i], batch.mixed[i]) for i in (0, 2))
    assert done.images_seen == sum(len(batch.labels) for batch in batches)
    assert done.loss == pytest.approx(np.mean([loss for _, loss in losses[-6:]]))


def test_the_two_halves_of_a_batch_give_the_gradient_of_two_batches_accumulated(small_set, normal_net):
    """With batch norm, so that the whole batch would give another one; and the statistics are learnt twice a step."""
    data, teacher = small_set(n=8, size=8), normal_net(seed=1).eval()
    recipe = replace(SGD, loss="kl", temperature=4.0, halves=True, steps=1)
    student, other, whole = normal_net(), normal_net(), normal_net()
    start = weights(student)
    train(student, data, recipe, seed=0, teachers=[teacher])
    train(whole, data, replace(recipe, halves=False), seed=0, teachers=[teacher])
    (batch,) = Batches(data, recipe, seed=0, teachers=[teacher])
    for x, z in zip(batch.images.chunk(2), batch.teacher.chunk(2), strict=True):
        loss = nn.KLDivLoss(reduction="batchmean")(torch.log_softmax(other.train()(x) / 4, 1), torch.softmax(z / 4, 1))
        (loss / 2).backward()
    slope = torch.cat([p.grad.flatten() for p in other.parameters()])
    torch.testing.assert_close(weights(student), start - 0.05 * slope, atol=1e-6, rtol=1e-5)
    assert (weights(student) - weights(whole)).norm() > 0.05 * (weights(whole) - start).norm()
    for ours, theirs in zip(student.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_hard_steps_are_not_halved(small_set, normal_net):
    student, recipe = normal_net(), replace(SGD, loss="kl", halves=True, hard=0.5, steps=8)
    seen = inputs_of(student)
    train(student, small_set(n=16, size=8), recipe, seed=0, teachers=[normal_net(seed=1)])
    assert [len(x) for x in seen] == [4, 4] * 2 + [8] * 4 + [4, 4] * 2


def test_a_last_batch_of_one_never_reaches_batch_norm(small_set, normal_net):
    net = normal_net()
    seen = inputs_of(net)
    train(net, small_set(n=17, size=8), replace(SGD, batch=16, steps=5), seed=0)
    assert [len(x) for x in seen] == [16] * 5


def test_bfloat16_keeps_the_weights_and_the_loss_in_float32(small_set, normal_net, losses):
    net, full = normal_net(), normal_net()
    done = train(net, small_set(size=8), ADAM, seed=0, machine=Machine(precision="bfloat16"))
    exact = train(full, small_set(size=8), ADAM, seed=0)
    assert all(p.dtype == torch.float32 for p in net.parameters())
    assert all(logits.dtype == torch.float32 for (logits, *_), _ in losses)
    assert not torch.equal(weights(net), weights(full))
    assert done.loss == pytest.approx(exact.loss, abs=0.1)


# Seeds


@pytest.mark.parametrize(
    ("pause", "ahead", "told"),
    [
        (-1.0, 1, range(1, 61)),
        (1e9, 1, (50, 60)),
        (-1.0, 32, range(4, 61, 4)),
        (1e9, 32, (52, 60)),
        (1e9, 56, (56, 60)),
    ],
    ids=["slow", "quick", "slow, 4 batches at a time", "quick, 4 batches at a time", "quick, 7 batches at a time"],
)
def test_slow_steps_are_told_one_by_one_but_only_where_no_batch_is_made_ahead(
    small_set, linear, monkeypatch, pause, ahead, told
):
    monkeypatch.setattr(module, "PAUSE", pause)
    monkeypatch.setattr(batches, "AHEAD", ahead)
    seen = []
    train(linear(), small_set(), SGD, seed=0, machine=Machine(progress=lambda *done: seen.append(done)))
    assert seen == [(step, 60) for step in told]


def test_same_seed_same_weights_another_seed_others(small_set, normal_net):
    recipe = replace(ADAM, pad=1, flip=True, cutmix=1.0, loss="kl", temperature=20.0)
    teacher = normal_net(seed=9)

    def trained(seed):
        net = normal_net()
        train(net, small_set(size=8), recipe, seed=seed, teachers=[teacher])
        return torch.cat([v.flatten().double() for v in net.state_dict().values()])

    one = trained(3)
    assert torch.equal(trained(3), one)
    assert not torch.equal(trained(4), one)


def test_dropout_draws_from_the_seed_and_leaves_the_global_generator_alone(small_set, linear):
    def dropped(global_seed, seed=0, start=0):
        net, masks = nn.Sequential(*linear(), nn.Dropout(0.5)), []
        net[2].register_forward_hook(lambda _, args, out: masks.append(out == 0))
        torch.random.default_generator.manual_seed(global_seed)
        before = torch.random.get_rng_state()
        train(net, small_set(seed=start), ADAM, seed=seed)
        assert torch.equal(torch.random.get_rng_state(), before)
        return torch.cat(masks)

    usual = dropped(1)
    assert torch.equal(dropped(2, start=1), usual)
    assert not torch.equal(dropped(1, seed=1), usual)


def test_floats_train_as_the_bytes_they_equal(small_set, linear):
    data, nets = small_set(), [linear(), linear()]
    train(nets[0], data, ADAM, seed=0)
    train(nets[1], replace(data, images=data.images.float() / 255), ADAM, seed=0)
    torch.testing.assert_close(weights(nets[0]), weights(nets[1]), atol=1e-5, rtol=1e-4)


# Teachers and stored labels


@pytest.mark.parametrize("halves", [False, True])
def test_a_teacher_is_not_trained_and_left_in_eval_mode(small_set, normal_net, halves):
    teacher = normal_net(seed=1).train()
    before = state(teacher)
    recipe = replace(SGD, loss="kl", temperature=4.0, steps=10, halves=halves)
    train(normal_net(), small_set(size=8), recipe, seed=0, teachers=[teacher])
    assert_same(teacher, before)
    assert not teacher.training
    assert all(p.grad is None for p in teacher.parameters())


@pytest.mark.parametrize("loss", ["kl", "mse_ce"])
def test_soft_labels_need_a_teacher_or_stored_ones(small_set, linear, loss):
    with pytest.raises(DecoctError, match=f"'{loss}' needs at least one label teacher, or stored labels"):
        train(linear(), small_set(), replace(SGD, loss=loss), seed=0)


class Stored:
    """What a teacher said, step by step."""

    def __init__(self, batches):
        self.said = [batch.teacher for batch in batches]

    def views(self, first, last, seed):
        return None

    def logits(self, first, last, seed, view):
        return torch.cat(self.said[first:last])


def test_stored_labels_train_as_the_teacher_that_gave_them(small_set, normal_net):
    data, teacher, nets = small_set(size=8), normal_net(seed=1).eval(), [normal_net(), normal_net()]
    recipe = replace(ADAM, loss="kl", temperature=4.0, pad=1, cutmix=1.0, ema=0.9)
    train(nets[0], data, recipe, seed=3, teachers=[teacher])
    train(nets[1], data, recipe, seed=3, labels=Stored(Batches(data, recipe, seed=3, teachers=[teacher])))
    assert_same(nets[1], state(nets[0]))


# Test data


def test_the_loop_cannot_reach_test_data():
    names = {*inspect.signature(train).parameters, *(f.name for f in dataclasses.fields(TrainingSet))}
    assert names == {
        *("student", "data", "recipe", "seed", "machine", "teachers", "labels", "on_epoch", "stop", "stop_every"),
        *("images", "labels", "mean", "std", "weights", "whitening"),
    }
    assert not any(hasattr(module, name) for name in ("Dataset", "Split", "correct"))


# Compiled


@pytest.mark.parametrize("fails", [False, True])
def test_a_training_that_is_compiled_or_cannot_be_gives_the_same_net(small_set, linear, compiler, fails):
    tried = compiler(fails)
    plain, net, data, recipe = linear(), linear(), small_set(n=16), replace(ADAM, steps=6)
    train(plain, data, recipe, seed=5)
    with pytest.warns(RanEager, match="goes on without torch.compile") if fails else nullcontext():
        train(net, data, recipe, seed=5, machine=Machine(compiled=True))
    assert_same(net, state(plain))
    assert len(tried) == 1
