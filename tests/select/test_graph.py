"""The graph of near rows: exact for few, and for many most of the nearest, at the distances that they have."""

import numpy as np
import pytest
import torch

from decoct.select import graph
from decoct.select.graph import as_graph, near_rows
from decoct.select.nearest import neighbours

CPU = torch.device("cpu")


def clusters(size, count, rng):
    centres = rng.normal(size=(count, 16)) * 4
    return (centres[rng.integers(0, count, size)] + rng.normal(size=(size, 16))).astype(np.float32)


def found(features, k):
    near = near_rows(torch.from_numpy(features).__getitem__, len(features), k, CPU)
    return near.rows.numpy(), near.squared.numpy()


def test_few_rows_are_all_compared():
    features = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    rows, squared = found(features, 7)
    exact, distances = neighbours(features, 7)
    assert (rows == exact).all() and np.allclose(squared, distances**2, rtol=1e-6)


@pytest.mark.parametrize("block", [2**23, 3000])
def test_of_many_rows_most_of_the_nearest_are_found_at_their_distances(block, monkeypatch):
    monkeypatch.setattr(graph, "EXACT", 0)
    monkeypatch.setattr(graph, "BLOCK", block)
    features = clusters(4000, 100, np.random.default_rng(0))
    rows, squared = found(features, 10)
    exact, _ = neighbours(features, 10)
    assert np.mean([len(set(a) & set(b)) for a, b in zip(rows.tolist(), exact.tolist(), strict=True)]) > 9.9
    true = ((features[:, None].astype(np.float64) - features[rows]) ** 2).sum(2)
    assert squared == pytest.approx(true, rel=1e-3)
    assert (np.diff(squared, axis=1) >= 0).all() and (rows != np.arange(4000)[:, None]).all()


def test_where_many_rows_are_alike_each_sees_as_many_as_it_may(monkeypatch):
    monkeypatch.setattr(graph, "EXACT", 0)
    monkeypatch.setattr(graph, "SEEN", 50)
    features = np.zeros((2000, 3), np.float32)
    features[:100] = np.random.default_rng(0).normal(size=(100, 3))
    rows, squared = found(features, 5)
    assert not squared[100:].any() and (rows != np.arange(2000)[:, None]).all()
    assert all(len(set(row)) == 5 for row in rows.tolist())


def test_where_there_are_not_as_many_a_row_stands_for_itself(monkeypatch):
    monkeypatch.setattr(graph, "EXACT", 0)
    monkeypatch.setattr(graph, "PROBES", 1)
    features = np.array([[0.0], [0.1], [50.0], [90.0]], np.float32)
    rows, squared = found(features, 3)
    assert rows[3].tolist() == [3, 3, 3] and np.isinf(squared[3]).all()


def test_what_is_given_is_taken_without_the_rows_themselves():
    near = as_graph((np.array([[0, 1], [0, 1]]), np.array([[0.0, 2.0], [2.0, -1e-9]])), 2, CPU)
    assert near.rows.tolist() == [[0, 1], [0, 1]]
    assert near.squared.tolist() == [[np.inf, 2.0], [2.0, np.inf]]


@pytest.mark.parametrize(
    ("rows", "squared", "message"),
    [
        (np.zeros((2, 1), int), np.zeros((2, 1)), r"two \[3, k\] arrays"),
        (np.zeros((3, 1), int), np.zeros((3, 2)), r"two \[3, k\] arrays"),
        (np.zeros((3, 1)), np.zeros((3, 1)), r"two \[3, k\] arrays"),
        (np.full((3, 1), -1), np.zeros((3, 1)), "numbers from 0 to 2"),
        (np.full((3, 1), 3), np.zeros((3, 1)), "numbers from 0 to 2"),
    ],
)
def test_what_is_no_graph_is_refused(rows, squared, message):
    with pytest.raises(ValueError, match=message):
        as_graph((rows, squared), 3, CPU)
