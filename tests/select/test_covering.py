"""k-center against the best cover."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct import select
from decoct.select.covering import k_means


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 4))
@settings(max_examples=30)
def test_it_covers_within_twice_the_best_radius(seed, n):
    features = np.random.default_rng(seed).normal(size=(9, 2))
    between = np.linalg.norm(features[:, None] - features[None], axis=2)
    best = min(between[:, list(some)].min(1).max() for some in itertools.combinations(range(9), n))
    assert between[:, select.k_center(features, n).numpy()].min(1).max() <= 2 * best * (1 + 1e-9)


def test_it_starts_where_it_is_told():
    features = np.array([[0.0], [1.0], [2.0], [9.0]])
    assert select.k_center(features, 3, start=0).tolist() == [0, 3, 2]
    with pytest.raises(ValueError, match="start must be a row of the 4, not 4"):
        select.k_center(features, 3, start=4)


def test_copies_come_last():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 3))[rng.integers(0, 20, 40)].astype(np.float32)
    distinct = len(np.unique(features, axis=0))
    picks = select.k_center(features, 40).numpy()
    assert len(np.unique(features[picks[:distinct]], axis=0)) == distinct


def test_it_finds_the_middle_of_each_cluster_and_the_largest_comes_first():
    rng = np.random.default_rng(0)
    sizes, centres = [30, 50, 20], np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]])
    clusters = [centre + rng.normal(size=(size, 2)) for centre, size in zip(centres, sizes, strict=True)]
    features = np.concatenate(clusters)
    middles = [int(np.linalg.norm(part - part.mean(0), axis=1).argmin()) for part in clusters]
    expected = [30 + middles[1], middles[0], 80 + middles[2]]
    assert select.k_medoids(features, 3, seed=0).tolist() == expected


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 20), copies=st.booleans(), data=st.data())
@settings(max_examples=30, deadline=None)
def test_every_pick_is_another_row(seed, size, copies, data):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(size, 3))
    features = features[rng.integers(0, size, size)] if copies else features
    n = data.draw(st.integers(1, size))
    picks = select.k_medoids(features, n, seed=seed).tolist()
    assert len(set(picks)) == n and set(picks) <= set(range(size))
    assert select.k_medoids(features, n, seed=seed).tolist() == picks


def test_another_seed_may_cluster_otherwise():
    features = np.random.default_rng(0).normal(size=(200, 5))
    assert len({tuple(select.k_medoids(features, 10, seed=s).tolist()) for s in range(3)}) > 1


def test_of_two_rows_the_first_is_picked_whatever_rounding_makes_of_their_middle():
    pairs = (np.random.default_rng(seed).normal(size=(2, 3)) for seed in range(50))
    assert {int(select.k_medoids(pair, 1)[0]) for pair in pairs} == {0}


@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from([np.float16, np.float32, np.float64]))
@settings(max_examples=30, deadline=None)
def test_the_order_of_rows_changes_no_medoid_where_it_changes_no_cluster(seed, dtype):
    rng = np.random.default_rng(seed)
    heaps = [50 * np.eye(4)[c] + rng.normal(size=(size, 4)) for c, size in enumerate((9, 12, 15, 18))]
    features, order = np.concatenate([*heaps, *heaps[1:2]]).astype(dtype), rng.permutation(66)
    for n, start in ((1, 0), (4, int(rng.integers(9)))):
        picks = [
            features[select.k_medoids(features, n, start)],
            features[order][select.k_medoids(features[order], n, start)],
        ]
        assert (picks[0] == picks[1]).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_of_rows_as_near_to_the_centre_the_first_is_the_medoid(dtype):
    corners = np.random.default_rng(0).permutation(np.array(list(itertools.product((-1, 1), repeat=9)), dtype))
    assert select.k_medoids(corners, 1).tolist() == [0]
    half = np.random.default_rng(1).normal(size=(256, 16)).astype(dtype)
    pairs = np.random.default_rng(2).permutation(np.concatenate([half, -half]))
    length = np.linalg.norm(pairs.astype(np.float64), axis=1)
    assert select.k_medoids(pairs, 1).tolist() == [np.flatnonzero(length == length.min())[0]]


@pytest.mark.parametrize(
    ("features", "n", "message"),
    [
        (np.array([[0.0], [np.nan]]), 1, "not finite"),
        (np.zeros((3, 2)), 4, "cannot pick 4 of 3"),
        (np.zeros((3, 2)), 0, "cannot pick 0"),
    ],
)
def test_bad_input_is_refused(features, n, message):
    with pytest.raises(ValueError, match=message):
        select.k_medoids(features, n)


def test_centres_of_fewer_distinct_images_come_twice_without_a_warning():
    latents = np.repeat(np.arange(2, dtype=np.float32), 3).reshape(6, 1)
    found = k_means(latents, 3, 0).cluster_centers_.ravel().tolist()
    assert set(found) == {0.0, 1.0}


def test_centres_of_separate_heaps_are_their_means():
    heaps = np.array([[0.0, 0], [100, 0], [0, 100]])
    rng = np.random.default_rng(0)
    points = (heaps[rng.permutation(np.repeat(np.arange(3), 50))] + rng.normal(size=(150, 2))).astype(np.float32)
    found = k_means(points, 3, 5).cluster_centers_
    means = np.array([points[np.linalg.norm(points - heap, axis=1) < 50].mean(0) for heap in heaps])
    order = [int(np.linalg.norm(found - mean, axis=1).argmin()) for mean in means]
    assert sorted(order) == [0, 1, 2] and np.allclose(found[order], means, atol=1e-4)
