"""Class folders of ImageNet, and a flat val."""

import shutil

import pytest

from decoct.core.errors import DecoctError
from decoct.data.imagenet.class_folders import ClassFolders, is_class_folders
from decoct.data.imagenet.imagenet import wnids
from decoct.data.reading.tree import StrayLinks

SOME = wnids()[10:14]


@pytest.fixture
def museum(hang):
    return hang(SOME, train=3, val=2)


def found(root, wanted=SOME):
    layout = ClassFolders(root, wnids(), frozenset(wanted))
    pictures = [picture for piece in layout.pieces() for _, picture in layout.pictures(piece)]
    return {(p.split, p.wnid, p.name): p.data for p in pictures}


@pytest.mark.parametrize("flat", [False, True])
def test_every_picture_is_found_with_its_class(tmp_path, museum, flat):
    root = museum.folders(tmp_path, flat)
    assert is_class_folders(root)
    assert found(root) == museum.pictures
    some = {key: data for key, data in museum.pictures.items() if key[1] in SOME[1:3]}
    assert found(root, SOME[1:3]) == some


def test_numbers_of_pictures_are_stable_and_can_be_asked_for(tmp_path, museum):
    layout = ClassFolders(museum.folders(tmp_path), wnids(), frozenset(SOME))
    for piece in layout.pieces():
        every = dict(layout.pictures(piece))
        assert list(every) == list(range(len(every)))
        assert dict(layout.pictures(piece, {1})) == {1: every[1]}


def test_its_files_are_all_that_it_reads(tmp_path, museum):
    root = museum.folders(tmp_path, flat=True)
    layout = ClassFolders(root, wnids(), frozenset(SOME))
    assert set(layout.files()) == {path for path in root.rglob("*") if path.is_file()}


def test_a_link_to_another_class_is_left_out_and_named_once(tmp_path, museum):
    root = museum.folders(tmp_path)
    (root / "train" / SOME[0] / "up").symlink_to("../..")
    layout = ClassFolders(root, wnids(), frozenset(SOME[:1]))
    with pytest.warns(StrayLinks, match=f"1 link leads to .*: train/{SOME[0]}/up -> ") as told:
        files = list(layout.files())
    assert len(told) == 1 and len(files) == 3 + 2
    assert found(root) == museum.pictures


def test_a_missing_kit_says_where_to_get_it(tmp_path, museum):
    root = museum.folders(tmp_path, flat=True)
    (root / "ILSVRC2012_devkit_t12.tar.gz").unlink()
    with pytest.raises(DecoctError, match=r"carry no class.*\n.*ILSVRC2012_devkit_t12\.tar\.gz .*image-net\.org"):
        found(root)


def test_a_folder_that_is_no_class_is_named(tmp_path, museum):
    root = museum.folders(tmp_path)
    (root / "train" / SOME[0]).rename(root / "train" / "tench")
    with pytest.raises(DecoctError, match="train/tench is not a class of ImageNet-1K: name folders by WordNet id"):
        found(root)


def test_a_picture_in_another_classs_folder_is_told(tmp_path, museum):
    root = museum.folders(tmp_path)
    file = next((root / "train" / SOME[0]).iterdir())
    shutil.move(file, root / "train" / SOME[1] / file.name)
    with pytest.raises(
        DecoctError, match=rf"{file.name} is a picture of {SOME[0]} by its name, but is filed as {SOME[1]}"
    ):
        found(root)
