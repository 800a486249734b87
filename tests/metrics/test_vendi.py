"""Vendi against the eigenvalues of the kernel itself, closed forms, planted duplicates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.interfaces import Measured
from decoct.metrics.vendi import Vendi, vendi


def naive(real, condensed):
    x = condensed.astype(np.float64) - real.astype(np.float64).mean(0)
    kernel = np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for b in x] for a in x])
    spectrum = np.linalg.eigvalsh(kernel / len(x))
    return np.exp(-sum(v * np.log(v) for v in spectrum if v > 1e-15))


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 20), d=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_it_is_what_its_definition_says_on_either_side_of_the_dual(n, d, seed):
    rng = np.random.default_rng(seed)
    real, condensed = (rng.normal(size=(rows, d)).astype(np.float32) + 3 for rows in (30, n))
    got = vendi(real, condensed)
    assert got["vendi"] == pytest.approx(naive(real, condensed), rel=1e-9)
    assert got["vendi_per_image"] == pytest.approx(got["vendi"] / n)
    assert 1 - 1e-9 <= got["vendi"] <= min(n, d) + 1e-9


def test_closed_forms():
    eye, centred = np.eye(6), np.concatenate([np.eye(6), -np.eye(6)])
    assert vendi(centred, eye)["vendi"] == pytest.approx(6)  # orthogonal
    assert vendi(centred, np.ones((9, 6)))["vendi"] == pytest.approx(1)  # all alike
    assert vendi(centred, eye[:1])["vendi"] == pytest.approx(1)
    weights = np.array([4, 2]) / 6  # unequal shares: exp of their entropy
    got = vendi(centred, eye[[0, 0, 0, 0, 1, 1]])["vendi"]
    assert got == pytest.approx(np.exp(-(weights * np.log(weights)).sum()))


def test_duplicates_lower_it():
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(500, 64)), rng.normal(size=(20, 64))
    assert vendi(real, condensed[np.arange(20) // 4])["vendi"] < 0.4 * vendi(real, condensed)["vendi"]


def test_images_at_the_mean_count_as_one_kind():
    same = np.full((7, 3), 0.1)
    assert vendi(same, same)["vendi"] == pytest.approx(1)
    assert vendi(np.zeros((2, 2)), np.array([[0.0, 0.0], [1.0, 0.0]]))["vendi"] == pytest.approx(2)


def test_what_lies_beside_the_mean_by_rounding_alone_has_no_direction():
    same = np.full((2, 3), 0.1)
    same[1] = np.nextafter(same[1], 1)
    assert vendi(same, same)["vendi"] == pytest.approx(1)


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="real features hold values that are not finite"):
        vendi(np.array([[np.nan]]), np.ones((1, 1)))


def test_the_metric_centres_each_class_on_its_own_train_mean():
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 2
    real = {"train": rng.normal(size=(30, 5)) + 50 * labels[:, None]}
    condensed = real["train"][:12]
    measured = Measured(condensed, labels[:12], real, {"train": labels}, ("a", "b"), True, np.zeros((12, 2)))
    got = {(r.metric, r.scope): r.value for r in Vendi()(measured)}
    each = [naive(real["train"][labels == c], condensed[labels[:12] == c]) for c in (0, 1)]
    assert got["vendi", "per_class"] == pytest.approx(np.mean(each))
    assert got["vendi", "pooled"] == pytest.approx(naive(real["train"], condensed))
