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
