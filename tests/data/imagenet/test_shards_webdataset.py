"""WebDataset shards: samples in any order of their files, and samples that are none."""

import itertools

import pytest

from decoct.core.errors import DecoctError
from decoct.data.imagenet.imagenet import wnids
from decoct.data.imagenet.shards import WebDataset

SOME = wnids()[900:903]


def found(root, wanted=SOME):
    layout = WebDataset(root, wnids(), frozenset(wanted))
    pictures = [picture for piece in layout.pieces() for _, picture in layout.pictures(piece)]
    return {(p.split, p.wnid, p.name): p.data for p in pictures}


def test_every_picture_is_found_with_its_class(tmp_path, hang):
    museum = hang(SOME)
    root = museum.webdataset(tmp_path / "raw")
    assert found(root) == museum.pictures
    assert found(root, SOME[1:]) == {key: data for key, data in museum.pictures.items() if key[1] in SOME[1:]}


def test_samples_can_be_asked_for_by_number(tmp_path, hang):
    layout = WebDataset(hang(SOME).webdataset(tmp_path / "raw"), wnids(), frozenset(SOME))
    for piece in layout.pieces():
        every = dict(layout.pictures(piece))
        assert list(every) == list(range(len(every))) and len(every) > 2
        assert dict(layout.pictures(piece, {2, 0})) == {0: every[0], 2: every[2]}


@pytest.mark.parametrize("order", list(itertools.permutations(("cls", "PICTURE", "json"))))
@pytest.mark.parametrize("extension", ["jpg", "jpeg", "png", "JPEG"])
def test_files_of_a_sample_come_in_any_order(tmp_path, tar, order, extension):
    data = {"cls": b"901\n", "PICTURE": b"x", "json": b"{}"}
    for split in ("train", "val"):
        files = [(f"a/{key}.{kind.replace('PICTURE', extension)}", data[kind]) for key in "12" for kind in order]
        tar(tmp_path / f"x-{split}-0.tar", files)
    assert found(tmp_path) == {(split, SOME[1], f"{key}.JPEG"): b"x" for split in ("train", "val") for key in "12"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([("1.cls", b"900")], "the sample '1' has no picture"),
        ([("1.jpg", b"x")], r"the sample '1' has no \.cls"),
        ([("1.jpg", b"x"), ("1.cls", b"tench")], "'1.cls' in .* holds b'tench', not the number of a class"),
        ([("1.jpg", b"x"), ("1.cls", b"\xff")], "not the number of a class"),
        ([("1.jpg", b"x"), ("1.cls", b"1000")], "'1' in .* has the label 1000"),
        ([("1.jpg", b"x"), ("1.png", b"x"), ("1.cls", b"900")], "the sample '1' is there twice, or has two pictures"),
        ([("1.jpg", b"x"), ("1.cls", b"900"), ("1.cls", b"900")], "is there twice"),
        ([(f"{SOME[0]}_1.jpg", b"x"), (f"{SOME[0]}_1.cls", b"901")], f"picture of {SOME[0]} by its name"),
        ([("../1.jpg", b"x"), ("../1.cls", b"900")], "leads out of the archive"),
    ],
)
def test_samples_that_are_none_are_told(tmp_path, tar, files, message):
    tar(tmp_path / "x-train-0.tar", files)
    tar(tmp_path / "x-val-0.tar", [("2.jpg", b"x"), ("2.cls", b"900")])
    with pytest.raises(DecoctError, match=message):
        found(tmp_path)


def test_a_truncated_shard_is_told(tmp_path, hang):
    root = hang(SOME).webdataset(tmp_path / "raw")
    shard = root / "imagenet1k-train-0001.tar"
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(DecoctError, match=r"imagenet1k-train-0001\.tar cannot be read: .*\nit may be truncated"):
        found(root)


def test_a_missing_shard_is_told(tmp_path, hang):
    root = hang(SOME).webdataset(tmp_path / "raw", shards=3)
    (root / "imagenet1k-train-0001.tar").unlink()
    with pytest.raises(DecoctError, match="1 of 3 shards of train are missing"):
        found(root)
