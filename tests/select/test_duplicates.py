"""Near-duplicates against a search of all pairs after each removal."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from decoct.select import duplicates
from decoct.select.duplicates import LISTED

points = arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.integers(-4, 4).map(float))


def naive(x, n):
    away = np.linalg.norm(x - x.mean(0), axis=1)
    left, gone, distances = list(range(len(x))), [], []
    while len(left) > n:
        pairs = [(np.linalg.norm(x[i] - x[j]), i, j) for i in left for j in left if i < j]
        distance, i, j = min(pairs)
        loser = max((i, j), key=lambda row: (away[row], row))
        left.remove(loser), gone.append(loser), distances.append(distance)
    return gone, distances


@given(x=points, data=st.data())
def test_rows_go_as_a_search_of_all_pairs_says(x, data):
    n = data.draw(st.integers(1, len(x)))
    rows, distances = duplicates(x, n)
    expected, far = naive(x, n)
    assert rows.tolist() == expected
    assert distances == pytest.approx(far, abs=1e-12) and (np.diff(distances) >= 0).all()


def test_lists_that_are_used_up_are_made_again():
    x = np.random.default_rng(0).normal(size=(6 * LISTED, 2))
    rows, distances = duplicates(x, 1)
    assert rows.tolist() == naive(x, 1)[0]
    assert len(set(rows.tolist())) == len(x) - 1 and (np.diff(distances) >= 0).all()


def test_the_order_of_the_rows_changes_nothing():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 4)).astype(np.float32)
    order = rng.permutation(80)
    assert order[duplicates(x[order], 20)[0]].tolist() == duplicates(x, 20)[0].tolist()


def test_of_copies_one_stays_and_far_rows_go_last():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 5)).astype(np.float32)
    copies = np.concatenate([x, x[:15], x[:15], x[:15] + 1e-3])
    rows, distances = duplicates(copies, 40)
    stay = np.setdiff1d(np.arange(len(copies)), rows)
    assert sorted(np.linalg.norm(copies[stay, None] - x, axis=2).argmin(1).tolist()) == list(range(40))
    assert (distances < 0.01).all() and duplicates(copies, 39)[1][-1] > 0.1


def test_more_copies_than_a_list_holds():
    rows, distances = duplicates(np.zeros((3 * LISTED, 2)), 1)
    assert set(rows.tolist()) == set(range(1, 3 * LISTED))
    assert not distances.any()


def test_a_tensor_of_half_precision_and_nothing_to_remove():
    rows, distances = duplicates(torch.eye(3, dtype=torch.float16), 3)
    assert rows.tolist() == distances.tolist() == []


@pytest.mark.parametrize("n", [0, 4])
def test_a_number_out_of_range(n):
    with pytest.raises(ValueError, match="n must be from 1 to the 3 rows"):
        duplicates(np.eye(3), n)


def test_a_feature_that_is_not_finite():
    with pytest.raises(ValueError, match="finite"):
        duplicates(np.array([[0.0], [np.nan]]), 1)
