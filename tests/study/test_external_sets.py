"""External sets: taken in by content, refused where they do not fit the data."""

from dataclasses import replace

import numpy as np
import pytest

from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.core.record import CELL, Provenance, read_json
from decoct.study.external_sets import check_fit, load_set, put_external, put_external_labels
from decoct.study.store.store import Store
from decoct.training.softlabels import StoredLabels


@pytest.fixture
def picks(digits):
    rows = np.arange(20, dtype=np.int64)
    who = Provenance(method="mine", data="digits", data_digest=digits.digest)
    return Condensed(digits.train.labels[rows], digits.class_names, who, indices=rows)


@pytest.fixture
def images(digits, picks):
    return replace(picks.materialise(digits.train.images), indices=None, provenance=Provenance(method="mine"))


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    store.root.mkdir()
    return store


def test_a_set_is_stored_once_under_the_digest_of_its_content(store, digits, picks, images):
    made = put_external(images, digits, store)
    folder = store.path("condense", made.key)
    assert store.has("condense", made.key)
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    renamed = replace(images, provenance=Provenance(method="other"))
    assert put_external(renamed, digits, store).key == made.key
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    changed = images.images.copy()
    changed[0, 0, 0, 0] ^= 1
    assert put_external(replace(images, images=changed), digits, store).key != made.key
    assert put_external(replace(images, labels=images.labels[::-1].copy()), digits, store).key != made.key
    weights = np.ones(len(images), dtype=np.float32)
    assert put_external(replace(images, weights=weights), digits, store).key != made.key
    assert made.labels == {"method": "mine", "budget": "unknown", "condense_replicate": 0}


def test_the_same_pixels_as_mosaics_are_another_set(store, digits, images):
    """Else whichever came first would decide whether the tiles are shuffled."""
    made = [put_external(replace(images, mosaic=tiles), digits, store) for tiles in (1, 2, 3)]
    assert [Condensed.load(store.path("condense", one.key)).mosaic for one in made] == [1, 2, 3]


def test_picks_are_the_same_with_and_without_their_pixels(store, digits, picks):
    with_pixels = picks.materialise(digits.train.images)
    assert put_external(picks, digits, store).key == put_external(with_pixels, digits, store).key


@pytest.fixture
def labels(digits):
    arrays = {"values": np.arange(20 * 10, dtype=np.float16).reshape(20, 10)}
    storing = {"per": "image", "bits": 16, "top_k": None, "prune": 1.0, "by": "batch"}
    facts = {"format": 1, "storing": storing, "set": "0" * 32, "images": 20, "size": 8, "temperature": 4.0}
    return StoredLabels(arrays, facts | {"class_names": list(digits.class_names), "views": {}, "seed": 0})


def test_labels_are_stored_once_under_the_digest_of_their_content(store, labels):
    key = put_external_labels(labels, store)
    folder = store.path("labels", key)
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    sideways = StoredLabels({"values": np.asfortranarray(labels.arrays["values"])}, dict(labels.facts))
    assert put_external_labels(sideways, store) == key
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    found = StoredLabels.load(folder)
    assert found.facts == labels.facts and np.array_equal(found.arrays["values"], labels.arrays["values"])
    assert {file.name for file in before} == {CELL, "labels.json", "labels.safetensors"}  # nobody knows their cost
    known = read_json(folder / CELL)
    assert set(known.pop("files")) == {"labels.json", "labels.safetensors"}
    assert known == {"key": key, "kind": "labels", "keyed": {"external": True}, "inputs": {}}


@pytest.mark.parametrize("change", ["a value", "the type", "the shape", "the name", "a fact"])
def test_other_labels_are_another_cell(store, labels, change):
    values, facts = labels.arrays["values"].copy(), dict(labels.facts)
    name = "values"
    if change == "a value":
        values[0, 0] += 1
    elif change == "the type":
        values = values.view(np.int16)
    elif change == "the shape":
        values = values.reshape(10, 20)
    elif change == "the name":
        name = "codes"
    else:
        facts["temperature"] = 20.0
    assert put_external_labels(StoredLabels({name: values}, facts), store) != put_external_labels(labels, store)


def test_other_classes_are_named(digits, images):
    theirs = replace(images, class_names=("zero", *digits.class_names[1:]))
    with pytest.raises(DecoctError, match="only in the set: zero; only in the data: 0"):
        check_fit(theirs, digits)


def test_another_order_of_the_classes_is_refused(digits, images):
    with pytest.raises(DecoctError, match="in another order"):
        check_fit(replace(images, class_names=digits.class_names[::-1]), digits)


def test_picks_of_another_version_are_refused(digits, picks):
    with pytest.raises(DecoctError, match="another version of 'digits'"):
        check_fit(picks, replace(digits, digest="0" * 32))


def test_images_of_another_shape_are_refused(digits, images):
    large = replace(images, images=np.zeros((20, 1, 9, 9), dtype=np.uint8))
    with pytest.raises(DecoctError, match=r"\(1, 9, 9\) .* the data's \(1, 8, 8\)"):
        check_fit(large, digits)


def test_weights_stay_with_their_images_through_a_class_folder_and_the_store(store, digits, images, tmp_path):
    weights = np.linspace(0, 3, 20, dtype=np.float32)
    weighted = replace(images, weights=weights)
    weighted.export(tmp_path / "pictures")
    found = load_set(tmp_path / "pictures", digits)
    stored = Condensed.load(store.path("condense", put_external(found, digits, store).key))
    order = np.argsort(images.labels, kind="stable")  # class by class
    assert stored.weights.tolist() == weights[order].tolist()
    assert np.array_equal(stored.images, images.images[order])


def test_a_set_is_found_by_its_folder(digits, images, tmp_path):
    images.save(tmp_path / "saved")
    assert np.array_equal(load_set(tmp_path / "saved", digits).images, images.images)
    with pytest.raises(UsageError, match="no set at"):
        load_set(tmp_path / "none", digits)
    (tmp_path / "saved" / "condensed.safetensors").write_bytes(b"")
    with pytest.raises(DecoctError, match="damaged"):
        load_set(tmp_path / "saved", digits)
