"""Hugging Face data sets in every form, offline: pictures, labels, splits and groups, and their bytes again."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image as Pillow

from decoct.core.errors import DecoctError, UsageError
from decoct.shrinking.pool import TEST, TRAIN, VAL
from decoct.shrinking.reading.originals import original, original_path
from decoct.shrinking.reading.read import read_pool
from decoct.shrinking.reading.sources.hub import listing

datasets = pytest.importorskip("datasets")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAMES = ("eel", "dog", "cat")  # not sorted: the order of a ClassLabel is kept


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    datasets.disable_progress_bars()


def png(pixels):
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def table(n, seed, label=None, labels=None):
    """A table of ``n`` random pictures, and their bytes; picture i is of class i % 3 and of patient i // 4."""
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 12, 12, 3), dtype=np.uint8)
    made = {
        "patient": [i // 4 for i in range(n)],
        "img": [{"bytes": png(image), "path": None} for image in pixels],
        "label": [i % 3 for i in range(n)] if labels is None else labels,
    }
    kinds = {
        "patient": datasets.Value("int64"),
        "img": datasets.Image(),
        "label": label or datasets.ClassLabel(names=NAMES),
    }
    return datasets.Dataset.from_dict(made, features=datasets.Features(kinds)), pixels


@pytest.mark.parametrize("form", ["saved", "parquet", "word", "python"])
def test_every_form_gives_the_same_pool(tmp_path, form):
    (train, first), (test, last) = table(9, 0), table(6, 1)
    root = tmp_path / "pets"
    source = {"train": train, "test": test}
    if form == "saved":
        datasets.DatasetDict(source).save_to_disk(root)
        source = root
    elif form != "python":
        (root / "data").mkdir(parents=True)
        for name, split in source.items():
            split.to_parquet(root / "data" / f"{name}-00000-of-00001.parquet")
        source = str(root) if form == "parquet" else f"hub:{root}"
    pool = read_pool(source, tmp_path / "pools", groups="patient")
    assert pool.class_names == NAMES and pool.labels.tolist() == [i % 3 for i in range(9)] + [0, 1, 2, 0, 1, 2]
    assert pool.split.tolist() == [TRAIN] * 9 + [TEST] * 6 and pool.paths[10] == "test/1"
    assert (pool.images == np.concatenate([first, last]).transpose(0, 3, 1, 2)).all()
    assert pool.groups.tolist() == [0] * 4 + [1] * 4 + [2] + [0] * 4 + [1] * 2
    assert original(pool, 10) == (png(last[1]), ".png") and original_path(pool, 10) is None


@pytest.mark.parametrize("revision", ["", f"@{COMMIT}"])
def test_a_name_from_the_cache(tmp_path, revision):
    from datasets.packaged_modules.parquet.parquet import Parquet

    (train, first), (test, last) = table(9, 0), table(6, 1)
    files = {}
    for name, split in (("train", train), ("test", test)):
        split.to_parquet(tmp_path / f"{name}.parquet")
        files[name] = [str(tmp_path / f"{name}.parquet")]
    builder = Parquet(cache_dir=str(tmp_path / "build"), dataset_name="pets", hash=COMMIT, data_files=files)
    builder.download_and_prepare()
    target = tmp_path / "hub" / "someone___pets" / "default" / "0.0.0" / COMMIT  # as load_dataset leaves it
    shutil.copytree(builder.cache_dir, target)
    info = json.loads((target / "dataset_info.json").read_text())
    (target / "dataset_info.json").write_text(json.dumps(info | {"config_name": "default"}))
    pool = read_pool(f"hub:someone/pets{revision}", tmp_path / "pools")
    assert (pool.images == np.concatenate([first, last]).transpose(0, 3, 1, 2)).all()
    assert pool.facts["word"] == f"hub:someone/pets@{COMMIT}" and original(pool, 9) == (png(last[0]), ".png")


def test_a_folder_that_changes_is_loaded_again(tmp_path):
    for seed in range(2):
        made, pixels = table(6, seed)
        made.save_to_disk(tmp_path / "pets")
        pool = read_pool(tmp_path / "pets", tmp_path / "pools")
        assert (pool.images == pixels.transpose(0, 3, 1, 2)).all() and original(pool, 1)[0] == png(pixels[1])


def test_one_file_of_parquet(tmp_path):
    made, pixels = table(6, 0)
    made.to_parquet(tmp_path / "pets.parquet")
    pool = read_pool(tmp_path / "pets.parquet", tmp_path / "pools")
    assert (pool.images == pixels.transpose(0, 3, 1, 2)).all() and pool.class_names == NAMES
    assert original(pool, 4) == (png(pixels[4]), ".png")


def test_one_table_saved_alone(tmp_path):
    table(6, 0)[0].save_to_disk(tmp_path / "pets")
    assert (read_pool(tmp_path / "pets", tmp_path / "pools").split == TRAIN).all()


def test_labels_of_plain_columns_and_rows_without_a_picture(tmp_path):
    made, _ = table(4, 0, datasets.Value("string"), ["Öl", "b c", "Öl", "b c"])
    made = datasets.concatenate_datasets([made, made.select([0]).map(lambda row: {"img": None})])
    made.save_to_disk(tmp_path / "pets")
    pool = read_pool(tmp_path / "pets", tmp_path / "pools")
    assert pool.class_names == ("b c", "Öl") and pool.labels.tolist() == [1, 0, 1, 0]
    assert pool.unreadable == (("train/4", "Öl", "no picture"),)


def test_further_splits_are_passed_over(tmp_path):
    every = datasets.DatasetDict({"train": table(3, 0)[0], "unsupervised": table(3, 1, labels=[-1] * 3)[0]})
    pool = read_pool(every, tmp_path / "pools")
    assert len(pool) == 3 and original(pool, 2)[0] == every["train"].with_format("arrow")[2]["img"][0]["bytes"].as_py()


def test_three_splits(tmp_path):
    splits = {name: table(3, seed)[0] for seed, name in enumerate(("train", "validation", "test"))}
    listed = listing("pets", _saved(tmp_path / "pets", splits))
    assert listed.split.tolist() == [TRAIN] * 3 + [VAL] * 3 + [TEST] * 3


def test_what_does_not_fit_is_named(tmp_path):
    lacking = {"train": table(6, 0)[0], "test": table(2, 1)[0]}
    with pytest.raises(DecoctError, match="class 'cat' has no images in test"):
        listing("pets", _saved(tmp_path / "a", lacking))
    without = table(3, 0)[0].remove_columns("img")
    with pytest.raises(DecoctError, match=r"which column is the image\?.*\nload it in Python"):
        listing("pets", _saved(tmp_path / "b", {"train": without}))
    with pytest.raises(DecoctError, match="has no labels"):
        listing("pets", _saved(tmp_path / "c", {"train": table(3, 0, labels=[-1] * 3)[0]}))
    halves = {"first": table(3, 0)[0], "second": table(3, 1)[0]}
    with pytest.raises(DecoctError, match=r"which split is to be trained on\?\nload it in Python"):
        listing("pets", _saved(tmp_path / "d", halves))
    with pytest.raises(UsageError, match="hub:OWNER/NAME"):
        listing("hub:pets", "hub:pets")
    with pytest.raises(DecoctError, match="somebody/pets"):
        listing("hub:somebody/pets", "hub:somebody/pets@main")


def _saved(root, splits):
    datasets.DatasetDict(splits).save_to_disk(root)
    return str(root)
