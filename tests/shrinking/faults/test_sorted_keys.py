"""The search for likely pairs: near ones come, and never more than a few for each row."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.shrinking.faults.sorted_keys import KEYS, WINDOW, all_pairs, likely_pairs


def listed(pairs):
    return [(int(i), int(j)) for first, second in pairs for i, j in zip(first, second, strict=True)]


@given(st.integers(0, 40), st.integers(1, 12))
def test_all_pairs_come_once(n, block):
    assert sorted(listed(all_pairs(n, block))) == list(combinations(range(n), 2))


@given(st.integers(1, 60), st.integers(1, 6), st.integers(1, 3), st.integers(0, 2**31))
def test_pairs_are_of_different_rows_in_order(n, width, values, seed):
    vectors = np.random.default_rng(seed).integers(0, values, (n, width)).astype(np.float32)
    assert all(0 <= i < j < n for i, j in listed(likely_pairs(vectors)))


def test_equal_rows_in_masses_make_no_more_pairs_than_others():
    n = 3000
    vectors = np.zeros((n, 8), np.float32)
    vectors[: n // 2] = np.random.default_rng(0).normal(size=(n // 2, 8))
    found = [listed([pairs]) for pairs in likely_pairs(vectors)]
    assert sum(map(len, found)) <= n * KEYS * WINDOW
    assert max(map(len, found)) <= n


def test_near_rows_are_found_among_many_that_are_not():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5000, 36)).astype(np.float32)
    vectors[2500:] = vectors[:2500] + rng.normal(scale=0.05, size=(2500, 36))
    found = set(listed(likely_pairs(vectors)))
    assert np.mean([(i, i + 2500) in found for i in range(2500)]) > 0.99
    assert len(found) < 10 * 5000  # of 12,497,500


@pytest.mark.parametrize("n", [1, 9])
def test_few_rows_and_rows_without_any_difference_are_no_error(n):
    pairs = set(listed(likely_pairs(np.zeros((n, 4), np.float32))))
    assert pairs == set(combinations(range(n), 2))
