"""prepare: what it leaves and says, from class folders of ten classes of ImageNet."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from decoct.cli.prepare import lines
from decoct.data.dataset import load_data
from decoct.data.sources.imagenette import WNIDS


@pytest.fixture
def raw(tmp_path):
    rng, number = np.random.default_rng(0), 0
    for wnid in WNIDS:
        for split, count in (("train", 3), ("val", 1)):
            (tmp_path / "raw" / split / wnid).mkdir(parents=True)
            for _ in range(count):
                number += 1
                name = f"{wnid}_{number}.JPEG" if split == "train" else f"ILSVRC2012_val_{number:08d}.JPEG"
                pixels = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "raw" / split / wnid / name)
    return tmp_path / "raw"


@pytest.fixture(autouse=True)
def own_store(monkeypatch, tmp_path):
    monkeypatch.setenv("DECOCT_STORE", str(tmp_path / "store"))


def test_it_says_what_it_made_and_what_is_missing(decoct, raw):
    said = decoct("prepare", "imagenette", "--from", raw, "--size", 8, "--workers", 1)
    assert said.code == 0, said.err
    first, second, *rest = said.out.splitlines()
    assert first == "imagenette (ImageNet-1K): 20 train, 10 val, 10 test images of 10 classes at 8 px"
    assert second.startswith("0.00 GB in ")
    assert rest[0] == "read from class folders, split as in ImageNet-1K"
    assert rest[1].startswith(f"incomplete: {WNIDS[0]} has 3 in train, not 732 to 1,300; ")
    assert rest[1].endswith("; and 15 more")
    assert "decoding 40 images at 8 px into 0.0 GB" in said.err


def test_json_is_the_same_and_a_study_finds_the_cache(decoct, raw, monkeypatch):
    said = decoct("prepare", "imagenette", "--from", raw, "--size", 8, "--workers", 2, "--json")
    facts = json.loads(said.out)
    assert facts["images"] == {"train": 20, "val": 10, "test": 10}
    assert facts["found"] == {"train": 30, "val": 10}
    assert facts["split"] == "ImageNet-1K" and len(facts["incomplete"]) == 20
    monkeypatch.setattr("decoct.data.imagenet.blocks.decoded", lambda *_: pytest.fail("decoded twice"))
    data = load_data({"name": "imagenette", "path": str(raw), "size": 8})
    assert (data.digest, str(data.folder)) == (facts["digest"], facts["folder"])
    assert sum(file.stat().st_size for file in data.folder.iterdir()) == facts["bytes"]


def test_without_a_cache_pictures_stay_where_they_are(decoct, raw):
    said = decoct("prepare", "imagenette", "--from", raw, "--size", 8, "--workers", 1, "--no-cache")
    assert said.code == 0, said.err
    assert said.out.splitlines()[2].startswith("no cache: pictures stay as they are stored")
    assert "for their statistics; nothing of them is kept" in said.err
    data = load_data({"name": "imagenette", "path": str(raw), "size": 8, "cache": False})
    assert not list(data.folder.glob("*.images.npy")) and data.train.images[0].shape == (3, 8, 8)
    assert "unknown key 'cache'" in decoct("prepare", "digits", "--no-cache").err


def test_pictures_that_do_not_decode(decoct, refused, raw):
    broken = sorted((raw / "train" / WNIDS[0]).iterdir())[0]
    broken.write_bytes(b"no picture")
    words = ("prepare", "imagenette", "--from", raw, "--size", 8, "--workers", 1)
    said = decoct(*words)
    assert said.code == 1
    assert "1 of 40 images" in said.err and "--skip-corrupt" in said.err and "Traceback" not in said.err
    said = decoct(*words, "--skip-corrupt")
    assert said.code == 0
    name = f"train/{WNIDS[0]}/{broken.name}"
    assert said.out.splitlines()[-1] == f"left out, since they do not decode: {name} (not an image)"


def test_other_sources_are_prepared_too(decoct, pictures):
    said = decoct("prepare", "folder", "--from", pictures("cat", "dog"), "--size", 8)
    assert said.code == 0
    assert said.out.startswith("pictures: ")
    assert decoct("prepare", "digits").out.startswith("digits: ")


def test_fields_can_be_set(decoct, raw):
    words = (
        "prepare",
        "imagenette",
        "--from",
        raw,
        "--workers",
        1,
        "--set",
        "size=8",
        "--set",
        "split_seed=3",
        "--json",
    )
    assert json.loads(decoct(*words).out)["size"] == 8


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("prepare", "imagenet", "--from", "x"), 2, "Did you mean 'imagenet1k'|Did you mean 'imagenette'"),
        (("prepare", "imagenette"), 2, "path"),
        (("prepare", "imagenette", "--from", "x", "--set", "path=y"), 2, "path is given twice"),
        (("prepare", "imagenette", "--from", "x", "--set", "release=mine"), 2, "release"),
        (("prepare", "digits", "--skip-corrupt"), 2, "--skip-corrupt is for folders of pictures; digits has none"),
        (("prepare", "imagenette", "--from", "/nowhere"), 1, "no such folder: /nowhere"),
    ],
)
def test_slips_are_told(refused, words, code, message):
    assert re.search(message, refused(code, *words))


def test_a_folder_of_nothing_known_is_described_in_three_lines(decoct, tmp_path):
    (tmp_path / "strange" / "stuff").mkdir(parents=True)
    said = decoct("prepare", "imagenet1k", "--from", tmp_path / "strange")
    assert said.code == 1
    assert "found: stuff/" in said.err and "expected: train/ and val/" in said.err


def test_complete_data_are_said_to_be_so():
    facts = {
        "name": "imagenet1k",
        "images": {"train": 1153051, "val": 128116, "test": 50000},
        "classes": 1000,
        "size": 224,
        "bytes": 200e9,
        "cached": True,
        "folder": "/data",
        "layout": "Parquet shards",
        "split": "ImageNet-1K",
        "expected": {"train": 1281167, "val": 50000},
        "found": {"train": 1281167, "val": 49999},
        "incomplete": [],
        "skipped": [],
    }
    assert lines(facts)[3:] == [
        "1,281,167 pictures in train, all that are known",
        "49,999 pictures in val, where 50,000 are known",
        "every class has as many pictures as in ImageNet-1K: 732 to 1,300 in train, 50 in val",
    ]
