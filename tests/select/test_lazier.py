"""Stochastic greedy against a plain rewrite with the same draws, and its bound against the best set there is."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct import select
from decoct.select import location, rows

BOTH = pytest.mark.parametrize("similarity", ["cosine", "euclidean"])


def similar(features, similarity):
    features = features.astype(np.float64)
    if similarity == "cosine":
        length = np.linalg.norm(features, axis=1, keepdims=True)
        features = np.divide(features, length, out=np.zeros_like(features), where=length > 0)
        return 1 + features @ features.T
    squared = ((features[:, None] - features[None]) ** 2).sum(2)
    return squared.max() - squared


def value(s, picks):
    return s[:, list(picks)].max(1, initial=0).sum()


def rewrite(s, n, epsilon, seed):
    """One pair at a time; the lowest index wins a tie."""
    rng, left, picked = np.random.default_rng(seed), list(range(len(s))), []
    for _ in range(n):
        size = min(len(left), math.ceil(len(s) / n * math.log(1 / epsilon)))
        drawn = [left[i] for i in rng.choice(len(left), size, replace=False, shuffle=False)]
        gains = {j: value(s, [*picked, j]) for j in drawn}
        best = min(j for j in drawn if gains[j] >= max(gains.values()) * (1 - 1e-12))
        picked.append(best)
        left[left.index(best)] = left[-1]
        left.pop()
    return picked


@BOTH
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 40),
    epsilon=st.sampled_from([0.01, 0.1, 0.5, 0.9]),
    copies=st.booleans(),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_each_pick_is_the_best_of_those_drawn(similarity, seed, size, epsilon, copies, data):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(size, 3))
    features = features[rng.integers(0, size, size)] if copies else features
    n = data.draw(st.integers(1, size))
    picks = select.facility_location(features, n, similarity, search="stochastic", epsilon=epsilon, seed=seed).tolist()
    s = similar(features, similarity)
    expected = rewrite(s, n, epsilon, seed)
    assert len(set(picks)) == n
    if not copies:
        assert picks == expected
    assert value(s, picks) == pytest.approx(value(s, expected), rel=1e-9)


@BOTH
def test_its_mean_value_is_at_least_its_bound(similarity):
    for seed in range(5):
        features = np.random.default_rng(seed).normal(size=(10, 3))
        s = similar(features, similarity)
        best = max(value(s, some) for some in itertools.combinations(range(10), 3))
        picks = [
            select.facility_location(features, 3, similarity, search="stochastic", epsilon=0.3, seed=draw).tolist()
            for draw in range(40)
        ]
        assert np.mean([value(s, some) for some in picks]) >= (1 - 1 / math.e - 0.3) * best
        assert len({tuple(some) for some in picks}) > 1


def test_it_is_far_better_than_random_picks():
    rng = np.random.default_rng(0)
    features = (np.eye(20)[:, None] * 5 + rng.normal(size=(20, 20, 20))).reshape(400, 20)
    s = similar(features, "cosine")
    greedy = value(s, select.facility_location(features, 20).tolist())
    drawn = [value(s, rng.choice(400, 20, replace=False)) for _ in range(20)]
    picks = [select.facility_location(features, 20, search="stochastic", seed=seed).tolist() for seed in range(5)]
    values = [value(s, some) for some in picks]
    assert min(values) > 0.97 * greedy and min(values) > 1.03 * max(drawn)


@BOTH
def test_where_all_are_drawn_it_is_greedy(similarity):
    features = np.random.default_rng(0).normal(size=(80, 5)).astype(np.float32)
    picks = select.facility_location(features, 20, similarity, search="stochastic", epsilon=1e-9)
    assert picks.tolist() == select.facility_location(features, 20, similarity).tolist()


@BOTH
def test_blocks_threads_and_precision_change_no_pick(similarity, monkeypatch):
    features, threads = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32), torch.get_num_threads()

    def picks(of=features):
        return select.facility_location(of, 30, similarity, search="stochastic", seed=3).tolist()

    usual, blocks = picks(), rows.Rows.blocks
    assert picks(features.astype(np.float64)) == usual
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            assert picks() == usual
    finally:
        torch.set_num_threads(threads)
    monkeypatch.setattr(location, "LIMIT", 300)
    monkeypatch.setattr(rows.Rows, "blocks", lambda self, _=0: blocks(self, 64))
    assert picks() == usual


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"search": "lazy"}, "'greedy', 'stochastic' or 'sparse', not 'lazy'"),
        ({"search": "stochastic", "epsilon": 0.0}, "between 0 and 1, not 0.0"),
        ({"search": "stochastic", "epsilon": 1.0}, "between 0 and 1, not 1.0"),
        ({"search": "sparse", "neighbours": 0}, "at least 1, not 0"),
    ],
)
def test_options_that_are_none_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        select.facility_location(np.ones((3, 2)), 1, **options)
