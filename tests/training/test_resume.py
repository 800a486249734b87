"""A training that is killed and started again ends with the bytes of one that was not."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import nn

from decoct.core import scratch, tensorfile
from decoct.core.interfaces import Machine
from decoct.study.store import store as kept
from decoct.study.store.store import KeptOnDisk
from decoct.training import batches
from decoct.training import loop as loop
from decoct.training.loop import train
from decoct.training.recipe import Recipe

SGD = Recipe(21, 8, "sgd", 0.05, 0.01, "multistep", momentum=0.9, decay_all=True, milestones=(6, 13), restart=True)
ADAM = Recipe(21, 8, "adamw", 1e-2, 0.1, "cosine")
RECIPES = {
    "sgd with momentum that starts anew": SGD,
    "sgd without momentum": replace(SGD, momentum=0.0),
    "adamw and an average": replace(ADAM, ema=0.9),
    "crops, cutmix and teachers": replace(ADAM, pad=1, flip=True, cutmix=1.0, loss="kl", temperature=4.0),
    "every other augmentation": replace(SGD, scale=(0.3, 1.0), shuffle=2, jitter=0.4, lighting=0.1, mixup=0.8),
    "siamese augmentation": replace(ADAM, dsa=True),
    "a hard phase": replace(ADAM, loss="mse_ce", ce_weight=0.1, hard=0.5, smoothing=0.8, pad=1, ema=0.9),
    "halves": replace(ADAM, loss="kl", halves=True, cutmix=1.0),
}


class KilledError(Exception):
    """The process ends here."""


def fatal(at):
    """A hook that kills its net's training at its nth look at a batch; and how many there were."""
    looks = []

    def hook(*_):
        looks.append(1)
        if len(looks) == at:
            raise KilledError

    return hook, looks


class Training:
    """All that a training takes but its recipe; students and teachers have batch norm and dropout."""

    def __init__(self, data, net):
        self.data, self.net = data, net

    def student(self):
        return nn.Sequential(self.net(channels=3), nn.Dropout(0.2))

    def judges(self):
        return [nn.Sequential(self.net(channels=3, seed=1), nn.Dropout(0.2)).eval()]

    def run(self, recipe, net, **rest):
        return train(net, self.data, recipe, seed=4, **rest)


@pytest.fixture
def training(small_set, normal_net):
    return Training(small_set(channels=3, size=8), normal_net)


def assert_same(net, other):
    for name, value in net.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def keeping(folder, every=0, **rest):
    """A machine that keeps its state in a folder."""
    return Machine(kept=KeptOnDisk(folder, every, **rest))


def done_in(folder):
    """Steps that the state in a folder holds; 0 if there is none."""
    file = folder / "training.safetensors"
    return int(load_file(file)["done"]) if file.exists() else 0


@pytest.fixture
def unflushed(monkeypatch):
    """Flushing to disk takes most of the time of these tests, and a killed process needs none."""
    monkeypatch.setattr(scratch, "sync", lambda path: None)


def seams(recipe, chunk):
    """Steps after which nothing is drawn ahead, where batches are made so many at a time."""
    found = [0]
    while found[-1] < recipe.steps:
        found.append(min([found[-1] + chunk, recipe.steps, *(h for h in recipe.hard_steps if h > found[-1])]))
    return found


@pytest.mark.parametrize(("chunk", "kills"), [(1, (1, 8, 21)), (3, (8, 21)), (100, (21,))])
@pytest.mark.parametrize("name", RECIPES)
def test_started_again_a_training_ends_with_equal_bytes(training, monkeypatch, unflushed, tmp_path, name, chunk, kills):
    monkeypatch.setattr(batches, "AHEAD", 8 * chunk)
    recipe, path, forwards = RECIPES[name], tmp_path / "unfinished" / "state", 2 if RECIPES[name].halves else 1
    whole = training.student()
    expected = training.run(recipe, whole, teachers=training.judges())
    for at in kills:
        net = training.student()
        net.register_forward_pre_hook(fatal(1 + forwards * (at - 1))[0])
        with pytest.raises(KilledError):
            training.run(recipe, net, teachers=training.judges(), machine=keeping(path))
        saved = done_in(path)
        assert saved == max(seam for seam in seams(recipe, chunk) if seam < at)
        again, (hook, looks) = training.student(), fatal(0)
        again.register_forward_pre_hook(hook)
        assert training.run(recipe, again, teachers=training.judges(), machine=keeping(path)) == expected
        assert len(looks) == sum(forwards if recipe.soft_at(step) else 1 for step in range(saved, 21))  # it went on
        assert_same(again, whole)
        shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize("name", RECIPES)
def test_killed_again_and_again(training, monkeypatch, unflushed, tmp_path, name):
    monkeypatch.setattr(batches, "AHEAD", 8)
    recipe, path, lives = RECIPES[name], tmp_path / "state", 1
    whole = training.student()
    expected = training.run(recipe, whole, teachers=training.judges())
    while True:
        net = training.student()
        net.register_forward_pre_hook(fatal(6 * (2 if recipe.halves else 1))[0])
        try:
            done = training.run(recipe, net, teachers=training.judges(), machine=keeping(path))
        except KilledError:
            lives += 1
        else:
            break
    assert lives == 5 and done == expected
    assert_same(net, whole)


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_teacher_may_be_what_kills_it(training, monkeypatch, tmp_path, at):
    monkeypatch.setattr(batches, "AHEAD", 30)
    recipe, path = RECIPES["crops, cutmix and teachers"], tmp_path / "state"
    whole, again, teachers = training.student(), training.student(), training.judges()
    expected = training.run(recipe, whole, teachers=training.judges())
    teachers[0].register_forward_pre_hook(fatal(at)[0])
    with pytest.raises(KilledError):
        training.run(recipe, training.student(), teachers=teachers, machine=keeping(path))
    assert done_in(path) == 3 * (at - 1)
    assert training.run(recipe, again, teachers=training.judges(), machine=keeping(path)) == expected
    assert_same(again, whole)


def test_what_is_said_of_progress_goes_on_too(training, monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "LOOK", 5)
    monkeypatch.setattr(batches, "AHEAD", 1)
    told, whole, again = [], training.student(), training.student()
    expected = training.run(ADAM, whole)

    def tell(done, total):
        told.append(done)
        if told == [5, 10]:
            raise KilledError

    with pytest.raises(KilledError):
        training.run(ADAM, training.student(), machine=replace(keeping(tmp_path / "state"), progress=tell))
    machine = replace(keeping(tmp_path / "state"), progress=tell)
    assert training.run(ADAM, again, machine=machine) == expected
    assert told == [5, 10, 10, 15, 20, 21]
    assert_same(again, whole)


def test_an_early_end_is_the_same_after_a_kill(training, monkeypatch, tmp_path):
    monkeypatch.setattr(batches, "AHEAD", 1)
    recipe, whole, again, killed = replace(ADAM, ema=0.9), training.student(), training.student(), training.student()
    early = {"stop": lambda done, _: done == 15, "stop_every": 3}
    expected = training.run(recipe, whole, **early)
    killed.register_forward_pre_hook(fatal(13)[0])
    with pytest.raises(KilledError):
        training.run(recipe, killed, machine=keeping(tmp_path / "state"), **early)
    assert training.run(recipe, again, machine=keeping(tmp_path / "state"), **early) == expected
    assert expected.steps == 15
    assert_same(again, whole)


def test_a_checkpoint_changes_nothing_and_is_not_written_at_the_end(training, monkeypatch, tmp_path):
    monkeypatch.setattr(batches, "AHEAD", 1)
    plain, saving = training.student(), training.student()
    expected = training.run(SGD, plain)
    assert training.run(SGD, saving, machine=keeping(tmp_path / "state")) == expected
    assert_same(saving, plain)
    assert done_in(tmp_path / "state") == 20
    assert [file.name for file in (tmp_path / "state").iterdir()] == ["training.safetensors"]


def test_whoever_brings_a_state_elsewhere_is_told_of_each_that_is_whole(training, monkeypatch, tmp_path):
    monkeypatch.setattr(batches, "AHEAD", 10)
    told = []
    machine = keeping(tmp_path, saved=lambda path: told.append((path, done_in(tmp_path))))
    training.run(SGD, training.student(), machine=machine)
    assert told and {path for path, _ in told} == {tmp_path / "training.safetensors"}
    steps = [done for _, done in told]
    assert steps == sorted(set(steps)) and steps[-1] == done_in(tmp_path)


# Files that are not whole


@pytest.mark.parametrize(
    "damage",
    [
        lambda path, whole: path.write_bytes(b""),
        lambda path, whole: path.write_bytes(whole[:5]),
        lambda path, whole: path.write_bytes(whole[:300]),
        lambda path, whole: path.write_bytes(whole[: len(whole) // 2]),
        lambda path, whole: path.write_bytes(whole[:-1]),
        lambda path, whole: path.write_bytes(whole + b"more"),
        lambda path, whole: path.write_bytes(b"\xff" * 16 + whole[16:]),
        lambda path, whole: path.write_text("no tensors at all"),
        lambda path, whole: path.mkdir(),
    ],
)
def test_a_damaged_file_is_ignored(training, monkeypatch, tmp_path, damage):
    monkeypatch.setattr(batches, "AHEAD", 1)
    net, whole, again, path = (
        training.student(),
        training.student(),
        training.student(),
        tmp_path / "training.safetensors",
    )
    net.register_forward_pre_hook(fatal(10)[0])
    with pytest.raises(KilledError):
        training.run(SGD, net, machine=keeping(tmp_path))
    intact = path.read_bytes()
    path.unlink()
    damage(path, intact)
    expected = training.run(SGD, whole)
    assert training.run(SGD, again, machine=keeping(tmp_path, every=1000)) == expected
    assert_same(again, whole)


# When and how it is written


def test_the_state_is_written_after_so_many_seconds_and_no_sooner(training, monkeypatch, tmp_path):
    """A step takes a second here."""
    monkeypatch.setattr(batches, "AHEAD", 1)
    net, steps, saved = training.student(), [], []

    class Clock:
        @staticmethod
        def monotonic():
            return 100.0 + len(steps)

    monkeypatch.setattr(kept, "time", Clock)
    monkeypatch.setattr(tensorfile, "save_file", lambda arrays, path: saved.append(len(steps)) or path.touch())
    net.register_forward_pre_hook(lambda *_: steps.append(1))
    training.run(ADAM, net, machine=keeping(tmp_path / "six", every=6))
    assert saved == [6, 12, 18]
    saved.clear()
    steps.clear()
    training.run(ADAM, training.student(), machine=keeping(tmp_path / "more", every=22))
    assert saved == []


def test_only_whole_files_take_the_name(training, monkeypatch, tmp_path):
    """Written aside and flushed before the rename; a kill in the midst of it leaves the state before."""
    monkeypatch.setattr(batches, "AHEAD", 1)
    path, writes, synced = tmp_path / "training.safetensors", [], []

    def write(arrays, where):
        assert where.parent == path.parent and where != path
        assert done_in(tmp_path) == len(writes)
        writes.append(where)
        save_file(arrays, where)
        if len(writes) == 7:
            where.write_bytes(where.read_bytes()[:100])
            raise KilledError

    def flush(where):
        synced.append((where, int(load_file(where)["done"]), done_in(tmp_path)))

    monkeypatch.setattr(tensorfile, "save_file", write)
    monkeypatch.setattr(scratch, "sync", flush)
    with pytest.raises(KilledError):
        training.run(ADAM, training.student(), machine=keeping(tmp_path))
    assert synced == [(where, step, step - 1) for step, where in enumerate(writes[:6], 1)]
    assert done_in(tmp_path) == 6
    monkeypatch.undo()
    whole, again = training.student(), training.student()
    expected = training.run(ADAM, whole)
    assert training.run(ADAM, again, machine=keeping(tmp_path, every=1000)) == expected
    assert_same(again, whole)
