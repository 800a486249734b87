"""The Python API: round trips through the store, one's own nets, and sets that do not fit."""

import hashlib
import json
import math
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.stats import t as student_t
from torch import nn

import decoct
from decoct import api
from decoct import api as module
from decoct.api import Compute
from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.core.record import Provenance, read_json
from decoct.core.scratch import here
from decoct.data.dataset import default_store, load_data
from decoct.methods.coresets.random import Random
from decoct.needs import teacher as engine
from decoct.needs.features import Extract
from decoct.needs.generator import TeachGenerator
from decoct.needs.teacher import Teach, Teacher, load_teacher
from decoct.nets import zoo
from decoct.nets.features import logits
from decoct.nets.pretrained import pretrained
from decoct.nets.renormalise import Normalisation
from decoct.nets.weights import write
from decoct.protocols.erm import ERM
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.store.store import Store
from decoct.training.recipe import Storing

FAST = {"student": "convnet1_w8", "steps": 5}


@pytest.fixture(scope="module")
def digits():
    return load_data("digits")


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """Untrained weights in place of the two teachers that digits need."""
    folder, found = tmp_path_factory.mktemp("checkpoints"), {}
    for net in ("convnet2_bn", "test_efficientnet"):
        state = zoo.build(net, 1, 10, 8, seed=0).state_dict()
        save_file({name: value.contiguous() for name, value in state.items()}, folder / f"{net}.safetensors")
        found[net] = Teach(net=net, checkpoint=str(folder / f"{net}.safetensors"))
    return found


@pytest.fixture(scope="module")
def small(digits):
    return decoct.condense("random", digits, ipc=2)


@pytest.fixture
def cells(tmp_path):
    """A store of its own, and its files with their times."""
    root = tmp_path / "store"

    def state():
        return {str(file): file.stat().st_mtime_ns for file in root.rglob("*") if file.is_file()}

    return api.Compute(store=root), state


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(x.flatten(1))


def test_condense_train_measure_and_again_from_the_store(digits, teachers, cells):
    compute, state = cells

    def once():
        made = decoct.condense("herding", digits, ipc=2, compute=compute, teachers=teachers)
        scores = decoct.train(made, digits, seeds=(0, 1), compute=compute, **FAST)
        rows = decoct.measure(made, digits, draws=3, resamples=3, compute=compute, teachers=teachers)
        return made, scores, rows

    first, before = once(), state()
    again = once()
    assert before and state() == before
    assert again[1:] == first[1:]
    np.testing.assert_array_equal(first[0].images, digits.train.images[first[0].indices])
    np.testing.assert_array_equal(first[0].labels, digits.train.labels[first[0].indices])
    np.testing.assert_array_equal(again[0].indices, first[0].indices)
    assert first[0].cost is not None and first[0].cost.seconds > 0
    assert {row["metric"] for row in first[2]} >= {"coverage", "mmd", "vendi", "covering_radius_max", "top1"}
    assert json.loads(json.dumps(first[1].to_json()))["seeds"] == [0, 1]


def values(rows):
    return {row["metric"]: row["value"] for row in rows}


def test_the_cost_of_a_set_is_read_without_looking_at_it(digits, teachers, cells, tmp_path):
    compute, state = cells
    made = decoct.condense("sre2l", digits, ipc=2, iterations=3, compute=compute, teachers=teachers)
    ready = set(state())
    rows = decoct.measure(made, digits, metrics=["cost"], compute=compute)
    assert {file.split("/store/")[1].split("/")[0] for file in set(state()) - ready} == {"condense"}  # it is external
    known, weight = values(rows), made.image_bytes() + 20
    assert known["total_seconds"] == made.cost.seconds and known["cpu_seconds"] == made.cost.cpu_seconds
    assert (known["device_seconds"], known["energy"]) == (0.0, made.cost.energy)
    assert (known["peak_memory"], known["steps"]) == (made.cost.peak_memory, 3)
    assert (known["image_bytes"], known["label_bytes"]) == (made.image_bytes(), 20)
    assert known["bytes_per_class"] == pytest.approx(weight / 10)
    assert {row["metric"] for row in rows if row["lead"]} == {"total_seconds", "bytes_per_class"}
    assert {(row["axis"], row["extractor"], row["scope"], row["reference"]) for row in rows} == {
        ("cost", "–", "pooled", "none")
    }
    assert all(row["lo"] is row["hi"] is row["random"] is row["z"] is None for row in rows)
    json.dumps(rows, allow_nan=False)
    made.save(tmp_path / "set")
    assert decoct.measure(tmp_path / "set", digits, metrics=["cost"], compute=compute) == rows
    elsewhere = values(decoct.measure(tmp_path / "set", digits, metrics=["cost"], compute=api.Compute(store=tmp_path)))
    assert elsewhere == known | {"steps": None}  # the cell that it was made in is not there


def test_a_set_that_nobody_made_has_bytes_and_no_cost(small, digits, tmp_path):
    small.export(tmp_path / "pictures")
    known = values(decoct.measure(tmp_path / "pictures", digits, metrics=["cost"]))
    assert {name for name, value in known.items() if value is not None} == {
        "image_bytes",
        "label_bytes",
        "bytes_per_class",
    }
    assert known["image_bytes"] == small.image_bytes()


def test_the_cost_stands_beside_what_was_seen(small, digits, teachers):
    seen = {"extractors": ["teacher"], "draws": 2, "resamples": 2, "teachers": teachers}
    both = decoct.measure(small, digits, metrics=["cost", "vendi"], **seen)
    rows = decoct.measure(small, digits, metrics=["vendi"], **seen)
    priced = decoct.measure(small, digits, metrics=["cost"])
    assert both == rows + priced
    assert all(row.keys() == rows[0].keys() for row in priced)


def test_greedy_picks_of_a_larger_set_start_with_those_of_a_smaller(digits, teachers):
    one, three = (decoct.condense("herding", digits, ipc=n, teachers=teachers) for n in (1, 3))
    for c in range(10):
        assert three.indices[three.labels == c][0] == one.indices[one.labels == c][0]


def test_to_torch(small):
    images, labels = small.to_torch().tensors
    assert images.shape == (20, 1, 8, 8) and images.dtype == torch.float32
    np.testing.assert_allclose(images.numpy(), small.images / 255, rtol=1e-6)
    assert labels.tolist() == small.labels.tolist()


def test_the_interval_is_student_s(small, digits):
    scores = decoct.train(small, digits, seeds=range(4), **FAST)
    half = student_t.ppf(0.975, 3) * statistics.stdev(scores.accuracy) / math.sqrt(4)
    assert scores.mean == pytest.approx(statistics.fmean(scores.accuracy))
    assert scores.ci95 == pytest.approx((scores.mean - half, scores.mean + half))
    assert (scores.n, scores.seeds, scores.images, scores.steps) == (4, (0, 1, 2, 3), 20, 5)
    assert len(set(scores.accuracy)) > 1


def test_one_student_has_no_interval(small, digits):
    assert decoct.train(small, digits, **FAST).ci95 is None


def test_seeds_may_be_numpy_s(small, digits):
    scores = decoct.train(small, digits, seeds=np.arange(2), **FAST)
    assert scores == decoct.train(small, digits, seeds=[0, 1], **FAST)
    json.dumps(scores.to_json())


@pytest.mark.parametrize("seeds", [(), (0, 0), np.array([], dtype=int)])
def test_seeds_that_cannot_be_meant(small, digits, seeds):
    with pytest.raises(UsageError, match="seed"):
        decoct.train(small, digits, seeds=seeds, **FAST)


def test_a_saved_folder_and_its_pictures_score_as_the_set(small, digits, tmp_path):
    small.save(tmp_path / "saved")
    small.export(tmp_path / "pictures")
    order = np.argsort(small.labels, kind="stable")
    ordered = replace(small, **{name: getattr(small, name)[order] for name in ("images", "labels", "indices")})
    expected = decoct.train(ordered, digits, **FAST).accuracy
    for given in (tmp_path / "saved", str(tmp_path / "saved"), tmp_path / "pictures"):
        assert decoct.train(given, digits, **FAST).accuracy == expected
    found = decoct.train(Condensed.load(tmp_path / "saved"), digits, **FAST)
    assert found.accuracy == expected
    from decoct.data.external.read import read_class_folder

    read = read_class_folder(tmp_path / "pictures", digits.class_names, digits.shape)
    np.testing.assert_array_equal(read.images, ordered.images)


@pytest.mark.parametrize("kind", ["module", "class", "function"])
def test_one_s_own_net(small, digits, cells, kind):
    compute, state = cells
    torch.manual_seed(0)
    given = {"module": Linear(), "class": Linear, "function": lambda: Linear()}[kind]
    weights = {n: v.clone() for n, v in given.state_dict().items()} if kind == "module" else {}
    drawn = torch.get_rng_state()
    scores = decoct.train(small, digits, student=given, seeds=(0, 1, 2), steps=20, compute=compute)
    assert torch.equal(torch.get_rng_state(), drawn)  # the caller's random numbers are left alone
    assert not state()  # nothing of it is stored
    assert len(set(scores.accuracy)) > 1
    assert (
        scores.accuracy
        == decoct.train(small, digits, student=given, seeds=(0, 1, 2), steps=20, compute=compute).accuracy
    )
    for name, value in weights.items():
        assert torch.equal(given.state_dict()[name], value)  # a copy was trained
    if kind != "function":
        assert scores.student == "Linear"


def test_a_net_that_cannot_take_the_images(small, digits):
    with pytest.raises(DecoctError, match="Linear"):
        decoct.train(small, digits, student=nn.Linear(3, 10), steps=2)


def test_a_function_that_makes_no_net(small, digits):
    with pytest.raises(UsageError, match=r"nn\.Module"):
        decoct.train(small, digits, student=lambda: None, steps=2)


def test_one_s_own_net_under_a_teacher(small, digits, teachers):
    scores = decoct.train(small, digits, protocol="single_teacher", student=Linear, steps=5, teachers=teachers)
    assert 0 <= scores.mean <= 1


def other(small, what):
    changes = {
        "other classes": {"class_names": tuple("abcdefghij")},
        "another order": {"class_names": small.class_names[::-1]},
        "another version": {"provenance": small.provenance.model_copy(update={"data_digest": "0" * 32})},
        "images are": {"images": np.zeros((20, 1, 9, 9), dtype=np.uint8), "indices": None},
    }
    return replace(small, **changes[what])


@pytest.mark.parametrize("what", ["other classes", "another order", "another version", "images are"])
def test_a_set_that_does_not_fit(small, digits, teachers, what):
    bad = other(small, what)
    for call in (
        lambda: decoct.train(bad, digits, **FAST),
        lambda: decoct.train(bad, digits, student=Linear, steps=2),
        lambda: decoct.measure(bad, digits, teachers=teachers),
    ):
        with pytest.raises(DecoctError, match=what):
            call()


def test_float_images_train_without_being_stored_as_bytes(digits, small):
    images = (small.images / 255).astype(np.float32) * 1.5 - 0.2  # outside of [0, 1], as matching methods make them
    mine = Condensed(small.labels, digits.class_names, Provenance(method="mine"), images=images)
    assert 0 <= decoct.train(mine, digits, **FAST).mean <= 1


def test_unknown_names(small, digits):
    for call, near in (
        (lambda: decoct.condense("hering", digits), "herding"),
        (lambda: decoct.condense("rded", digits, factr=2), "factor"),
        (lambda: decoct.condense("random", "digit"), "digits"),
        (lambda: decoct.train(small, digits, protocol="emr"), "erm"),
        (lambda: decoct.train(small, digits, student="convnet33"), "convnet3"),
        (lambda: decoct.train(small, digits, step=3), "steps"),
        (lambda: decoct.train("none", digits), "none"),
        (lambda: decoct.measure(small, digits, metrics=["prcd"]), "prdc"),
        (lambda: api.teach("convnet33", digits), "convnet3"),
    ):
        with pytest.raises(UsageError, match=near):
            call()


@pytest.mark.parametrize("ipc", [0, -1, 1.5])
def test_a_budget_that_cannot_be_meant(digits, ipc):
    with pytest.raises(UsageError, match="ipc"):
        decoct.condense("random", digits, ipc=ipc)


@pytest.mark.parametrize(
    ("asked", "images", "said"),
    [
        ({}, 100, "ipc=10"),
        ({"fraction": 0.02}, 26, "fraction=0.02"),
        ({"fraction": 0.02, "balanced": True}, 26, "fraction=0.02 balanced"),
        ({"images": 7}, 7, "images=7"),
        ({"images": 25, "balanced": False}, 25, "images=25 unbalanced"),
    ],
)
def test_a_budget_in_every_word(digits, asked, images, said):
    made = decoct.condense("random", digits, **asked)
    assert (len(made), made.provenance.budget) == (images, said)
    asked_of_each = Budget.asked(**asked).per_class(digits.counts(), digits.class_names)
    assert np.bincount(made.labels, minlength=10).tolist() == asked_of_each


def test_budgets_that_contradict_themselves_or_the_method(digits):
    with pytest.raises(UsageError, match="exactly one of ipc, fraction and images"):
        decoct.condense("random", digits, ipc=1, images=10)
    with pytest.raises(UsageError, match="balanced goes with fraction or images"):
        decoct.condense("random", digits, balanced=True)
    with pytest.raises(
        UsageError, match="rded makes the same number of images of each class, and the budget images=25"
    ):
        decoct.condense("rded", digits, images=25)


def test_more_images_than_a_class_has(digits):
    with pytest.raises(DecoctError, match="ipc=1000"):
        decoct.condense("random", digits, ipc=1000)


def test_a_checkpoint_counts_by_its_content(digits, teachers, tmp_path, cells):
    compute, _ = cells
    file = tmp_path / "mine.safetensors"
    inputs = []
    for seed in (1, 2):  # another net under the same path
        state = zoo.build("convnet2_bn", 1, 10, 8, seed=seed).state_dict()
        save_file({name: value.contiguous() for name, value in state.items()}, file)
        mine = {"convnet2_bn": Teach(net="convnet2_bn", checkpoint=str(file))}
        made = decoct.condense("herding", digits, ipc=1, compute=compute, teachers=mine)
        inputs.append(made.provenance.inputs)
    assert inputs[0] != inputs[1]


def test_teachers_of_a_protocol_are_not_the_argument(small, digits):
    with pytest.raises(UsageError, match="multi_teacher"):
        decoct.train(small, digits, protocol="multi_teacher", teachers=["convnet2_bn"], **FAST)


def test_teach(digits, teachers, tmp_path):
    out = tmp_path / "deep" / "teacher"
    facts = api.teach(teachers["convnet2_bn"], digits, out=out)
    assert (facts["net"], facts["folder"]) == ("convnet2_bn", str(out))
    assert facts["val_accuracy"] * len(digits.val) == pytest.approx(round(facts["val_accuracy"] * len(digits.val)))
    copied = Teach(net="convnet2_bn", checkpoint=str(out / "weights.safetensors"))
    assert api.teach(copied, digits)["val_accuracy"] == facts["val_accuracy"]
    with pytest.raises(UsageError, match="exists"):
        api.teach(teachers["convnet2_bn"], digits, out=out)


def test_a_teacher_is_trained_and_kept(digits):
    spec = Teach(net="convnet1_w8", epochs=1)
    facts = api.teach(spec, "digits")
    assert (facts["net"], facts["epochs"], facts["checkpoint"]) == ("convnet1_w8", 1, None)
    assert facts["folder"].startswith(str(default_store()))
    assert api.teach(spec, digits) == facts


def test_the_public_names():
    assert set(decoct.__all__) <= set(dir(decoct))
    for name in decoct.__all__:
        assert getattr(decoct, name)
    with pytest.raises(AttributeError, match="distil"):
        decoct.distil  # noqa: B018


def test_importing_decoct_is_light():
    heavy = ("torch", "torchvision", "timm", "scipy", "pyarrow", "numpy")
    code = f"import sys, decoct; dir(decoct); sys.exit(', '.join(m for m in {heavy!r} if m in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_committee_is_taught_in_one_go(digits, teachers, tmp_path):
    nets = [Teach(net="convnet1_w8", epochs=1), teachers["convnet2_bn"]]
    found = api.teach(nets, digits, out=tmp_path / "committee")
    assert [facts["net"] for facts in found] == ["convnet1_w8", "convnet2_bn"]
    for facts, spec in zip(found, nets, strict=True):
        assert facts["folder"] == str(tmp_path / "committee" / spec.net)
        assert read_json(tmp_path / "committee" / spec.net / "teacher.json")["val_accuracy"] == facts["val_accuracy"]
        alone = api.teach(spec, digits)
        assert alone | {"folder": ""} == facts | {"folder": ""}
    assert api.teach(nets[:1], digits) == [api.teach(nets[0], digits)]


@pytest.mark.parametrize("nets", [[], ["convnet2_bn", "convnet2_bn"], ["teacher", "convnet2_bn"]])
def test_a_committee_of_none_or_of_one_net_twice_is_refused(digits, nets):
    with pytest.raises(UsageError, match="each once"):
        api.teach(nets, digits)


def test_a_saved_teacher_is_no_teacher_of_classes_in_another_order(digits, tmp_path):
    file = tmp_path / "mine.safetensors"
    net = zoo.build("convnet2_bn", 1, 10, 8, seed=1)
    write(file, net, digits.class_names[::-1], Normalisation(digits.mean, digits.std))
    with pytest.raises(DecoctError, match="another order: its class 0 is '9', the data's is '0'"):
        api.teach(Teach(net="convnet2_bn", checkpoint=str(file)), digits)


def test_a_pretrained_teacher_is_named_as_not_counted(tmp_path, monkeypatch, online):
    rng = np.random.default_rng(0)
    for wnid in ("n01440764", "n03888257"):
        (tmp_path / "fish" / wnid).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "fish" / wnid / f"{i}.png")
    data = load_data({"name": "folder", "path": str(tmp_path / "fish"), "size": 16})
    full = zoo.build("test_resnet", 3, 1000, 16, seed=1).eval()
    with monkeypatch.context() as patch:  # as if it were fetched
        patch.setattr(timm, "create_model", lambda name, pretrained, **options: full)
        found = pretrained("test_resnet", 16)
    monkeypatch.setattr(engine, "pretrained", lambda net, size: found)
    spec = Teach(net="test_resnet", pretrained=True)
    facts = api.teach(spec, data)
    assert (facts["checkpoint"], facts["sliced_from"]) == ("test_resnet.r160_in1k of timm", 1000)
    net = load_teacher(Path(facts["folder"]), data, "cpu")
    mine = logits(net, data.val.images, data.mean, data.std)
    expected = logits(full, data.val.images, *found.normalisation)[:, [0, 701]]
    torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-5)
    made = decoct.condense("herding", data, ipc=1, extractor="test_resnet", teachers={"test_resnet": spec})
    assert made.provenance.not_counted == ("test_resnet",)


def test_features_that_are_brought_and_a_frozen_net_s(small, digits, teachers, tmp_path):
    np.save(tmp_path / "pixels.npy", digits.train.images.reshape(len(digits.train), -1).astype(np.float16))
    net = timm.create_model("test_resnet", num_classes=1)
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, tmp_path / "w.safetensors")
    rows, frozen = str(tmp_path / "pixels.npy"), Extract(name=f"timm:test_resnet@{tmp_path}/w.safetensors", size=32)
    picked = decoct.condense("k_center", digits, ipc=1, extractor=rows)
    other = decoct.condense("k_center", digits, ipc=1, extractor=frozen.name, extractors=[frozen])
    content = hashlib.sha256((tmp_path / "pixels.npy").read_bytes()).hexdigest()
    assert picked.provenance.not_counted == (f"npy:{content[:12]}",)
    assert not np.array_equal(picked.indices, other.indices)
    found = decoct.measure(small, digits, metrics=["vendi"], extractors=[rows, frozen], teachers=teachers)
    assert {row["extractor"] for row in found} == {*picked.provenance.not_counted, *other.provenance.not_counted}


def test_weights_that_are_nowhere_stop_a_measure_before_any_job(small, digits, monkeypatch, cells):
    monkeypatch.setattr("decoct.nets.hub.cached", lambda facts: None)
    monkeypatch.setattr("decoct.nets.hub.answers", lambda url: False)
    compute, state = cells
    with pytest.raises(DecoctError, match=r"huggingface.co does not answer\n.*dinov2@FILE"):
        decoct.measure(small, digits, metrics=["mmd"], extractors=["teacher", "dinov2"], compute=compute)
    assert not any("teacher" in file for file in state())


def test_a_short_name_judges_from_the_hub_s_cache(small, digits, teachers, in_hub, monkeypatch):
    make = timm.create_model
    tiny = {"embed_dim": 16, "depth": 1, "num_heads": 1}

    def create(name, **options):
        return make(name, **options, **(tiny if "dinov2" in name else {}))

    monkeypatch.setattr(timm, "create_model", create)
    in_hub("vit_small_patch14_dinov2.lvd142m", create("vit_small_patch14_dinov2"))
    dinov2 = Extract(name="dinov2_s", size=28)
    found = decoct.measure(small, digits, metrics=["mmd"], extractors=[dinov2], teachers=teachers, draws=0)
    assert {row["extractor"] for row in found} == {"dinov2_s"} and {"mmd", "cmmd"} == {row["metric"] for row in found}


# Stored soft labels

SOFT = {"protocol": "single_teacher", "steps": 20}


@pytest.fixture(scope="module")
def labels(small, digits, teachers):
    return api.relabel(small, digits, storing=Storing(bits=8, prune=4), steps=20, teachers=teachers)


def test_labels_are_made_once_and_learnt_from_without_a_teacher(small, digits, teachers, labels, cells):
    compute, state = cells
    made = api.relabel(small, digits, storing=Storing(bits=8, prune=4), steps=20, teachers=teachers, compute=compute)
    before = state()
    again = api.relabel(small, digits, storing=Storing(bits=8, prune=4), steps=20, teachers=teachers, compute=compute)
    assert before and state() == before
    for other in (made, again):
        assert other.facts == labels.facts
        assert all(np.array_equal(array, labels.arrays[name]) for name, array in other.arrays.items())
    (weights,) = (file for file in before if file.endswith("weights.safetensors"))
    Path(weights).unlink()
    scores = decoct.train(small, digits, student="convnet1_w8", seeds=(0, 1), soft_labels=made, compute=compute, **SOFT)
    assert (scores.labels, scores.label_bytes, scores.steps) == ("stored", 20 + made.nbytes, 20)


def test_labels_lie_in_the_folder_of_a_set_or_are_given(small, digits, teachers, labels, tmp_path):
    small.save(tmp_path / "set")
    labels.save(tmp_path / "set")
    fast = {"student": "convnet1_w8", "teachers": teachers, **SOFT}
    found, given = (
        decoct.train(tmp_path / "set", digits, **fast),
        decoct.train(small, digits, soft_labels=labels, **fast),
    )
    assert found == given
    assert found.labels == "stored"
    online = decoct.train(small, digits, **fast)
    assert (online.labels, online.label_bytes) == ("online", 20)
    hard = decoct.train(tmp_path / "set", digits, **FAST)
    assert (hard.labels, hard.label_bytes) == ("hard", 20)


def test_given_labels_go_before_those_of_the_folder_and_the_protocols_own_too(
    small, digits, teachers, labels, tmp_path
):
    small.save(tmp_path / "set")
    labels.save(tmp_path / "set")
    fast = {"student": "convnet1_w8", "teachers": teachers, **SOFT}
    mine = api.relabel(small, digits, storing=Storing(per="image"), steps=20, teachers=teachers)
    assert decoct.train(tmp_path / "set", digits, soft_labels=mine, **fast).label_bytes == 20 + mine.nbytes
    own = decoct.train(tmp_path / "set", digits, labels={"top_k": 2}, **fast)
    assert own.labels == "stored" and own.label_bytes not in (20 + mine.nbytes, 20 + labels.nbytes)
    over = decoct.train(small, digits, labels={"top_k": 2}, soft_labels=mine, **fast)
    assert over.label_bytes == 20 + mine.nbytes


def test_one_s_own_net_learns_from_stored_labels(small, digits, teachers, labels, cells):
    compute, state = cells
    scores = decoct.train(small, digits, student=Linear, seeds=(0, 1), soft_labels=labels, compute=compute, **SOFT)
    assert not [file for file in state() if "/teacher/" in file or "/train/" in file]  # no teacher, and nothing kept
    assert (scores.labels, scores.label_bytes, scores.student) == ("stored", 20 + labels.nbytes, "Linear")
    assert len(set(scores.accuracy)) == 2
    online = decoct.train(small, digits, student=Linear, teachers=teachers, **SOFT)
    assert (online.labels, online.label_bytes) == ("online", 20)
    own = decoct.train(small, digits, student=Linear, teachers=teachers, labels={"bits": 8, "prune": 4}, **SOFT)
    assert (own.labels, own.label_bytes) == ("stored", 20 + labels.nbytes)
    hard = decoct.train(small, digits, student=Linear, steps=5)
    assert (hard.labels, hard.label_bytes) == ("hard", 20)


def test_labels_that_do_not_fit_are_refused_for_every_kind_of_student(small, digits, teachers, labels):
    other = decoct.condense("random", digits, ipc=2, seed=1)
    for student in ("convnet1_w8", Linear):
        with pytest.raises(DecoctError, match="another set"):
            decoct.train(other, digits, student=student, soft_labels=labels, **SOFT)
        with pytest.raises(DecoctError, match=r"cutmix 0\.0"):
            decoct.train(small, digits, student=student, soft_labels=labels, cutmix=1.0, **SOFT)


def test_what_cannot_be_relabelled(small, digits, teachers):
    for protocol in ("erm", "dc", "erm_long"):
        with pytest.raises(UsageError, match="learns from hard labels"):
            api.relabel(small, digits, protocol=protocol)
    with pytest.raises(UsageError, match="'erm'"):
        api.relabel(small, digits, protocol="emr")
    for what in ("other classes", "another order", "another version", "images are"):
        with pytest.raises(DecoctError, match=what):
            api.relabel(other(small, what), digits, teachers=teachers)


def test_relabelling_follows_the_protocol_and_the_seed(small, digits, teachers, labels):
    def make(seed=0, **fields):
        return api.relabel(
            small,
            digits,
            protocol={"name": "single_teacher", "teacher": "convnet2_bn"},
            storing=Storing(bits=8, prune=4),
            teachers=teachers,
            seed=seed,
            **{"steps": 20, **fields},
        )

    assert np.array_equal(make().arrays["rows"], labels.arrays["rows"])
    assert not np.array_equal(make(seed=1).arrays["rows"], labels.arrays["rows"])
    assert make(batch=5).facts["views"]["batch"] == 5
    assert len(make(steps=40).ends) == 10
    assert make(temperature=4.0).facts["temperature"] == 4.0


def test_a_generator_is_taught_once_and_copied(tmp_path):
    store = api.Compute(store=tmp_path / "store")
    made = decoct.teach_generator("own", "digits", epochs=1, width=8, compute=store, out=tmp_path / "generator")
    again = decoct.teach_generator(TeachGenerator(width=8), "digits", epochs=1, compute=store)
    assert made["folder"] == str(tmp_path / "generator") and made["seconds"] > 0
    assert {key: value for key, value in made.items() if key != "folder"} == {
        key: value for key, value in again.items() if key != "folder"
    }
    with pytest.raises(UsageError, match="exists"):
        decoct.teach_generator("own", "digits", out=tmp_path / "generator")
    with pytest.raises(UsageError, match="'epochs'"):
        decoct.teach_generator("own", "digits", epoch=1)


@pytest.fixture
def planned(digits):
    """A planner with a set and a student, and the two jobs."""

    def make(compute):
        planner = compute.planner(digits)
        made = planner.condense("random", Random(), Budget(ipc=1), 0)
        planner.train(("erm", ERM(steps=2)), "convnet1_w8", made)
        return planner, list(planner.jobs.values())

    return make


def test_a_planner_s_jobs_are_those_of_a_study_with_seed_0(digits):
    teach = Teach(net="convnet1_w8", epochs=1)
    compute = Compute(threads=2, precision="bfloat16", plugins=("a.py",))
    planner = compute.planner(digits, {"convnet1_w8": teach})
    same = Planner(
        digits,
        0,
        {"threads": 2, "precision": "bfloat16", "compile": False},
        {"convnet1_w8": teach},
        ("a.py",),
    )
    assert planner == same
    assert planner.job(Teacher(net="convnet1_w8")).key == same.job(Teacher(net="convnet1_w8")).key


def test_where_it_runs_is_not_part_of_a_key(planned, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    one, other = (planned(c)[1] for c in (Compute(), Compute(device="cuda", store=tmp_path, watch=print)))
    assert [job.key for job in one] == [job.key for job in other]
    threads = planned(Compute(threads=2))[1]
    assert not {job.key for job in one} & {job.key for job in threads}


def test_a_device_that_is_not_there_is_refused_as_on_the_command_line(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert Compute("auto").device == Compute("cpu:0").device == "cpu"
    for word in ("cuda", "cuda:3", "mps"):
        with pytest.raises(UsageError, match=f"no device '{word}': "):
            Compute(word)
    with pytest.raises(UsageError, match="no device is called 'gpu'"):
        Compute(device="gpu")
    with pytest.raises(UsageError, match="no precision is called 'half'"):
        Compute(precision="half")


def test_a_checkpoint_is_pinned_by_its_content(digits, tmp_path):
    file = tmp_path / "mine.safetensors"
    keys = []
    for content in (b"one", b"two"):
        file.write_bytes(content)
        planner = Compute().planner(digits, {"convnet1_w8": Teach(net="convnet1_w8", checkpoint=str(file))})
        keys.append(planner.job(Teacher(net="convnet1_w8")).key)
    assert keys[0] != keys[1]


@pytest.mark.parametrize("teachers", [["convnet2_bn"], {"convnet2_bn": {"epochs": 1}}, {"convnet2_bn": "mine.pt"}])
def test_teachers_that_are_no_table_of_teach_are_refused(digits, teachers):
    with pytest.raises(UsageError, match="teachers is a dict of Teach by net"):
        Compute().planner(digits, teachers)


def test_a_checkpoint_that_is_not_there_is_refused(digits, tmp_path):
    with pytest.raises(UsageError, match="no checkpoint at"):
        Compute().planner(digits, {"convnet1_w8": Teach(net="convnet1_w8", checkpoint=str(tmp_path / "no.pt"))})


def test_the_store_is_made_where_it_is_asked_for_or_else_the_user_s(tmp_path):
    assert Compute(store=tmp_path / "deep" / "store").cells().root == tmp_path / "deep" / "store"
    assert (tmp_path / "deep" / "store").is_dir()
    assert Compute().cells().root == default_store()


def test_the_store_is_swept(tmp_path):
    left = tmp_path / f".tmp-999999999-abc-01234567@{here()}"
    left.mkdir()
    Compute(store=tmp_path).cells()
    assert not left.exists()


def test_only_what_the_store_lacks_is_run_and_watched(planned, tmp_path, monkeypatch):
    ran, told = [], []

    def watch(job):
        return lambda *at: told.append((job.kind, at))

    def execute(root, job, device, progress):
        ran.append((job.kind, device))
        assert root == str(tmp_path)
        progress(1, 1)
        with Store(root).writing(job.kind, job.key) as folder:
            (folder / "cell.json").write_text("{}")

    monkeypatch.setattr(module, "execute", execute)
    planner, jobs = planned(Compute(store=tmp_path, device="cpu", watch=watch))
    compute = Compute(store=tmp_path, device="cpu", watch=watch)
    store = compute.do(planner)
    assert ran == [("condense", "cpu"), ("train", "cpu")]
    assert told == [("condense", (1, 1)), ("train", (1, 1))]
    assert all(store.has(job.kind, job.key) for job in jobs)
    compute.do(planner)
    assert len(ran) == 2


def test_students_of_several_seeds_are_trained_at_once_and_come_out_the_same(small, digits, tmp_path, monkeypatch):
    told = []

    def watch(job):
        told.append((job.labels["train_replicate"], "begun"))
        return lambda *at: told.append((job.labels["train_replicate"], at))

    def here(*args):
        raise AssertionError("several jobs run in this process")

    alone = decoct.train(small, digits, **FAST, seeds=(0, 1), compute=Compute(store=tmp_path / "alone"))
    monkeypatch.setattr(module, "execute", here)
    compute = Compute(store=tmp_path / "together", workers=2, watch=watch)
    assert decoct.train(small, digits, **FAST, seeds=(0, 1), compute=compute) == alone
    assert sorted(told, key=str) == sorted([(n, at) for n in (0, 1) for at in ("begun", (1, 1))], key=str)
    stores = [Store(tmp_path / name) for name in ("alone", "together")]
    kept = [{file.parent.name: file.read_bytes() for file in store.root.rglob("correct.npy")} for store in stores]
    assert kept[0] == kept[1] and len(kept[0]) == 2


def test_jobs_that_wait_for_each_other_run_in_this_process(planned, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "Driver", None)
    compute = Compute(store=tmp_path, workers=2)
    planner, jobs = planned(compute)
    assert all(compute.do(planner).has(job.kind, job.key) for job in jobs)


def test_a_job_that_begins_anew_has_the_bar_that_it_had(small, digits, tmp_path, monkeypatch):
    class Breaking:
        """A driver whose pool breaks once: each job begins twice."""

        def __init__(self, store, pool, workers, device, begun, done):
            self.begun, self.done, self.store = begun, done, store

        def run(self, jobs):
            for job in (*jobs, *jobs):
                self.begun(job)
            for job in jobs:
                execute(self.store.where, job, "cpu")
                self.done(job, None)
            return {}

    told = []
    monkeypatch.setattr(module, "Driver", Breaking)
    compute = Compute(store=tmp_path, workers=2, watch=lambda job: told.append(job.key) or (lambda *at: None))
    decoct.train(small, digits, **FAST, seeds=(0, 1), compute=compute)
    assert len(told) == len(set(told)) == 2


def test_the_first_failure_of_several_jobs_is_raised(small, digits, tmp_path):
    compute = Compute(store=tmp_path, workers=2)
    with pytest.raises(DecoctError, match="loss is not finite"):
        decoct.train(small, digits, student="convnet1_w8", steps=5, lr=1e30, seeds=(0, 1), compute=compute)


def test_a_number_of_workers_is_one_at_least():
    with pytest.raises(UsageError, match="workers is a number from 1 to 1,024, not 0"):
        Compute(workers=0)


def test_a_student_of_the_users_code_trains_like_a_named_one(small, digits, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from decoct.nets.convnet import ConvNet\n\n\n"
        "def make(classes, channels, size):\n    return ConvNet(channels, classes, size, width=8, depth=1)\n"
    )
    monkeypatch.chdir(tmp_path)
    compute = Compute(store=tmp_path / "store")
    scores = decoct.train(small, digits, student="mine:make", steps=5, seeds=(0, 1), compute=compute)
    assert (scores.student, scores.n) == ("mine:make", 2)
    together = replace(compute, workers=2, store=tmp_path / "other")  # whose processes import it by themselves
    assert decoct.train(small, digits, student="mine:make", steps=5, seeds=(0, 1), compute=together) == scores
    monkeypatch.chdir("/")
    with pytest.raises(UsageError, match="no module 'mine' in the current folder"):
        decoct.train(small, digits, student="mine:make", steps=5, compute=compute)
    assert (
        decoct.train(small, digits, student=f"mine:make@{tmp_path}", steps=5, seeds=(0, 1), compute=compute) == scores
    )


def test_a_student_by_timms_name_is_the_one_of_that_name(small, digits, tmp_path):
    compute = Compute(store=tmp_path)
    one = decoct.train(small, digits, student="test_resnet", steps=2, compute=compute)
    files = sorted(tmp_path.rglob("result.json"))
    assert decoct.train(small, digits, student="timm:test_resnet", steps=2, compute=compute) == one
    assert sorted(tmp_path.rglob("result.json")) == files


def test_a_store_may_lie_at_a_url(planned, machine, tmp_path):
    machine("one")
    compute = Compute(store=f"memory://compute/{tmp_path.name}")
    planner, jobs = planned(compute)
    store = compute.do(planner)
    assert store.where == compute.store and all(store.has(job.kind, job.key) for job in jobs)
    machine("other")
    other = compute.cells()
    assert (other.cell("train", jobs[-1].key) / "result.json").is_file()


def test_the_user_s_store_may_be_a_url(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("DECOCT_STORE", f"memory://compute/{tmp_path.name}/own")
    store = Compute().cells()
    assert store.where == f"memory://compute/{tmp_path.name}/own"
    assert store.root.is_relative_to(tmp_path)


def test_the_pixels_are_an_extractor_of_every_set_and_need_no_net(digits, teachers, cells, tmp_path):
    compute, state = cells
    rows = np.asarray(digits.train.images).reshape(len(digits.train), -1) / 255
    np.save(tmp_path / "rows.npy", rows.astype(np.float32))
    by_pixels, by_rows = (
        decoct.condense("herding", digits, ipc=2, extractor=word, compute=compute)
        for word in ("pixels", str(tmp_path / "rows.npy"))
    )
    assert by_pixels.indices.tolist() == by_rows.indices.tolist()
    assert not any("/teacher/" in file for file in state())
    assert by_pixels.provenance.not_counted == ()
    own = replace(by_pixels, indices=None, provenance=Provenance(method="mine"))  # images of its own
    how = {"metrics": ["vendi"], "extractors": ["pixels"], "draws": 0, "resamples": 0}
    picked, drawn = (
        decoct.measure(each, digits, compute=compute, teachers=teachers, **how) for each in (by_pixels, own)
    )
    assert {row["extractor"] for row in drawn} == {"pixels"}
    assert [row["value"] for row in drawn] == pytest.approx([row["value"] for row in picked])
