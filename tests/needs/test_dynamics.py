"""Traces against a naive recomputation; they cost the training nothing, and outlive a kill of it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from decoct.core import scratch
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine
from decoct.needs import dynamics
from decoct.needs.dynamics import NAMES, Trace, Traces, per_example, record
from decoct.study.store.store import KeptOnDisk
from decoct.training import batches
from decoct.training.loop import train
from decoct.training.recipe import Recipe

EVERY, EPOCHS = 3, 5
RECIPE = Recipe(EVERY * EPOCHS, 8, "adamw", 1e-2, 0.1, "cosine", pad=1, flip=True)


class KilledError(Exception):
    """The process ends here."""


@pytest.fixture
def data(small_set):
    return small_set(n=20, channels=3, size=8)  # batches of 8, 8 and 4


@pytest.fixture
def net(normal_net):
    return lambda: nn.Sequential(normal_net(channels=3), nn.Identity())


def forward(net, data):
    """Logits and what the last layer saw, of all images at once."""
    x = (data.images.float() / 255 - 0.4) / 0.3
    with torch.no_grad():
        features = net[0].features(x)
        return net[0].classifier(features).double().numpy(), features.double().numpy()


def naive(logits, features, labels, bias=True):
    """What ``Trace`` says, image by image in float64."""
    rows = {name: [] for name in NAMES if name != "shift"}
    for z, h, y in zip(logits, features, labels, strict=True):
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        error = np.linalg.norm(p - np.eye(len(z))[y])
        ordered = np.sort(p)
        rows["probability"].append(p[y])
        rows["error"].append(error)
        rows["margin"].append(z[y] - max(z[j] for j in range(len(z)) if j != y))
        rows["confidence"].append(ordered[-1])
        rows["entropy"].append(-sum(q * np.log(q) for q in p if q > 0))
        rows["gap"].append(ordered[-1] - ordered[-2])
        rows["correct"].append(z.argmax() == y)
        rows["gradient"].append(error * np.sqrt(bias + h @ h))
    return {name: np.array(values) for name, values in rows.items()}


def same(ours, theirs):
    return all(np.array_equal(getattr(ours, name), getattr(theirs, name)) for name in NAMES)


@pytest.mark.parametrize("batch", [7, 20, 512])
def test_traces_are_what_a_naive_look_after_each_epoch_says(data, net, batch):
    weights, student = [], net()

    def look(now, epoch):
        weights.append(copy.deepcopy(now))

    train(net(), data, RECIPE, seed=4, on_epoch=look)
    trace = record(student, data, RECIPE, seed=4, batch=batch)
    assert trace.epochs == len(weights) == EPOCHS
    before = None
    for epoch, now in enumerate(weights):
        logits, features = forward(now, data)
        for name, values in naive(logits, features, data.labels.numpy()).items():
            assert np.allclose(getattr(trace, name)[epoch], values, rtol=1e-4, atol=1e-6), name
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        if before is not None:
            moved = np.abs(p * np.log(p / before)).sum(1)
            assert np.allclose(trace.shift[epoch - 1], moved, rtol=1e-3, atol=1e-6)
        before = p
    assert trace.shift.shape == (EPOCHS - 1, 20)
    assert {name: getattr(trace, name).dtype for name in NAMES} == {
        name: np.dtype(np.uint8 if name == "correct" else np.float32) for name in NAMES
    }


def test_looking_leaves_the_training_as_it_would_be(data, net):
    plain, looked_at = (nn.Sequential(net(), nn.Dropout(0.2)) for _ in range(2))
    train(plain, data, RECIPE, seed=4)
    record(looked_at, data, RECIPE, seed=4)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, looked_at.state_dict()[name]), name


def test_an_image_says_the_same_wherever_it_stands(data, net):
    """Nothing of augmentation or batch order is in a trace: only what each image is."""
    twice = replace(data, images=torch.cat([data.images] * 2), labels=torch.cat([data.labels] * 2))
    trace = record(net(), twice, replace(RECIPE, steps=10), seed=0, batch=20)
    for name in NAMES:
        ours, theirs = np.split(getattr(trace, name), 2, axis=1)
        assert np.array_equal(ours, theirs), name


@pytest.mark.parametrize("bias", [True, False])
def test_the_closed_form_of_the_gradient_is_what_autograd_says_of_each_example(bias):
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(0)
        layer = nn.Linear(6, 4, bias=bias).double()
        features, labels = torch.randn(9, 6).double(), torch.randint(0, 4, (9,))
    found = per_example(layer(features).detach(), labels, features, bias)["gradient"]
    for i in range(9):
        layer.zero_grad()
        nn.functional.cross_entropy(layer(features[i : i + 1]), labels[i : i + 1]).backward()
        norm = torch.cat([p.grad.flatten() for p in layer.parameters()]).norm()
        assert found[i].item() == pytest.approx(norm.item(), rel=1e-12)


def test_a_layer_without_bias_has_the_gradient_of_its_weights_alone(data):
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(192, 3, bias=False))
    trace = record(net, data, replace(RECIPE, steps=EVERY, lr=1e-4), seed=0)
    lengths = ((data.images.float() / 255 - 0.4) / 0.3).flatten(1).norm(dim=1).numpy()
    assert np.allclose(trace.gradient[0], trace.error[0] * lengths, rtol=1e-6, atol=0)


logits_of = st.integers(2, 5).flatmap(lambda c: arrays(np.float64, (6, c), elements=st.floats(-30, 30, width=32)))


@settings(deadline=None)
@given(logits=logits_of, seed=st.integers(0, 2**31))
def test_each_example_as_its_definition_has_it(logits, seed):
    rng = np.random.default_rng(seed)
    labels, features = rng.integers(0, logits.shape[1], 6), rng.normal(size=(6, 3))
    found = per_example(torch.from_numpy(logits), torch.from_numpy(labels), torch.from_numpy(features))
    for name, values in naive(logits, features, labels).items():
        assert np.allclose(found[name].numpy(), values, rtol=1e-6, atol=1e-9), name


def test_the_error_of_what_is_learnt_well_is_small_and_not_zero():
    """1 − p_y is 0 in float32 from a margin of 17 on; easy images would all be alike."""
    logits = torch.tensor([[20.0, 0.0, 0.0], [30.0, 0.0, 0.0]])
    found = per_example(logits, torch.zeros(2, dtype=torch.int64), torch.zeros(2, 1))
    # p − e_y = (−2q, q, q), q = e^{−z}
    assert found["error"].numpy() == pytest.approx(np.sqrt(6) * np.exp([-20.0, -30.0]), rel=1e-5)
    assert found["probability"].tolist() == [1.0, 1.0]


# The training that is looked at


def test_what_is_left_after_the_last_whole_epoch_is_not_traced(data, net):
    assert record(net(), data, replace(RECIPE, steps=EVERY * 2 + 1), seed=0).epochs == 2


def test_a_last_batch_of_one_image_ends_no_epoch(small_set, net):
    """17 images in batches of 8: two batches, since batch norm cannot train on the third."""
    trace = record(net(), small_set(n=17, channels=3, size=8), replace(RECIPE, steps=6), seed=0)
    assert (trace.epochs, trace.correct.shape) == (3, (3, 17))


def test_one_epoch_has_no_shift_and_is_stored_all_the_same(data, net, tmp_path):
    record(net(), data, replace(RECIPE, steps=EVERY), seed=0).save(tmp_path)
    assert Trace.load(tmp_path).shift.shape == (0, 20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data, net: (data, net, replace(RECIPE, steps=2)), "2 steps are less than an epoch of 3: train longer"),
        (lambda data, net: (data, nn.Conv2d(3, 3, 8), RECIPE), "no linear classifier"),
        (lambda data, net: (data, nn.Sequential(nn.Flatten(), nn.Linear(192, 1)), RECIPE), "at least two classes"),
        (lambda data, net: (data, nn.Sequential(nn.Linear(8, 8), nn.Flatten(), Wide(192, 3)), RECIPE), "one vector"),
    ],
)
def test_what_cannot_be_traced_is_refused(data, net, change, message):
    data, net, recipe = change(data, net())
    with pytest.raises(DecoctError, match=message):
        record(net, data, recipe, seed=0)


class Wide(nn.Module):
    """A classifier that is no linear layer, though a linear layer stands before it."""

    def __init__(self, features, classes):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, features))

    def forward(self, x):
        return x @ self.weight.T


def test_a_training_that_diverges_says_what_to_do(data, net):
    with pytest.raises(DecoctError, match=r"not finite.*lower lr"):
        record(net(), data, replace(RECIPE, optimiser="sgd", lr=1e30), seed=0)


def test_logits_that_are_finite_in_training_alone_say_what_to_do(data):
    class Overflows(nn.Module):
        def forward(self, x):
            return x if self.training else x * torch.inf

    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 3), Overflows())
    with pytest.raises(DecoctError, match="logits are not finite after epoch 1: lower lr"):
        record(net, data, RECIPE, seed=0)


# Kill and resume


def fatal(at):
    """A hook that kills at the nth forward pass, in training or in a look; and how many there were."""
    seen = []

    def hook(*_):
        seen.append(1)
        if len(seen) == at:
            raise KilledError

    return hook, seen


@pytest.fixture
def unflushed(monkeypatch):
    monkeypatch.setattr(scratch, "sync", lambda path: None)


PASSES = EVERY + 3  # an epoch's steps, and a look in blocks of 8


@pytest.mark.parametrize("ahead", [8, 16, 1000])
def test_killed_again_and_again_it_ends_with_the_traces_of_one_that_was_not(
    data, net, tmp_path, monkeypatch, unflushed, ahead
):
    """Where batches are made one, two or all at a time, states are written at every step, every other, or never."""
    monkeypatch.setattr(batches, "AHEAD", ahead)
    whole, lives, total = record(net(), data, RECIPE, seed=4, batch=8), 0, 0
    kept = KeptOnDisk(tmp_path / "kept", every=0)
    while lives < 20:
        student, (hook, seen) = net(), fatal(2 * PASSES - 1 if ahead < 1000 else 2 * PASSES * (lives + 1))
        student.register_forward_pre_hook(hook)
        try:
            trace = record(student, data, RECIPE, seed=4, batch=8, machine=Machine(kept=kept))
        except KilledError:
            lives += 1
            total += len(seen)
            assert len(list(kept.folder.glob("after-*"))) <= 3 if kept.folder.exists() else ahead == 1000
        else:
            break
    assert 2 <= lives < 20
    if ahead < 1000:
        assert total + len(seen) < PASSES * EPOCHS + 6 * lives  # it went on from where it was
    assert same(trace, whole)


@pytest.mark.parametrize("at", range(1, PASSES * EPOCHS, 4))
def test_killed_anywhere_it_ends_the_same(data, net, tmp_path, monkeypatch, unflushed, at):
    monkeypatch.setattr(batches, "AHEAD", 1)
    kept, whole, student = KeptOnDisk(tmp_path / "kept", every=0), record(net(), data, RECIPE, seed=4, batch=8), net()
    student.register_forward_pre_hook(fatal(at)[0])
    with pytest.raises(KilledError):
        record(student, data, RECIPE, seed=4, batch=8, machine=Machine(kept=kept))
    again = record(net(), data, RECIPE, seed=4, batch=8, machine=Machine(kept=kept))
    assert same(again, whole)


@pytest.mark.parametrize("lost", ["epoch-0", "after-3", "training"])
def test_if_what_was_kept_is_gone_the_training_starts_anew(data, net, tmp_path, monkeypatch, unflushed, lost):
    monkeypatch.setattr(batches, "AHEAD", 1)
    kept, student, whole = KeptOnDisk(tmp_path / "kept", every=0), net(), record(net(), data, RECIPE, seed=4)
    student.register_forward_pre_hook(fatal(3 * (EVERY + 1) + 2)[0])  # in the fourth epoch; a look is one pass
    with pytest.raises(KilledError):
        record(student, data, RECIPE, seed=4, machine=Machine(kept=kept))
    (kept.folder / f"{lost}.safetensors").write_bytes(b"half a fi")
    again, (hook, seen) = net(), fatal(0)
    again.register_forward_pre_hook(hook)
    trace = record(again, data, RECIPE, seed=4, machine=Machine(kept=kept))
    assert len(seen) == EPOCHS * (EVERY + 1)
    assert same(trace, whole)


def test_log_probabilities_are_kept_of_the_last_two_states_alone(data, net, tmp_path, monkeypatch, unflushed):
    monkeypatch.setattr(batches, "AHEAD", 1)
    kept = KeptOnDisk(tmp_path / "kept", every=0)
    record(net(), data, RECIPE, seed=4, machine=Machine(kept=kept))
    assert sorted(path.stem for path in kept.folder.iterdir()) == [
        *(f"after-{epoch}" for epoch in (3, 4)),
        *(f"epoch-{epoch}" for epoch in range(4)),
        "training",
    ]


def test_nothing_is_kept_as_long_as_no_state_is_written(data, net, tmp_path):
    kept = KeptOnDisk(tmp_path / "kept", every=1000)
    record(net(), data, RECIPE, seed=4, machine=Machine(kept=kept))
    assert list(kept.folder.iterdir()) == []


def test_arrays_lie_in_the_room_that_is_given(data, net, tmp_path):
    trace = record(net(), data, RECIPE, seed=0, machine=Machine(kept=KeptOnDisk(tmp_path / "kept")))
    assert all(isinstance(getattr(trace, name), np.memmap) for name in NAMES)


# Traces of several runs


def test_what_is_saved_is_loaded_as_maps(data, net, tmp_path):
    trace = record(net(), data, RECIPE, seed=0)
    trace.save(tmp_path)
    again = Trace.load(tmp_path)
    assert same(again, trace)
    assert all(isinstance(getattr(again, name), np.memmap) for name in NAMES)
    with pytest.raises(ValueError, match="read-only"):
        again.margin[0] = 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: f.unlink(),
        lambda f: f.write_bytes(b""),
        lambda f: f.write_bytes(f.read_bytes()[:-9]),
        lambda f: f.write_bytes(f.read_bytes().replace(b"}", b" ", 1)),
    ],
)
def test_a_damaged_trace_names_its_folder(data, net, tmp_path, damage):
    record(net(), data, RECIPE, seed=0).save(tmp_path)
    damage(tmp_path / "shift.npy")
    with pytest.raises(DecoctError, match=f"the traces in {tmp_path} are damaged"):
        Traces.load([tmp_path])


def test_runs_are_averaged(data, net, tmp_path):
    folders = [tmp_path / "0", tmp_path / "1"]
    for seed, folder in enumerate(folders):
        folder.mkdir()
        record(net(), data, RECIPE, seed=seed).save(folder)
    one, other = Traces.load(folders).runs
    assert not same(one, other)
    mean = Traces.load(folders).mean(lambda run: run.margin.mean(0))
    expected = (one.margin.astype(np.float64).mean(0) + other.margin.astype(np.float64).mean(0)) / 2
    assert mean.dtype == np.float64
    assert np.allclose(mean, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("epochs", "share", "number"), [(200, 0.1, 19), (30, 0.1, 2), (10, 0.1, 0), (3, 0.1, 0), (16, 0.1, 1), (10, 1.0, 9)]
)
def test_a_share_of_the_training_is_the_nearest_epoch_at_least_the_first(epochs, share, number):
    trace = Trace(**{name: np.zeros((epochs, 1)) for name in NAMES})
    assert trace.after(share) == number


def test_shift_is_zero_where_nothing_moves_and_needs_no_floor():
    log_p = torch.tensor([[0.0, -200.0], [-0.5, -0.9]])
    assert dynamics.shift(log_p, log_p).tolist() == [0.0, 0.0]
    assert dynamics.shift(log_p[:1], log_p[:1].flip(1)).item() == pytest.approx(200.0)  # log(1 / e^{−200})
