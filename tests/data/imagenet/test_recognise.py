"""Layouts are told apart by what is in a folder; a folder with none of them is described."""

import pytest

from decoct.core.errors import DecoctError
from decoct.data.imagenet.class_folders import ClassFolders, FolderArchive
from decoct.data.imagenet.imagenet import wnids
from decoct.data.imagenet.official import OfficialTars
from decoct.data.imagenet.recognise import recognise
from decoct.data.imagenet.shards import Parquet, WebDataset

SOME = wnids()[:2]


def layout(path):
    return recognise(str(path), wnids(), SOME)


def test_each_layout_is_what_it_is(tmp_path, hang):
    museum = hang(SOME)
    made = {
        ClassFolders: [museum.folders(tmp_path / "folders"), museum.folders(tmp_path / "flat", flat=True)],
        OfficialTars: [museum.official(tmp_path / "tars"), tmp_path / "tars" / "ILSVRC2012_img_train.tar"],
        Parquet: [museum.parquet(tmp_path / "parquet"), tmp_path / "parquet" / "data"],
        WebDataset: [museum.webdataset(tmp_path / "shards")],
    }
    (tmp_path / "fastai").mkdir()
    made[FolderArchive] = [museum.archive(tmp_path / "fastai" / "imagenette2.tgz"), tmp_path / "fastai"]
    for kind, paths in made.items():
        for path in paths:
            assert type(layout(path)) is kind
            assert layout(path).wanted == frozenset(SOME)


def test_a_home_folder_is_expanded(tmp_path, hang, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    hang(SOME).folders(tmp_path / "in1k")
    assert layout("~/in1k").root == tmp_path / "in1k"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], "nothing"),
        (["readme.txt", "pictures/1.jpg"], "pictures/, readme.txt"),
        ([f"{i}.jpg" for i in range(9)], "0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, 5.jpg and 3 more"),
        (["train/1.jpg", "val/1.jpg"], "train/, val/"),
        (["train/n01440764/1.jpg"], "train/"),
        (["a.tar", "b.tar"], "a.tar, b.tar"),
    ],
)
def test_what_was_found_and_what_was_expected_is_said(tmp_path, files, found):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"x")
    message = rf"has none of the layouts of ImageNet\nfound: {found}\nexpected: train/ and val/ .* ILSVRC2012_img_train"
    with pytest.raises(DecoctError, match=message):
        layout(tmp_path)


def test_nothing_and_a_file_that_is_no_archive(tmp_path):
    with pytest.raises(DecoctError, match="no such folder"):
        layout(tmp_path / "nowhere")
    (tmp_path / "train-00000-of-00001.parquet").write_bytes(b"x")
    with pytest.raises(DecoctError, match="is a file that is not an archive"):
        layout(tmp_path / "train-00000-of-00001.parquet")
