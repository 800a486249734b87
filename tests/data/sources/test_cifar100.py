"""CIFAR-100 in small: fine and coarse labels from all layouts, and labels that contradict each other."""

import pickle

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.data.dataset import load_data
from decoct.data.sources.cifar100 import CIFAR100, COARSE, FINE


@pytest.fixture
def cifar(small):
    return small(CIFAR100)


@pytest.mark.parametrize("form", ["binary", "python"])
@pytest.mark.parametrize("shape", ["folder", "tar"])
def test_fine_labels_by_default_and_coarse_ones_on_request(tmp_path, cifar, form, shape):
    path = cifar.lay(tmp_path / "x", form, shape)
    fine = load_data(f"cifar100:{path}", tmp_path / "cache")
    coarse = load_data({"name": "cifar100", "path": str(path), "coarse": True}, tmp_path / "cache")
    assert (fine.test.images == cifar.images["test"]).all() and (coarse.test.images == cifar.images["test"]).all()
    assert fine.test.labels.tolist() == cifar.labels["test"].tolist()
    assert coarse.test.labels.tolist() == cifar.coarse["test"].tolist()
    assert (len(fine.class_names), len(coarse.class_names)) == (100, 20)
    assert fine.digest != coarse.digest


def test_the_names_are_the_releases():
    fine, coarse = FINE.split(), COARSE.split()
    assert (len(set(fine)), len(set(coarse))) == (100, 20)
    assert fine == sorted(fine) and coarse == sorted(coarse)  # in the release both are in the order of the alphabet
    assert (fine[0], fine[19], fine[53], fine[99]) == ("apple", "cattle", "orange", "worm")


def test_the_files_are_torchvisions():
    datasets = pytest.importorskip("torchvision.datasets")
    python, theirs = CIFAR100.releases[1], datasets.CIFAR100
    assert [*python.train, python.test] == [name for name, _ in theirs.train_list + theirs.test_list]
    assert (python.folder, python.archive) == (theirs.base_folder, theirs.filename)


def test_a_class_in_two_coarse_ones(tmp_path, cifar):
    table = np.frombuffer(cifar.files("binary")["train.bin"], dtype=np.uint8).reshape(-1, 3074).copy()
    rows = np.flatnonzero(table[:, 1] == 53)
    table[rows[0], 0] = (table[rows[0], 0] + 1) % 20
    path = cifar.lay(tmp_path / "x", **{"train.bin": table.tobytes()})
    with pytest.raises(DecoctError, match=r"train\.bin puts class 'orange' into two coarse classes"):
        load_data(CIFAR100(path=path), tmp_path / "cache")


def test_a_coarse_label_out_of_range_is_told_even_if_fine_ones_are_used(tmp_path, cifar):
    said = pickle.loads(cifar.files("python")["test"])
    said["coarse_labels"][0] = 20
    path = cifar.lay(tmp_path / "x", "python", test=pickle.dumps(said, 2))
    with pytest.raises(DecoctError, match="the coarse label 20; CIFAR-100's are 0 to 19"):
        load_data(CIFAR100(path=path), tmp_path / "cache")
