"""Class folders: exact pixels, keys that follow content, damage that is named, splits that do not leak."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from decoct.core.errors import DecoctError
from decoct.data.dataset import load_data, open_dataset
from decoct.data.reading.tree import StrayLinks
from decoct.data.sources.folder import Folder, TwoLabels


def load(root, cache, **fields):
    return load_data(Folder(path=root, **{"size": 12, **fields}), cache)


def test_every_image_arrives_exactly_with_its_class_and_file(tmp_path, grow):
    root = grow({"cat": 11, "dog": 14})
    data = load(root, tmp_path / "cache")
    seen = []
    for split in (data.train, data.val, data.test):
        for image, label, file in zip(split.images, split.labels, split.files, strict=True):
            assert (image == np.asarray(Image.open(root / file)).transpose(2, 0, 1)).all()
            assert file.startswith(data.class_names[label])
            seen.append(file)
    assert sorted(seen) == sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))


def test_a_cached_set_opens_as_it_was(tmp_path, grow):
    data = load(grow({"cat": 6, "dog": 6}), tmp_path / "cache")
    again = open_dataset(data.folder)
    assert (again.digest, again.mean, again.std, again.flip) == (data.digest, data.mean, data.std, data.flip)
    assert again.train.files == data.train.files
    assert (again.test.images == data.test.images).all()


def test_the_key_follows_content_and_nothing_else(tmp_path, grow):
    root = grow({"cat": 6, "dog": 6})
    digest = load(root, tmp_path / "cache").digest
    for path in root.rglob("*.png"):
        os.utime(path, (1, 1))
    assert load(root, tmp_path / "cache").digest == digest
    moved = shutil.copytree(root, tmp_path / "elsewhere" / root.name)
    assert load(moved, tmp_path / "other").digest == digest
    picture = root / "cat" / "000.png"
    pixels = np.asarray(Image.open(picture)).copy()
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(picture)
    assert load(root, tmp_path / "cache").digest != digest


def test_a_changed_byte_makes_the_cache_look_again(tmp_path, grow):
    root = grow({"cat": 6, "dog": 6})
    load(root, tmp_path / "cache")
    picture = root / "dog" / "001.png"
    data = bytearray(picture.read_bytes())
    data[data.index(b"IDAT") + 20] ^= 1
    picture.write_bytes(data)
    with pytest.raises(DecoctError, match=r"1 of 12 images .*dog/001\.png"):
        load(root, tmp_path / "cache")


def test_channels(tmp_path, grow):
    grey, colour = grow({"a": 5, "b": 5}, "grey", mode="L"), grow({"a": 5, "b": 5}, "colour")
    assert load(grey, tmp_path / "c").shape == (1, 12, 12)
    assert load(grey, tmp_path / "c", channels=3).shape == (3, 12, 12)
    assert load(colour, tmp_path / "c", channels=1).shape == (1, 12, 12)
    for path in grey.rglob("*.png"):
        Image.open(path).convert("RGBA").save(path)
    assert load(grey, tmp_path / "c").shape == (1, 12, 12)  # grey is what the pixels are, not how they are stored
    Image.new("RGB", (12, 12), (1, 2, 3)).save(grey / "a" / "000.png")
    assert load(grey, tmp_path / "c").shape == (3, 12, 12)


def break_some(root):
    (root / "cat" / "000.png").write_bytes(b"")
    (root / "cat" / "001.png").write_bytes((root / "cat" / "001.png").read_bytes()[:80])
    (root / "dog" / "000.png").write_bytes(b"no picture at all")
    (root / "dog" / "001.jpg").write_bytes(b"\xff\xd8\xff")


def test_files_that_do_not_decode_are_named_and_counted(tmp_path, grow):
    root = grow({"cat": 9, "dog": 9})
    break_some(root)
    message = (
        r"4 of 19 images .* cat/000\.png \(empty file\); cat/001\.png .*; dog/000\.png .*; and 1 more\n.*skip_corrupt"
    )
    with pytest.raises(DecoctError, match=message):
        load(root, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_they_are_skipped_counted_and_listed_on_request(tmp_path, grow):
    root = grow({"cat": 9, "dog": 9})
    break_some(root)
    data = load(root, tmp_path / "cache", skip_corrupt=True)
    assert data.skipped == ("cat/000.png", "cat/001.png", "dog/000.png", "dog/001.jpg")
    assert open_dataset(data.folder).skipped == data.skipped
    assert len(data.train) + len(data.val) + len(data.test) == 15
    every = {file for split in (data.train, data.val, data.test) for file in split.files}
    assert not every & set(data.skipped)


def test_a_class_with_nothing_left_is_named(tmp_path, grow):
    root = grow({"cat": 9, "dog": 1})
    (root / "dog" / "000.png").write_bytes(b"")
    with pytest.raises(DecoctError, match=r"class 'dog' .* has no image that decodes"):
        load(root, tmp_path / "cache", skip_corrupt=True)


def test_a_class_too_small_to_split_is_named(tmp_path, grow):
    with pytest.raises(DecoctError, match="class 'dog' has 1 distinct images left"):
        load(grow({"cat": 9, "dog": 2}), tmp_path / "cache")


@pytest.mark.filterwarnings("ignore::decoct.data.sources.folder.TwoLabels")
def test_duplicates_are_kept_and_never_straddle_splits(tmp_path, grow):
    root = grow({"cat": 30, "dog": 30})
    for i in range(15):
        shutil.copy(root / "cat" / f"{i:03d}.png", root / "cat" / f"copy{i}.png")
        shutil.copy(root / "cat" / f"{i:03d}.png", root / "dog" / f"cat{i}.png")
    for seed in range(5):
        data = load(root, tmp_path / "cache", split_seed=seed)
        pixels = [{image.tobytes() for image in split.images} for split in (data.train, data.val, data.test)]
        assert sum(map(len, pixels)) == 60
        assert not (pixels[0] & pixels[1] or pixels[0] & pixels[2] or pixels[1] & pixels[2])
        assert len(data.train) + len(data.val) + len(data.test) == 90


def test_split_folders_are_taken_as_they_are(tmp_path, grow):
    grow({"train/a": 10, "train/b": 10, "val/a": 2, "val/b": 3, "test/a": 4, "test/b": 5})
    data = load(tmp_path / "pets", tmp_path / "cache")
    assert [data.counts(split) for split in ("train", "val", "test")] == [[10, 10], [2, 3], [4, 5]]
    assert data.class_names == ("a", "b")
    assert all(file.startswith("val/") for file in data.val.files)


def test_what_is_missing_is_cut_from_train(tmp_path, grow):
    root = grow({"train/a": 20, "train/b": 20, "test/a": 4, "test/b": 5})
    data = load(root, tmp_path / "cache")
    assert [data.counts(split) for split in ("train", "val", "test")] == [[18, 18], [2, 2], [4, 5]]
    (root / "test").rename(root / "val")
    data = load(root, tmp_path / "cache")
    assert [data.counts(split) for split in ("train", "val", "test")] == [[16, 16], [4, 5], [4, 4]]


def test_the_split_follows_its_seed(tmp_path, grow):
    root = grow({"a": 20, "b": 20})
    files = [load(root, tmp_path / f"c{i}", split_seed=seed).test.files for i, seed in enumerate((0, 0, 1))]
    assert files[0] == files[1] != files[2]


def test_progress_counts_images(tmp_path, grow):
    said = []
    load_data(f"folder:{grow({'a': 4, 'b': 5})}", tmp_path / "cache", progress=lambda *pair: said.append(pair))
    assert said == [(i, 9) for i in range(1, 10)]


def test_an_image_that_changes_between_the_passes_is_told(tmp_path, grow):
    source = Folder(path=grow({"a": 4, "b": 4}))
    manifest = source.manifest()
    shutil.copy(source.path / "a" / "000.png", source.path / "a" / "001.png")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(DecoctError, match=r"a/001\.png changed while it was read"):
        source.read(manifest, tmp_path / "scratch", lambda *_: None)


def test_a_broken_link_is_told(tmp_path, grow):
    root = grow({"a": 4, "b": 4})
    (root / "a" / "gone.png").symlink_to(root / "nowhere.png")
    with pytest.raises(DecoctError, match=r"cannot read .*gone\.png: no such file"):
        load(root, tmp_path / "cache")


def test_without_a_size_pictures_of_one_small_size_keep_it(tmp_path, grow):
    root = grow({"cat": 6, "dog": 6})  # of 12 × 12 px
    asked = load(root, tmp_path / "cache", size=12)
    for _ in range(2):  # read, and from the cache, where the same content came from other fields
        data = load(root, tmp_path / "cache", size=None)
        assert data.size == 12 and data.digest == asked.digest
        assert data.said == "all 12 pictures are 12 × 12 px and stay at 12 px"
    assert asked.said == load(root, tmp_path / "cache", size=12).said == ""


@pytest.mark.parametrize(("large", "size"), [(6, 64), (5, 32)])
def test_without_a_size_the_shorter_sides_of_half_of_the_pictures_decide(tmp_path, grow, large, size):
    root = grow({"cat": 6, "dog": 6})
    for path in sorted(root.rglob("*.png"))[:large]:
        Image.open(path).resize((90, 64)).save(path)
    data = load(root, tmp_path / "cache", size=None)
    assert data.size == size
    assert data.said == f"pictures whose shorter side has 12 to 64 px are made {size} × {size} px"


def test_equal_files_in_two_classes_are_told_whenever_the_data_are_loaded(tmp_path, grow):
    root = grow({"cat": 9, "dog": 9})
    shutil.copy(root / "cat" / "000.png", root / "dog" / "puppy.png")
    for _ in range(2):
        with pytest.warns(TwoLabels, match=r"1 picture stands under two classes, .* cat/000\.png and dog/puppy\.png"):
            data = load(root, tmp_path / "cache")
        assert len(data.train) + len(data.val) + len(data.test) == 19


def test_a_link_to_the_folder_above_brings_no_picture_of_another_class(tmp_path, grow):
    root = grow({"cat": 9, "dog": 9})
    digest = load(root, tmp_path / "cache").digest
    (root / "cat" / "up").symlink_to("..")
    with pytest.warns(StrayLinks, match="cat/up -> "):
        assert load(root, tmp_path / "cache").digest == digest
