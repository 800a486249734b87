"""Matching pursuit against scipy's non-negative least squares: on each support, and on all vectors."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from decoct.methods.coresets.grad_match import grow, pursue, shrink


def vectors(n, d, seed, low=-1.0):
    return np.maximum(np.random.default_rng(seed).normal(size=(n, d)), low)


def pursued(g, b, n, ridge):
    products = torch.from_numpy(g @ g.T)
    rows, weights, left = pursue(lambda j: products[j], torch.from_numpy(g @ b), n, ridge)
    return rows.tolist(), weights.numpy(), left.numpy()


def best(g, b, ridge):
    """Weights ≥ 0 of all vectors, from the problem with √λ I below the vectors."""
    return nnls(np.vstack([g.T, np.sqrt(ridge) * np.eye(len(g))]), np.concatenate([b, np.zeros(len(g))]))[0]


def objective(g, b, w, ridge):
    return ((g.T @ w - b) ** 2).sum() + ridge * (w**2).sum()


sizes = {
    "n": st.integers(1, 14),
    "d": st.integers(1, 6),
    "seed": st.integers(0, 2**32 - 1),
    "ridge": st.sampled_from([1e-3, 0.5, 20.0]),
    "low": st.sampled_from([-9.0, 0.0]),
}


@settings(deadline=None, max_examples=80)
@given(**sizes)
@example(n=10, d=1, seed=198, ridge=1e-3, low=0.0)  # scipy 1.17 gives a vector of zeros a weight there
def test_with_room_for_all_it_is_non_negative_least_squares(n, d, seed, ridge, low):
    """By the conditions of Karush, Kuhn and Tucker, which one set of weights alone meets; scipy's are no better."""
    g = vectors(n, d, seed, low)
    for b in (g.sum(0), vectors(1, d, seed + 1)[0]):
        rows, weights, left = pursued(g, b, n, ridge)
        found = np.zeros(n)
        found[rows] = weights
        np.testing.assert_allclose(left, g @ (b - g.T @ found), atol=1e-7)
        assert (weights > 0).all()
        np.testing.assert_allclose(left[rows], ridge * weights, atol=1e-8)
        assert (np.delete(left, rows) <= 1e-8).all()
        assert objective(g, b, found, ridge) <= objective(g, b, best(g, b, ridge), ridge) * (1 + 1e-9) + 1e-12


@settings(deadline=None, max_examples=80)
@given(**sizes, data=st.data())
def test_every_pick_correlates_most_with_what_is_left_and_all_weights_are_the_best(n, d, seed, ridge, low, data):
    """A naive rewrite: solve anew on each support, drop what is 0, go on."""
    g = vectors(n, d, seed, low)
    b, most, support = g.sum(0), data.draw(st.integers(1, n)), []
    weights = np.zeros(0)
    for _ in range(50):
        correlation = g @ (b - g[support].T @ weights)
        free = [i for i in range(n) if i not in support and correlation[i] > 1e-9 * np.abs(g @ b).max()]
        if len(support) == most or not free:
            break
        support = [*support, max(free, key=lambda i: correlation[i])]
        weights = best(g[support], b, ridge)
        support = [row for row, weight in zip(support, weights, strict=True) if weight > 1e-12]
        weights = weights[weights > 1e-12]
    rows, found, _ = pursued(g, b, most, ridge)
    assert rows == support
    np.testing.assert_allclose(found, weights, rtol=1e-6, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(**sizes)
def test_more_picks_match_better(n, d, seed, ridge, low):
    g = vectors(n, d, seed, low)
    values = []
    for most in range(1, n + 1):
        rows, weights, _ = pursued(g, g.sum(0), most, ridge)
        assert len(rows) <= most
        values.append(objective(g[rows], g.sum(0), weights, ridge))
    assert all(after <= before + 1e-9 for before, after in pairwise(values))


def test_weights_scale_with_the_target_and_its_scale_moves_no_pick():
    """So that the sum or the mean of the gradients, which papers and codes take, are one."""
    g = vectors(20, 5, 0)
    whole, mean = pursued(g, g.sum(0), 8, 0.5), pursued(g, g.mean(0), 8, 0.5)
    assert whole[0] == mean[0]
    np.testing.assert_allclose(whole[1], 20 * mean[1])


def test_a_vector_whose_weight_falls_to_nothing_leaves_and_makes_room():
    """The first pick points about everywhere; when two that point more sharply are there, it has no use."""
    g, b = np.array([[0.0, 1, 0], [1, 3, 0], [2, 2, 2], [1, 1, 3]]), np.array([1.0, 4, 2])
    assert pursued(g, b, 2, 1e-3)[0] == [2, 1]
    rows, weights, _ = pursued(g, b, 3, 1e-3)
    assert rows == [1, 3, 0]  # as many as asked, and all count
    np.testing.assert_allclose(weights, best(g, b, 1e-3)[rows])


def test_nothing_is_picked_that_points_the_other_way():
    g = np.array([[1.0, 0.0], [-1.0, 0.2], [-2.0, 0.0]])
    assert pursued(g, np.array([3.0, 0.0]), 3, 0.5)[0] == [0]
    assert pursued(g, np.zeros(2), 3, 0.5)[0] == []
    assert pursued(-np.ones((3, 2)), np.ones(2), 2, 0.5)[0] == []


@pytest.mark.parametrize("ridge", [0.5, 1e-14])
def test_equal_vectors_and_those_of_nothing_do_no_harm(ridge):
    g = np.vstack([np.ones((4, 3)), np.zeros((2, 3)), vectors(4, 3, 0)])
    rows, weights, _ = pursued(g, g.sum(0), 10, ridge)
    assert np.isfinite(weights).all() and (weights > 0).all() and not {4, 5} & set(rows)
    found = np.zeros(10)
    found[rows] = weights
    assert objective(g, g.sum(0), found, ridge) <= objective(g, g.sum(0), best(g, g.sum(0), ridge), ridge) + 1e-9


@given(st.integers(1, 6), st.integers(0, 2**32 - 1), st.data())
def test_the_inverse_grows_and_shrinks_with_its_matrix(k, seed, data):
    g = vectors(k + 1, 8, seed)
    a, inverse = torch.from_numpy(g @ g.T + 0.1 * np.eye(k + 1)), torch.full((9, 9), torch.nan, dtype=torch.float64)
    inverse[:k, :k] = torch.linalg.inv(a[:k, :k])
    v, s = grow(inverse, a[:k, k], float(a[k, k]))
    torch.testing.assert_close(inverse[: k + 1, : k + 1], torch.linalg.inv(a))
    torch.testing.assert_close(torch.cat([-v / s, torch.tensor([1 / s], dtype=torch.float64)]), inverse[: k + 1, k])
    gone = data.draw(st.integers(0, k))
    rest = [i for i in range(k + 1) if i != gone]
    shrink(inverse, k + 1, gone)
    torch.testing.assert_close(inverse[:k, :k], torch.linalg.inv(a[rest][:, rest]))


def test_a_matrix_that_would_have_no_inverse_does_not_grow():
    inverse = torch.eye(2, dtype=torch.float64)
    assert grow(inverse, torch.ones(1, dtype=torch.float64), 1.0) is None
    assert torch.equal(inverse, torch.eye(2, dtype=torch.float64))
