"""Moderate against its definition: sort by distance to the centre, cut the same number off both ends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.methods.coresets.moderate import Moderate, distances, middle


def window(order, n):
    """Ranks 1/2 ± r/2 with r = n / N, where they are whole numbers."""
    cut = (len(order) - n) // 2
    return order[cut : len(order) - cut]


@pytest.mark.parametrize("centre", ["median", "mean"])
@pytest.mark.parametrize("ipc", [2, 10, 40])
def test_picks_of_a_class_are_the_window_around_its_median_distance(centre, ipc, toy):
    box, features = toy(), np.random.default_rng(0).normal(size=(120, 5)) ** 3
    picks = Moderate(centre=centre)(box.inputs(ipc, features=features)).indices.reshape(3, ipc)
    for c, row in enumerate(picks):
        members = np.flatnonzero(box.data.train.labels == c)
        middle = getattr(np, centre)(features[members], axis=0)
        order = members[np.argsort([np.linalg.norm(f - middle) for f in features[members]])]
        assert sorted(row) == sorted(window(order, ipc))


def test_pooled_the_window_is_of_all_distances_each_to_the_centre_of_its_class(toy):
    box = toy()
    labels = box.data.train.labels
    features = np.random.default_rng(0).normal(size=(120, 5)) * (1 + labels[:, None]) + 100 * labels[:, None]
    picks = Moderate(pooled=True)(box.inputs(10, features=features)).indices
    centres = np.stack([np.median(features[labels == c], axis=0) for c in range(3)])
    order = np.argsort(np.linalg.norm(features - centres[labels], axis=1))
    assert sorted(picks) == sorted(window(order, 30))
    assert len(set(np.bincount(labels[picks], minlength=3).tolist())) > 1


@settings(deadline=None)
@given(scores=st.lists(st.integers(0, 5), max_size=12))
def test_the_middle_comes_first_then_what_is_next_to_it(scores):
    order = middle(np.array(scores, np.float64)).tolist()
    assert sorted(order) == list(range(len(scores)))
    ranks = [int(np.argsort(scores, kind="stable").tolist().index(i)) for i in order]
    away = [abs(rank - (len(scores) - 1) / 2) for rank in ranks]
    assert away == sorted(away)
    assert all(a < b for a, b, x, y in zip(ranks, ranks[1:], away, away[1:], strict=False) if x == y)


@pytest.mark.parametrize("centre", ["median", "mean"])
def test_parts_and_half_precision_change_nothing(centre, monkeypatch):
    features = np.random.default_rng(0).integers(0, 9, (40, 7)) * 1000
    whole = distances(features.astype(np.float64), centre)
    monkeypatch.setattr("decoct.methods.coresets.moderate.BLOCK", 50)
    assert (distances(features.astype(np.float16), centre) == whole).all()
