"""Deduplicate is its kernel on all images, or on each class, and says how near the last pair was."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from decoct import select
from decoct.core.budget import Budget
from decoct.methods.coresets._shared.coreset import unit
from decoct.methods.coresets.deduplicate import Deduplicate


@pytest.mark.parametrize("normalise", ["unit", "none"])
@pytest.mark.parametrize("pooled", [True, False])
def test_what_stays_is_what_the_kernel_leaves(pooled, normalise, toy):
    box = toy()
    features = np.random.default_rng(1).normal(size=(120, 5)).astype(np.float32)
    draft = Deduplicate(pooled=pooled, normalise=normalise)(box.inputs(30, features=features))
    groups = [np.arange(120)] if pooled else [np.flatnonzero(box.data.train.labels == c) for c in range(3)]
    expected, reached = [], []
    for group in groups:
        own = unit(features[group]) if normalise == "unit" else features[group]
        rows, distances = select.duplicates(own, 3 * len(group) // 4)
        expected += group[np.setdiff1d(np.arange(len(group)), rows)].tolist()
        reached.append(distances[-1])
    assert draft.indices.tolist() == expected
    assert draft.notes == {"reached": pytest.approx(max(reached))}


def test_copies_go_first_and_a_smaller_set_is_part_of_a_larger_one(toy):
    box = toy()
    features = np.random.default_rng(4).normal(size=(120, 5)).astype(np.float32)
    features[60:] = features[:60]
    drafts = [
        Deduplicate()(replace(box.inputs(1, features=features), budget=Budget(images=n))) for n in (120, 60, 30, 3)
    ]
    picks = [draft.indices for draft in drafts]
    assert sorted(picks[1] % 60) == list(range(60)) and drafts[1].notes == {"reached": 0}
    assert [len(set(each.tolist())) for each in picks] == [120, 60, 30, 3] and not drafts[0].notes
    assert all(set(small.tolist()) <= set(large.tolist()) for large, small in pairwise(picks))


def test_a_brighter_copy_is_a_copy_by_angle_alone(toy):
    box = toy()
    features = np.random.default_rng(4).uniform(1, 5, size=(120, 5)).astype(np.float32)
    features[60:] = 1.5 * features[:60]
    inputs = replace(box.inputs(1, features=features), budget=Budget(images=60))
    assert sorted(Deduplicate()(inputs).indices % 60) == list(range(60))
    assert len(set(Deduplicate(normalise="none")(inputs).indices % 60)) < 60
