"""What every coreset owes: real images of each class, ordered, the same again."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from decoct import select
from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.core.seeds import seed
from decoct.methods.coresets.cal import CAL
from decoct.methods.coresets.confident import Confident
from decoct.methods.coresets.d2 import D2
from decoct.methods.coresets.deduplicate import Deduplicate
from decoct.methods.coresets.facility_location import FacilityLocation
from decoct.methods.coresets.graph_cut import GraphCut
from decoct.methods.coresets.herding import Herding
from decoct.methods.coresets.k_center import KCenter
from decoct.methods.coresets.k_means import KMeans
from decoct.methods.coresets.moderate import Moderate
from decoct.methods.coresets.prototypes import Prototypes
from decoct.methods.coresets.random import Random
from decoct.methods.coresets.semdedup import SemDeDup
from decoct.methods.coresets.zcore import ZCore
from decoct.needs.features import Features

NESTED = [
    CAL(),
    Confident(pooled=False),
    D2(),
    FacilityLocation(),
    FacilityLocation(search="sparse", neighbours=5),
    GraphCut(),
    Herding(),
    KCenter(),
    KCenter(start="random"),
    Moderate(),
    Prototypes(clusters=10),
    Random(),
    ZCore(pooled=False, draws=300),
]
METHODS = [
    *NESTED,
    Deduplicate(pooled=False),
    KMeans(),
    SemDeDup(pooled=False, clusters=4),
    FacilityLocation(search="stochastic", epsilon=0.5),
]
ALL = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)


def by_class(draft, ipc):
    return draft.indices.reshape(-1, ipc)


@ALL
def test_each_class_gives_as_many_different_images(method, toy):
    box = toy()
    picks = by_class(method(box.supplied(method, 7)), 7)
    assert picks.shape == (3, 7)
    for c, row in enumerate(picks):
        assert len(set(row.tolist())) == 7
        assert (box.data.train.labels[row] == c).all()


@pytest.mark.parametrize("method", NESTED, ids=lambda m: m.name)
def test_a_smaller_set_is_the_beginning_of_a_larger_one(method, toy):
    box = toy()
    large, small = (by_class(method(box.supplied(method, ipc)), ipc) for ipc in (40, 10))
    assert (large[:, :10] == small).all()


@ALL
def test_only_a_stochastic_method_listens_to_the_seed(method, toy):
    box = toy()
    first, again, other = (method(box.supplied(method, 5, root)).indices for root in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any() == method.stochastic


@ALL
def test_more_images_than_a_class_has_is_an_error_that_names_it(method, toy):
    with pytest.raises(DecoctError, match="class 'a' has 40 training images, fewer than ipc=41"):
        method(toy().supplied(method, 41))


@ALL
@pytest.mark.parametrize(
    ("images", "asked"), [(2, [1, 1, 0]), (100, [34, 33, 33]), (119, [40, 40, 39]), (120, [40] * 3)]
)
def test_classes_give_what_the_budget_asks_up_to_none_and_to_all(method, images, asked, toy):
    box = toy()
    inputs = replace(box.supplied(method, 1), budget=Budget(images=images))
    picks = method(inputs).indices
    assert len(set(picks.tolist())) == images
    assert np.bincount(box.data.train.labels[picks], minlength=3).tolist() == asked
    pooled = method.model_copy(update={"pooled": True})(inputs).indices
    assert len(set(pooled.tolist())) == images
    assert set(pooled.tolist()) <= set(range(120))


@ALL
def test_a_class_of_one_image_gives_it(method, toy):
    assert sorted(method((box := toy(per_class=1)).supplied(method, 1)).indices) == sorted(range(len(box.data.train)))


@ALL
def test_images_that_look_the_same_are_picked_all_the_same(method, toy):
    box = toy()
    box.data.train.images[:] = box.data.train.images[:1]
    picks = by_class(method(box.supplied(method, 15)), 15)
    assert len(set(picks.ravel().tolist())) == 45


FEATURES = [method for method in METHODS if method.name not in ("random", "confident")]


@pytest.mark.parametrize("method", FEATURES, ids=lambda m: m.name)
def test_features_of_unit_length_are_those_of_the_field(method, toy):
    box = toy()
    inputs = box.supplied(method, 6)
    scaled = {need: f / np.linalg.norm(f, axis=1, keepdims=True) for need, f in inputs.features.items()}
    unit = method.model_copy(update={"normalise": "unit"})
    if method.name != "cal":  # it asks a head that wants features as they are
        assert unit(inputs).indices.tolist() == method(replace(inputs, features=scaled)).indices.tolist()


@pytest.mark.parametrize("power", [-42, -5, 30])
@pytest.mark.parametrize("normalise", ["none", "unit"])
@pytest.mark.parametrize("method", [m for m in FEATURES if m.name != "cal"], ids=lambda m: m.name)
def test_a_power_of_two_on_the_features_changes_no_set(method, normalise, power, toy):
    method = method.model_copy(update={"normalise": normalise})
    inputs = toy().supplied(method, 6)
    scaled = {need: f * f.dtype.type(2.0**power) for need, f in inputs.features.items()}
    same = method
    if method.name == "d2" and normalise == "none":  # its γ are of squared distances
        gammas = {"gamma_forward": method.gamma_forward, "gamma_reverse": 1 / next(iter(scaled.values())).shape[1]}
        same = method.model_copy(update={name: gamma * 4.0**-power for name, gamma in gammas.items()})
    assert same(replace(inputs, features=scaled)).indices.tolist() == method(inputs).indices.tolist()


@pytest.mark.parametrize("method", FEATURES, ids=lambda m: m.name)
def test_a_feature_that_is_not_finite_is_an_error(method, toy):
    inputs = toy().supplied(method, 6)
    for features in inputs.features.values():
        features[7, 1] = np.nan
    with pytest.raises((ValueError, DecoctError), match=r"finite|NaN|not its last linear layer"):
        method(inputs)


@ALL
def test_progress_reaches_its_end(method, toy):
    calls = []
    method(toy().supplied(method, 2, progress=lambda *a: calls.append(a)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


@ALL
def test_only_train_is_looked_at(method, toy):
    """The data have no other split, so that to look at one is an error."""
    inputs = toy().supplied(method, 2)
    assert not hasattr(inputs.data, "val") and not hasattr(inputs.data, "test")
    assert len(method(inputs).indices) == 6


def test_random_is_uniform(toy):
    box = toy(per_class=4)
    picked = np.concatenate([Random()(box.inputs(1, root)).indices for root in range(400)])
    counts = np.bincount(picked, minlength=12)
    assert counts.sum() == 1200 and counts.min() > 60 and counts.max() < 145  # 100 ± 9 each


@pytest.mark.parametrize(
    ("method", "kernel"),
    [
        (Herding(), select.herding),
        (KCenter(), select.k_center),
        (FacilityLocation(), select.facility_location),
        (FacilityLocation(similarity="euclidean"), partial(select.facility_location, similarity="euclidean")),
        (GraphCut(), partial(select.graph_cut, lam=1)),
        (GraphCut(lam=2), partial(select.graph_cut, lam=2)),
    ],
)
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


def test_k_means_is_its_kernel_on_each_class_with_a_seed_of_the_class(toy):
    box = toy()
    features = np.random.default_rng(1).normal(size=(120, 5))
    picks = by_class(KMeans()(box.inputs(6, seed=3, features=features)), 6)
    for c, row in enumerate(picks):
        members = np.flatnonzero(box.data.train.labels == c)
        assert row.tolist() == members[select.k_medoids(features[members], 6, seed(3, "k_means", c)).numpy()].tolist()
