"""CIFAR-10 in small from all its layouts, and what is not CIFAR-10."""

import os
import pickle

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.data.dataset import load_data
from decoct.data.sources._shared.cifar import Cifar
from decoct.data.sources.cifar10 import CIFAR10

SHAPES = ("folder", "folder around it", "tar", "folder with the tar")


@pytest.fixture
def cifar(small):
    return small(CIFAR10)


@pytest.mark.parametrize("form", ["binary", "python"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_layout(tmp_path, cifar, form, shape):
    data = load_data(f"cifar10:{cifar.lay(tmp_path / 'x', form, shape)}", tmp_path / "cache")
    assert (data.test.images == cifar.images["test"]).all()
    assert (data.test.labels == cifar.labels["test"]).all()
    both = np.concatenate([data.train.images, data.val.images]), np.concatenate([data.train.labels, data.val.labels])
    want = cifar.images["train"], cifar.labels["train"]
    pairs = [
        sorted((label, image.tobytes()) for image, label in zip(i, t.tolist(), strict=True)) for i, t in (both, want)
    ]
    assert pairs[0] == pairs[1]
    assert data.class_names[3] == "cat" and len(data.class_names) == 10
    assert data.name == "cifar10" and data.flip is True and data.shape == (3, 32, 32)


def test_the_same_content_elsewhere_is_the_same_data(tmp_path, cifar):
    places = [cifar.lay(tmp_path / f"{form} {shape}", form, shape) for form in ("binary", "python") for shape in SHAPES]
    assert len({load_data(CIFAR10(path=place), tmp_path / "cache").digest for place in places}) == 1


def test_the_released_sizes_and_names_are_torchvisions():
    datasets = pytest.importorskip("torchvision.datasets")
    python = CIFAR10.releases[1]
    theirs = datasets.CIFAR10
    assert python.train == tuple(name for name, _ in theirs.train_list)
    assert [python.test] == [name for name, _ in theirs.test_list]
    assert (python.folder, python.archive) == (theirs.base_folder, theirs.filename)
    assert Cifar.sizes == {"train": 50_000, "test": 10_000}


def test_a_batch_that_is_cut_between_images(tmp_path, cifar):
    short = cifar.files("binary")["data_batch_3.bin"][:-3073]
    path = cifar.lay(tmp_path / "x", **{"data_batch_3.bin": short})
    with pytest.raises(DecoctError, match=r"data_batch_3\.bin holds 11 images, not 12\n.*download it again"):
        load_data(CIFAR10(path=path), tmp_path / "cache")


def test_a_label_out_of_range(tmp_path, cifar):
    wrong = bytearray(cifar.files("binary")["test_batch.bin"])
    wrong[5 * 3073] = 10
    path = cifar.lay(tmp_path / "x", **{"test_batch.bin": bytes(wrong)})
    with pytest.raises(DecoctError, match=r"test_batch\.bin has the class label 10; CIFAR-10's are 0 to 9"):
        load_data(CIFAR10(path=path), tmp_path / "cache")
    below = pickle.loads(cifar.files("python")["test_batch"])
    below["labels"][3] = -1
    path = cifar.lay(tmp_path / "y", "python", test_batch=pickle.dumps(below, 2))
    with pytest.raises(DecoctError, match="class label -1"):
        load_data(CIFAR10(path=path), tmp_path / "cache")


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_malicious_batch_is_refused(tmp_path, cifar, shape):
    evil = pickle.dumps({"data": Evil(str(tmp_path / "made")), "labels": [0]}, 2)
    path = cifar.lay(tmp_path / "x", "python", shape, data_batch_2=evil)
    with pytest.raises(DecoctError, match=r"data_batch_2 is refused: it asks for posix\.mkdir"):
        load_data(CIFAR10(path=path), tmp_path / "cache")
    assert not (tmp_path / "made").exists()


def test_a_batch_that_is_missing_is_named(tmp_path, cifar):
    path = cifar.lay(tmp_path / "x", **{"data_batch_4.bin": None})
    with pytest.raises(DecoctError, match=r"has no data_batch_4\.bin\n.*cifar-10-python\.tar\.gz.*\n.*download = true"):
        load_data(CIFAR10(path=path), tmp_path / "cache")


def test_nothing_there(tmp_path):
    for source in (CIFAR10(), CIFAR10(path=tmp_path), CIFAR10(path=tmp_path / "nowhere")):
        with pytest.raises(DecoctError, match=r"no CIFAR-10 in .*\n.*path.*\nor set download = true"):
            load_data(source, tmp_path / "cache")


def test_a_download_fetches_the_tar_once_and_unpacks_nothing(tmp_path, cifar, monkeypatch):
    utils = pytest.importorskip("torchvision.datasets.utils")
    calls = []

    def fetch(url, root, filename, md5):
        calls.append((filename, md5))
        cifar.lay(tmp_path / "files", "python", "tar")

    monkeypatch.setattr(utils, "download_url", fetch)
    source = CIFAR10(path=tmp_path / "files", download=True)
    assert [len(load_data(source, tmp_path / "cache").test) for _ in range(2)] == [20, 20]
    assert calls == [("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a")]  # as its authors publish it
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["cifar-10-python.tar.gz"]


def test_a_download_that_fails_is_told(tmp_path, monkeypatch):
    utils = pytest.importorskip("torchvision.datasets.utils")

    def offline(*_):
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(utils, "download_url", offline)
    with pytest.raises(DecoctError, match=r"cannot download CIFAR-10: File not found or corrupted\.\ngive path"):
        load_data(CIFAR10(path=tmp_path, download=True), tmp_path / "cache")
