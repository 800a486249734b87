"""The index: one order for all layouts, doubles, saving."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.data.imagenet import index
from decoct.data.imagenet.imagenet import wnids
from decoct.data.imagenet.recognise import recognise

SOME = wnids()[3:7]


def made(path, workers=1, record=None):
    with TemporaryDirectory() as folder:
        record = record or Path(folder) / "listed"
        return index.make(recognise(str(path), wnids(), SOME), SOME, workers, lambda *_: None, record)


def test_every_layout_has_the_same_index_but_for_places(tmp_path, hang):
    museum = hang(SOME)
    places = museum.folders(tmp_path / "a"), museum.official(tmp_path / "b"), museum.parquet(tmp_path / "c")
    found = [made(path) for path in (*places, museum.webdataset(tmp_path / "d"), museum.archive(tmp_path / "e.tgz"))]
    assert len({str(one.manifest(SOME)) for one in found}) == 1
    files = found[0].files(SOME, np.arange(len(found[0])))
    assert sorted(files) == sorted("/".join(key) for key in museum.pictures)
    rows = list(zip(found[0].split, found[0].label, found[0].name, strict=True))
    assert rows == sorted(rows)


def test_what_is_saved_is_read_again(tmp_path, hang):
    one = made(hang(SOME).folders(tmp_path / "raw"))
    index.save(one, tmp_path / "index.parquet")
    two = index.load(tmp_path / "index.parquet")
    for column in ("piece", "number", "split", "label", "name", "sum"):
        assert (getattr(one, column) == getattr(two, column)).all()
    assert one.manifest(SOME) == two.manifest(SOME)


@pytest.mark.parametrize("cut", [0, 1, 40, 0.5, 0.9, -1, None])
def test_a_listing_that_was_killed_goes_on(tmp_path, hang, monkeypatch, cut):
    root, record = hang(SOME).folders(tmp_path / "raw"), tmp_path / "listed"
    whole = made(root, record=record)
    data = record.read_bytes()
    record.write_bytes(data[: int(cut * len(data)) if isinstance(cut, float) else cut])
    kept = max(record.read_bytes().count(b"\n") - 1, 0)  # without the line that says what it is of
    read, listed = [], index._listed
    monkeypatch.setattr(index, "_listed", lambda layout, piece: read.append(piece) or listed(layout, piece))
    again = made(root, record=record)
    assert len(read) == 8 - kept
    assert again.manifest(SOME) == whole.manifest(SOME) and (again.piece == whole.piece).all()
    assert sorted(record.read_bytes().splitlines()) == sorted(data.splitlines())


@pytest.mark.parametrize("data", [None, b"", b"PAR1PAR1", b"x" * 100])
def test_no_index_is_no_error(tmp_path, data):
    if data is not None:
        (tmp_path / "index.parquet").write_bytes(data)
    assert index.load(tmp_path / "index.parquet") is None


def test_a_manifest_follows_names_classes_and_bytes(tmp_path, hang):
    museum = hang(SOME)
    first = made(museum.folders(tmp_path / "a")).manifest(SOME)
    key = next(iter(museum.pictures))
    renamed = {k: d for k, d in museum.pictures.items() if k != key} | {(*key[:2], f"{key[1]}_30000.JPEG"): b"x"}
    changed = museum.pictures | {key: b"x"}
    others = [made(type(museum)(p).folders(tmp_path / str(i))).manifest(SOME) for i, p in enumerate((renamed, changed))]
    assert len({str(manifest) for manifest in (first, *others)}) == 3


def test_a_picture_that_is_there_twice_is_told(tmp_path, hang, tar):
    root = hang(SOME).webdataset(tmp_path / "raw")
    name = f"{SOME[0]}_1"
    for split in ("train-0002", "train-0003"):
        tar(root / f"imagenet1k-{split}.tar", [(f"{name}.jpg", b"x"), (f"{name}.cls", b"3")])
    with pytest.raises(DecoctError, match=rf"\(WebDataset shards\): train/{SOME[0]}/{name}\.JPEG is there twice"):
        made(root)


def test_equal_bytes_are_one_group_numbered_by_first_appearance():
    sums = np.zeros((5, index.SUM), dtype=np.uint8)
    sums[:, 9] = [7, 3, 7, 1, 3]
    column = np.arange(5)
    one = index.Index(column, column, column, column, column.astype(str), sums)
    assert one.groups(np.arange(5)).tolist() == [0, 1, 0, 2, 1]
    assert one.groups(np.array([4, 3, 1])).tolist() == [0, 1, 0]


def test_workers_change_nothing(tmp_path, hang):
    root = hang(SOME).parquet(tmp_path / "raw")
    assert made(root).manifest(SOME) == made(root, workers=2).manifest(SOME)
