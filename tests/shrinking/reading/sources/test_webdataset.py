"""Shards: samples, labels, splits and patterns; pictures are read from their place, and what is damaged is named."""

import gzip
import json

import pytest

from decoct.core.errors import DecoctError
from decoct.data.reading.decode import decode
from decoct.shrinking.pool import TEST, TRAIN, VAL
from decoct.shrinking.reading.originals import original, original_path
from decoct.shrinking.reading.read import read_pool
from decoct.shrinking.reading.sources.webdataset import found, listing, spelt


def test_ranges_in_braces():
    assert list(spelt("a-{08..11}.tar")) == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert list(spelt("{0..1}/{5..6}.tar")) == ["0/5.tar", "0/6.tar", "1/5.tar", "1/6.tar"]
    assert list(spelt("one.tar")) == ["one.tar"]


def test_shards_become_a_pool_and_give_their_pictures_again(tmp_path, pack, picture):
    root = tmp_path / "shards"
    for shard in range(3):
        files = {}
        for i in range(4):
            key = f"some.dir/{shard}_{i}"
            files |= {f"{key}.png": picture(10 * shard + i), f"{key}.cls": f"{i % 2}\n".encode(), f"{key}.txt": b"x"}
        pack(root / f"set-{shard:03d}.tar", files)
    pool = read_pool(f"{root}/set-{{000..002}}.tar", tmp_path / "pools", groups=r"/(\d)_")
    assert len(pool) == 12 and pool.class_names == ("0", "1") and (pool.split == TRAIN).all()
    assert pool.paths[5] == "set-001.tar/some.dir/1_1.png" and pool.groups.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    for row in range(12):
        data = picture(10 * (row // 4) + row % 4)
        assert original(pool, row) == (data, ".png") and original_path(pool, row) is None
        assert (pool.images[row] == decode(data, 12, 3)).all()
    assert not any(path.suffix == ".png" for path in tmp_path.rglob("*"))
    assert read_pool(root, tmp_path / "pools", groups=r"/(\d)_").digest == pool.digest
    assert len(found(f"{root}/set-*.tar")) == 3


def test_splits_are_in_names_of_shards_or_of_their_folders(tmp_path, pack, picture):
    files = {"a.png": picture(1), "a.cls": b"x", "b.png": picture(2), "b.cls": b"y"}
    for name in ("train-0.tar", "train-1.tar", "validation-0.tar", "test-0.tar"):
        pack(tmp_path / "flat" / name, files)
    assert listing("s", str(tmp_path / "flat")).split.tolist() == [TEST] * 2 + [TRAIN] * 4 + [VAL] * 2
    for name in ("train/0.tar", "test/0.tar"):
        pack(tmp_path / "deep" / name, files)
    assert listing("s", str(tmp_path / "deep")).split.tolist() == [TEST] * 2 + [TRAIN] * 2


def test_labels_in_json(tmp_path, pack, picture):
    files = {"a.png": picture(1), "a.json": json.dumps({"label": "Äpfel", "w": 3}).encode()}
    files |= {"b.json": json.dumps({"cls": 7}).encode(), "b.png": picture(2)}
    files |= {"c.png": picture(3), "c.json": b"{}", "c.cls": b"7"}
    listed = listing("s", str(pack(tmp_path / "s.tar", files)))
    assert listed.class_names == ("7", "Äpfel") and listed.labels.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.png": b"1", "b.png": b"1", "b.cls": b"0"}, "sample 'a' has no label"),
        ({"a.cls": b"1"}, "sample 'a' has no picture"),
        ({"a.png": b"1", "a.jpg": b"1", "a.cls": b"1"}, "has two pictures"),
        (
            {"a.png": b"1", "a.cls": b"1", "b.png": b"1", "b.cls": b"0", "a.txt": b"", "a.json": b"{}"},
            "'a' is there twice",
        ),
        ({"a.png": b"1", "a.cls": b" "}, "'a.cls' in .* holds no label"),
        ({"a.png": b"1", "a.json": b"{"}, "'a.json' in .* holds no label"),
        ({"a.png": b"1", "a.json": b'{"label": [1]}'}, "holds no label"),
        ({"../a.png": b"1", "../a.cls": b"1"}, "leads out of the archive"),
        ({"a.txt": b"1"}, "no classes"),
        ({"a.png": b"1", "a.cls": b"1"}, "only one class, '1'"),
    ],
)
def test_samples_that_are_not_whole(tmp_path, pack, files, message):
    with pytest.raises(DecoctError, match=message):
        listing("s", str(pack(tmp_path / "s.tar", files)))


def test_shards_that_are_not_there_packed_or_cut_short(tmp_path, pack, picture):
    tar = pack(tmp_path / "s-0.tar", {"a.png": picture(1), "a.cls": b"0", "b.png": picture(2), "b.cls": b"1"})
    with pytest.raises(DecoctError, match=r"2 of 3 shards are missing, such as .*s-1\.tar"):
        found(f"{tmp_path}/s-{{0..2}}.tar")
    with pytest.raises(DecoctError, match="no shards"):
        found(f"{tmp_path}/t*.tar")
    data = tar.read_bytes()
    tar.write_bytes(gzip.compress(data))
    with pytest.raises(DecoctError, match="is compressed"):
        found(str(tar))
    tar.write_bytes(data[:1300])
    with pytest.raises(DecoctError, match="cannot be read"):
        listing("s", str(tar))


def test_a_shard_that_is_gone(tmp_path, pack, picture):
    tar = pack(tmp_path / "s.tar", {"a.png": picture(1), "a.cls": b"0", "b.png": picture(2), "b.cls": b"1"})
    pool = read_pool(tar, tmp_path / "pools")
    tar.write_bytes(tar.read_bytes()[:600])
    with pytest.raises(DecoctError, match="shorter than it was"):
        original(pool, 1)
    tar.unlink()
    with pytest.raises(DecoctError, match="cannot read"):
        original(pool, 0)
