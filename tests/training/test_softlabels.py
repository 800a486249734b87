"""Stored soft labels: what is read back, in which order it is used again, and what is refused."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file

from decoct.core.errors import DecoctError
from decoct.data.augment.augment import Mix
from decoct.training.packing import decode
from decoct.training.recipe import Recipe, Storing
from decoct.training.relabel import relabel
from decoct.training.softlabels import ARRAYS, FACTS, VIEWED, StoredLabels, fingerprint, stored_labels, viewed
from decoct.training.views import TENSORS, View

NAMES = ("a", "b", "c")
RECIPE = Recipe(
    steps=40,
    batch=6,
    optimiser="sgd",
    lr=0.05,
    weight_decay=0.0,
    schedule="cosine",
    loss="kl",
    temperature=4.0,
    pad=1,
    flip=True,
    cutmix=1.0,
)


@pytest.fixture(scope="module")
def data(small_set):
    return small_set(n=20, size=8)


@pytest.fixture(scope="module")
def label(data, normal_net):
    """Label that set: label(top_k=2, recipe=…)."""
    teacher = normal_net().eval()

    def make(recipe=RECIPE, seed=3, **storing):
        return relabel(data, recipe, [teacher], Storing(**storing), NAMES, seed=seed)

    return make


@pytest.fixture
def saved(label, tmp_path):
    """A folder of labels of 40 batches in 16 bits."""
    label().save(tmp_path)
    return tmp_path


def batches(stored, first, last, seed=0):
    """Which kept batch each step gets, found by the rows that it sees and the labels that it learns from."""
    rows = [stored._view(batch).rows.tolist() for batch in range(len(stored.ends))]
    found = []
    for step in range(first, last):
        view = stored.views(step, step + 1, seed)
        found.append(rows.index(view.rows.tolist()))
        z = stored._decoded(np.arange(stored.ends[found[-1]] - len(view.rows), stored.ends[found[-1]]))
        assert torch.equal(stored.logits(step, step + 1, seed, view), z)
    return found


# On disk


@pytest.mark.parametrize("kind", [{}, {"bits": 8}, {"top_k": 1, "prune": 3}, {"per": "image", "bits": 8, "top_k": 2}])
def test_saved_and_loaded_is_the_same(label, tmp_path, kind):
    made = label(**kind)
    made.save(tmp_path)
    found = stored_labels(tmp_path)
    assert found.facts == made.facts
    assert found.facts["storing"] == Storing(**kind).model_dump()
    assert found.arrays.keys() == made.arrays.keys()
    for name, array in made.arrays.items():
        assert found.arrays[name].dtype == array.dtype and np.array_equal(found.arrays[name], array)


def test_arrays_that_lie_otherwise_in_memory_are_saved_by_value(label, tmp_path):
    made = label(per="image")
    sideways = {name: np.asfortranarray(array) for name, array in made.arrays.items()}
    replace(made, arrays=sideways).save(tmp_path)
    assert np.array_equal(stored_labels(tmp_path).arrays["values"], made.arrays["values"])


def test_equal_labels_are_equal_bytes(label, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        label(bits=8, prune=2).save(tmp_path / name)
    for file in (ARRAYS, FACTS):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_folder_without_labels_has_none(tmp_path):
    assert stored_labels(tmp_path) is None


@pytest.mark.parametrize("kind", [{}, {"bits": 8, "prune": 4}, {"per": "image", "top_k": 1}])
def test_bytes_are_those_of_all_arrays(label, tmp_path, kind):
    made = label(**kind)
    made.save(tmp_path)
    arrays = load_file(tmp_path / ARRAYS)
    assert made.nbytes == sum(array.size * array.itemsize for array in arrays.values())
    assert 0 < (tmp_path / ARRAYS).stat().st_size - made.nbytes < 2000  # the rest is the header
    assert made.classes == 3


def arrays_of(folder, **changes):
    """Put other arrays into the file; None takes one out."""
    arrays = load_file(folder / ARRAYS)
    arrays |= {name: change(arrays.get(name)) for name, change in changes.items()}
    save_file({name: np.ascontiguousarray(a) for name, a in arrays.items() if a is not None}, folder / ARRAYS)


def facts_of(folder, change):
    facts = json.loads((folder / FACTS).read_text())
    (folder / FACTS).write_text(json.dumps(change(facts)))


def set_to(value):
    def change(array):
        array = array.copy()
        array.flat[3] = value
        return array

    return change


def gone(array):
    return None


def short(array):
    return array[:-1]


class Trap:
    def __reduce__(self):
        return (Path("sprung").touch, ())


def without(name):
    return lambda facts: {key: value for key, value in facts.items() if key != name}


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / ARRAYS).unlink(),
        lambda f: (f / ARRAYS).write_bytes(b""),
        lambda f: (f / ARRAYS).write_bytes((f / ARRAYS).read_bytes()[:-20]),
        lambda f: (f / ARRAYS).write_bytes(pickle.dumps(Trap())),
        lambda f: (f / FACTS).write_bytes(pickle.dumps(Trap())),
        lambda f: (f / FACTS).write_text("{"),
        lambda f: (f / FACTS).write_text("[]"),
        lambda f: facts_of(f, lambda facts: facts | {"format": 2}),
        lambda f: facts_of(f, lambda facts: facts | {"storing": None}),
        lambda f: facts_of(f, lambda facts: facts | {"storing": {**facts["storing"], "per": "image"}}),
        *[lambda f, n=n: facts_of(f, without(n)) for n in ("format", "storing", "images", "size", "class_names")],
        *[lambda f, n=n: facts_of(f, without(n)) for n in ("set", "views", "temperature")],
        lambda f: arrays_of(f, values=set_to(np.nan)),
        lambda f: arrays_of(f, values=set_to(-np.inf)),
        lambda f: arrays_of(f, values=lambda v: v[:, :-1]),
        *[lambda f, n=n: arrays_of(f, **{n: gone}) for n in ("values", "rows", "sizes", "areas")],
        *[lambda f, n=n: arrays_of(f, **{n: short}) for n in ("values", "rows", "sizes", "corners", "mirrored")],
        *[lambda f, n=n: arrays_of(f, **{n: short}) for n in ("partners", "areas")],
        lambda f: arrays_of(f, sizes=lambda s: s[:0]),
        lambda f: arrays_of(f, rows=set_to(20)),
        lambda f: arrays_of(f, partners=set_to(6)),
        lambda f: arrays_of(f, tiles=lambda none: np.zeros((3, 2, 2), np.uint8)),
    ],
)
def test_what_is_damaged_is_refused_and_never_unpickled(saved, damage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    damage(saved)
    with pytest.raises(DecoctError, match=r"damaged: .*; make them again$") as caught:
        stored_labels(saved)
    assert len(str(caught.value).splitlines()) == 1
    assert not Path("sprung").exists()


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ({"bits": 8}, {"range": set_to(np.inf)}),
        ({"bits": 8}, {"range": gone}),
        ({"bits": 8}, {"range": short}),
        ({"top_k": 2}, {"classes": set_to(3)}),
        ({"top_k": 2}, {"classes": short}),
        ({"top_k": 2}, {"classes": gone}),
        ({"per": "image"}, {"values": short}),
        ({"per": "image"}, {"values": gone}),
    ],
)
def test_labels_of_every_kind_that_are_damaged_are_refused(label, tmp_path, kind, change):
    label(**kind).save(tmp_path)
    arrays_of(tmp_path, **change)
    with pytest.raises(DecoctError, match="damaged"):
        stored_labels(tmp_path)


@pytest.mark.parametrize(
    "fields", [{"bits": 4}, {"per": "class"}, {"top_k": 0}, {"prune": 0.5}, {"by": "chance"}, {"bit": 8}]
)
def test_ways_to_store_that_cannot_be_meant_are_refused(fields):
    with pytest.raises(ValidationError):
        Storing(**fields)


# What they belong to


def test_a_fingerprint_tells_images_labels_shape_and_type_apart(small_set, data):
    assert fingerprint(data) == fingerprint(small_set(n=20, size=8))
    pixel = data.images.clone()
    pixel[0, 0, 0, 0] ^= 1
    others = [
        small_set(n=20, size=8, seed=1),
        small_set(n=19, size=8),
        replace(data, labels=data.labels.flip(0)),
        replace(data, images=pixel),
        replace(data, images=data.images.reshape(20, 1, 4, 16)),
        replace(data, images=data.images.float() / 255),
        replace(data, images=data.images.view(torch.int8)),
    ]
    found = {fingerprint(other) for other in [data, *others]}
    assert len(found) == 1 + len(others)


def test_what_labels_were_made_for_passes(label, data, saved):
    for stored in (label(), stored_labels(saved), label(top_k=1), label(per="image")):
        stored.check(data, NAMES, RECIPE)
        stored.check(data, NAMES, replace(RECIPE, steps=400, lr=1.0, ema=0.9))  # changes no view


def test_labels_of_another_set_are_refused(label, data, small_set):
    with pytest.raises(DecoctError, match="belong to another set: relabel this one"):
        label().check(small_set(n=20, size=8, seed=1), NAMES, RECIPE)
    with pytest.raises(DecoctError, match="another set"):
        label(per="image").check(replace(data, labels=data.labels.flip(0)), NAMES, RECIPE)


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "d"), ("c", "b", "a")])
def test_labels_of_other_classes_or_another_order_are_refused(label, data, names):
    with pytest.raises(DecoctError, match="other classes, or the same in another order"):
        label().check(data, names, RECIPE)


OTHER = {"batch": 5, "pad": 0, "scale": (0.5, 1.0), "flip": False, "shuffle": 2, "cutmix": 0.0, "mixup": 0.8}


@pytest.mark.parametrize("name", VIEWED)
def test_labels_of_other_views_are_refused_by_name(label, data, saved, name):
    value = (OTHER | {"halves": True})[name]
    shown = list(value) if isinstance(value, tuple) else value
    said = rf"{name} {getattr(RECIPE, name)} \(the protocol's is {shown}\)\nrelabel the set".replace("[", r"\[")
    for stored in (label(), stored_labels(saved)):
        with pytest.raises(DecoctError, match=said) as caught:
            stored.check(data, NAMES, replace(RECIPE, **{name: value}))
        assert str(caught.value).count("the protocol's is") == 1
    if name != "halves":
        label(per="image").check(data, NAMES, replace(RECIPE, **{name: value}))  # fit any view


def test_every_field_that_differs_is_named(label, data):
    with pytest.raises(DecoctError, match=r"batch 6 .*, pad 1 .*, cutmix 1\.0 "):
        label().check(data, NAMES, replace(RECIPE, batch=5, pad=2, cutmix=0.5))


def test_what_views_hang_on_is_what_draws_read():
    assert viewed(replace(RECIPE, pad=0, scale=(0.5, 1.0))) == {
        "batch": 6,
        "pad": 0,
        "scale": [0.5, 1.0],
        "flip": True,
        "shuffle": 1,
        "cutmix": 1.0,
        "mixup": 0.0,
        "halves": False,
    }


def test_labels_that_were_cut_are_of_one_temperature(label, data):
    hotter = replace(RECIPE, temperature=20.0)
    with pytest.raises(DecoctError, match=r"cut to 2 classes for temperature 4\.0, not 20\.0"):
        label(top_k=2).check(data, NAMES, hotter)
    label().check(data, NAMES, hotter)  # whole logits are of none
    label(top_k=2).check(data, NAMES, replace(RECIPE, loss="mse_ce", temperature=1.0))


def test_mixtures_of_labels_of_images_are_of_one_temperature(label, data):
    """What is mixed are probabilities at a temperature; unmixed, whole labels are of none."""
    hotter = replace(RECIPE, temperature=20.0)
    stored = label(per="image")
    with pytest.raises(DecoctError, match=r"mixed .* temperature 4\.0, not 20\.0"):
        stored.check(data, NAMES, hotter)
    stored.check(data, NAMES, replace(hotter, cutmix=0.0))


# Used again


def test_what_is_kept_is_used_in_order_and_then_in_orders_that_the_seed_draws(label):
    stored = label(prune=4)
    assert len(stored.ends) == 10
    found = batches(stored, 0, 50)
    assert found[:10] == list(range(10))
    passes = [found[i : i + 10] for i in range(0, 50, 10)]
    assert all(sorted(one) == list(range(10)) for one in passes)  # each kept batch once a pass
    assert len({tuple(one) for one in passes}) == 5
    assert batches(stored, 0, 50) == found
    other = batches(stored, 0, 50, seed=1)
    assert other[:10] == found[:10] and other[10:] != found[10:]


def test_an_epoch_that_is_kept_is_used_in_turn(label):
    stored = label(prune=5, by="epoch")  # an epoch is 4 batches; 2 epochs of 10
    assert len(stored.ends) == 8
    assert batches(stored, 0, 20) == batches(stored, 0, 20, seed=1) == [step % 8 for step in range(20)]


@pytest.mark.parametrize("by", ["batch", "class", "epoch"])
def test_many_steps_at_once_are_the_steps_one_by_one(label, by):
    stored = label(prune=4, by=by)
    for first, last in ((0, 7), (8, 13), (5, 35)):
        whole = stored.views(first, last, 2)
        z = stored.logits(first, last, 2, whole).split(whole.sizes)
        for step, (view, logits) in enumerate(zip(whole.split(), z, strict=True), first):
            one = stored.views(step, step + 1, 2)
            assert view.sizes == one.sizes and view.mixes[0].box == one.mixes[0].box
            assert all(torch.equal(getattr(view, n), getattr(one, n)) for n in TENSORS if getattr(one, n) is not None)
            assert torch.equal(logits, stored.logits(step, step + 1, 2, one))


# One label an image


def softmax(z):
    return torch.softmax(z.double(), 1)


def test_labels_of_mixed_images_are_the_mixture_by_area(label):
    stored = label(per="image")
    assert stored.views(0, 5, 0) is None
    z = torch.from_numpy(decode(stored.arrays, 3))
    rows, order = torch.tensor([4, 0, 19, 4, 7, 8, 9]), torch.tensor([2, 0, 1, 3])
    view = View(rows, (4, 1, 2), mixes=(Mix(order, 0.3, (0, 7, 0, 6)), None, Mix(torch.tensor([1, 0]), 1.0)))
    found = softmax(stored.logits(0, 3, 0, view) / 4.0)
    p = softmax(z / 4.0)[rows]
    torch.testing.assert_close(found[:4], 0.3 * p[:4] + 0.7 * p[:4][order], rtol=0, atol=1e-6)
    torch.testing.assert_close(found[4:], p[4:], rtol=0, atol=1e-7)


def test_a_mixture_has_the_level_of_its_logits_which_mse_sees(label):
    """Two labels that say the same 5 logits apart mix to one between; a share near 1 changes next to nothing."""
    stored = label(per="image")
    z = torch.from_numpy(decode(stored.arrays, 3))
    values = np.concatenate([stored.arrays["values"][:1], stored.arrays["values"][:1] + np.float16(5), z.half()[2:]])
    apart = StoredLabels({"values": values}, stored.facts)

    def mixed(rows, share):
        view = View(torch.tensor(rows), (2,), mixes=(Mix(torch.tensor([1, 0]), share),))
        return apart.logits(0, 1, 0, view)

    torch.testing.assert_close(mixed([0, 1], 0.4)[0], z[0] + 0.6 * 5, rtol=0, atol=2e-2)
    torch.testing.assert_close(mixed([4, 7], 1 - 1e-6), z[[4, 7]], rtol=0, atol=1e-3)


def test_labels_of_images_fit_any_view(label):
    stored = label(per="image", top_k=2)
    z = torch.from_numpy(decode(stored.arrays, 3))
    rows = torch.tensor([3, 1, 2])
    for view in (View(rows, (3,)), View(rows, (2, 1), corners=torch.zeros(3, 2, dtype=torch.int64), mixes=())):
        assert torch.equal(stored.logits(0, 1, 0, view), z[rows])
    assert torch.equal(stored.logits(0, 1, 0, View(rows, (3,))), stored.logits(8, 9, 7, View(rows, (3,))))


def test_a_label_of_a_huge_logit_mixes_without_overflow(label):
    stored = label(per="image")
    values = np.tile(np.float16([60_000, 0, -60_000]), (20, 1))
    values[1] = [-60_000, 0, 60_000]
    huge = StoredLabels({"values": values}, stored.facts)
    view = View(torch.tensor([0, 1]), (2,), mixes=(Mix(torch.tensor([1, 0]), 0.25),))
    found = huge.logits(0, 1, 0, view)
    assert found.isfinite().all()
    torch.testing.assert_close(softmax(found / 4).float(), torch.tensor([[0.25, 0, 0.75], [0.75, 0, 0.25]]))
