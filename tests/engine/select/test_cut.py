"""Graph cut at the ends of its weight."""

import numpy as np
import pytest

from decoct.engine import select


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
