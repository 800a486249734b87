"""Teachers: trained on train, stopped and judged on val, pretrained or loaded with the head that the data need."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Task
from decoct.core.needs import Plan
from decoct.core.record import write_json
from decoct.core.spec import build, digest
from decoct.data.dataset import Dataset, Split
from decoct.needs import teacher as teachers
from decoct.needs.teacher import TEACHER, WEIGHTS, Teach, Teacher, accuracy, load_teacher, taught, teach
from decoct.nets import weights, zoo
from decoct.nets.features import logits
from decoct.nets.layout import laid_out
from decoct.nets.pretrained import pretrained
from decoct.nets.renormalise import IMAGENET, Normalisation, bare
from decoct.training.images import tensor
from decoct.training.loop import Trained, TrainingSet, train

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


def again(net, facts, data):
    """The net from a cell that it was left in."""
    with tempfile.TemporaryDirectory() as folder:
        cell = Path(folder)
        weights.write(cell / WEIGHTS, bare(net), facts["class_names"], Normalisation.of(**facts["input"]))
        write_json(cell / TEACHER, facts)
        return load_teacher(cell, data, "cpu")


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
    images, labels = tensor(data.train.images), tensor(data.train.labels)
    assert np.array_equal(images.numpy(), data.train.images)
    assert np.array_equal(labels.numpy(), data.train.labels)
    images.zero_()
    assert data.train.images.any()


# Stopped at an accuracy


def steep(**fields):
    return Teach(net=NET, epochs=20, batch=16, check_every=2, **fields)


def test_training_stops_at_the_first_check_that_reaches_the_accuracy(data):
    net, facts = teach(steep(stop_at=0.7), data, seed=0)
    whole = TrainingSet(tensor(data.train.images), tensor(data.train.labels), data.mean, data.std)
    seen = []
    for steps in range(2, facts["steps"] + 1, 2):  # the same training, ended by hand at every check
        other = fresh()
        recipe = steep(stop_at=0.7).recipe(Task(96, 2, 8, False, ceiling=True))
        train(other, whole, recipe, seed=0, stop=lambda done, _, steps=steps: done == steps, stop_every=1)
        seen.append(accuracy(other, data))
    assert [value >= 0.7 for value in seen] == [False] * (len(seen) - 1) + [True]
    assert len(seen) > 1
    assert_same(net, state(other))
    assert not net.training
    assert (facts["stop_at"], facts["val_accuracy"]) == (0.7, seen[-1])
    assert facts["epochs"] == pytest.approx(facts["steps"] / 6, abs=1e-4)


def test_the_end_of_the_training_is_a_check(data):
    free = teach(Teach(net=NET, epochs=2, batch=16), data, seed=0)
    held = teach(Teach(net=NET, epochs=2, batch=16, stop_at=0.4, check_every=1000), data, seed=0)
    assert_same(held[0], state(free[0]))
    assert held[1] == free[1] | {"stop_at": 0.4}
    assert isinstance(held[1]["epochs"], int)


def test_an_accuracy_that_is_never_reached_is_an_error(data):
    with pytest.raises(DecoctError, match=r"never reached stop_at = 0.99 on val: 0\.\d{4} at best") as caught:
        teach(Teach(net=NET, epochs=2, batch=16, stop_at=0.99, check_every=3), data, seed=0)
    assert "of 12 steps" in str(caught.value)
    assert "more epochs" in str(caught.value)


def test_looking_at_val_changes_nothing_else(data):
    free = teach(Teach(net="test_resnet", epochs=2, batch=16), data, seed=0)
    seen = []
    net = zoo.build("test_resnet", 1, 2, 8, 0)
    whole = TrainingSet(tensor(data.train.images), tensor(data.train.labels), data.mean, data.std)
    recipe = Teach(net="test_resnet", epochs=2, batch=16).recipe(Task(96, 2, 8, False, ceiling=True))
    train(net, whole, recipe, seed=0, stop=lambda step, net: seen.append(accuracy(net, data)), stop_every=1)
    assert len(seen) == recipe.steps
    assert_same(net, state(free[0]))


def test_the_accuracy_that_is_asked_for_is_enough(data):
    _, first = teach(steep(stop_at=0.7), data, seed=0)
    _, again = teach(steep(stop_at=first["val_accuracy"]), data, seed=0)
    assert (again["steps"], again["val_accuracy"]) == (first["steps"], first["val_accuracy"])


@pytest.mark.parametrize("stop_at", [0, 1, -0.1, 80, float("nan")])
def test_what_is_no_fraction_is_refused(stop_at):
    with pytest.raises(UsageError, match="stop_at"):
        build(Teach, {"net": NET, "stop_at": stop_at}, "teacher")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"pretrained": True, "checkpoint": "x.pt"}, "not both"),
        ({"pretrained": True, "stop_at": 0.5}, "stop_at is for a net that is trained"),
        ({"checkpoint": "x.pt", "stop_at": 0.5}, "stop_at is for a net that is trained"),
        ({"check_every": 5}, "check_every goes with stop_at"),
        ({"normalise": "imagenet"}, "normalise goes with pretrained or a checkpoint"),
    ],
)
def test_fields_that_contradict_each_other(fields, said):
    with pytest.raises(UsageError, match=said):
        build(Teach, {"net": NET, **fields}, "teacher")


# Loaded


def test_teaching_from_a_checkpoint_trains_nothing(data, tmp_path):
    save_file(expected := state(fresh(seed=1)), tmp_path / "net.safetensors")
    net, facts = teach(Teach(net=NET, checkpoint=str(tmp_path / "net.safetensors")), data, seed=0)
    assert_same(net, expected)
    assert not net.training
    assert (facts["epochs"], facts["steps"], facts["checkpoint"]) == (0, 0, "net.safetensors")
    assert facts["input"] == {"mean": [0.5], "std": [0.25]}
    assert facts["class_names"] == ["dark", "bright"]
    assert 0 <= facts["val_accuracy"] <= 1


def saved(tmp_path, net, names, mean, std):
    weights.write(tmp_path / "net.safetensors", net, names, Normalisation(mean, std))
    return str(tmp_path / "net.safetensors")


def test_a_teacher_with_shuffled_class_order_is_refused(data, tmp_path):
    file = saved(tmp_path, fresh(), ("bright", "dark"), (0.5,), (0.25,))
    with pytest.raises(DecoctError, match="another order: its class 0 is 'bright', the data's is 'dark'"):
        teach(Teach(net=NET, checkpoint=file), data, seed=0)
    facts = {"net": NET, "class_names": ["bright", "dark"], "input": {"mean": [0.5], "std": [0.25]}}
    with pytest.raises(DecoctError, match="another order"):
        again(fresh(), facts, data)


def test_a_teacher_of_data_with_other_statistics_sees_what_it_was_trained_on(data, tmp_path):
    own = fresh(seed=1).eval()
    file = saved(tmp_path, own, data.class_names, (0.3,), (0.2,))
    net, facts = teach(Teach(net=NET, checkpoint=file), data, seed=0)
    expected = logits(own, data.val.images, (0.3,), (0.2,))
    torch.testing.assert_close(logits(net, data.val.images, data.mean, data.std), expected)
    torch.testing.assert_close(logits(again(net, facts, data), data.val.images, data.mean, data.std), expected)
    plain, facts = teach(Teach(net=NET, checkpoint=file, normalise="data"), data, seed=0)
    assert bare(plain) is plain
    assert facts["input"] == {"mean": [0.5], "std": [0.25]}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_an_error(data, tmp_path, value):
    broken = state(fresh())
    broken["classifier.bias"][1] = value
    save_file(broken, tmp_path / "net.safetensors")
    with pytest.raises(DecoctError, match="not finite"):
        teach(Teach(net=NET, checkpoint=str(tmp_path / "net.safetensors")), data, seed=0)


@pytest.mark.parametrize("blob", [b"", b"PK", b"x" * 100])
def test_a_checkpoint_that_is_none_is_an_error(data, tmp_path, blob):
    for name in ("net.pt", "net.safetensors"):
        (tmp_path / name).write_bytes(blob)
        with pytest.raises(DecoctError, match=f"{name} (is damaged|holds more than weights)"):
            teach(Teach(net=NET, checkpoint=str(tmp_path / name)), data, seed=0)


# ImageNet's heads

FISH = ("n01440764", "n02102040", "n03888257")  # outputs 0, 217 and 701
HALF = Normalisation((0.5,) * 3, (0.5,) * 3)  # what timm says of test_resnet


@pytest.fixture
def fish():
    """Colour images of three of ImageNet's classes."""
    rng = np.random.default_rng(0)
    parts = [Split(rng.integers(0, 256, (n, 3, 8, 8), dtype=np.uint8), rng.integers(0, 3, n)) for n in (12, 7)]
    where = {"mean": (0.4, 0.45, 0.5), "std": (0.3, 0.28, 0.29), "flip": True, "folder": Path()}
    return Dataset("fish", FISH, "d", train=parts[0], val=parts[1], test=None, **where)


def big(seed=1):
    return zoo.build("test_resnet", 3, 1000, 8, seed).eval()


def check(net, facts, data, full, takes):
    """The teacher's logits are the full head's, at the classes, on images under its own normalisation."""
    expected = logits(full, data.val.images.repeat(3 // data.shape[0], axis=1), *takes)[:, [0, 217, 701]]
    torch.testing.assert_close(logits(net, data.val.images, data.mean, data.std), expected, rtol=1e-4, atol=1e-5)
    assert facts["val_accuracy"] == np.mean(expected.argmax(1).numpy() == data.val.labels)
    assert (facts["sliced_from"], facts["input"]) == (1000, {"mean": list(takes.mean), "std": list(takes.std)})
    assert torch.equal(
        logits(again(net, facts, data), data.val.images, data.mean, data.std),
        logits(laid_out(net), data.val.images, data.mean, data.std),  # as one from a cell is
    )


def test_a_pretrained_head_is_cut_to_the_classes(fish, monkeypatch, online):
    full = big()
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **options: full)
    found = pretrained("test_resnet", 8)
    monkeypatch.undo()
    monkeypatch.setattr(teachers, "pretrained", lambda net, size: found)
    net, facts = teach(Teach(net="test_resnet", pretrained=True), fish, seed=0)
    assert (facts["checkpoint"], facts["pretrained"]) == ("test_resnet.r160_in1k of timm", True)
    assert (facts["epochs"], facts["steps"]) == (0, 0)
    check(net, facts, fish, full, HALF)


def test_a_checkpoint_s_imagenet_head_is_cut_to_the_classes(fish, tmp_path):
    full = big()
    torch.save({"state_dict": full.state_dict()}, tmp_path / "net.pt")
    net, facts = teach(Teach(net="test_resnet", checkpoint=str(tmp_path / "net.pt")), fish, seed=0)
    assert (facts["checkpoint"], facts["pretrained"]) == ("net.pt", False)
    check(net, facts, fish, full, HALF)


def test_grey_images_become_three_channels_for_a_net_of_colour(fish, tmp_path):
    full, parts = big(), [Split(part.images[:, :1], part.labels) for part in (fish.train, fish.val)]
    grey = replace(fish, train=parts[0], val=parts[1], mean=(0.4,), std=(0.3,))
    torch.save(full.state_dict(), tmp_path / "net.pt")
    spec = Teach(net="test_resnet", checkpoint=str(tmp_path / "net.pt"), normalise="imagenet")
    check(*teach(spec, grey, seed=0), grey, full, IMAGENET)


def test_a_checkpoint_of_the_data_s_classes_expects_the_data_s_normalisation_unless_it_is_said(fish, tmp_path):
    small = zoo.build("test_resnet", 3, 3, 8, 1).eval()
    torch.save(small.state_dict(), tmp_path / "net.pt")
    own = fish.mean, fish.std
    for said, takes in ((None, own), ("data", own), ("imagenet", IMAGENET)):
        spec = Teach(net="test_resnet", checkpoint=str(tmp_path / "net.pt"), normalise=said)
        net, facts = teach(spec, fish, seed=0)
        got, expected = logits(net, fish.val.images, fish.mean, fish.std), logits(small, fish.val.images, *takes)
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
        assert facts["sliced_from"] is None


def test_classes_that_imagenet_does_not_have(fish, tmp_path):
    torch.save(big().state_dict(), tmp_path / "net.pt")
    with pytest.raises(DecoctError, match="'n99999999' is not a class of ImageNet-1K"):
        others = replace(fish, class_names=(*FISH[:2], "n99999999"))
        teach(Teach(net="test_resnet", checkpoint=str(tmp_path / "net.pt")), others, seed=0)


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
    weights.fit(net, weights.read(Path(spec.checkpoint)), ("dark", "bright"))
    assert_same(net, expected)


def test_a_teacher_without_checkpoint_is_pinned_as_it_is_and_a_missing_one_is_named(tmp_path):
    spec = Teach(net=NET)
    assert spec.pinned() is spec
    with pytest.raises(UsageError, match=r"no checkpoint at .*gone\.pt"):
        Teach(net=NET, checkpoint=str(tmp_path / "gone.pt")).pinned()


def test_every_field_is_in_the_key_but_where_the_checkpoint_lies():
    assert Teach(net=NET).identity()["fields"].keys() == Teach.model_fields.keys() - {"checkpoint"}
    keys = {
        digest(Teach(net=NET, **fields).identity())
        for fields in ({}, {"stop_at": 0.5}, {"stop_at": 0.5, "check_every": 7}, {"stop_at": 0.6}, {"pretrained": True})
    }
    assert len(keys) == 5


@pytest.mark.parametrize(("images", "fields", "every"), [(96, {}, 10), (600, {}, 30), (600, {"check_every": 7}, 7)])
def test_val_is_looked_at_every_tenth_of_an_epoch_and_at_least_ten_steps_apart(
    data, monkeypatch, images, fields, every
):
    asked = []

    def stand_in(net, whole, recipe, *, stop, stop_every, **how):
        asked.append(stop_every)
        return Trained(recipe.steps, 0, 0.0)

    monkeypatch.setattr(teachers, "train", stand_in)
    spec = Teach(net=NET, epochs=1, batch=2, stop_at=0.01, **fields)
    assert teach(spec, replace(data, train=split(images, 0)), seed=0)[1]["steps"] == images / 2
    assert asked == [every]


def test_a_checkpoint_that_val_shows_to_expect_another_normalisation_is_refused(data, tmp_path):
    """A net taught under ImageNet's numbers, in a file that does not say so."""
    parts = [Split(part.images.repeat(3, axis=1), part.labels) for part in (data.train, split(80, 1))]
    data = replace(data, train=parts[0], val=parts[1], mean=(0.2,) * 3, std=(0.05,) * 3)
    theirs = replace(data, mean=IMAGENET.mean, std=IMAGENET.std)
    file = str(tmp_path / "net.pt")
    net, facts = teach(Teach(net=NET, epochs=20, lr=1e-2, batch=16), theirs, seed=0)
    assert facts["val_accuracy"] > 0.9
    torch.save(net.state_dict(), file)
    assert teach(Teach(net=NET, checkpoint=file), theirs, seed=0)[1]["val_accuracy"] == facts["val_accuracy"]
    said = (
        r'net.pt does not say how .* with mean 0.2, 0.2, 0.2 .* with 0.485, 0.456, 0.406 .*\nsay normalise = "imagenet"'
    )
    with pytest.raises(DecoctError, match=said):
        teach(Teach(net=NET, checkpoint=file), data, seed=0)
    told = teach(Teach(net=NET, checkpoint=file, normalise="imagenet"), data, seed=0)
    assert told[1]["val_accuracy"] == pytest.approx(facts["val_accuracy"], abs=0.02)
    assert teach(Teach(net=NET, checkpoint=file, normalise="data"), data, seed=0)[1]["val_accuracy"] < 0.8
    weights.write(tmp_path / "net.safetensors", net, data.class_names, IMAGENET)  # one that says so
    loaded = teach(Teach(net=NET, checkpoint=str(tmp_path / "net.safetensors")), data, seed=0)
    assert loaded[1]["input"] == {"mean": list(IMAGENET.mean), "std": list(IMAGENET.std)}


# Names with a tag

TV, V2 = "resnet50.tv_in1k", "resnet50.tv2_in1k"


def plan(*teachings, size=96):
    """Of a study with these teachers."""
    images = Split(np.zeros((2, 3, size, size), np.uint8), np.arange(2))
    where = {"mean": (0.5,) * 3, "std": (0.2,) * 3, "flip": True, "folder": Path()}
    data = Dataset("toy", ("n01440764", "n02102040"), "d", train=images, val=images, test=None, **where)
    return Plan(data, teachings={spec.net: spec for spec in teachings})


def test_a_tag_does_not_matter_to_a_net_that_is_taught_on_the_data():
    assert taught(plan(), TV) == taught(plan(), "resnet50") == Teach(net="resnet50")
    own = Teach(net="resnet50", epochs=3)
    assert taught(plan(own), TV) == taught(plan(own), "resnet50") == own
    (one,), (other,) = (Teacher(net=net).parts(plan()) for net in (TV, "resnet50"))
    assert (one.name, other.name) == (TV, "resnet50")  # a method asks for it by its own word
    assert (one.spec, one.keyed, one.labels) == (other.spec, other.keyed, other.labels)
    assert taught(plan(size=64), TV) == Teach(net=TV)  # timm's, with another stem than ours


def test_a_tag_asks_for_these_weights_where_they_are_loaded():
    loaded = Teach(net=TV, pretrained=True)
    assert taught(plan(loaded), TV) == taught(plan(loaded), "resnet50") == loaded
    bare = Teach(net="resnet50", pretrained=True)  # torchvision's first weights as well
    assert taught(plan(bare), TV) == bare
    both = Teach(net=V2, pretrained=True), loaded
    assert [taught(plan(*both), net).net for net in (TV, V2, "resnet50")] == [TV, V2, V2]
    assert taught(plan(Teach(net="teacher", pretrained=True)), "resnet18.tv_in1k").net == "resnet18"
    with pytest.raises(UsageError, match=rf'the weights {TV} are asked for.* has {V2}: add {{net = "{TV}", pretrained'):
        taught(plan(both[0]), TV)
    with pytest.raises(UsageError, match=r"the study has densenet121\.ra_in1k"):
        taught(plan(Teach(net="densenet121", pretrained=True)), "densenet121.tv_in1k")


def test_keys_know_pretrained_weights_by_their_full_name():
    named = [Teach(net=net, pretrained=True).identity()["weights"] for net in ("resnet50", V2, "densenet121")]
    assert named == [TV, V2, "densenet121.ra_in1k"]
    assert "weights" not in Teach(net="resnet50").identity()
