"""What a tree of class folders means, and which trees are refused."""

import os

import pytest

from decoct.core.errors import DecoctError
from decoct.data.reading.tree import StrayLinks, classes, scan


def plant(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")


def test_class_folders_sorted_with_what_lies_below_them(tmp_path):
    plant(tmp_path, "dog/b.PNG", "dog/a.jpg", "dog/deep/er/c.gif", "cat/z.webp")
    want = {"all": {"cat": ["cat/z.webp"], "dog": ["dog/a.jpg", "dog/b.PNG", "dog/deep/er/c.gif"]}}
    assert scan(tmp_path) == want
    assert list(scan(tmp_path)["all"]) == ["cat", "dog"]


def test_hidden_entries_and_other_files_are_passed_over(tmp_path):
    plant(tmp_path, "a/1.png", "a/notes.txt", "a/.hidden.png", "a/.git/2.png", "b/1.png", ".cache/3.png", "README.png")
    assert scan(tmp_path) == {"all": {"a": ["a/1.png"], "b": ["b/1.png"]}}


def test_split_folders(tmp_path):
    plant(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png", "test/b/2.png", "val/a/3.png", "val/b/3.png")
    assert list(scan(tmp_path)) == ["train", "val", "test"]
    assert scan(tmp_path)["test"] == {"a": ["test/a/2.png"], "b": ["test/b/2.png"]}


def test_train_alone_is_a_split(tmp_path):
    plant(tmp_path, "train/a/1.png", "train/b/1.png")
    assert list(scan(tmp_path)) == ["train"]


def test_a_class_may_be_called_train(tmp_path):
    plant(tmp_path, "bus/1.png", "train/1.png")
    assert list(scan(tmp_path)["all"]) == ["bus", "train"]
    plant(tmp_path, "train/steam/2.png")
    assert scan(tmp_path)["all"] == {"bus": ["bus/1.png"], "train": ["train/1.png", "train/steam/2.png"]}


def test_loops_of_links_end(tmp_path):
    plant(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    assert scan(tmp_path)["all"]["a"] == ["a/1.png"]


def link(root, name, target):
    """A link NAME below the root, to a place below the root or anywhere."""
    (root / name).symlink_to(root / target)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("a/up", ""),  # as ``a/up -> ..``
        ("a/deep/up", ".."),
        ("a/other", "b"),
        ("a/deep/other", "b/low"),
        ("a/b1.png", "b/1.png"),
        ("a/deep/b2.png", "b/low/2.png"),
    ],
)
def test_a_link_to_another_class_is_left_out_and_named(tmp_path, name, target):
    plant(root := tmp_path / "set", "a/1.png", "a/deep/2.png", "b/1.png", "b/low/2.png")
    want = scan(root)
    link(root, name, target)
    with pytest.warns(StrayLinks, match=f"set, 1 link leads to other class folders and is left out: {name} -> /"):
        assert scan(root) == want
    with pytest.warns(StrayLinks, match="1 link"):
        assert classes(root, root) == want["all"]


def test_many_links_are_counted_and_a_few_are_named(tmp_path):
    plant(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png", "test/b/2.png")
    want = scan(tmp_path)
    for i in range(5):
        link(tmp_path, f"train/a/{i}", "train/b")
    with pytest.warns(StrayLinks, match=r"5 links lead to .* and are left out: train/a/0 -> .*, train/a/2 -> \S+ …$"):
        assert scan(tmp_path) == want


def test_a_picture_of_another_split_is_not_read_twice(tmp_path):
    plant(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png", "test/b/2.png")
    want = scan(tmp_path)
    link(tmp_path, "train/a/3.png", "test/a/2.png")
    with pytest.warns(StrayLinks, match=r"train/a/3\.png -> "):
        assert scan(tmp_path) == want


def test_a_class_of_such_links_alone_is_refused_after_they_were_named(tmp_path):
    plant(tmp_path, "a/1.png", "b/x.txt")
    link(tmp_path, "b/1.png", "a/1.png")
    with pytest.warns(StrayLinks, match=r"b/1\.png"), pytest.raises(DecoctError, match=r"class 'b' .* has no pictures"):
        scan(tmp_path)


def test_links_within_a_class_and_out_of_all_classes_are_followed(tmp_path):
    root = tmp_path / "set"
    plant(root, "a/1.png", "a/deep/2.png", ".blobs/3", "b/1.png")
    plant(tmp_path, "blobs/4", "disk/c/5.png", "disk/c/deep/6.png", "more/7.png")
    link(root, "a/deep/up", "a")  # a cycle
    link(root, "a/same.png", "a/1.png")
    link(root, "a/3.png", ".blobs/3")
    link(root, "b/4.png", "../blobs/4")
    link(root, "b/more", "../more")
    link(root, "c", "../disk/c")  # a class on another disk
    link(tmp_path / "disk/c", "back", ".")
    assert scan(root)["all"] == {
        "a": ["a/1.png", "a/3.png", "a/deep/2.png", "a/same.png"],
        "b": ["b/1.png", "b/4.png", "b/more/7.png"],
        "c": ["c/5.png", "c/deep/6.png"],
    }


def test_a_class_on_another_disk_is_a_class_for_links_too(tmp_path):
    root = tmp_path / "set"
    plant(root, "a/1.png", "b/1.png")
    plant(tmp_path, "disk/c/5.png", "disk/d/6.png")
    link(root, "c", "../disk/c")
    link(root, "a/5.png", "../disk/c/5.png")
    link(root, "a/all", "../disk")
    link(tmp_path / "disk/c", "back", "../../set")
    with pytest.warns(StrayLinks, match=r"3 links lead to .*: a/5\.png -> .*, a/all -> .*, c/back -> "):
        assert scan(root)["all"] == {"a": ["a/1.png"], "b": ["b/1.png"], "c": ["c/5.png"]}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no class folders"),
        (["1.png"], "holds no class folders"),
        (["a/1.png"], "only one class, 'a'"),
        (["a/1.png", "b/x.txt"], "class 'b' .* has no pictures"),
        (["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png"], "class 'b' is in one of train/ and test/"),
        (["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png", "valid/a/1.png"], "and also 'valid'"),
    ],
)
def test_trees_that_mean_nothing_are_refused(tmp_path, files, message):
    plant(tmp_path, *files)
    with pytest.raises(DecoctError, match=message):
        scan(tmp_path)


def test_a_missing_folder_and_a_file_are_refused(tmp_path):
    plant(tmp_path, "file")
    with pytest.raises(DecoctError, match="no such folder"):
        scan(tmp_path / "nowhere")
    with pytest.raises(DecoctError, match="is not a folder"):
        scan(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_is_named(tmp_path):
    plant(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "b").chmod(0)
    try:
        with pytest.raises(DecoctError, match=r"cannot read the folder .*b: Permission denied"):
            scan(tmp_path)
    finally:
        (tmp_path / "b").chmod(0o755)


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    plant(tmp_path, "a/1.png", "b/1.png")
    try:
        (tmp_path / "a" / os.fsdecode(b"\xff.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with pytest.raises(DecoctError, match="not UTF-8"):
        scan(tmp_path)
