"""A source becomes a pool once: exact pixels and facts, unusable files, what is kept, what is refused."""

import errno
import hashlib
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from decoct.core.errors import DecoctError, UsageError
from decoct.data.reading.decode import decode
from decoct.data.sources._shared.pictures import usual_size
from decoct.shrinking.pool import TEST, TRAIN, VAL, open_pool
from decoct.shrinking.reading import read
from decoct.shrinking.reading.read import read_pool


@pytest.fixture
def out(tmp_path):
    return tmp_path / "pools"


def row_of(pool, path):
    return pool.paths.index(path)


def test_every_picture_arrives_exactly_with_what_its_file_says(grow, out):
    root = grow({"cat": 5, "dog": 4})
    pool = read_pool(root, out)
    assert len(pool) == 9 and pool.images.shape == (9, 3, 12, 12)
    assert pool.paths == tuple(sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png")))
    for row, path in enumerate(pool.paths):
        data = (root / path).read_bytes()
        assert (pool.images[row] == np.asarray(Image.open(root / path)).transpose(2, 0, 1)).all()
        assert pool.class_names[pool.labels[row]] == path.partition("/")[0]
        assert (pool.width[row], pool.height[row], pool.bytes[row]) == (12, 12, len(data))
        assert int(pool.content[row]).to_bytes(8, "little") == hashlib.sha256(data).digest()[:8]
    assert (pool.split == TRAIN).all() and pool.groups.tolist() == list(range(9))
    assert pool.facts["said"] == ["all 9 pictures are 12 × 12 px and stay at 12 px"]
    again = open_pool(pool.folder)
    assert again.digest == pool.digest and (again.images == pool.images).all()


def test_splits_and_classes_match_by_name(grow, out):
    root = grow({"train/b": 3, "train/a": 2, "val/a": 1, "val/b": 1, "test/a": 2, "test/b": 1})
    pool = read_pool(root, out)
    assert pool.class_names == ("a", "b")
    assert [len(pool.rows(split)) for split in (TRAIN, VAL, TEST)] == [5, 2, 3]
    assert pool.counts(pool.rows(TRAIN)) == [2, 3] and pool.counts(pool.rows(TEST)) == [2, 1]


def test_a_second_call_decodes_nothing(grow, out, monkeypatch):
    root = grow({"cat": 3, "dog": 3})
    first = read_pool(root, out)
    monkeypatch.setattr(read, "write_block", lambda made, block: pytest.fail("decoded again"))
    again = read_pool(str(root), out)
    assert again.folder == first.folder and again.source == str(root)


@pytest.mark.parametrize("change", ["touched", "added", "removed", "size", "groups"])
def test_what_changes_is_read_again(grow, out, change):
    root = grow({"cat": 3, "dog": 3})
    first, options = read_pool(root, out), {}
    if change == "touched":
        os.utime(root / "cat" / "000.png", (1, 1))
    elif change == "added":
        shutil.copy(root / "cat" / "000.png", root / "cat" / "003.png")
    elif change == "removed":
        (root / "cat" / "000.png").unlink()
    else:
        options = {"size": 8} if change == "size" else {"groups": r"(\d)\.png"}
    again = read_pool(root, out, **options)
    assert again.folder != first.folder
    assert (again.digest == first.digest) == (change == "touched")


def test_workers_change_nothing(grow, out, tmp_path):
    root = grow({"cat": 150, "dog": 150})
    one, two = read_pool(root, out, workers=1), read_pool(root, tmp_path / "other", workers=2)
    assert one.digest == two.digest and (one.images == two.images).all() and (one.content == two.content).all()


def test_a_killed_reading_is_continued_where_it_was(grow, out, monkeypatch):
    monkeypatch.setattr(read, "OWN", 2)
    root = grow({"cat": 4, "dog": 4})
    whole = read_pool(root, out.with_name("whole"), workers=1)

    def stop(done, total):
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_pool(root, out, workers=1, progress=stop)
    assert not [path for path in out.iterdir() if path.name != "unfinished"]
    seen = []
    monkeypatch.setattr(
        read, "write_block", lambda made, block, was=read.write_block: seen.append(block[0]) or was(made, block)
    )
    pool = read_pool(root, out, workers=1)
    assert seen == [4, 6] and pool.digest == whole.digest and (pool.images == whole.images).all()
    assert {path.name for path in out.iterdir()} == {pool.folder.name, "unfinished"} and not any(
        (out / "unfinished").iterdir()
    )


@pytest.mark.parametrize(
    ("sides", "expected"), [((12,), 12), ((64,), 64), ((65,), 64), ((20, 90, 90), 64), ((20, 21, 90), 32), ((28,), 28)]
)
def test_the_size_is_the_usual_one(grow, out, sides, expected):
    for side in sides:
        root = grow({f"a/{side}": 1, f"b/{side}": 1}, side=side, seed=side)
    pool = read_pool(root, out)
    assert pool.size == expected == usual_size([(side, side) for side in sides for _ in "ab"])[0]
    for row, path in enumerate(pool.paths):
        assert (pool.images[row] == decode((root / path).read_bytes(), expected, 3)).all()
    assert sorted(path.name for path in pool.folder.glob("images*")) == ["images.npy"]


def test_the_first_picture_may_be_none_and_the_size_is_still_the_others(grow, out):
    root = grow({"cat": 3, "dog": 3}, side=10)
    big = Image.fromarray(np.zeros((40, 40, 3), dtype=np.uint8))
    big.save(root / "cat" / "000.png")
    data = (root / "cat" / "000.png").read_bytes()
    (root / "cat" / "000.png").write_bytes(data[: len(data) // 2])  # its header is whole
    pool = read_pool(root, out)
    assert pool.size == 10 and len(pool) == 5
    assert [path.name for path in pool.folder.glob("images*")] == ["images.npy"]


def test_a_size_that_is_asked_for(grow, out):
    root = grow({"cat": 2, "dog": 2}, side=30)
    pool = read_pool(root, out, size=16)
    assert (pool.images[0] == decode((root / pool.paths[0]).read_bytes(), 16, 3)).all()
    with pytest.raises(UsageError, match="take 4 to 1024"):
        read_pool(root, out, size=2)


def test_grey_pictures_have_one_channel_until_one_is_coloured(grow, out):
    root = grow({"cat": 3, "dog": 3}, mode="L")
    pool = read_pool(root, out)
    assert pool.images.shape == (6, 1, 12, 12)
    assert (pool.images[2, 0] == np.asarray(Image.open(root / pool.paths[2]))).all()
    Image.new("RGB", (12, 12), (9, 8, 7)).save(root / "cat" / "000.png")
    assert read_pool(root, out).images.shape == (6, 3, 12, 12)


def test_files_that_do_not_decode_are_listed_and_left_out(grow, out):
    root = grow({"cat": 4, "dog": 4})
    (root / "cat" / "000.png").write_bytes(b"")
    (root / "cat" / "002.png").write_bytes(b"no picture")
    whole = (root / "dog" / "003.png").read_bytes()
    (root / "dog" / "003.png").write_bytes(whole[: len(whole) // 2])
    (root / "dog" / "broken.png").symlink_to(root / "nowhere.png")
    os.mkfifo(root / "dog" / "pipe.png")
    Image.new("1", (20_000, 20_000)).save(root / "dog" / "bomb.png")
    pool = read_pool(root, out)
    reasons = {path: why for path, _, why in pool.unreadable}
    assert reasons.pop("dog/003.png")
    assert reasons == {
        "cat/000.png": "empty file",
        "cat/002.png": "not an image",
        "dog/bomb.png": "more than 89,478,485 pixels",
        "dog/broken.png": "no such file",
        "dog/pipe.png": "not a regular file",
    }
    assert {kind for path, kind, _ in pool.unreadable if path.startswith("cat")} == {"cat"}
    assert pool.paths == ("cat/001.png", "cat/003.png", "dog/000.png", "dog/001.png", "dog/002.png")
    for row, path in enumerate(pool.paths):
        assert (pool.images[row] == np.asarray(Image.open(root / path)).transpose(2, 0, 1)).all()


def test_a_class_that_loses_all_is_an_error(grow, out):
    root = grow({"train/cat": 2, "train/dog": 1, "test/cat": 1, "test/dog": 1})
    (root / "test" / "dog" / "000.png").write_bytes(b"")
    with pytest.raises(DecoctError, match=r"class 'dog' has no image that decodes in test"):
        read_pool(root, out)
    shutil.rmtree(root / "test")
    (root / "train" / "dog" / "000.png").write_bytes(b"")
    with pytest.raises(DecoctError, match=r"class 'dog' has no image that decodes in train"):
        read_pool(root, out)
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DecoctError, match=r"none of the 3 pictures .* can be read: train/cat/000.png \(empty file\)"):
        read_pool(root, out)


def test_small_classes_are_told(grow, out):
    pool = read_pool(grow({"a": 1, "b": 3, "c": 2, "d": 5}), out)
    assert pool.facts["said"][-1] == "2 classes have only one or two images: a, c"


def test_extensions_that_lie(grow, out):
    root = grow({"cat": 2, "dog": 2}, ending="jpg")
    shutil.move(root / "cat" / "000.jpg", root / "cat" / "000.png")
    Image.open(root / "dog" / "001.jpg").save(root / "dog" / "001.gif", "PNG")
    pool = read_pool(root, out)
    assert pool.facts["extensions"] == [
        [row_of(pool, "cat/000.png"), "JPEG"],
        [row_of(pool, "dog/001.gif"), "PNG"],
    ]


def test_upright_width_and_height(grow, out):
    root = grow({"cat": 1, "dog": 1})
    turned = Image.new("RGB", (30, 20), (200, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(root / "cat" / "turned.jpg", exif=exif)
    turned.resize((3000, 2001)).save(root / "cat" / "large.jpg", exif=exif)
    pool = read_pool(root, out)
    sizes = {path: (int(w), int(h)) for path, w, h in zip(pool.paths, pool.width, pool.height, strict=True)}
    assert sizes["cat/turned.jpg"] == (20, 30) and sizes["cat/large.jpg"] == (2001, 3000)


def test_equal_files_share_a_group_and_given_groups_join_them(grow, out):
    root = grow({"cat": 3, "dog": 3})
    shutil.copy(root / "cat" / "000.png", root / "dog" / "copy.png")
    pool = read_pool(root, out)
    assert pool.groups[row_of(pool, "cat/000.png")] == pool.groups[row_of(pool, "dog/copy.png")]
    assert len(np.unique(pool.groups)) == 6
    pool = read_pool(root, out, groups=r"(00[01])\.png")
    joined = {"cat/000.png", "dog/000.png", "dog/copy.png"}
    assert {path for path, group in zip(pool.paths, pool.groups, strict=True) if group == pool.groups[0]} == joined
    with pytest.raises(UsageError, match="no regular expression"):
        read_pool(root, out, groups="[")


def test_groups_follow_their_rows_where_some_are_left_out(grow, out):
    root = grow({"cat": 3, "dog": 3})
    (root / "cat" / "000.png").write_bytes(b"")
    pool = read_pool(root, out, groups=r"\d+")
    by_group = {path[-7:-4]: group for path, group in zip(pool.paths, pool.groups, strict=True)}
    assert [by_group[path[-7:-4]] for path in pool.paths] == pool.groups.tolist()
    assert len(np.unique(pool.groups)) == 3


def test_other_groups_decode_nothing(grow, out, monkeypatch):
    root = grow({"cat": 3, "dog": 3})
    first = read_pool(root, out)
    monkeypatch.setattr(read, "write_block", lambda made, block: pytest.fail("decoded again"))
    second = read_pool(root, out, groups=r"\d+")
    assert second.digest != first.digest and second.folder.parent == first.folder.parent
    assert read_pool(root, out, groups=r"\d+").folder == second.folder
    assert read_pool(root, out).digest == first.digest


def test_names_of_any_kind(grow, out):
    names = {"10": 1, "9": 1, "2": 1}
    assert read_pool(grow(names), out).class_names == ("2", "9", "10")
    odd = {"Äpfel und Öl": 1, "naïve  spaces": 2, "it's <b>": 1}
    pool = read_pool(grow(odd, "odd"), out)
    assert set(pool.class_names) == set(odd) and json.loads((pool.folder / "pool.json").read_text()) is not None


def test_many_classes(grow, out):
    pool = read_pool(grow({f"c{i}": 1 for i in range(1000)}, side=4), out)
    assert len(pool.class_names) == 1000 and pool.facts["said"][-1].startswith("1,000 classes have only one or two")


def test_a_source_that_cannot_be_written_is_no_trouble(grow, out):
    root = grow({"cat": 2, "dog": 2})
    before = sorted((str(path), path.stat().st_mtime_ns) for path in root.rglob("*"))
    for path in (root / "cat", root / "dog", root):
        path.chmod(0o555)
    try:
        read_pool(root, out)
    finally:
        for path in (root, root / "cat", root / "dog"):
            path.chmod(0o755)
    assert sorted((str(path), path.stat().st_mtime_ns) for path in root.rglob("*")) == before


def test_a_place_that_cannot_be_written(grow, tmp_path):
    root = grow({"cat": 2, "dog": 2})
    (tmp_path / "file").write_text("")
    with pytest.raises(DecoctError, match=r"cannot write to .*file.*\n.*DECOCT_STORE"):
        read_pool(root, tmp_path / "file")
    with pytest.raises(UsageError, match="choose another folder"):
        read_pool(root, root / "small")


def test_a_full_disk_is_told_before_anything_is_decoded(grow, out, monkeypatch):
    free = shutil.disk_usage(out.parent)._replace(free=1000)
    monkeypatch.setattr("decoct.shrinking.reading.blocks.shutil.disk_usage", lambda path: free)
    with pytest.raises(DecoctError, match=r"6 images .* take .* GB"):
        read_pool(grow({"cat": 3, "dog": 3}), out)


def test_a_disk_that_fills_up_on_the_way_is_told(grow, out, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("decoct.shrinking.reading.blocks._write", full)
    with pytest.raises(DecoctError, match="No space left on device\nfree some space"):
        read_pool(grow({"cat": 3, "dog": 3}), out)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\1\0\1\0{"])
def test_a_damaged_pool_says_what_to_do(grow, out, content):
    pool = read_pool(grow({"cat": 2, "dog": 2}), out)
    (pool.folder / "labels.npy").write_bytes(content)
    with pytest.raises(DecoctError, match=r"are damaged: .*; remove that folder"):
        read_pool(grow({}), out)
