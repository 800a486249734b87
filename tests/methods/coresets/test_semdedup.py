"""SemDeDup against groups of pairs above 1 − ε, found at every ε anew."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from decoct.core.budget import Budget
from decoct.methods.coresets import semdedup
from decoct.methods.coresets._shared.coreset import unit
from decoct.methods.coresets.semdedup import SemDeDup, duplicates, joined


def naive(rows, cluster, centres, epsilon):
    """Who stays, cluster by cluster, as the paper has it: of each group the one least similar to the centre."""
    stay = []
    for c in np.unique(cluster):
        members = np.flatnonzero(cluster == c)
        own = rows[members]
        number, group = connected_components(own @ own.T > 1 - epsilon)
        central = own @ centres[c] / np.linalg.norm(centres[c])
        for g in range(number):
            of_group = np.flatnonzero(group == g)
            stay.append(members[of_group[central[of_group].argmin()]])
    return sorted(stay)


@given(seed=st.integers(0, 10**6), n=st.integers(2, 40), d=st.integers(2, 5), data=st.data())
def test_who_stays_is_what_the_paper_says_at_some_epsilon(seed, n, d, data):
    rows = unit(np.random.default_rng(seed).normal(size=(n, d)))
    centre = np.random.default_rng(seed + 1).normal(size=d)
    gone, similarities = joined(rows, rows @ centre / np.linalg.norm(centre))
    assert len(set(gone.tolist())) == n - 1 and (np.diff(similarities) <= 0).all()
    count = data.draw(st.integers(0, n - 1))
    lower = similarities[count] if count < n - 1 else -1.1
    upper = similarities[count - 1] if count else 1.1
    left = np.setdiff1d(np.arange(n), gone[:count]).tolist()
    assert left == naive(rows, np.zeros(n, int), centre[None], 1 - (lower + upper) / 2)


def test_clusters_are_those_of_k_means_and_one_epsilon_serves_all(monkeypatch):
    rng = np.random.default_rng(0)
    rows = unit(np.concatenate([3 * axis + rng.normal(size=(25, 4)) for axis in np.eye(4)[:3]]))
    found = []
    of = semdedup.centres
    monkeypatch.setattr(semdedup, "centres", lambda *given: found.append(of(*given)) or found[-1])
    gone, similarities = duplicates(rows, 3, np.random.default_rng(5))
    (centres,) = found
    cluster = np.linalg.norm(rows[:, None] - centres, axis=2).argmin(1)
    assert len(gone) == 75 - 3 and (np.diff(similarities) <= 0).all()
    for count in (10, 40, 70):
        epsilon = 1 - (similarities[count - 1] + similarities[count]) / 2
        assert np.setdiff1d(np.arange(75), gone[:count]).tolist() == naive(rows, cluster, centres, epsilon)


def test_the_authors_code_keeps_an_image_that_nearer_ones_join_to_another():
    """a – c – b, a and b far from the centre and from each other: one group, of which the paper keeps a."""
    angles = np.deg2rad([0.0, 20.0, 10.0])  # a, b, c
    rows = np.stack([np.cos(angles), np.sin(angles)], 1)
    central = np.array([0.1, 0.2, 0.3])
    gone, _ = joined(rows, central)
    assert sorted(gone.tolist()) == [1, 2]
    order = np.argsort(central)  # theirs: farthest from the centre first, and an image goes if one before it is near
    near = np.triu(rows[order] @ rows[order].T > np.cos(np.deg2rad(15)), 1).any(0)
    assert order[~near].tolist() == [0, 1]


@pytest.mark.parametrize("pooled", [True, False])
def test_a_set_is_what_is_left_and_its_epsilon_is_noted(pooled, toy):
    box = toy()
    features = np.random.default_rng(3).normal(size=(120, 5)).astype(np.float32)
    draft = SemDeDup(pooled=pooled, clusters=1)(box.inputs(30, features=features))
    groups = [np.arange(120)] if pooled else [np.flatnonzero(box.data.train.labels == c) for c in range(3)]
    expected, reached = [], []
    for group in groups:
        rows = unit(features[group])
        central = rows.astype(float) @ unit(rows.mean(0)[None])[0]
        gone, similarities = joined(rows.astype(float), central)
        count = 10 * len(group) // 40
        expected += group[np.setdiff1d(np.arange(len(group)), gone[:count])].tolist()
        reached.append(1 - similarities[count - 1])
    assert draft.indices.tolist() == expected
    assert draft.notes == {"epsilon": pytest.approx(max(reached))}


def test_no_more_clusters_than_images_that_stay(toy):
    box = toy()
    for budget in (Budget(images=1), Budget(images=2), Budget(images=120)):
        draft = SemDeDup(clusters=50)(replace(box.inputs(1, features=True), budget=budget))
        assert len(set(draft.indices.tolist())) == budget.images
        assert bool(draft.notes) == (budget.images < 120)


def test_copies_go_first(toy):
    box = toy()
    features = np.random.default_rng(4).normal(size=(120, 5)).astype(np.float32)
    features[60:] = features[:60] * np.linspace(0.5, 2, 60, dtype=np.float32)[:, None]
    picks = SemDeDup()(replace(box.inputs(1, features=features), budget=Budget(images=60))).indices
    assert sorted(picks % 60) == list(range(60))
