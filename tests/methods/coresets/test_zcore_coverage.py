"""Coverage by random points against the rule, one draw and one distance at a time."""

from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from decoct.methods.coresets import zcore as module
from decoct.methods.coresets.zcore import Line, coverage, drawn, penalties

WINDOWS = st.sampled_from([0, 64])  # windows of an order, and all images


def rewrite(features, draws, redundant, exponent, rng):
    """Every draw looks at every image."""
    columns = features.astype(np.float64).T
    score = rng.random(len(features))
    wide = features.T.astype(np.promote_types(features.dtype, np.float32))  # medians of halves would be rounded
    for (a, b), (x, y) in zip(*drawn(wide, draws, rng), strict=True):
        best = np.argmin(abs(columns[a] - x) + abs(columns[b] - y))
        score[best] += 1
        distance = abs(columns[a] - columns[a, best]) + abs(columns[b] - columns[b, best])
        near = [i for _, i in sorted((d, i) for i, d in enumerate(distance) if i != best)][:redundant]
        if near and distance[near[0]] == 0:
            score[near[0]] -= 1
        elif near:
            weight = distance[near] ** -exponent
            score[near] -= weight / weight.sum()
    return score


@settings(deadline=None)
@given(
    n=st.integers(1, 60),
    d=st.integers(1, 5),
    redundant=st.integers(1, 70),
    seed=st.integers(0, 2**32 - 1),
    grid=st.booleans(),
    offset=st.sampled_from([0.0, 1e3]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    windows=WINDOWS,
)
def test_scores_are_those_of_the_rule(n, d, redundant, seed, grid, offset, dtype, windows):
    rng = np.random.default_rng(seed)
    features = ((rng.integers(0, 4, (n, d)) if grid else rng.normal(size=(n, d))) + offset).astype(dtype)
    with mock.patch.object(module, "WINDOWS", windows):
        found, expected = (f(features, 20, redundant, 4.0, np.random.default_rng(1)) for f in (coverage, rewrite))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("sample", [4, 64])
def test_a_sample_that_guesses_how_far_to_look_changes_nothing(sample, monkeypatch):
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(size=(3000, 3)), 100 + rng.normal(size=(40, 3))]).astype(np.float32)
    expected = coverage(features, 200, 30, 4.0, np.random.default_rng(1))
    monkeypatch.setattr(module, "SAMPLE", sample)
    assert (coverage(features, 200, 30, 4.0, np.random.default_rng(1)) == expected).all()
    assert expected == pytest.approx(rewrite(features, 200, 30, 4.0, np.random.default_rng(1)), abs=1e-9)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 400), spread=st.sampled_from([1e-3, 1.0, 1e3]), windows=WINDOWS)
def test_the_nearest_are_found_wherever_the_point_lies(seed, k, spread, windows):
    rng = np.random.default_rng(seed)
    column, other = rng.normal(size=(2, 300)) * [[1], [spread]]
    x, y = 3 * rng.normal(), 3 * spread * rng.normal()
    with mock.patch.object(module, "WINDOWS", windows):
        rows, distances = Line.of(column).nearest(other, x, y, k)
    distance = abs(column - x) + abs(other - y)
    assert rows.tolist() == np.argsort(distance, kind="stable")[:k].tolist()
    assert distances == pytest.approx(np.sort(distance)[:k], rel=1e-12)


def test_a_sample_that_misleads_is_found_out(monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 16)
    monkeypatch.setattr(module, "WINDOWS", 0)
    column, other = np.arange(1000.0), np.full(1000, 1e4)
    other[::20] = 0  # of the rows around 0, those that a sample of every twentieth sees
    rows, _ = Line.of(column).nearest(other, 0.0, 0.0, 100)
    assert rows.tolist() == [*range(0, 1000, 20), *[i for i in range(60) if i % 20][:50]]


@pytest.mark.parametrize("windows", [0, 64])
def test_a_point_between_two_numbers_of_single_precision_keeps_its_place(windows, monkeypatch):
    monkeypatch.setattr(module, "WINDOWS", windows)
    column = np.array([1e6, 1e6 + 0.0625], np.float32)
    other = np.array([0.04, 0.0], np.float32)
    assert Line.of(column).nearest(other, 1e6 + 0.03, 0.0, 1)[0].tolist() == [1]


def test_threads_change_nothing():
    features = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    one = coverage(features, 300, 20, 4.0, np.random.default_rng(1))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert (coverage(features, 300, 20, 4.0, np.random.default_rng(1)) == one).all()
    finally:
        torch.set_num_threads(before)


def test_points_are_triangular_between_minimum_median_and_maximum_of_two_different_dimensions():
    columns = np.array([[0.0, 1, 5], [2, 2, 2], [-4, -1, 0]])
    dimensions, points = drawn(columns, 6000, np.random.default_rng(0))
    assert (dimensions[:, 0] != dimensions[:, 1]).all()
    pairs, counts = np.unique(dimensions, axis=0, return_counts=True)
    assert len(pairs) == 6 and counts.min() > 850 and counts.max() < 1150  # 1000 ± 29 each
    assert (points[dimensions == 1] == 2).all()
    for dimension, (low, mode, high) in ((0, (0, 1, 5)), (2, (-4, -1, 0))):
        law = stats.triang((mode - low) / (high - low), low, high - low)
        assert stats.kstest(points[dimensions == dimension], law.cdf).pvalue > 1e-3


def test_in_one_dimension_a_point_has_one_coordinate():
    dimensions, points = drawn(np.array([[0.0, 1, 5]]), 10, np.random.default_rng(0))
    assert not dimensions.any() and (points[:, 0] == points[:, 1]).all()


def test_one_image_loses_all_where_it_has_the_same_coordinates():
    assert penalties(np.array([0.0, 0.0, 1.0]), 4).tolist() == [1, 0, 0]
    assert penalties(np.array([1.0, 2.0]), 4) == pytest.approx([16 / 17, 1 / 17])
    assert penalties(np.array([1e-90, 1.0]), 4) == pytest.approx([1, 0])
    assert penalties(np.empty(0), 4).tolist() == []


def test_what_is_given_is_taken():
    features = np.random.default_rng(0).normal(size=(50, 4))
    score = coverage(features, 100, 10, 4.0, np.random.default_rng(1))
    first = np.random.default_rng(1).random(50)
    assert score.sum() == pytest.approx(first.sum())


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        coverage(np.array([[0.0, np.nan]]), 1, 1, 4.0, np.random.default_rng(0))
