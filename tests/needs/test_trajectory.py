"""Trajectories are the weights of a training, which they leave as it is; they outlive a kill, and go into the net."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from decoct.core import scratch
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine, Task
from decoct.needs.trajectory import Experts, Trajectories, Trajectory, flattened, record, shapes_of
from decoct.nets import zoo
from decoct.nets.convnet import ConvNet
from decoct.study.store.store import KeptOnDisk
from decoct.training import batches
from decoct.training.loop import schedule, train
from decoct.training.recipe import Recipe, epoch_steps

EVERY, EPOCHS = 3, 4
RECIPE = Recipe(EVERY * EPOCHS, 8, "sgd", 0.05, 0.0, "multistep", dsa=True)


class KilledError(Exception):
    """The process ends here."""


@pytest.fixture
def data(small_set):
    return small_set(n=20, size=8)  # batches of 8, 8 and 4


@pytest.fixture
def net():
    def make(norm="instance", seed=0):
        with torch.random.fork_rng([]):
            torch.random.default_generator.manual_seed(seed)
            return ConvNet(1, 3, 8, 4, 2, norm)

    return make


def test_the_rows_are_the_weights_before_and_after_each_epoch(data, net):
    student, seen = net(), [flattened(net())]
    train(net(), data, RECIPE, seed=4, on_epoch=lambda now, _: seen.append(flattened(now)))
    found = record(student, data, RECIPE, seed=4)
    assert found.epochs == EPOCHS and found.weights.dtype == np.float32
    assert np.array_equal(found.weights, torch.stack(seen).numpy())
    assert np.array_equal(found.weights[-1], torch.cat([p.detach().flatten() for p in student.parameters()]).numpy())


def test_keeping_weights_leaves_the_training_as_it_would_be(data, net):
    plain, kept = net(), net()
    train(plain, data, RECIPE, seed=1)
    record(kept, data, RECIPE, seed=1)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, kept.state_dict()[name]), name


def test_a_trajectory_is_stored_with_the_names_and_shapes_of_its_parameters(data, net, tmp_path):
    found = record(net(), data, RECIPE, seed=0)
    found.save(tmp_path)
    again = Trajectory.load(tmp_path)
    assert isinstance(again.weights, np.memmap) and np.array_equal(again.weights, found.weights)
    assert again.shapes == found.shapes == shapes_of(net())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["weights.json", "weights.npy"]


@pytest.mark.parametrize(
    "break_it",
    [
        lambda folder: (folder / "weights.npy").write_bytes(b"no array"),
        lambda folder: (folder / "weights.npy").write_bytes(b"\x93NUMPY\1\0\1\0{"),
        lambda folder: (folder / "weights.json").unlink(),
        lambda folder: (folder / "weights.json").write_text("{"),
        lambda folder: (folder / "weights.json").write_text(json.dumps({"parameters": [["a", [2]]]})),
        lambda folder: np.save(folder / "weights.npy", np.zeros((2, 2))),
    ],
)
def test_a_damaged_trajectory_says_what_to_do(data, net, tmp_path, break_it):
    record(net(), data, RECIPE, seed=0).save(tmp_path)
    break_it(tmp_path)
    with pytest.raises(DecoctError, match=r"the trajectory in .* is damaged: .*; remove that folder"):
        Trajectory.load(tmp_path)


def test_a_trajectory_of_another_net_is_refused(data, net, tmp_path):
    record(net(), data, RECIPE, seed=0).save(tmp_path)
    assert len(Experts.load(net(), [tmp_path, tmp_path])) == 2
    with pytest.raises(DecoctError, match="is of another net: remove that folder"):
        Experts.load(zoo.build("convnet1_w8", 1, 3, 8, 0), [tmp_path])


def test_less_than_an_epoch_is_no_trajectory(data, net):
    with pytest.raises(DecoctError, match="2 steps are less than an epoch of 3: train longer"):
        record(net(), data, Recipe(2, 8, "sgd", 0.01, 0.0, "multistep"), seed=0)


def test_a_vector_becomes_the_parameters_of_the_net(data, net):
    trained = net(seed=1)
    found = Experts(net().eval().requires_grad_(False), (record(trained, data, RECIPE, seed=0),))
    x = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(found.logits(found.parameters(found.weights(0, EPOCHS)), x), trained(x))
        assert torch.equal(found.logits(found.parameters(found.weights(0, 0)), x), net(seed=1)(x))
    flat = found.weights(0, 1)
    assert found.size == len(flat) == sum(p.numel() for p in trained.parameters())
    views = found.parameters(flat)
    assert list(views) == [name for name, _ in trained.named_parameters()]
    flat.zero_()
    assert not any(view.any() for view in views.values())  # views, not copies
    assert found.trajectories[0].weights[1].any()  # the trajectory stays


def test_batch_norm_normalises_by_the_batch_and_keeps_nothing(data, net, tmp_path):
    record(net("batch"), data, RECIPE, seed=0).save(tmp_path)
    found = Experts.load(net("batch"), [tmp_path])
    assert not list(found.net.buffers())
    parameters = found.parameters(found.weights(0, EPOCHS))
    x = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    twin = net("batch").train()
    twin.load_state_dict(parameters, strict=False)
    with torch.no_grad():
        assert torch.allclose(found.logits(parameters, x), twin(x), atol=1e-6)


def test_an_expert_trains_as_mtt_s_buffer_does():
    recipe = Trajectories(net="convnet3", epochs=7, dsa=True).recipe(
        Task(1000, 10, 32, flip=True, ceiling=True, batch_norm=False)
    )
    assert (recipe.optimiser, recipe.lr, recipe.momentum, recipe.weight_decay) == ("sgd", 0.01, 0.0, 0.0)
    assert (recipe.steps, recipe.batch, recipe.dsa, recipe.flip, recipe.loss) == (7 * 4, 256, True, True, "ce")
    assert {schedule(recipe, step) for step in range(recipe.steps)} == {1.0}
    plain = Trajectories(net="convnet3", dsa=False).recipe(Task(1000, 10, 32, flip=True))
    assert (plain.dsa, plain.flip, plain.steps) == (False, False, 50 * 4)
    assert Trajectories(net="convnet3").recipe(Task(257, 10, 8, False, batch_norm=True)).steps == 50  # no batch of one
    assert Trajectories(net="convnet3").recipe(Task(257, 10, 8, False, batch_norm=False)).steps == 100


def test_fewer_epochs_are_the_first_of_more(data, net):
    """There is no schedule that would see the end."""
    task, each = Task(len(data.labels), 3, 8, False), epoch_steps(len(data.labels), 8)
    short, long = (
        record(net(), data, replace(Trajectories(net="convnet3").recipe(task), batch=8, steps=steps), seed=0)
        for steps in (2 * each, 4 * each)
    )
    assert np.array_equal(long.weights[:3], short.weights)


# Kill and resume


@pytest.fixture
def unflushed(monkeypatch):
    monkeypatch.setattr(scratch, "sync", lambda path: None)


@pytest.mark.parametrize("at", [1, 2, 4, 5, 8, 12])
def test_killed_anywhere_it_ends_the_same(data, net, tmp_path, monkeypatch, unflushed, at):
    monkeypatch.setattr(batches, "AHEAD", 1)
    whole, student, seen = record(net(), data, RECIPE, seed=4), net(), []

    def fatal(*_):
        seen.append(1)
        if len(seen) == at:
            raise KilledError

    kept = KeptOnDisk(tmp_path / "kept", every=0)
    student.register_forward_pre_hook(fatal)
    with pytest.raises(KilledError):
        record(student, data, RECIPE, seed=4, machine=Machine(kept=kept))
    assert len(list(kept.folder.glob("epoch-*"))) == (at - 1) // EVERY
    second, steps = net(), []
    second.register_forward_pre_hook(lambda *_: steps.append(1))
    again = record(second, data, RECIPE, seed=4, machine=Machine(kept=kept))
    assert len(steps) == RECIPE.steps - (at - 1)
    assert np.array_equal(again.weights, whole.weights)


def test_a_state_without_its_weights_starts_anew(data, net, tmp_path, monkeypatch, unflushed):
    monkeypatch.setattr(batches, "AHEAD", 1)
    kept = KeptOnDisk(tmp_path / "kept", every=0)
    whole = record(net(), data, RECIPE, seed=4, machine=Machine(kept=kept))
    kept.drop("epoch-2")
    again = record(net(), data, RECIPE, seed=4, machine=Machine(kept=kept))
    assert np.array_equal(again.weights, whole.weights)


def test_the_net_of_experts_asks_for_no_gradient_of_its_own(net, data, tmp_path):
    record(net(), data, RECIPE, seed=0).save(tmp_path)
    found = Experts.load(net(), [tmp_path])
    assert not found.net.training and not any(p.requires_grad for p in found.net.parameters())
    assert isinstance(found.net, nn.Module)
