"""Teachers: trained on train, judged on val, loaded without running anybody's code."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.kinds import Task
from decoct.core.spec import digest
from decoct.data.dataset import Dataset, Split
from decoct.engine.teachers import Teach, load_checkpoint, teach, tensors
from decoct.nets import zoo

NET = "convnet2_bn_w8"


def split(n, seed, wrong=0):
    """Two classes of 8 px images, dark and bright; the first few labels may be wrong."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = rng.normal(90 + 70 * labels[:, None, None, None], 40, (n, 1, 8, 8)).clip(0, 255)
    labels[:wrong] = 1 - labels[:wrong]
    return Split(images.astype(np.uint8), labels)


@pytest.fixture
def data():
    """Without a test split: teachers have no business with it."""
    parts = {"train": split(96, 0), "val": split(40, 1, wrong=10), "test": None}
    return Dataset("toy", ("dark", "bright"), "d", **parts, mean=(0.5,), std=(0.25,), flip=False, folder=Path())


def state(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def fresh(seed=0, classes=2):
    return zoo.build(NET, 1, classes, 8, seed)


def assert_same(net, expected):
    assert all(torch.equal(value, expected[name]) for name, value in net.state_dict().items())


# Training


def test_a_teacher_learns_train_and_has_its_val_accuracy_on_record(data):
    net, facts = teach(Teach(net=NET, epochs=8, batch=16), data, seed=0)
    assert not net.training
    assert (facts["epochs"], facts["steps"], facts["checkpoint"]) == (8, 8 * 6, None)
    x = (torch.tensor(data.val.images).float() / 255 - 0.5) / 0.25
    with torch.no_grad():
        right = net(x).argmax(1).numpy() == data.val.labels
    assert (
        facts["val_accuracy"] == right.mean() == pytest.approx(0.75, abs=0.05)
    )  # a quarter of val is labelled wrongly


def test_one_seed_is_one_teacher(data):
    spec = Teach(net=NET, epochs=1, batch=16)
    one = state(teach(spec, data, seed=3)[0])
    assert_same(teach(spec, data, seed=3)[0], one)
    other = state(teach(spec, data, seed=4)[0])
    assert any(not torch.equal(other[name], one[name]) for name in one)


@pytest.mark.parametrize(("size", "epochs"), [(8, 30), (27, 30), (28, 10), (64, 10), (224, 10)])
def test_the_recipe_is_the_table_s(size, epochs):
    made = Teach(net="resnet18").recipe(Task(1000, 10, size, True, ceiling=True))
    assert made.steps == epochs * 8  # of batch 128
    assert (made.batch, made.optimiser, made.lr, made.weight_decay, made.decay_all) == (128, "adamw", 1e-3, 0.01, False)
    assert (made.schedule, made.loss, made.cutmix, made.ema, made.flip) == ("cosine", "ce", 0.0, None, True)
    crops = {8: (1, None), 27: (4, None), 28: (4, None), 64: (0, (0.25, 1.0)), 224: (0, (0.08, 1.0))}
    assert (made.pad, made.scale) == crops[size]
    assert Teach(net="resnet18").recipe(Task(50, 10, size, False)).batch == 50


def test_tensors_are_the_whole_train_split(data):
    images, labels = tensors(data)
    assert np.array_equal(images.numpy(), data.train.images)
    assert np.array_equal(labels.numpy(), data.train.labels)
    images.zero_()
    assert data.train.images.any()


# Checkpoints


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("form", ["safetensors", "bare", "state_dict", "model"])
def test_a_checkpoint_gives_its_weights_back(tmp_path, form, prefix):
    expected = state(fresh(seed=1))
    named = {prefix + name: value for name, value in expected.items()}
    file = tmp_path / ("net.safetensors" if form == "safetensors" else "net.pt")
    if form == "safetensors":
        save_file(named, file)
    else:
        torch.save(named if form == "bare" else {form: named, "epoch": 3}, file)
    net = fresh(seed=0)
    load_checkpoint(net, file)
    assert_same(net, expected)


def test_teaching_from_a_checkpoint_trains_nothing(data, tmp_path):
    save_file(expected := state(fresh(seed=1)), tmp_path / "net.safetensors")
    net, facts = teach(Teach(net=NET, checkpoint=str(tmp_path / "net.safetensors")), data, seed=0)
    assert_same(net, expected)
    assert not net.training
    assert (facts["epochs"], facts["steps"]) == (0, 0)
    assert 0 <= facts["val_accuracy"] <= 1


class Code:
    """Runs something when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("wrap", [lambda code: code, lambda code: {"state_dict": state(fresh()), "args": code}])
def test_pickled_code_is_refused_and_never_run(tmp_path, wrap):
    torch.save(wrap(Code(str(tmp_path / "ran"))), tmp_path / "net.pt")
    with pytest.raises(DecoctError, match="more than weights"):
        load_checkpoint(fresh(), tmp_path / "net.pt")
    assert not (tmp_path / "ran").exists()


def test_a_pickled_module_is_refused(tmp_path):
    torch.save(fresh(), tmp_path / "net.pt")
    with pytest.raises(DecoctError, match="more than weights"):
        load_checkpoint(fresh(), tmp_path / "net.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_a_damaged_checkpoint_is_an_error(tmp_path, suffix, keep):
    file = tmp_path / f"net{suffix}"
    save_file(state(fresh()), file) if suffix == ".safetensors" else torch.save(state(fresh()), file)
    blob = file.read_bytes()
    file.write_bytes(blob[: keep if isinstance(keep, int) else int(len(blob) * keep)])
    net = fresh()
    before = state(net)
    with pytest.raises(DecoctError, match=r"net\.(pt|safetensors)") as caught:
        load_checkpoint(net, file)
    assert len(str(caught.value).splitlines()) <= 3
    assert_same(net, before)


@pytest.mark.parametrize(
    "what", [torch.zeros(3), [1, 2], {"a": 1}, {1: torch.zeros(1)}, {}, {"state_dict": {"a": [1]}}]
)
def test_what_is_no_state_dict_is_refused(tmp_path, what):
    torch.save(what, tmp_path / "net.pt")
    with pytest.raises(DecoctError, match="no state dict"):
        load_checkpoint(fresh(), tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        (lambda: fresh(classes=3), r"classifier\.weight"),
        (lambda: zoo.build("convnet2_bn_w16", 1, 2, 8, 0), "size mismatch"),
        (lambda: zoo.build("convnet3_bn_w8", 1, 2, 8, 0), "features"),
        (lambda: nn.Linear(2, 2), "Missing key"),
    ],
)
def test_a_checkpoint_of_another_net_is_refused_in_few_words(tmp_path, other, complaint):
    save_file(state(other()), tmp_path / "net.safetensors")
    with pytest.raises(DecoctError, match=rf"does not fit the net: .*{complaint}") as caught:
        load_checkpoint(fresh(), tmp_path / "net.safetensors")
    assert len(str(caught.value).splitlines()) <= 3
    assert len(str(caught.value)) < 600


# Identity


def test_the_key_follows_the_content_of_the_checkpoint_and_not_its_place(tmp_path):
    one, same, other = (tmp_path / name for name in ("a.safetensors", "b.safetensors", "c.safetensors"))
    save_file(state(fresh(seed=1)), one)
    same.write_bytes(one.read_bytes())
    save_file(state(fresh(seed=2)), other)
    pinned = [Teach(net=NET, checkpoint=str(file)).pinned() for file in (one, same, other)]
    keys = [digest(spec.identity()) for spec in pinned]
    assert keys[0] == keys[1] != keys[2]
    assert str(tmp_path) not in str(pinned[0].identity())
    assert digest(Teach(net=NET).identity()) not in keys
    one.write_bytes(other.read_bytes())
    assert digest(Teach(net=NET, checkpoint=str(one)).pinned().identity()) == keys[2]


def test_a_relative_checkpoint_is_found_from_everywhere_once_pinned(tmp_path, monkeypatch):
    save_file(expected := state(fresh(seed=1)), tmp_path / "net.safetensors")
    monkeypatch.chdir(tmp_path)
    spec = Teach(net=NET, checkpoint="net.safetensors").pinned()
    monkeypatch.chdir("/")
    net = fresh()
    load_checkpoint(net, Path(spec.checkpoint))
    assert_same(net, expected)


def test_a_teacher_without_checkpoint_is_pinned_as_it_is_and_a_missing_one_is_named(tmp_path):
    spec = Teach(net=NET)
    assert spec.pinned() is spec
    with pytest.raises(UsageError, match=r"no checkpoint at .*gone\.pt"):
        Teach(net=NET, checkpoint=str(tmp_path / "gone.pt")).pinned()
