"""DUAL against its definition; the draw against its probabilities."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from decoct.core.errors import DecoctError
from decoct.methods.coresets._shared.coreset import Group
from decoct.methods.coresets.dual import DUAL, log_weights, wavering
from decoct.needs.dynamics import NAMES, Trace, Traces


@given(epochs=st.integers(2, 14), window=st.integers(2, 14), seed=st.integers(0, 2**31))
def test_the_score_is_the_mean_over_windows(epochs, window, seed):
    p = np.random.default_rng(seed).uniform(size=(epochs, 4))
    J, terms = min(window, epochs), []
    for k in range(epochs - J + 1):
        mean = sum(p[k + j] for j in range(J)) / J
        terms.append(np.sqrt(sum((p[k + j] - mean) ** 2 for j in range(J)) / (J - 1)) * (1 - mean))
    assert wavering(p, window) == pytest.approx(sum(terms) / len(terms), rel=1e-9, abs=1e-12)


@given(seed=st.integers(0, 2**31), left_out=st.floats(0.1, 0.99), c_d=st.floats(1, 11))
def test_weights_are_score_times_the_beta_density(seed, left_out, c_d):
    rng = np.random.default_rng(seed)
    score, mean = rng.uniform(0.01, 1, 30), rng.uniform(0.01, 0.99, 30)
    b = 15 * (1 - mean[np.argsort(score)[-10:]].mean()) * (1 - left_out**c_d)
    expected = score * beta.pdf(mean, 16 - b, b)
    weights = np.exp(log_weights(score, mean, left_out, c_d))
    assert weights / weights.sum() == pytest.approx(expected / expected.sum(), rel=1e-6)


def test_the_fewer_are_kept_the_easier_they_are(planted):
    method = DUAL(c_d=1)
    mean = planted.traces.mean(lambda run: run.probability.mean(0))

    def kept(ipc):
        return mean[np.concatenate([method(planted.inputs(method, ipc, seed)).indices for seed in range(20)])].mean()

    assert kept(2) > kept(20) > kept(40)


def test_images_that_a_net_is_sure_of_from_the_start_have_finite_weights_and_score_0_is_drawn_last():
    score, mean = np.array([0.0, 0.2, 0.1, 0.0]), np.array([1.0, 0.5, 1.0, 0.0])
    weights = log_weights(score, mean, 0.99, 4.0)
    assert np.isneginf(weights).tolist() == [True, False, False, True]
    trace = Trace(**{name: np.tile(mean, (3, 1)) for name in NAMES})
    for seed in range(10):
        picks = DUAL().pick(score, Group(0, np.arange(4), 3, seed), Traces((trace,)))
        assert set(picks[:2].tolist()) == {1, 2} and picks[2] == 0


def test_draws_are_in_proportion_to_the_weights(monkeypatch):
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    monkeypatch.setattr("decoct.methods.coresets.dual.log_weights", lambda *_: np.log(weights))
    traces = SimpleNamespace(mean=lambda of: None)
    firsts = np.bincount([DUAL().pick(weights, Group(0, np.arange(4), 1, s), traces)[0] for s in range(4000)])
    assert firsts / 4000 == pytest.approx(weights / 10, abs=0.03)


def test_each_class_is_drawn_by_its_own_images(planted, monkeypatch):
    seen = []

    def watched(score, mean, left_out, c_d):
        seen.append((score, mean, left_out))
        return log_weights(score, mean, left_out, c_d)

    monkeypatch.setattr("decoct.methods.coresets.dual.log_weights", watched)
    DUAL()(planted.inputs(DUAL(), 6))
    means = planted.traces.mean(lambda run: run.probability.mean(0))
    for c, (score, mean, left_out) in enumerate(seen):
        assert np.array_equal(score, DUAL().difficulty(planted.traces)[planted.labels == c])
        assert mean == pytest.approx(means[planted.labels == c], rel=1e-5)
        assert left_out == pytest.approx(0.9)
    assert len(seen) == 3


def test_only_the_first_epochs_are_read():
    p = np.concatenate([np.full((10, 1), 0.5), np.tile([[0.0], [1.0]], (10, 1))])
    traces = Traces((Trace(**dict.fromkeys(NAMES, p)),))
    assert DUAL(until=10).difficulty(traces) == pytest.approx([0.0])
    assert DUAL().difficulty(traces) > 0.1


def test_one_epoch_does_not_waver():
    with pytest.raises(DecoctError, match="two epochs at least: raise epochs"):
        wavering(np.zeros((1, 3)), 10)
