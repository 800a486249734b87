"""What a kernel takes for certain: bounds on rounding, and values that settle what they leave open."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.select.rows import Rows, settled, unit


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 700),
    columns=st.sampled_from([1, 3, 64, 300]),
    offset=st.sampled_from([0.0, 1.0, 1e4]),
    single=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_bounds_hold(seed, size, columns, offset, single):
    rng = np.random.default_rng(seed)
    features = (rng.normal(size=(size, columns)) + offset) * 10.0 ** rng.integers(-3, 4)
    features = features.astype(np.float32 if single else np.float64)
    rows, wide = Rows(features, 1), features.astype(np.longdouble)
    mean = wide.mean(0)
    assert np.linalg.norm((rows.about.numpy() - mean).astype(float)) <= rows.drift
    assert np.abs((rows.mean.numpy() - mean).astype(float)).max() <= 1e-13 * rows.longest
    point = features[rng.integers(size)]
    away = rows.away(torch.tensor([int(np.flatnonzero((features == point).all(1))[0])]))[0].numpy()
    true = ((wide - point) ** 2).sum(1)
    origin = 0 if rows.origin is None else rows.origin.numpy().astype(np.longdouble)
    reach = np.linalg.norm((point - origin).astype(float))
    bound = rows.rounding * (rows.squared.numpy() + reach**2 + 2 * reach * rows.length.numpy())
    assert (np.abs((away - true).astype(float)) <= bound + 1e-300).all()


def test_scores_that_rounding_cannot_tell_apart_are_settled_exactly_and_ties_by_index():
    score, error = torch.tensor([1.0, 3.0, 3.1, 2.85]), torch.tensor([0.0, 0.2, 0.2, 0.0])
    asked = []

    def exact(index):
        asked.append(index.tolist())
        return torch.tensor([5.0, 5.0], dtype=torch.float64)

    assert settled(score, 0.2, lambda: error, exact) == 1
    assert asked == [[1, 2]]  # row 3 is out by its own bound
    assert settled(score, 0.01, lambda: error, exact) == 2
    assert len(asked) == 1


def test_a_row_of_zeros_has_no_direction():
    assert unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist() == pytest.approx(np.array([[0.6, 0.8], [0.0, 0.0]]))
