"""Parquet shards: rows, names, what is no picture."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decoct.core.errors import DecoctError
from decoct.data.imagenet.imagenet import wnids
from decoct.data.imagenet.shards import Parquet

SOME = wnids()[100:105]
CELL = {"bytes": b"x", "path": None}


@pytest.fixture
def museum(hang):
    return hang(SOME)


def found(root, wanted=SOME):
    layout = Parquet(root, wnids(), frozenset(wanted))
    pictures = [picture for piece in layout.pieces() for _, picture in layout.pictures(piece)]
    return {(p.split, p.wnid, p.name): p.data for p in pictures}


def one(root, images, labels, kind=None):
    root.mkdir(exist_ok=True)
    kind = kind or pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(images, kind), "label": labels})
    for split in ("train", "validation"):
        pq.write_table(table, root / f"{split}-00000-of-00001.parquet")
    return root


def test_every_picture_is_found_under_imagenets_own_name(tmp_path, museum):
    root = museum.parquet(tmp_path / "raw")
    assert found(root) == found(root / "data") == museum.pictures
    assert found(root, SOME[:2]) == {key: data for key, data in museum.pictures.items() if key[1] in SOME[:2]}


def test_row_groups_are_pieces_and_rows_can_be_asked_for(tmp_path, museum):
    layout = Parquet(museum.parquet(tmp_path / "raw"), wnids(), frozenset(SOME))
    for piece in layout.pieces():
        every = dict(layout.pictures(piece))
        assert list(every) == list(range(len(every))) and 0 < len(every) <= 7
        assert dict(layout.pictures(piece, {0})) == {0: every[0]}


def test_rows_without_a_path_are_named_by_their_place(tmp_path):
    root = one(tmp_path / "raw", [CELL, CELL], [100, 104])
    assert ("train", SOME[0], "train-00000-of-00001_0000000.JPEG") in found(root)
    assert ("val", SOME[4], "validation-00000-of-00001_0000001.JPEG") in found(root)


def test_labels_in_another_order_are_told(tmp_path):
    root = one(tmp_path / "raw", [{"bytes": b"x", "path": f"{SOME[1]}_7.JPEG"}], [100])
    with pytest.raises(
        DecoctError, match=rf"picture of {SOME[1]} by its name, but is filed as {SOME[0]}\n.*sorted WordNet"
    ):
        found(root)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ([CELL], [1000], "row 0 of .* has the label 1000: ImageNet-1K's are 0 to 999"),
        ([CELL], [-1], "has the label -1"),
        ([CELL], pa.array([None], pa.int64()), "has the label None"),
        ([{"bytes": None, "path": "a.JPEG"}], [100], "holds no bytes of a picture"),
        ([None], [100], "holds no bytes of a picture"),
        ([CELL], ["tench"], "has the columns image, label\nneeded are"),
    ],
)
def test_rows_that_are_no_pictures_are_told(tmp_path, images, labels, message):
    with pytest.raises(DecoctError, match=message):
        found(one(tmp_path / "raw", images, labels))


def test_other_columns_are_told(tmp_path):
    with pytest.raises(DecoctError, match="has the columns image, label\nneeded are image, a struct"):
        found(one(tmp_path / "raw", [b"x"], [100], pa.binary()))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_truncated_shard_is_told(tmp_path, museum, share):
    root = museum.parquet(tmp_path / "raw")
    shard = root / "data" / "train-00001-of-00003.parquet"
    shard.write_bytes(shard.read_bytes()[: int(share * shard.stat().st_size)])
    with pytest.raises(DecoctError, match=r"train-00001-of-00003\.parquet cannot be read: .*\nit may be truncated"):
        found(root)


def test_damaged_pages_are_told(tmp_path, museum):
    root = museum.parquet(tmp_path / "raw")
    shard = root / "data" / "train-00001-of-00003.parquet"
    data = bytearray(shard.read_bytes())
    data[4:60] = bytes(56)
    shard.write_bytes(data)
    with pytest.raises(DecoctError, match=r"train-00001-of-00003\.parquet cannot be read"):
        found(root)
