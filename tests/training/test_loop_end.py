"""What a training leaves: the last step's weights and no better ones, or those of an early end; and what it says."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine
from decoct.training import batches
from decoct.training import loop as module
from decoct.training.batches import order
from decoct.training.loop import objective, train
from decoct.training.recipe import Recipe

SGD = Recipe(steps=60, batch=8, optimiser="sgd", lr=0.05, weight_decay=0.0, schedule="cosine")
ADAM = Recipe(steps=60, batch=8, optimiser="adamw", lr=1e-2, weight_decay=0.1, schedule="cosine")


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def state(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def assert_same(net, expected):
    assert all(torch.equal(value, expected[name]) for name, value in net.state_dict().items())


@pytest.fixture
def losses(monkeypatch):
    """The value of every loss of the loop."""
    seen = []

    def spy(*given):
        loss = objective(*given)
        seen.append(float(loss.detach()))
        return loss

    monkeypatch.setattr(module, "objective", spy)
    return seen


# The last weights


def test_the_last_weights_are_returned_and_not_a_better_step_in_between(small_set, linear, monkeypatch):
    """Perfect weights are planted at step 50; large steps on noisy labels then lose them, and that is what counts."""
    monkeypatch.setattr(batches, "AHEAD", 1)
    data = small_set(n=64, classes=2)
    truth = (data.images[:, 0, 0, 0] > data.images[:, 0, 0, 1]).long()
    perfect = torch.zeros(2, 16)
    perfect[1, 0], perfect[1, 1] = 1.0, -1.0
    net, accuracies, snapshots = linear(classes=2), {}, {}

    def plant(done, total):
        if done == 50:
            net[1].weight.data.copy_(perfect)
            net[1].bias.data.zero_()
        with torch.no_grad():
            accuracies[done] = float((net(data.images.float()).argmax(1) == truth).float().mean())
        snapshots[done] = weights(net)

    train(
        net,
        replace(data, labels=truth.roll(1)),
        replace(SGD, steps=200, lr=0.5),
        seed=0,
        machine=Machine(progress=plant),
    )
    assert list(accuracies) == [50, 100, 150, 200]
    assert accuracies[50] == 1.0
    assert accuracies[200] < 0.9
    assert torch.equal(weights(net), snapshots[200])
    assert not net.training


def test_batch_norm_buffers_come_from_the_live_net_under_an_average(small_set, normal_net):
    nets = normal_net(), normal_net()
    for net, ema in zip(nets, (None, 0.99), strict=True):
        train(net, small_set(size=8), replace(ADAM, ema=ema, steps=10), seed=0)
    assert not torch.equal(weights(nets[0]), weights(nets[1]))
    for live, averaged in zip(nets[0].buffers(), nets[1].buffers(), strict=True):
        assert torch.equal(live, averaged)


def test_the_average_holds_no_graph_of_the_steps_behind_it(small_set, linear, monkeypatch):
    """Otherwise memory grows with every step."""
    lerp, tracked = torch._foreach_lerp_, []

    def spy(average, *rest):
        lerp(average, *rest)
        tracked.extend(value.requires_grad for value in average)

    monkeypatch.setattr(torch, "_foreach_lerp_", spy)
    train(linear(), small_set(), replace(ADAM, ema=0.9, steps=3), seed=0)
    assert tracked == [False] * 6


# What is said on the way


def test_progress_ends_at_the_last_step(small_set, linear, monkeypatch):
    monkeypatch.setattr(batches, "AHEAD", 1)
    reports = []
    train(
        linear(),
        small_set(),
        replace(SGD, steps=120),
        seed=0,
        machine=Machine(progress=lambda *now: reports.append(now)),
    )
    assert reports == [(50, 120), (100, 120), (120, 120)]


class Fails(nn.Module):
    """A net whose output is not a number at one step."""

    def __init__(self, net, at):
        super().__init__()
        self.net, self.at, self.calls = net, at, 0

    def forward(self, x):
        self.calls += 1
        return self.net(x) * (torch.nan if self.calls == self.at else 1)


@pytest.mark.parametrize(("at", "steps", "noticed"), [(7, 200, 50), (61, 200, 100), (1, 20, 20), (20, 20, 20)])
def test_a_loss_that_is_not_finite_stops_the_training_and_names_the_step(
    small_set, linear, monkeypatch, at, steps, noticed
):
    monkeypatch.setattr(batches, "AHEAD", 1)
    net = Fails(linear(), at)
    with pytest.raises(DecoctError, match=f"not finite at step {at} of {steps}"):
        train(net, small_set(), replace(SGD, steps=steps), seed=0)
    assert net.calls == noticed


# Ending ahead of the schedule


@pytest.mark.parametrize(("every", "ends"), [(1, 7), (10, 40), (60, 60), (7, None), (100, None)])
def test_stop_is_asked_every_so_many_steps_of_the_student_as_it_would_be_evaluated(small_set, normal_net, every, ends):
    net, asked, modes = normal_net(), [], []
    net.register_forward_pre_hook(lambda net, _: modes.append(net.training))

    def stop(done, student):
        asked.append((done, student is net, student.training))
        return done == ends

    done = train(net, small_set(size=8), ADAM, seed=0, stop=stop, stop_every=every)
    assert done.steps == len(modes) == (ends or 60)
    assert asked == [(step, True, False) for step in range(every, done.steps + 1, every)]
    assert all(modes) and not net.training
    assert done.images_seen == sum(len(rows) for rows in islice(order(20, 8, 0), done.steps))


def test_asking_changes_nothing(small_set, normal_net):
    """The student may be evaluated in between: its statistics, and the draws of its dropout, stay those of training."""
    data, nets = small_set(size=8), [nn.Sequential(normal_net(), nn.Dropout(0.3)) for _ in range(2)]

    def look(done, student):
        with torch.no_grad():
            student(data.images.float())
        return False

    done = [train(nets[0], data, ADAM, seed=0), train(nets[1], data, ADAM, seed=0, stop=look, stop_every=7)]
    assert done[0] == done[1]
    assert_same(nets[1], state(nets[0]))


@pytest.mark.parametrize("ends", [3, 30])
def test_an_early_end_leaves_the_average_and_the_loss_of_the_steps_that_were_done(small_set, normal_net, losses, ends):
    net, average = normal_net(), weights(normal_net())

    def stop(done, student):
        average.lerp_(weights(student), 0.1)
        return done == ends

    done = train(net, small_set(size=8), replace(ADAM, ema=0.9), seed=0, stop=stop, stop_every=1)
    torch.testing.assert_close(weights(net), average)
    assert len(losses) == ends
    assert done.loss == pytest.approx(np.mean(losses[-max(1, ends // 10) :]))
    assert not net.training


def test_up_to_its_early_end_a_training_is_the_longer_one(small_set, normal_net):
    """The schedule is that of all steps, and batches that were made ahead are dropped."""
    nets, kept = [normal_net(), normal_net()], {}
    train(
        nets[0], small_set(size=8), ADAM, seed=0, stop=lambda n, net: bool(kept.update({n: state(net)})), stop_every=10
    )
    train(nets[1], small_set(size=8), ADAM, seed=0, stop=lambda n, _: n == 40, stop_every=10)
    assert_same(nets[1], kept[40])


def test_a_loss_that_is_not_finite_is_no_early_end(small_set, linear):
    with pytest.raises(DecoctError, match="not finite at step 7 of 200"):
        train(Fails(linear(), 7), small_set(), replace(SGD, steps=200), seed=0, stop=lambda *_: True, stop_every=10)


def test_whoever_watches_is_called_after_each_whole_epoch_and_changes_nothing(small_set, normal_net):
    data, nets, seen = small_set(n=20, size=8), [normal_net(), normal_net()], []
    recipe = replace(ADAM, steps=8, batch=8)  # three steps an epoch
    train(nets[0], data, recipe, seed=0)
    train(nets[1], data, recipe, seed=0, on_epoch=lambda net, epoch: seen.append((epoch, net.training)))
    assert seen == [(1, False), (2, False)]
    assert_same(nets[1], state(nets[0]))
