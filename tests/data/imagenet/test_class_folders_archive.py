"""An archive of class folders, as fastai's."""

import pytest

from decoct.core.errors import DecoctError
from decoct.data.imagenet.class_folders import FolderArchive
from decoct.data.imagenet.imagenet import wnids

SOME = wnids()[:3]


def found(path, wanted=SOME):
    layout = FolderArchive(path, wnids(), frozenset(wanted))
    return {(p.split, p.wnid, p.name): p.data for piece in layout.pieces() for _, p in layout.pictures(piece)}


@pytest.mark.parametrize("name", ["imagenette2.tgz", "imagenette2.tar.gz", "imagenette2.tar"])
def test_every_picture_is_found_with_its_class(tmp_path, hang, name):
    museum = hang(SOME)
    assert found(museum.archive(tmp_path / name)) == museum.pictures
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_other_files_are_passed_over_and_other_folders_told(tmp_path, tar):
    tar(tmp_path / "a.tgz", [("x/noisy_imagenette.csv", b"1"), (f"x/train/{SOME[0]}/{SOME[0]}_1.JPEG", b"2")])
    assert found(tmp_path / "a.tgz") == {("train", SOME[0], f"{SOME[0]}_1.JPEG"): b"2"}
    tar(tmp_path / "b.tgz", [("x/train/tench/1.JPEG", b"2")])
    with pytest.raises(DecoctError, match=r"'x/train/tench/1\.JPEG' is not in train/ or val/"):
        found(tmp_path / "b.tgz")


def test_a_truncated_archive_is_told(tmp_path, hang):
    path = hang(SOME).archive(tmp_path / "a.tgz")
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(DecoctError, match=r"a\.tgz cannot be read: .*\nit may be truncated"):
        found(path)
