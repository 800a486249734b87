"""Outliers: foreign pictures among others, against plain loops, and classes that have none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shrinking.pictures import drawings, noisy, pool_of

from decoct.shrinking.faults import outliers as file
from decoct.shrinking.faults.outliers import kth_nearest, outliers, unusual


@given(st.integers(0, 2**31), st.integers(6, 60), st.integers(1, 5))
def test_the_distance_is_that_to_the_kth_nearest_other(seed, n, k):
    rows = np.random.default_rng(seed).normal(size=(n, 4))
    unit = [row / np.sqrt((row**2).sum()) for row in rows]
    expected = [
        sorted(np.sqrt(((a - b) ** 2).sum()) for j, b in enumerate(unit) if j != i)[k - 1] for i, a in enumerate(unit)
    ]
    assert np.allclose(kth_nearest(rows, k, np.random.default_rng(0)), expected, atol=2e-3)


def test_of_a_large_class_distances_to_a_sample_are_near_to_that(monkeypatch):
    monkeypatch.setattr(file, "SAMPLE", 200)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 3))
    rows[7] = rows[8] = 0  # no direction at all
    away = kth_nearest(rows, 5, rng)
    exact = kth_nearest(rows[:200], 5, rng)
    assert np.isfinite(away).all()
    assert np.median(away) == pytest.approx(np.median(exact), rel=0.1)


def test_deviations_are_those_of_a_normal_distribution():
    log = np.random.default_rng(0).normal(3, 0.2, 100_001)
    away = unusual(np.exp(log))
    assert np.allclose(away, (log - 3) / 0.2, atol=0.1)


@pytest.mark.parametrize("distance", [np.zeros(30), np.ones(30), np.r_[np.zeros(29), 1.0], np.r_[np.ones(29), 9.0]])
def test_where_most_distances_are_equal_nothing_is_unusual(distance):
    assert unusual(distance).tolist() == [0] * 30


def features(n, seed):
    """Directions around one, as features of a class are."""
    return np.random.default_rng(seed).normal([4, 0, 0, 0, 0, 0], 1, (n, 6))


def test_foreign_images_are_found_by_features_in_their_class_alone(tmp_path):
    rows = np.concatenate([features(200, 0), -features(3, 1), -features(200, 2)])
    labels = [0] * 203 + [1] * 200
    pool = pool_of(tmp_path, np.zeros((403, 1, 4, 4)), labels)
    found = outliers(pool, np.arange(403), rows)
    assert {each.rows[0] for each in found} >= {200, 201, 202}
    assert len(found) <= 5
    assert {each.kind for each in found} == {"outlier"} and found[0].labels == ("class 0",)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert found[0].detail == f"{found[0].score:.1f} deviations from its class"
    assert all(each.score > file.FAR for each in found)


def test_rows_are_those_of_the_pool(tmp_path):
    pool = pool_of(tmp_path, np.zeros((300, 1, 4, 4)))
    rows = np.random.default_rng(0).permutation(300)[:101]
    seen = np.concatenate([features(100, 0), [[-9, 0, 0, 0, 0, 0]]])
    assert outliers(pool, rows, seen)[0].rows == (rows[100],)
    assert outliers(pool, rows, seen)[0].paths == (f"{rows[100]:04}.png",)


def test_without_features_thumbnails_are_compared(tmp_path):
    common = drawings(1)[0]
    images = [noisy(common // 2 + each // 3, seed) for seed, each in enumerate(drawings(120, 1))]
    foreign = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32))
    pool = pool_of(tmp_path, [*images, *foreign])
    found = [each.rows[0] for each in outliers(pool, np.arange(122))]
    assert set(found[:2]) == {120, 121} and len(found) <= 4


def test_a_class_without_outliers_has_few_whatever_its_size(tmp_path):
    for n in (50, 500, 4000):
        pool = pool_of(tmp_path / str(n), np.zeros((n, 1, 4, 4)))
        assert len(outliers(pool, np.arange(n), features(n, n))) <= n // 100


@pytest.mark.parametrize("n", [1, 2, 19, 40])
def test_few_and_equal_images_are_no_error(tmp_path, n):
    pool = pool_of(tmp_path, np.repeat(drawings(1), n, 0))
    assert outliers(pool, np.arange(n)) == ()
    assert outliers(pool, np.arange(0)) == ()
