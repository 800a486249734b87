"""The median distance, and which rows stand for many."""

import math

import numpy as np
import pytest

from decoct.metrics import _bandwidth
from decoct.metrics._bandwidth import median_distance, spaced


def test_it_is_the_median_of_the_distances_that_are_not_zero():
    x = np.random.default_rng(0).normal(size=(9, 3))
    naive = [math.dist(a, b) for i, a in enumerate(x) for b in x[:i]]
    assert median_distance(x) == pytest.approx(np.median(naive))
    twice = [math.dist(a, b) for i, a in enumerate([*x, *x]) for b in [*x, *x][:i]]
    assert median_distance(np.concatenate([x, x])) == pytest.approx(np.median([d for d in twice if d > 0]))
    assert math.isnan(median_distance(np.ones((4, 2)))) and math.isnan(median_distance(x[:1]))


def test_of_more_rows_it_is_of_evenly_spaced_ones(monkeypatch):
    monkeypatch.setattr(_bandwidth, "OVER", 4)
    x = np.random.default_rng(0).normal(size=(10, 3))
    assert median_distance(x) == median_distance(x[::3])
    assert (
        spaced(10, 4).tolist() == [0, 3, 6, 9] and spaced(3, 4).tolist() == [0, 1, 2] and spaced(5, 1).tolist() == [0]
    )
