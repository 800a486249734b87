"""Facility location against the best set there is."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct import select
from decoct.select import location


def value(similar, picks):
    return similar[:, list(picks)].max(1).sum()


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 4))
@settings(max_examples=30)
def test_its_value_is_at_least_1_minus_1_over_e_of_the_best(similarity, seed, n):
    features = np.random.default_rng(seed).normal(size=(9, 3))
    if similarity == "cosine":
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        similar = 1 + unit @ unit.T
    else:
        squared = ((features[:, None] - features[None]) ** 2).sum(2)
        similar = squared.max() - squared
    best = max(value(similar, some) for some in itertools.combinations(range(9), n))
    picks = select.facility_location(features, n, similarity=similarity).tolist()
    assert value(similar, picks) >= (1 - 1 / math.e) * best


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@given(seed=st.integers(0, 2**32 - 1), mean=st.sampled_from([0.0, 30.0, 1000.0]))
@settings(max_examples=10)
def test_each_pick_gains_the_most_far_from_the_origin_too(similarity, seed, mean):
    features = np.random.default_rng(seed).normal(mean, 1, size=(60, 8)).astype(np.float32)
    wide = features.astype(np.longdouble)
    if similarity == "cosine":
        wide /= np.sqrt((wide**2).sum(1, keepdims=True))
    away = ((wide[:, None] - wide[None]) ** 2).sum(2)  # of unit rows 2 − 2 cos: what is gained, but for a factor
    picks = select.facility_location(features, 40, similarity=similarity).tolist()
    for t in range(1, 40):
        nearest = away[:, picks[:t]].min(1)
        gain = np.maximum(nearest[:, None] - away, 0).sum(0)
        gain[picks[:t]] = -np.inf
        scale = 60 if similarity == "cosine" else ((wide - wide.mean(0)) ** 2).sum()
        assert gain[picks[t]] >= gain.max() * (1 - 1e-8) - 4e-15 * scale  # the lowest index wins a tie


def test_it_serves_each_cluster_before_any_twice():
    rng = np.random.default_rng(0)
    centres = np.eye(5) * 9
    features = (centres[:, None] + rng.normal(size=(5, 20, 5)) * 0.3).reshape(100, 5)
    assert sorted(select.facility_location(features, 5).numpy() // 20) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", range(5))
def test_what_rounding_makes_of_a_gain_of_nothing_decides_no_pick(similarity, seed):
    """Six rows of each of four directions, or four points: once each is served, the lowest rows come first."""
    rng = np.random.default_rng(seed)
    which = rng.permutation(np.repeat(np.arange(4), 6))
    scale = rng.uniform(0.5, 3, (24, 1)) if similarity == "cosine" else 1
    picks = select.facility_location(rng.normal(size=(4, 5))[which] * scale, 12, similarity=similarity).tolist()
    assert sorted(which[picks[:4]]) == [0, 1, 2, 3]
    assert picks[4:] == [i for i in range(24) if i not in picks[:4]][:8]


def test_an_unknown_similarity_is_refused():
    with pytest.raises(ValueError, match="'cosine' or 'euclidean', not 'dot'"):
        select.facility_location(np.zeros((3, 2)), 1, similarity="dot")


def test_features_that_do_not_fit_where_similarities_would_change_no_pick(monkeypatch):
    features = np.random.default_rng(0).normal(size=(12, 40))
    usual = {name: select.facility_location(features, 12, similarity=name).tolist() for name in ("cosine", "euclidean")}
    monkeypatch.setattr(location, "LIMIT", 2000)  # bytes; features take 3,840 and similarities 1,152
    for name, picks in usual.items():
        assert select.facility_location(features, 12, similarity=name).tolist() == picks
