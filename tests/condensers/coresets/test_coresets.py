"""What every coreset owes: real images of each class, ordered, the same again."""

import numpy as np
import pytest

from decoct.condensers.coresets.herding import Herding
from decoct.condensers.coresets.k_center import KCenter
from decoct.condensers.coresets.random import Random
from decoct.core.errors import DecoctError
from decoct.core.kinds import Features
from decoct.engine import select

ALL = pytest.mark.parametrize("method", [Random(), Herding(), KCenter()], ids=lambda m: m.name)


def by_class(draft, ipc):
    return draft.indices.reshape(-1, ipc)


@ALL
def test_each_class_gives_as_many_different_images(method, toy):
    box = toy()
    picks = by_class(method(box.inputs(7, features=True)), 7)
    assert picks.shape == (3, 7)
    for c, row in enumerate(picks):
        assert len(set(row.tolist())) == 7
        assert (box.data.train.labels[row] == c).all()


@ALL
def test_a_smaller_set_is_the_beginning_of_a_larger_one(method, toy):
    box = toy()
    large, small = (by_class(method(box.inputs(ipc, features=True)), ipc) for ipc in (40, 10))
    assert (large[:, :10] == small).all()


@ALL
def test_only_a_stochastic_method_listens_to_the_seed(method, toy):
    box = toy()
    first, again, other = (method(box.inputs(5, seed, features=True)).indices for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any() == method.stochastic


@ALL
def test_more_images_than_a_class_has_is_an_error_that_names_it(method, toy):
    with pytest.raises(DecoctError, match="class 'a' has 40 training images, fewer than ipc=41"):
        method(toy().inputs(41, features=True))


@ALL
def test_progress_reaches_its_end(method, toy):
    calls = []
    method(toy().inputs(2, features=True, progress=lambda *a: calls.append(a)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_random_is_uniform(toy):
    box = toy(per_class=4)
    picked = np.concatenate([Random()(box.inputs(1, seed)).indices for seed in range(400)])
    counts = np.bincount(picked, minlength=12)
    assert counts.sum() == 1200 and counts.min() > 60 and counts.max() < 145  # 100 ± 9 each


@pytest.mark.parametrize(("method", "kernel"), [(Herding(), select.herding), (KCenter(), select.k_center)])
def test_a_greedy_method_is_its_kernel_on_each_class(method, kernel, toy):
    box = toy()
    features = np.random.default_rng(1).normal(size=(120, 5))
    picks = by_class(method(box.inputs(6, features=features)), 6)
    for c, row in enumerate(picks):
        members = np.flatnonzero(box.data.train.labels == c)
        assert row.tolist() == members[kernel(features[members], 6).numpy()].tolist()


def test_needs_follow_the_fields():
    assert Herding(extractor="resnet18").needs() == (Features(extractor="resnet18"),)
    assert KCenter().needs() == (Features(),)
    assert Random().needs() == ()
