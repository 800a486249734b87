"""Herding and graph cut: what is special about them; the rest is in test_kernels."""

import numpy as np
import pytest

from decoct import select


def test_a_large_weight_picks_the_most_typical_and_a_small_one_spreads():
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(size=(30, 4)) * 0.1 + [1, 0, 0, 0], -np.eye(4)[:1], np.eye(4)[1:2]])
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    typical = np.argsort(-unit @ unit.sum(0), kind="stable")
    assert select.graph_cut(features, 8, lam=1e6).tolist() == typical[:8].tolist()
    assert {30, 31} <= set(select.graph_cut(features, 3, lam=0.0).tolist())


@pytest.mark.parametrize("lam", [-1.0, float("inf"), float("nan")])
def test_a_weight_that_is_none_is_refused(lam):
    with pytest.raises(ValueError, match="lam must be"):
        select.graph_cut(np.ones((3, 2)), 1, lam=lam)


def test_herding_follows_the_mean_and_the_farthest_rows_lead_away_from_it():
    rng = np.random.default_rng(0)
    rows, farthest = rng.normal(size=(5000, 64)), []
    for t in range(50):
        distance = np.linalg.norm((t + 1) * rows.mean(0) - rows[farthest].sum(0) - rows, axis=1)
        distance[farthest] = -1
        farthest.append(int(distance.argmax()))
    picks = [select.herding(rows, 50), rng.choice(5000, 50, replace=False), farthest]
    away = [np.linalg.norm(rows[pick].mean(0) - rows.mean(0)) for pick in picks]
    assert away == pytest.approx([0.17, (64 / 50) ** 0.5, 3.5], abs=0.15)


@pytest.mark.parametrize("seed", range(30))
def test_a_mean_that_float32_rounds_is_settled_exactly(seed):
    """Against integers: 64 values near 2²² add up to more than float32 holds, and neighbours are 1 apart."""
    values = (2**22 + np.random.default_rng(seed).integers(0, 100, 64)).tolist()
    picked = []
    for t in range(8):
        target = (t + 1) * sum(values) - 64 * sum(values[i] for i in picked)
        left = (i for i in range(64) if i not in picked)
        picked.append(min(left, key=lambda i: abs(target - 64 * values[i])))
    assert select.herding(np.array(values, np.float32)[:, None], 8).tolist() == picked
