"""Imagenette from every layout and in both definitions: one data set, bit for bit, however it lies on disk."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from decoct.core.errors import DecoctError, UsageError
from decoct.data.dataset import load_data, open_dataset, parse_source
from decoct.data.imagenet.imagenet import wnids
from decoct.data.reading.decode import decode
from decoct.data.sources.imagenette import WNIDS, Imagenette

FASTAI = {"train": 6, "val": 4}


@pytest.fixture(scope="module")
def museum(hang):
    return hang(WNIDS)


@pytest.fixture(scope="module")
def divided(hang):
    """fastai's way: pictures of train and val put together and divided anew."""
    mixed = hang(WNIDS, train=7, val=3, seed=1)
    for wnid in WNIDS:
        mine = sorted(key for key in mixed.pictures if key[1] == wnid)
        for which, (split, _, name) in enumerate(mine):
            mixed.pictures[("val" if which % 2 else "train") + "-", wnid, name] = mixed.pictures.pop(
                (split, wnid, name)
            )
    mixed.pictures = {(split[:-1], wnid, name): data for (split, wnid, name), data in mixed.pictures.items()}
    return mixed


def load(path, cache, workers=1, **fields):
    return load_data(Imagenette(path=str(path), **{"size": 16, **fields}), cache, workers=workers)


def flat(museum, root):
    return museum.folders(root, flat=True)


def archive(museum, root):
    return museum.archive(root.with_suffix(".tgz"))


LAYOUTS = {
    "class folders": lambda m, root: m.folders(root),
    "class folders, val flat": flat,
    "the official tars": lambda m, root: m.official(root),
    "class folders in an archive": archive,
    "Parquet shards": lambda m, root: m.parquet(root),
    "WebDataset shards": lambda m, root: m.webdataset(root),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_picture_arrives_with_its_class_from_each_layout(tmp_path, museum, layout):
    data = load(LAYOUTS[layout](museum, tmp_path / "raw"), tmp_path / "cache")
    assert data.class_names == WNIDS == tuple(sorted(WNIDS))
    assert data.details["layout"] == layout.partition(", ")[0]
    assert data.name == "imagenette (ImageNet-1K)"
    assert [data.counts(split) for split in ("train", "val", "test")] == [[4] * 10, [1] * 10, [2] * 10]
    seen = set()
    for split, official in ((data.train, "train"), (data.val, "train"), (data.test, "val")):
        assert (np.diff(split.labels) >= 0).all()
        for image, label, file in zip(split.images, split.labels, split.files, strict=True):
            where, wnid, name = file.split("/")
            assert (where, wnid) == (official, WNIDS[label])
            assert (image == decode(museum.pictures[where, wnid, name], 16, 3)).all()
            seen.add((where, wnid, name))
    assert seen == set(museum.pictures)


def test_all_layouts_are_the_same_data_set(tmp_path, museum):
    made = [load(lay(museum, tmp_path / f"raw{i}"), tmp_path / f"c{i}") for i, lay in enumerate(LAYOUTS.values())]
    assert len({data.digest for data in made}) == 1
    for split in ("train", "val", "test"):
        for one in ("images.npy", "labels.npy"):
            assert len({(data.folder / f"{split}.{one}").read_bytes() for data in made}) == 1
    assert len({(data.folder / "files.json").read_bytes() for data in made}) == 1


def test_what_was_decoded_in_one_layout_is_found_again_in_another(tmp_path, museum, monkeypatch):
    first = load(museum.folders(tmp_path / "raw"), tmp_path / "cache")
    monkeypatch.setattr(Imagenette, "decode", lambda *_: pytest.fail("decoded twice"))
    for layout in ("the official tars", "Parquet shards", "WebDataset shards"):
        assert load(LAYOUTS[layout](museum, tmp_path / layout), tmp_path / "cache").folder == first.folder


def test_what_lies_as_it_did_is_not_even_read(tmp_path, museum, monkeypatch):
    root = museum.official(tmp_path / "raw")
    first = load(root, tmp_path / "cache")
    monkeypatch.setattr(Imagenette, "index", lambda *_: pytest.fail("read twice"))
    assert load(root, tmp_path / "cache").folder == first.folder


def test_a_picture_that_changes_makes_another_data_set(tmp_path, museum):
    root = museum.folders(tmp_path / "raw")
    first = load(root, tmp_path / "cache")
    file = root / first.test.files[3]
    pixels = np.asarray(Image.open(file))
    Image.fromarray(255 - pixels).save(file)
    second = load(root, tmp_path / "cache")
    assert second.digest != first.digest
    assert (second.test.images[3] == decode(file.read_bytes(), 16, 3)).all()
    assert (second.train.images == first.train.images).all()


def test_two_workers_make_what_one_makes(tmp_path, museum):
    root = museum.folders(tmp_path / "raw")
    one, two = (load(root, tmp_path / f"c{workers}", workers) for workers in (1, 2))
    for file in one.folder.iterdir():
        assert file.read_bytes() == (two.folder / file.name).read_bytes()


def test_val_is_seeded_and_of_train_alone(tmp_path, museum):
    root = museum.folders(tmp_path / "raw")
    made = [load(root, tmp_path / "cache", split_seed=seed, val_fraction=0.4) for seed in (0, 0, 1)]
    assert made[0].digest == made[1].digest != made[2].digest
    assert {data.test.files for data in made} == {made[0].test.files}
    assert made[0].counts("val") == [2] * 10
    assert made[0].val.files != made[2].val.files


def test_copies_of_a_file_stay_on_one_side(tmp_path, hang):
    museum = hang(WNIDS, train=6)
    for i, ((split, wnid, _), data) in enumerate(list(museum.pictures.items())):
        if split == "train":
            museum.pictures["train", wnid, f"{wnid}_{20000 + i}.JPEG"] = data
    root = museum.folders(tmp_path / "raw")
    for seed in range(3):
        data = load(root, tmp_path / "cache", split_seed=seed)
        train, val = ({image.tobytes() for image in split.images} for split in (data.train, data.val))
        assert len(train) + len(val) == 60
        assert len(data.train) + len(data.val) == 120


@pytest.mark.parametrize("layout", ["class folders", "class folders in an archive"])
def test_fastais_split_is_recognised_and_recorded(tmp_path, divided, layout):
    data = load(LAYOUTS[layout](divided, tmp_path / "raw"), tmp_path / "cache")
    assert data.name == "imagenette (fastai)"
    assert data.details["split"] == "fastai"
    assert data.details["expected"] == {"train": 9469, "val": 3925}
    assert data.details["found"] == {"train": 50, "val": 50}
    assert data.details["incomplete"] == []
    assert any("ILSVRC2012_val" in file for file in data.train.files)


def test_the_two_definitions_are_two_data_sets(tmp_path, museum, divided):
    ours, theirs = museum.folders(tmp_path / "ours"), divided.folders(tmp_path / "theirs")
    assert load(ours, tmp_path / "cache").digest != load(theirs, tmp_path / "cache").digest
    assert load(ours, tmp_path / "c", release="imagenet1k").digest == load(ours, tmp_path / "cache").digest
    assert load(theirs, tmp_path / "c", release="fastai").digest == load(theirs, tmp_path / "cache").digest
    with pytest.raises(DecoctError, match=r"is fastai's split of imagenette, not ImageNet-1K's\n.*release"):
        load(theirs, tmp_path / "cache", release="imagenet1k")
    with pytest.raises(DecoctError, match="is ImageNet-1K's split of imagenette, not fastai's"):
        load(ours, tmp_path / "cache", release="fastai")


def test_ten_classes_are_cut_out_of_more(tmp_path, museum, hang):
    others = hang([wnid for wnid in wnids()[::60] if wnid not in WNIDS], train=3, val=1, seed=5)
    both = type(museum)({**museum.pictures, **renumbered(others.pictures, 1000)})
    alone = load(museum.folders(tmp_path / "alone"), tmp_path / "c0")
    for i, layout in enumerate(LAYOUTS):
        assert load(LAYOUTS[layout](both, tmp_path / f"raw{i}"), tmp_path / f"c{i + 1}").digest == alone.digest


def renumbered(pictures, by):
    moved = {}
    for (split, wnid, name), data in pictures.items():
        moved[split, wnid, f"ILSVRC2012_val_{int(name[15:23]) + by:08d}.JPEG" if split == "val" else name] = data
    return moved


def test_english_names_travel_beside_the_wordnet_ids(tmp_path, museum):
    data = load(museum.folders(tmp_path / "raw"), tmp_path / "cache")
    assert data.details["english"][0] == "tench, Tinca tinca"
    assert data.details["english"][-1] == "parachute, chute"
    assert open_dataset(data.folder).details == data.details
    assert json.loads((data.folder / "data.json").read_text())["details"] == data.details


def break_some(root, files):
    for i, file in enumerate(files):
        good = (root / file).read_bytes()
        (root / file).write_bytes([b"", good[: len(good) // 2], b"no picture", b"\xff\xd8\xff"][i % 4])


def test_pictures_that_do_not_decode_are_named_and_listed(tmp_path, museum):
    root = museum.folders(tmp_path / "raw")
    files = sorted("/".join(key) for key in museum.pictures)[3:70:16]
    break_some(root, files)
    message = r"5 of 70 images .* do not decode: train/\S+ \(empty file\); .*; and 2 more\n.*--skip-corrupt"
    with pytest.raises(DecoctError, match=message) as error:
        load(root, tmp_path / "cache")
    listed = str(error.value).rpartition(" ")[2]
    assert [line.partition("\t")[0] for line in Path(listed).read_text("utf-8").splitlines()] == files


def test_they_are_left_out_on_request_without_decoding_again(tmp_path, museum, monkeypatch):
    root = museum.folders(tmp_path / "raw")
    whole = load(root, tmp_path / "whole")
    files = [whole.train.files[5], whole.train.files[6], whole.train.files[30], whole.test.files[0]]
    break_some(root, files)
    with pytest.raises(DecoctError, match="4 of 70"):
        load(root, tmp_path / "cache")
    monkeypatch.setattr("decoct.data.imagenet.blocks.write_block", lambda *_: pytest.fail("decoded twice"))
    data = load(root, tmp_path / "cache", skip_corrupt=True)
    assert data.skipped == tuple(sorted(files))
    assert data.details["corrupt"][files[0]] == "empty file"
    for name in ("train", "val", "test"):
        old, new = getattr(whole, name), getattr(data, name)
        keep = [i for i, file in enumerate(old.files) if file not in files]
        assert new.files == tuple(old.files[i] for i in keep)
        assert (new.images == old.images[keep]).all()
        assert (new.labels == old.labels[keep]).all()
    with pytest.raises(DecoctError, match=r"4 images do not decode and were left out before"):
        load(root, tmp_path / "cache")


def test_a_class_with_nothing_left_is_named(tmp_path, museum):
    root = museum.folders(tmp_path / "raw")
    break_some(root, ["/".join(key) for key in museum.pictures if key[:2] == ("val", WNIDS[4])])
    with pytest.raises(DecoctError, match=f"class {WNIDS[4]} has no picture in val that decodes"):
        load(root, tmp_path / "cache", skip_corrupt=True)


def test_a_bomb_in_a_tar_is_refused(tmp_path, museum):
    bomb = io.BytesIO()
    Image.new("L", (20000, 20000)).save(bomb, "JPEG", quality=1)
    key = next(key for key in museum.pictures if key[0] == "train")
    root = type(museum)({**museum.pictures, key: bomb.getvalue()}).official(tmp_path / "raw")
    with pytest.raises(DecoctError, match=rf"1 of 70 .*{key[2]} \(more than 89,478,485 pixels\)"):
        load(root, tmp_path / "cache")


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_class_that_is_missing_is_named(tmp_path, museum, split):
    kept = {key: data for key, data in museum.pictures.items() if key[:2] != (split, WNIDS[3])}
    for i, layout in enumerate(LAYOUTS):
        with pytest.raises(DecoctError, match=f"class {WNIDS[3]} has no pictures in {split}\n"):
            load(LAYOUTS[layout](type(museum)(kept), tmp_path / f"raw{i}"), tmp_path / "cache")


def test_a_study_names_it_like_any_other(tmp_path):
    source = parse_source({"name": "imagenette", "path": "/data/imagenette2-160.tgz", "size": 128})
    assert source == Imagenette(path="/data/imagenette2-160.tgz", size=128)
    assert parse_source("imagenette:hub:ILSVRC/imagenet-1k").path == "hub:ILSVRC/imagenet-1k"
    assert Imagenette(path="x").size == 224
    with pytest.raises(UsageError, match="release"):
        parse_source({"name": "imagenette", "path": "x", "release": "other"})
