"""Fashion-MNIST from tiny idx files made here, and from Debian's where they are installed."""

import gzip
import struct

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.data.dataset import load_data
from decoct.data.sources import fashion_mnist
from decoct.data.sources.fashion_mnist import FashionMNIST


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def lay_down(folder, packed=True, labels_missing=0):
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for prefix, n in (("train", 60), ("t10k", 20)):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = np.arange(n - labels_missing, dtype=np.uint8) % 10
        made[prefix] = images, labels
        for what, array in (("images-idx3", images), ("labels-idx1", labels)):
            data = gzip.compress(idx(array)) if packed else idx(array)
            (folder / f"{prefix}-{what}-ubyte{'.gz' if packed else ''}").write_bytes(data)
    return made


@pytest.mark.parametrize("below", [".", "FashionMNIST/raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_path_with_idx_files(tmp_path, below, packed):
    images, labels = lay_down(tmp_path / "files" / below, packed)["t10k"]
    data = load_data(f"fashion_mnist:{tmp_path / 'files'}", tmp_path / "cache")
    assert (data.test.images[:, 0] == images).all()
    assert (data.test.labels == labels).all()
    assert (len(data.train), len(data.val)) == (50, 10)  # one of each class's six
    assert data.class_names[0] == "T-shirt/top" and data.class_names[9] == "Ankle boot"
    assert data.name == "fashion_mnist" and data.flip is True


def test_the_same_content_elsewhere_is_the_same_data(tmp_path):
    digests = set()
    for where, packed in (("a", True), ("b", False)):
        lay_down(tmp_path / where, packed)
        digests.add(load_data(FashionMNIST(path=tmp_path / where), tmp_path / "cache").digest)
    assert len(digests) == 1


def test_labels_that_do_not_fit_are_told(tmp_path):
    lay_down(tmp_path, labels_missing=1)
    with pytest.raises(DecoctError, match="60 images for 59 labels"):
        load_data(FashionMNIST(path=tmp_path), tmp_path / "cache")


def test_nothing_found_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "none")
    for source in (FashionMNIST(), FashionMNIST(path=tmp_path)):
        with pytest.raises(DecoctError, match=r"dataset-fashion-mnist,\n.*path.*download = true"):
            load_data(source, tmp_path / "cache")


def test_download_goes_through_torchvision_once(tmp_path, monkeypatch):
    calls = []

    def fetch(root):
        calls.append(root)
        lay_down(root / "FashionMNIST" / "raw")

    monkeypatch.setattr(fashion_mnist, "fetch", fetch)
    source = FashionMNIST(path=tmp_path / "files", download=True)
    assert [len(load_data(source, tmp_path / "cache").test) for _ in range(2)] == [20, 20]
    assert calls == [tmp_path / "files"]


def test_a_download_that_fails_is_told(tmp_path, monkeypatch):
    datasets = pytest.importorskip("torchvision.datasets")

    def offline(*args, **kwargs):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr(datasets, "FashionMNIST", offline)
    with pytest.raises(DecoctError, match="cannot download Fashion-MNIST"):
        load_data(FashionMNIST(path=tmp_path, download=True), tmp_path / "cache")


@pytest.mark.skipif(not fashion_mnist.DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_debians_files(tmp_path):
    data = load_data("fashion_mnist", tmp_path)
    assert [data.counts(split) for split in ("train", "val", "test")] == [[5400] * 10, [600] * 10, [1000] * 10]
    assert data.mean[0] == pytest.approx(0.2860, abs=5e-4)  # of all 60,000, as published
    assert data.std[0] == pytest.approx(0.3530, abs=5e-4)
    assert data.test.labels[:5].tolist() == [9, 2, 1, 1, 6]
