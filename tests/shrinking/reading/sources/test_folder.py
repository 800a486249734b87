"""Class folders: what belongs to which class and split, links, and trees that do not match."""

import pytest

from decoct.core.errors import DecoctError
from decoct.data.reading.tree import StrayLinks
from decoct.shrinking.pool import TEST, TRAIN
from decoct.shrinking.reading.sources.folder import listing


def test_folders_below_a_class_belong_to_it(grow):
    listed = listing("pets", grow({"cat/young": 2, "cat": 1, "dog": 1}))
    assert listed.paths == ["cat/000.png", "cat/young/000.png", "cat/young/001.png", "dog/000.png"]
    assert listed.labels.tolist() == [0, 0, 0, 1] and listed.class_names == ("cat", "dog")
    assert listed.place(3) == f"{listed.facts['root']}/dog/000.png"


def test_only_a_train_folder(grow):
    listed = listing("pets", grow({"train/cat": 2, "train/dog": 1}))
    assert (listed.split == TRAIN).all() and len(listed) == 3


def test_a_link_to_a_parent_is_not_followed_into_other_classes(grow):
    root = grow({"train/cat": 1, "train/dog": 1, "test/cat": 1, "test/dog": 1})
    (root / "train" / "cat" / "up").symlink_to(root / "train")
    (root / "train" / "cat" / "round").symlink_to(root / "train" / "cat")
    with pytest.warns(StrayLinks, match=r"train/cat/up -> "):
        listed = listing("pets", root)
    assert listed.paths == ["train/cat/000.png", "train/dog/000.png", "test/cat/000.png", "test/dog/000.png"]
    assert listed.split.tolist() == [TRAIN, TRAIN, TEST, TEST] and listed.labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"cat": 2}, "only one class, 'cat'"),
        ({"train/cat": 1, "train/dog": 1, "test/cat": 1}, "class 'dog' has no images in test, but in train"),
        ({"train/cat": 1, "train/dog": 1, "test/cat": 1, "test/dog": 0}, "class 'dog' has no images in test"),
        (
            {"train/cat": 1, "train/dog": 1, "val/cat": 1, "val/dog": 0, "test/cat": 1, "test/dog": 1},
            "'dog' has no images in val",
        ),
        (
            {"train/cat": 1, "train/dog": 1, "test/cat": 1, "test/dog": 1, "test/eel": 1},
            "class 'eel' has no .* in train",
        ),
        ({"train/cat": 1, "train/dog": 0, "train/eel": 0}, r"'dog' has no images in train \(2 classes are like that\)"),
        ({"train/cat": 1, "train/dog": 1, "other/cat": 1, "test/cat": 1}, "and also 'other'"),
    ],
)
def test_trees_that_do_not_match_are_refused(grow, counts, message):
    with pytest.raises(DecoctError, match=message):
        listing("pets", grow(counts))


def test_a_folder_without_classes(tmp_path):
    with pytest.raises(DecoctError, match="holds no class folders"):
        listing("pets", tmp_path)


def test_the_state_follows_the_files(grow):
    root = grow({"cat": 1, "dog": 1})
    before = listing("pets", root).state
    assert listing("other", root).state == before
    (root / "cat" / "000.png").write_bytes(b"other")
    assert listing("pets", root).state != before
