"""The probit model of test images, against the bivariate normal and against its definition."""

from math import asin, pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from calibration.latent import Latent, answers, covariance, quantiles, variances


@given(st.floats(0.02, 0.98), st.floats(0.0, 0.99))
def test_covariance_is_the_bivariate_normals(accuracy: float, correlation: float) -> None:
    h = norm.ppf(accuracy)
    both = multivariate_normal.cdf([h, h], cov=[[1, correlation], [correlation, 1]])
    assert covariance(accuracy, correlation) == pytest.approx(both - accuracy**2, abs=1e-6)


def test_covariance_where_it_is_known() -> None:
    assert covariance(0.5, 0.6) == pytest.approx(asin(0.6) / (2 * pi), abs=1e-12)
    assert covariance(0.8, 1.0) == pytest.approx(0.16, abs=1e-6)
    assert covariance(1.0, 0.5) == 0


@given(st.floats(0.01, 0.99))
def test_variances_sum_to_that_of_one_answer(accuracy: float) -> None:
    parts = variances(Latent(), accuracy)
    assert sum(parts) == pytest.approx(accuracy * (1 - accuracy))
    assert min(parts) > 0


def test_quantiles_are_scipys() -> None:
    p = np.array([[0.0, 0.01, 0.3], [0.5, 0.999, 1.0]])
    np.testing.assert_allclose(quantiles(p), norm.ppf(p), rtol=1e-6, atol=1e-7)


def test_weights_have_unit_variance_and_a_student_of_their_own() -> None:
    assert sum(weight**2 for weight in Latent(3, 1, 4, 1).weights()) == pytest.approx(1)
    with pytest.raises(ValueError, match="student"):
        Latent(student=0).weights()


@pytest.mark.parametrize("students", [1, 2])
def test_answers_covary_as_the_model_says(students: int) -> None:
    """One set of each of two methods; over images, pairs of students agree as their common parts say."""
    accuracy = np.full((2, 2, 2, students), 0.7)
    right = answers(np.random.default_rng(1), Latent(), accuracy, np.array([False, True]), 200_000).astype(float)
    shared, method, of_set, _ = variances(Latent(), 0.7)
    seen = np.cov(right.reshape(-1, right.shape[-1]))
    index = [(m, s, c, t) for m in range(2) for s in range(2) for c in range(2) for t in range(students)]
    for i, (m, s, c, t) in enumerate(index):
        for j, (n, r, d, u) in enumerate(index):
            same_method = (m, s) == (n, r)
            same_set = same_method and (c == d or m == 1)
            wanted = shared + method * same_method + of_set * same_set
            wanted = 0.21 if same_set and (c, t) == (d, u) else wanted
            assert seen[i, j] == pytest.approx(wanted, abs=0.003)


def test_a_fixed_coreset_has_one_set_in_every_replicate() -> None:
    """Where nothing but sets tells images apart, its students all answer alike, those of new sets do not."""
    only_sets = Latent(image=0, method=0, set=1, student=1e-6)
    right = answers(np.random.default_rng(2), only_sets, np.full((2, 2, 4, 2), 0.6), np.array([False, True]), 1000)
    fixed, new = right[1], right[0]
    assert (fixed == fixed[:, :1, :1]).mean() > 0.999
    assert 0.3 < (new[:, 0] != new[:, 1]).mean() < 0.6
    assert (new[:, :, 0] == new[:, :, 1]).mean() > 0.999
    assert (right[:, 0] != right[:, 1]).mean() > 0.3  # other settings have other sets


def test_protocols_of_a_budget_share_sets() -> None:
    only_sets = Latent(image=0, method=0, set=1, student=1e-6)
    accuracy, fixed = np.full((1, 4, 3, 1), 0.6), np.array([False])
    right = answers(np.random.default_rng(3), only_sets, accuracy, fixed, 1000, protocols=2)[0]
    assert (right[0] == right[1]).mean() > 0.999
    assert (right[1] != right[2]).mean() > 0.3
