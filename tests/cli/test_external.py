"""train, measure and relabel on sets that decoct did not make."""

import json

import numpy as np
import pytest
from PIL import Image

from decoct.core.condensed import Condensed
from decoct.data.dataset import load_data

FAST = ("--student", "convnet1_w8", "--set", "steps=2")


@pytest.fixture
def arrays(picks):
    found = Condensed.load(picks)
    return np.array(found.images), found.labels


def test_a_normalised_file_waits_for_a_word(decoct, refused, arrays, tmp_path):
    images, labels = arrays
    data = load_data("digits")
    np.savez(tmp_path / "a.npz", images=(images / 255 - data.mean[0]) / data.std[0], labels=labels)
    said = refused(1, "train", tmp_path / "a.npz", *FAST)
    assert all(f"--normalised {how}" in said for how in ("data", "imagenet", "none"))
    told = decoct("train", tmp_path / "a.npz", *FAST, "--normalised", "data", "--json")
    assert told.code == 0, told.err
    assert json.loads(told.out)["images"] == 10
    assert "imagenet" in refused(2, "train", tmp_path / "a.npz", *FAST, "--normalised", "imagnet")


def test_pictures_in_folders_by_number_are_measured(decoct, arrays, tmp_path):
    for image, label in zip(*arrays, strict=True):
        (tmp_path / "set" / f"{label:03d}").mkdir(parents=True)
        Image.fromarray(image[0]).save(tmp_path / "set" / f"{label:03d}" / "a.png")
    said = decoct("measure", tmp_path / "set", "--metric", "cost", "--json")
    assert said.code == 0, said.err
    known = {row["metric"]: row["value"] for row in json.loads(said.out)}
    assert known["image_bytes"] > 0 and known["total_seconds"] is None


def test_a_file_is_labelled_into_a_folder_of_its_own(decoct, arrays, brought, tmp_path):
    images, labels = arrays
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    words = ("--set", "steps=2", "--out", tmp_path / "labelled", *brought)
    assert decoct("relabel", tmp_path / "a.npz", *words).code == 0
    assert Condensed.load(tmp_path / "labelled").labels.tolist() == labels.tolist()
    assert (tmp_path / "labelled" / "labels.json").is_file()
