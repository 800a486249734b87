"""Data sets in the hub's layout from folders, files and the cache; the network is never asked."""

import io
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image as Pillow

from decoct.core.errors import DecoctError
from decoct.data.dataset import load_data
from decoct.data.sources.hub import Hub

datasets = pytest.importorskip("datasets")
NAMES = ("eel", "dog", "cat")  # not sorted: the order of a ClassLabel is kept
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    datasets.disable_progress_bars()


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def table(n: int, seed: int, label: str = "label", feature=None, labels=None, side: int = 12):
    """A table of ``n`` random pictures; picture i is of class i % 3."""
    pixels = np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    made = {
        "id": list(range(n)),
        "img": [{"bytes": png(image), "path": None} for image in pixels],
        label: [i % 3 for i in range(n)] if labels is None else labels,
    }
    kinds = {"id": datasets.Value("int64"), "img": datasets.Image(), label: feature or datasets.ClassLabel(names=NAMES)}
    return datasets.Dataset.from_dict(made, features=datasets.Features(kinds)), pixels


def lay(root, **splits):
    (root / "data").mkdir(parents=True)
    for name, split in splits.items():
        split.to_parquet(root / "data" / f"{name}-00000-of-00001.parquet")
    return root


def load(path, cache, **fields):
    return load_data(Hub(path=str(path), **{"size": 12, **fields}), cache)


def test_a_folder_in_the_hubs_layout(tmp_path):
    (train, _), (test, pixels) = table(30, 0), table(6, 1)
    data = load(lay(tmp_path / "pets", train=train, test=test), tmp_path / "cache")
    assert (data.test.images == pixels.transpose(0, 3, 1, 2)).all()
    assert data.test.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert data.test.files == tuple(f"test/{row}" for row in range(6))
    assert data.class_names == NAMES
    assert [data.counts(split) for split in ("train", "val")] == [[9] * 3, [1] * 3]
    assert data.name == "pets" and data.flip is True
    assert not (tmp_path / "hub").exists()  # the library's copy of local data is gone


def test_a_second_load_decodes_nothing_and_asks_for_no_columns(tmp_path, monkeypatch):
    root = lay(tmp_path / "pets", train=table(30, 0)[0], test=table(6, 1)[0])
    digest = load(root, tmp_path / "cache").digest
    monkeypatch.setattr(Hub, "read", lambda *_: pytest.fail("it was read again"))
    assert load(root, tmp_path / "cache").digest == digest
    moved = shutil.copytree(root, tmp_path / "elsewhere" / "pets")
    os.utime(moved / "data" / "test-00000-of-00001.parquet", (1, 1))
    assert load(moved, tmp_path / "cache").digest == digest


def test_changed_content_is_read_again(tmp_path):
    root = lay(tmp_path / "pets", train=table(30, 0)[0], test=table(6, 1)[0])
    digest = load(root, tmp_path / "cache").digest
    table(6, 2)[0].to_parquet(root / "data" / "test-00000-of-00001.parquet")
    assert load(root, tmp_path / "cache").digest != digest


def test_by_words_and_as_a_mapping(tmp_path):
    root = lay(tmp_path / "pets", train=table(30, 0)[0], test=table(6, 1)[0])
    data = load_data(f"hub:{root}", tmp_path / "cache")
    assert data.shape == (3, 12, 12)  # their own, since all have it
    same = load_data({"name": "hub", "path": str(root), "image": "img", "label": "label"}, tmp_path / "cache")
    assert (same.test.images == data.test.images).all()


@pytest.mark.parametrize(
    ("splits", "counts"),
    [
        (("train", "validation", "test"), [[10] * 3, [2] * 3, [2] * 3]),
        (("train", "validation"), [[9] * 3, [1] * 3, [2] * 3]),  # validation is test
        (("train",), [[7] * 3, [1] * 3, [2] * 3]),
    ],
)
def test_splits_as_they_are_and_what_is_missing(tmp_path, splits, counts):
    tables = {split: table(30 if split == "train" else 6, seed)[0] for seed, split in enumerate(splits)}
    data = load(lay(tmp_path / "pets", **tables), tmp_path / "cache")
    assert [data.counts(split) for split in ("train", "val", "test")] == counts


def test_a_test_split_without_labels_is_passed_over(tmp_path):
    hidden = table(6, 2, labels=[-1] * 6)[0]
    (train, _), (val, pixels) = table(30, 0), table(6, 1)
    data = load(lay(tmp_path / "pets", train=train, validation=val, test=hidden), tmp_path / "cache")
    assert (data.test.images == pixels.transpose(0, 3, 1, 2)).all()


def test_labels_that_are_strings_or_numbers(tmp_path):
    words = [("owl", "ant", "bee")[i % 3] for i in range(30)]
    text = lay(tmp_path / "text", train=table(30, 0, "kind", datasets.Value("string"), words)[0])
    assert load(text, tmp_path / "cache", label="kind").class_names == ("ant", "bee", "owl")
    whole = lay(tmp_path / "whole", train=table(30, 0, "kind", datasets.Value("int64"))[0])
    assert load(whole, tmp_path / "cache", label="kind").class_names == ("0", "1", "2")
    with pytest.raises(DecoctError, match=r"which column is the label\? none is marked as such\nset label"):
        load(text, tmp_path / "cache")


def test_a_label_that_is_missing(tmp_path):
    train = table(30, 0, labels=[-1 if i == 4 else i % 3 for i in range(30)])[0]
    with pytest.raises(DecoctError, match="row 4 of split 'train' has the label -1, which is none of the 3 classes"):
        load(lay(tmp_path / "pets", train=train), tmp_path / "cache")


def test_pictures_that_do_not_decode(tmp_path):
    rows = table(30, 0)[0].cast_column("img", datasets.Image(decode=False)).to_dict()
    rows["img"][7] = {"bytes": b"no picture", "path": None}
    features = datasets.Features(
        {"id": datasets.Value("int64"), "img": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)}
    )
    root = lay(tmp_path / "pets", train=datasets.Dataset.from_dict(rows, features=features))
    with pytest.raises(DecoctError, match=r"1 of 30 images .*train/7 \(not an image\)\n.*skip_corrupt"):
        load(root, tmp_path / "cache")
    data = load(root, tmp_path / "cache", skip_corrupt=True)
    assert data.skipped == ("train/7",) and len(data.train) + len(data.val) + len(data.test) == 29


def test_grey_pictures_are_one_channel(tmp_path):
    grey = [{"bytes": png(np.full((12, 12), i, dtype=np.uint8)), "path": None} for i in range(30)]
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    train = datasets.Dataset.from_dict({"img": grey, "label": [i % 3 for i in range(30)]}, features=features)
    data = load(lay(tmp_path / "pets", train=train), tmp_path / "cache")
    assert data.shape == (1, 12, 12) and data.flip is False


def test_class_folders_that_the_library_reads(tmp_path):
    _, pixels = table(30, 0)
    for i, image in enumerate(pixels):
        folder = tmp_path / "pets" / "train" / NAMES[i % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(image).save(folder / f"{i:02d}.png")
    data = load(tmp_path / "pets", tmp_path / "cache")
    assert data.class_names == tuple(sorted(NAMES))
    every = {image.tobytes() for split in (data.train, data.val, data.test) for image in split.images}
    assert every == {image.tobytes() for image in pixels.transpose(0, 3, 1, 2)}


def test_one_parquet_file(tmp_path):
    table(30, 0)[0].to_parquet(tmp_path / "pets.parquet")
    data = load(tmp_path / "pets.parquet", tmp_path / "cache")
    assert data.name == "pets" and data.counts("test") == [2] * 3


def put_into_cache(tmp_path, commit=COMMIT):
    """What ``load_dataset("someone/pets")`` leaves in the library's cache."""
    from datasets.packaged_modules.parquet.parquet import Parquet

    root = lay(tmp_path / "published", train=table(30, 0)[0], test=table(6, 1)[0])
    files = {split: [str(root / "data" / f"{split}-00000-of-00001.parquet")] for split in ("train", "test")}
    builder = Parquet(cache_dir=str(tmp_path / "build"), dataset_name="pets", hash=commit, data_files=files)
    builder.download_and_prepare()
    target = tmp_path / "hub" / "someone___pets" / "default" / "0.0.0" / commit
    shutil.copytree(builder.cache_dir, target)
    info = json.loads((target / "dataset_info.json").read_text())
    (target / "dataset_info.json").write_text(json.dumps(info | {"config_name": "default"}))


def test_a_name_from_the_cache_without_a_network(tmp_path, monkeypatch):
    put_into_cache(tmp_path)
    data = load("someone/pets", tmp_path / "cache")
    assert (data.test.images == table(6, 1)[1].transpose(0, 3, 1, 2)).all()
    assert data.name == "pets"
    assert Hub(path="someone/pets").manifest() == {"name": "someone/pets", "subset": "default", "commit": COMMIT}
    monkeypatch.setattr(Hub, "read", lambda *_: pytest.fail("it was read again"))
    assert load("someone/pets", tmp_path / "cache", revision=COMMIT).digest == data.digest
    with pytest.raises(
        DecoctError, match=rf"its cache has someone/pets at {COMMIT}, not {'f' * 40}\nleave out revision"
    ):
        load("someone/pets", tmp_path / "cache", revision="f" * 40)


def test_a_name_that_is_nowhere_without_a_network(tmp_path):
    with pytest.raises(DecoctError, match=r"cannot reach the hub for 'someone/else'.*\n.*local copy.*HF_HOME"):
        load("someone/else", tmp_path / "cache")


@pytest.mark.parametrize("path", ["/no/such/folder", "./none", "~/none-at-all", "a/b/c", "none.parquet"])
def test_a_folder_that_is_not_there(tmp_path, path):
    with pytest.raises(DecoctError, match="no such folder"):
        load(path, tmp_path / "cache")


def test_a_folder_with_nothing_that_is_read(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.py").write_text("raise SystemExit")
    with pytest.raises(DecoctError, match="cannot load"):
        load(tmp_path / "empty", tmp_path / "cache")


def test_a_damaged_parquet_file(tmp_path):
    root = lay(tmp_path / "pets", train=table(30, 0)[0])
    file = root / "data" / "train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DecoctError, match="cannot load"):
        load(root, tmp_path / "cache")
