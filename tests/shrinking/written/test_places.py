"""Paths in an exported folder: as they were, never outside, never two the same."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shrinking.pools import make_pool

from decoct.shrinking.written.places import folder_names, parts, places


def placed(tmp_path, paths, labels, class_names, split=None, rows=None, **more):
    pool = make_pool(tmp_path / "pool", paths, labels, class_names, split)
    return places(pool, np.arange(len(paths)) if rows is None else np.array(rows), **more)


@pytest.mark.parametrize(
    ("paths", "split"),
    [
        (["train/Bär/ä b.JPG", "train/öl/sub/1.png", "test/Bär/1.png"], [0, 0, 2]),
        (["Bär/ä b.JPG", "öl/sub/1.png", "Bär/back\\slash.png"], None),
        (["train/Bär/1.png", "train/öl/2.png", "train/Bär/2.png"], None),
    ],
)
def test_a_tree_of_class_folders_keeps_its_paths(tmp_path, paths, split):
    assert placed(tmp_path, paths, [0, 1, 0], ["Bär", "öl"], split) == paths


def test_a_class_that_is_called_as_a_split_keeps_its_paths(tmp_path):
    paths = ["train/1.png", "bus/1.png"]
    assert placed(tmp_path, paths, [1, 0], ["bus", "train"]) == paths


def test_a_table_of_paths_gets_class_folders_without_the_folders_that_all_share(tmp_path):
    paths = ["/data/x/a/1.png", "/data/x/b/1.png", "/data/x/b/2.png"]
    assert placed(tmp_path, paths, [0, 0, 1], ["cat", "dog"]) == ["cat/a/1.png", "cat/b/1.png", "dog/b/2.png"]


def test_of_a_table_with_splits_each_lies_below_its_own(tmp_path):
    paths = ["cat/1.png", "dog/2.png", "cat/3.png"]
    there = ["train/cat/cat/1.png", "val/dog/dog/2.png", "test/cat/cat/3.png"]
    assert placed(tmp_path, paths, [0, 1, 0], ["cat", "dog"], [0, 1, 2]) == there


def test_paths_of_windows_lose_their_drives(tmp_path):
    paths = ["C:\\Bilder\\eins\\1.png", "D:\\Bilder\\2.png"]
    assert placed(tmp_path, paths, [0, 1], ["cat", "dog"]) == ["cat/eins/1.png", "dog/2.png"]
    assert parts("\\\\server\\share\\x.png") == ("server", "share", "x.png")
    assert parts("cat/back\\slash.png") == ("cat", "back\\slash.png")


def test_what_leads_out_stays_inside(tmp_path):
    paths = ["../../etc/passwd", "/etc/../../passwd", ".."]
    assert placed(tmp_path, paths, [0, 0, 1], ["cat", ".."]) == ["cat/etc/passwd", "cat/etc/passwd-2", "_./2"]


def test_names_that_differ_in_case_or_accents_clash_only_where_a_disk_says_so(tmp_path):
    paths, labels = ["cat/a.png", "cat/A.png", "cat/\u00e9.png", "cat/e\u0301.png"], [0, 0, 0, 0]
    assert placed(tmp_path, paths, labels, ["cat", "dog"]) == paths
    numbered = ["cat/a.png", "cat/A-2.png", "cat/\u00e9.png", "cat/e\u0301-2.png"]
    assert placed(tmp_path, paths, labels, ["cat", "dog"], folded=True) == numbered


def test_another_choice_of_images_moves_none(tmp_path):
    paths = ["x/a/1.png", "x/b/1.png", "x/c/y/2.png"]
    every = placed(tmp_path, paths, [0, 0, 1], ["cat", "dog"])
    for k in range(3):
        assert placed(tmp_path, paths, [0, 0, 1], ["cat", "dog"], rows=[k]) == [every[k]]


def test_an_ending_is_added_where_a_name_has_none_of_it(tmp_path):
    paths, endings = ["17", "18.jpeg", "x.v2"], [".png", ".jpg", ".png"]
    assert placed(tmp_path, paths, [0, 1, 0], ["a", "b"], endings=endings) == ["a/17.png", "b/18.jpeg", "a/x.v2.png"]


def test_a_file_never_has_the_name_of_a_folder(tmp_path):
    paths = ["z/x", "z/x/1.png", "z/kept.csv"]
    there = placed(tmp_path, paths, [0, 0, 1], ["cat", "kept.csv"], reserved=["kept.csv"])
    assert there == ["cat/x", "cat/x_/1.png", "kept.csv_/kept.csv"]


def test_classes_with_names_that_no_folder_has_are_told_apart():
    assert folder_names(["a/b", "a_b", "", ".hidden", "..", "1"]) == ["a_b", "a_b-2", "_", "_hidden", "_.", "1"]


NAMES = st.text(st.sampled_from("aA.é/\\: \0=<\n-"), max_size=6) | st.sampled_from(
    ["..", "a" * 300 + ".png", "ü" * 200]
)


@given(st.lists(st.tuples(st.lists(NAMES, max_size=4).map("/".join), st.integers(0, 2)), min_size=1), st.booleans())
def test_all_paths_can_be_written_inside_a_folder(tmp_path_factory, images, folded):
    root = tmp_path_factory.mktemp("out")
    paths, labels = zip(*images, strict=True)
    there = placed(root, paths, labels, ["a/b", "..", "a_b"], folded=folded)
    assert len({path.casefold() if folded else path for path in there}) == len(paths)
    for path in there:
        file = root / "set" / path
        assert Path(*file.parts) == file.resolve() and file.is_relative_to(root / "set")
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb"):
            pass
