"""A probe learns the pool's features, draws nothing, and leaves traces of a training of the same classifier."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from decoct.core.errors import DecoctError
from decoct.shrinking.learners.probe import Probe
from decoct.shrinking.made import Made
from decoct.shrinking.pool import Pool

PROBE = Probe("pixels", epochs=2)
ROWS, HELD = np.arange(0, 240, 2), np.arange(299, 240, -1)


def test_it_is_scikit_learns_logistic_regression(pool: Pool) -> None:
    found = PROBE.probabilities(pool, ROWS, HELD, seed=0)
    features = pool.images.reshape(300, -1).astype(float)
    scale = StandardScaler().fit(features[ROWS])
    model = LogisticRegression(C=10 / 64, tol=1e-8, max_iter=10_000)
    model.fit(scale.transform(features[ROWS]), pool.labels[ROWS])
    np.testing.assert_allclose(found, model.predict_proba(scale.transform(features[HELD])), atol=3e-3)


def test_the_seed_decides_nothing(pool: Pool) -> None:
    again = pickle.loads(pickle.dumps(PROBE))
    assert not again.stochastic
    one, two = (each.probabilities(pool, ROWS, HELD, seed) for seed, each in enumerate((PROBE, again)))
    np.testing.assert_array_equal(one, two)


def test_traces_are_those_of_a_softmax_layer_in_plain_torch(pool: Pool) -> None:
    material = PROBE.material(pool, ROWS, seed=5)
    (trace,) = material.traces.runs
    np.testing.assert_array_equal(material.features, pool.images[ROWS].reshape(120, -1).astype(np.float32))

    x = material.features.astype(np.float64)
    spread = np.where(x.std(0) == 0, 1, x.std(0))
    x, y = torch.from_numpy((x - x.mean(0)) / spread).float(), torch.from_numpy(pool.labels[ROWS])
    w, b = torch.zeros(10, 64, requires_grad=True), torch.zeros(10, requires_grad=True)
    optimiser = torch.optim.AdamW([{"params": [w], "weight_decay": 0.01}, {"params": [b], "weight_decay": 0}], lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 2)
    for _ in range(2):  # all 120 in one batch
        loss = F.cross_entropy(x @ w.T + b, y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        p = (x @ w.T + b).softmax(1)
    assert trace.probability.shape == (2, 120)
    np.testing.assert_allclose(trace.probability[-1], p.gather(1, y[:, None])[:, 0], atol=1e-4)
    error = (p - F.one_hot(y, 10)).norm(dim=1)
    np.testing.assert_allclose(trace.gradient[-1], error * (x.square().sum(1) + 1).sqrt(), rtol=1e-3)


def test_its_batches_come_from_the_seed(pool: Pool) -> None:
    probe = replace(PROBE, batch=32)
    one, same, other = (probe.material(pool, ROWS, seed).traces.runs[0].margin for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_few_rows_and_missing_classes_are_no_error(pool: Pool) -> None:
    alone = PROBE.probabilities(pool, ROWS[:1], HELD, seed=0)
    np.testing.assert_array_equal(alone, np.eye(10)[[pool.labels[0]] * len(HELD)])
    assert PROBE.material(pool, ROWS[:1], seed=0).traces.runs[0].margin.shape == (2, 1)


def test_a_pool_without_features_is_refused(pool: Pool) -> None:
    with pytest.raises(DecoctError, match="features of a frozen net"):
        PROBE.probabilities(replace(pool, features=None), ROWS, HELD, seed=0)


def test_images_that_were_made_have_no_features(pool: Pool) -> None:
    made = Made(np.array(pool.images[ROWS]), pool.labels[ROWS], 0.0)
    with pytest.raises(DecoctError, match="made images have none"):
        PROBE.probabilities(pool, made, HELD, seed=0)
