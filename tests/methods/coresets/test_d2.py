"""D2 against the paper's two rules on a matrix of all images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.errors import DecoctError
from decoct.methods.coresets.d2 import D2, Graph, hardness
from decoct.needs.dynamics import NAMES, Dynamics, Trace, Traces
from decoct.needs.features import Features
from decoct.select.nearest import neighbours


def rewrite(features, difficulty, k, forward, reverse, picks=None):
    """All distances, all weights, one pick after the other: the best of those left, or ``picks``; and how far they are
    from the best."""
    squared = ((features[:, None] - features) ** 2).sum(2)
    joined = np.zeros_like(squared, bool)
    for i, row in enumerate(squared):
        for j in [j for j in np.argsort(row, kind="stable") if j != i][:k]:
            joined[i, j] = joined[j, i] = True
    score = difficulty + (joined * np.exp(-forward * squared)) @ difficulty
    left, order, behind = list(range(len(score))), [], []
    while left:
        best = max(left, key=lambda i: (score[i], -i))
        pick = best if picks is None else picks[len(order)]
        behind.append(score[best] - score[pick])
        left.remove(pick)
        order.append(pick)
        score -= joined[pick] * np.exp(-reverse * squared[pick]) * score[pick]
    return order, behind


@settings(deadline=None)
@given(
    rows=st.integers(1, 25),
    k=st.integers(1, 8),
    forward=st.sampled_from([0.0, 0.3, 1.0]),
    reverse=st.sampled_from([0.0, 0.1, 2.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_picks_follow_the_two_rules_to_the_last_image(rows, k, forward, reverse, seed):
    rng = np.random.default_rng(seed)
    features, difficulty = rng.normal(size=(rows, 3)), rng.random(rows)
    picks = Graph(*neighbours(features, k)).greedy(difficulty, rows, forward, reverse).tolist()
    _, behind = rewrite(features, difficulty, k, forward, reverse, picks)
    assert max(behind) < 1e-9


def test_of_equal_scores_the_lowest_row_comes_first():
    graph = Graph(*neighbours(np.zeros((5, 2)), 4))
    assert graph.greedy(np.zeros(5), 5, 1.0, 0.5).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("difficulty", ["forgetting", "aum"])
def test_it_is_the_rule_on_each_class_or_on_all(difficulty, pooled, toy):
    box = toy()
    method = D2(difficulty=difficulty, pooled=pooled, normalise="unit", neighbours=4, gamma_reverse=0.5, trim=0.1)
    inputs = box.supplied(method, 9)
    features = inputs.features[Features()].astype(np.float64)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    hard = hardness(inputs.dynamics[Dynamics()], difficulty)
    expected = []
    for group in [np.arange(120)] if pooled else inputs.members():
        left = sorted(sorted(group, key=lambda i: (-hard[i], i))[len(group) // 10 :])
        own = hard[left] - min(0, hard[left].min())
        picks, _ = rewrite(features[left], own, 4, 1.0, 0.5)
        expected += np.array(left)[picks[: 27 if pooled else 9]].tolist()
    assert method(inputs).indices.tolist() == expected


def test_without_a_gamma_it_is_one_over_the_dimensions(toy):
    inputs = (box := toy()).supplied(D2(), 20)
    d = inputs.features[Features()].shape[1]
    unset, said, other = (D2(gamma_reverse=g)(inputs).indices.tolist() for g in (None, 1 / d, 0.0))
    assert unset == said != other
    assert len(set(unset)) == 60 and (box.data.train.labels[unset] == np.repeat(range(3), 20)).all()


def test_difficulty_is_the_mean_over_runs_of_forgetting_or_of_the_negative_margin():
    blank = {name: np.zeros((4, 3)) for name in NAMES}
    runs = [
        {"correct": np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 1]], np.uint8), "margin": np.eye(4, 3)},
        {"correct": np.ones((4, 3), np.uint8), "margin": np.zeros((4, 3))},
    ]
    traces = Traces(tuple(Trace(**blank | run) for run in runs))
    assert hardness(traces, "forgetting").tolist() == [1, 2, 0]  # one of two epochs; never learnt is T = 4
    assert hardness(traces, "aum").tolist() == [-0.125] * 3


def test_a_trim_must_leave_enough_and_needs_follow_the_fields(toy):
    method = D2(trim=0.5)
    with pytest.raises(DecoctError, match="lower trim"):
        method(toy().supplied(method, 21))
    assert D2(extractor="resnet18", net="resnet10t", epochs=5, runs=2).needs() == (
        Features(extractor="resnet18"),
        Dynamics(net="resnet10t", epochs=5, runs=2),
    )
