"""Nearest neighbours against all distances of all rows, one pair at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.select import nearest
from decoct.select.nearest import neighbours

shapes = {"n": st.integers(1, 30), "d": st.integers(1, 6), "k": st.integers(0, 35), "seed": st.integers(0, 2**32 - 1)}


def rewrite(features, k):
    """Sorted by distance, then by number."""
    rows, distances = [], []
    for i, one in enumerate(features.astype(np.float64)):
        squared = [(((one - other) ** 2).sum(), j) for j, other in enumerate(features.astype(np.float64)) if j != i]
        nearest = sorted(squared)[:k]
        rows.append([j for _, j in nearest])
        distances.append([value**0.5 for value, _ in nearest])
    return np.array(rows, np.int64).reshape(len(features), -1), np.array(distances).reshape(len(features), -1)


@settings(deadline=None)
@given(**shapes, grid=st.booleans(), dtype=st.sampled_from([np.float16, np.float32, np.float64]))
def test_neighbours_are_the_nearest_and_ties_go_to_the_lowest_number(n, d, k, seed, grid, dtype):
    rng = np.random.default_rng(seed)
    features = (rng.integers(0, 3, (n, d)) if grid else rng.normal(size=(n, d))).astype(dtype)
    found, (rows, distances) = neighbours(features, k), rewrite(features, k)
    assert found[0].tolist() == rows.tolist()
    assert found[1] == pytest.approx(distances, rel=1e-12)


@settings(deadline=None)
@given(**shapes, grid=st.booleans(), dtype=st.sampled_from([np.float16, np.float32, np.float64]))
def test_the_order_of_rows_decides_nothing_but_ties(n, d, k, seed, grid, dtype):
    rng = np.random.default_rng(seed)
    features, order = (
        (rng.integers(0, 3, (n, d)) if grid else rng.normal(size=(n, d))).astype(dtype),
        rng.permutation(n),
    )
    (found, distances), (other, again) = neighbours(features, k), neighbours(features[order], k)
    assert (again == distances[order]).all()
    wide = np.linalg.norm(features[order, None].astype(float) - features[order[other]], axis=2)
    assert wide == pytest.approx(again, rel=1e-12)  # each is as far as it is said to be
    if not grid and dtype != np.float16:
        assert (order[other] == found[order]).all()


@settings(deadline=None)
@given(**shapes, offset=st.sampled_from([0.0, 1e4, 1e7]), scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e25]))
def test_what_rows_have_in_common_and_their_scale_change_nothing(n, d, k, seed, offset, scale):
    features = (scale * (np.random.default_rng(seed).integers(0, 9, (n, d)) + offset)).astype(np.float32)
    assert neighbours(features, k)[0].tolist() == rewrite(features, k)[0].tolist()


@pytest.mark.parametrize("block", [1, 7, 100])
def test_blocks_change_nothing(block, monkeypatch):
    features = np.random.default_rng(0).integers(0, 4, (50, 3)).astype(np.float32)
    whole = neighbours(features, 5)
    monkeypatch.setattr(nearest, "BLOCK", block)
    monkeypatch.setattr(nearest, "CACHED", block)
    monkeypatch.setattr(nearest, "SMALL", 0)
    parts = neighbours(torch.from_numpy(features), 5)
    assert (whole[0] == parts[0]).all() and (whole[1] == parts[1]).all()


def test_a_large_distance_does_not_hide_a_small_one():
    features = np.array([[0.0], [1e-6], [3e-6], [1.0]], np.float32) + np.float32(0.5)  # differences of few last digits
    assert neighbours(features, 3)[0].tolist() == rewrite(features, 3)[0].tolist()
    far = np.array([[0.0, 0], [2e-5, 0], [1e-5, 0], [1e4, 1e4]], np.float32)
    assert neighbours(far, 2)[0][:3].tolist() == [[2, 1], [2, 0], [0, 1]]


def test_rows_that_are_all_alike_are_neighbours_by_number():
    found = neighbours(np.full((40, 3), 7.25, np.float16), 3)
    assert found[0][0].tolist() == [1, 2, 3] and found[0][1].tolist() == [0, 2, 3]
    assert not found[1].any()


@pytest.mark.parametrize("features", [np.zeros(3), np.zeros((0, 3)), np.zeros((3, 0)), [[1.0], [np.nan]], [[np.inf]]])
def test_what_is_no_finite_array_of_rows_is_refused(features):
    with pytest.raises(ValueError, match=r"features|rows"):
        neighbours(np.asarray(features), 1)
    with pytest.raises(ValueError, match="at least 0"):
        neighbours(np.zeros((3, 2)), -1)
