"""Which images a fold holds, and what a net says of them."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Machine
from decoct.data.dataset import Split
from decoct.needs import out_of_sample
from decoct.needs.out_of_sample import PROBABILITIES, OutOfSample, in_fold, probabilities
from decoct.needs.teacher import Teach


@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=6), folds=st.integers(2, 6), split=st.integers(0, 99))
def test_every_image_is_in_one_fold_and_classes_are_shared_evenly(counts, folds, split):
    labels = np.random.default_rng(split).permutation(np.repeat(np.arange(len(counts)), counts))
    held = [in_fold(labels, {"split": split, "folds": folds, "fold": fold}) for fold in range(folds)]
    assert (np.sum(held, 0) == 1).all()
    for c in range(len(counts)):
        own = [int((labels[fold] == c).sum()) for fold in held]
        assert max(own) - min(own) <= 1
    sizes = [int(fold.sum()) for fold in held]
    assert max(sizes) - min(sizes) <= 1


def test_another_split_cuts_otherwise():
    labels = np.zeros(40, np.int64)
    one, other = (in_fold(labels, {"split": split, "folds": 2, "fold": 0}) for split in (0, 1))
    assert (one != other).any()


@pytest.fixture
def data():
    images = np.random.default_rng(0).integers(0, 256, (10, 1, 4, 4), dtype=np.uint8)
    return SimpleNamespace(train=Split(images, np.zeros(10, np.int64)), mean=(0.4,), std=(0.3,), whitening=None)


def test_probabilities_are_a_softmax_of_the_images_as_they_are(data, monkeypatch):
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    rows = np.array([1, 4, 8])
    x = ((torch.from_numpy(data.train.images[rows]).float() / 255 - 0.4) / 0.3).flatten(1)
    expected = net[1](x).softmax(1).detach().numpy()
    monkeypatch.setattr(out_of_sample, "BLOCK", 2)
    assert probabilities(net, data, rows, "cpu") == pytest.approx(expected, abs=1e-6)
    nn.init.constant_(net[1].bias, float("nan"))
    with pytest.raises(DecoctError, match="lower lr"):
        probabilities(net, data, rows, "cpu")


def test_val_and_test_are_not_looked_at(data, tmp_path):
    """There are none here."""
    data.train.labels[:] = np.arange(10) % 2
    data.shape, data.size, data.class_names, data.flip = (1, 4, 4), 4, ("a", "b"), False
    keyed = {"seed": 1, "split": 2, "folds": 5, "fold": 0}
    job = SimpleNamespace(config=Teach(net="convnet1_w8", epochs=1).config(), keyed=keyed)
    OutOfSample.make(
        SimpleNamespace(job=job, data=data, device="cpu", folder=tmp_path, meter=nullcontext, machine=Machine)
    )
    assert np.load(tmp_path / PROBABILITIES).shape == (2, 2)


def test_an_unknown_net():
    with pytest.raises(UsageError, match="unknown net 'convnt3'"):
        OutOfSample(net="convnt3").check()
