"""Forgetting: most counts are equal, and equal ones are drawn."""

from decoct.methods.coresets.forgetting import Forgetting


def test_equal_counts_come_in_random_order(planted):
    method = Forgetting(keep="easy")
    firsts = {method(planted.inputs(method, 1, seed)).indices[0] for seed in range(20)}
    assert len(firsts) > 10  # most images of a class are never forgotten


def test_what_is_never_learnt_is_picked_first(planted):
    method = Forgetting()
    never = {i for i in range(180) if not any(run.correct[:, i].any() for run in planted.traces.runs)}
    assert never
    picks = method(planted.inputs(method, 6)).indices
    for i in never:
        assert i in picks[planted.labels[picks] == planted.labels[i]]
