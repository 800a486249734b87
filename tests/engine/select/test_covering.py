"""k-center against the best cover."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.engine import select


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
