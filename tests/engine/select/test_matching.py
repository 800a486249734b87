"""Herding beside the rule that takes the farthest row, as DeepCore's code does: what docs/faq.md says of the two."""

import numpy as np
import pytest

from decoct.engine import select


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
