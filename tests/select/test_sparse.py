"""Facility location on a graph against a plain rewrite, and the share of greedy picks' value that it reaches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from decoct import select
from decoct.select import graph
from decoct.select.nearest import neighbours

BOTH = pytest.mark.parametrize("similarity", ["cosine", "euclidean"])


def squared_distances(features, similarity):
    """[N, N]; 2 − 2 cos for cosine, with cos = 0 for a row of zeros and any other."""
    features = features.astype(np.float64)
    if similarity == "euclidean":
        return ((features[:, None] - features[None]) ** 2).sum(2)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    unit = np.divide(features, length, out=np.zeros_like(features), where=length > 0)
    squared = 2 - 2 * unit @ unit.T
    np.fill_diagonal(squared, 0)
    return squared


def worth(squared, first, k):
    """[N, N] of pick j to row i: 1 at distance 0, 0 from that of the first pick's farthest row and beyond k."""
    size, farthest = len(squared), squared[first].max() or 1.0
    others = squared + np.diag(np.full(size, -np.inf))
    rank = others.argsort(1, kind="stable").argsort(1, kind="stable")  # the row itself comes first
    return np.where(rank <= k, np.maximum(1 - squared / farthest, 0), 0)


def value(squared, picks):
    return (squared.max() - squared[:, picks]).max(1).sum()


@BOTH
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 40), k=st.integers(1, 45), zeros=st.booleans())
@settings(max_examples=60, deadline=None)
def test_each_pick_is_the_best_on_the_graph(similarity, seed, size, k, zeros):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(size, 4))
    features[rng.random(size) < 0.2 * zeros] = 0
    squared = squared_distances(features, similarity)
    picks = select.facility_location(features, size, similarity, search="sparse", neighbours=k).tolist()
    assert sorted(picks) == list(range(size))
    assert picks[0] == select.facility_location(features, 1, similarity).item()
    if zeros:  # which of rows at one distance are among the nearest is open
        return
    use = worth(squared, picks[0], k)
    for t in range(1, size):
        held = use[:, picks[:t]].max(1)
        gain = np.maximum(use - held[:, None], 0).sum(0)
        assert gain[picks[t]] >= np.delete(gain, picks[:t]).max() - 1e-5


@BOTH
def test_it_reaches_nearly_the_value_of_greedy_picks_on_real_images(similarity, monkeypatch):
    features = load_digits().data.astype(np.float32)
    squared = squared_distances(features, similarity)
    drawn = np.random.default_rng(0).choice(len(features), 50, replace=False)
    for exact in (graph.EXACT, 0):  # all pairs, and inverted lists
        monkeypatch.setattr(graph, "EXACT", exact)
        for n in (10, 50):
            greedy = value(squared, select.facility_location(features, n, similarity).tolist())
            mine = select.facility_location(features, n, similarity, search="sparse").tolist()
            assert value(squared, mine) > 0.995 * greedy
            assert value(squared, mine) > value(squared, drawn[:n])


@BOTH
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_order_of_rows_changes_no_pick(similarity, seed):
    rng = np.random.default_rng(seed)
    features, order = rng.normal(size=(200, 4)).astype(np.float32), rng.permutation(200)
    picks, others = (
        select.facility_location(each, 10, similarity, search="sparse", neighbours=12)
        for each in (features, features[order])
    )
    assert picks.tolist() == order[others].tolist()


def test_once_each_direction_is_served_the_lowest_rows_come_first():
    rng = np.random.default_rng(0)
    which = rng.permutation(np.repeat(np.arange(4), 6))
    features = rng.normal(size=(4, 5))[which] * rng.uniform(0.5, 3, (24, 1))
    picks = select.facility_location(features, 12, search="sparse", neighbours=8).tolist()
    assert sorted(which[picks[:4]]) == [0, 1, 2, 3]
    assert picks[4:] == [i for i in range(24) if i not in picks[:4]][:8]


@BOTH
def test_rows_that_are_all_alike_are_picked_in_order_once_the_graph_is_served(similarity):
    features = np.full((40, 7), 0.3, np.float32)
    picks = select.facility_location(features, 40, similarity, search="sparse", neighbours=39).tolist()
    assert picks == list(range(40))
    assert sorted(select.facility_location(features, 40, similarity, search="sparse", neighbours=5)) == list(range(40))


def test_a_graph_of_ones_own_takes_the_place_of_that_found_here():
    features = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    rows, distances = neighbours(unit, 9)
    usual = select.facility_location(features, 30, search="sparse", neighbours=9).tolist()
    assert select.facility_location(features, 30, search="sparse", neighbours=(rows, distances**2)).tolist() == usual
    with_itself = np.concatenate([np.arange(60)[:, None], rows], 1), np.pad(distances**2, ((0, 0), (1, 0)))
    assert select.facility_location(features, 30, search="sparse", neighbours=with_itself).tolist() == usual
