"""The linear probe is scikit-learn's regularised logistic regression, absent classes and weights included."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from decoct.core.errors import DecoctError
from decoct.training.probe import fit

rng = np.random.default_rng(0)
LABELS = rng.integers(0, 3, 90)
FEATURES = (rng.normal(size=(90, 6)) + np.eye(3, 6)[LABELS]) * [1, 1, 1, 9, 1, 0.1] + 5
OTHERS = rng.normal(size=(20, 6)) + 5


def by_sklearn(strength: float, **rest: Any) -> Any:
    scale = StandardScaler().fit(FEATURES)
    model = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(scale.transform(FEATURES), LABELS, **rest)
    return model.predict_proba(scale.transform(OTHERS))


@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
def test_it_is_scikit_learns(strength: float) -> None:
    found = fit(FEATURES, LABELS, 3, strength=strength)
    np.testing.assert_allclose(found.probabilities(OTHERS), by_sklearn(strength), atol=2e-3)


def test_the_usual_strength_goes_with_the_dimensions() -> None:
    found = fit(FEATURES, LABELS, 3)
    np.testing.assert_allclose(found.probabilities(OTHERS), by_sklearn(10 / 6), atol=2e-3)


def test_rows_may_weigh_differently() -> None:
    weights = rng.uniform(0.1, 3, 90)
    found = fit(FEATURES, LABELS, 3, strength=1.0, weights=weights)
    expected = by_sklearn(1.0, sample_weight=weights / weights.mean())
    np.testing.assert_allclose(found.probabilities(OTHERS), expected, atol=2e-3)


def test_blocks_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit(FEATURES, LABELS, 3)
    monkeypatch.setattr("decoct.training.probe.BLOCK", 7)
    np.testing.assert_allclose(fit(FEATURES, LABELS, 3).probabilities(OTHERS), whole.probabilities(OTHERS), atol=2e-3)


def test_its_loss_is_that_of_its_probabilities() -> None:
    found = fit(FEATURES, LABELS, 3)
    expected = -np.log(found.probabilities(FEATURES)[np.arange(90), LABELS]).mean()
    assert found.loss == pytest.approx(expected, abs=1e-4)


def test_a_class_without_rows_is_never_predicted() -> None:
    found = fit(FEATURES, np.where(LABELS == 1, 3, LABELS), 5)
    said = found.probabilities(OTHERS)
    assert (said[:, [1, 4]] == 0).all()
    np.testing.assert_allclose(said.sum(1), 1, atol=1e-6)
    alone = fit(FEATURES[:1], [2], 5).probabilities(OTHERS)  # one row, and every feature is constant
    np.testing.assert_array_equal(alone, np.eye(5)[[2] * 20])


def test_a_constant_feature_says_nothing() -> None:
    wide = np.hstack([FEATURES, np.full((90, 1), 3.0)])
    other = np.hstack([OTHERS, np.full((20, 1), 3.0)])
    there, without = fit(wide, LABELS, 3, strength=1.0), fit(FEATURES, LABELS, 3, strength=1.0)
    np.testing.assert_allclose(there.probabilities(other), without.probabilities(OTHERS), atol=1e-4)


@pytest.mark.parametrize("features", [np.empty((0, 4)), np.array([[1.0, np.nan]])])
def test_what_cannot_be_learnt_from_is_refused(features: Any) -> None:
    with pytest.raises(DecoctError, match="features of one image at least, all of them finite"):
        fit(features, np.zeros(len(features), int), 2)
