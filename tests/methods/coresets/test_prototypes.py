"""Prototypes on features whose clusters are known."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from decoct.core.errors import DecoctError
from decoct.methods.coresets import prototypes
from decoct.methods.coresets._shared import clusters
from decoct.methods.coresets.prototypes import Prototypes

DIRECTIONS = np.eye(6)[:4]


def planted(rng, n=120):
    """Four clusters of n / 4 rows that have nothing to do with classes; and 1 − cos to the mean of each row's own."""
    cluster = np.arange(n) % 4
    features = 10 * DIRECTIONS[cluster] + rng.normal(size=(n, 6))
    means = np.stack([features[cluster == c].mean(0) for c in range(4)])
    cos = (features * means[cluster]).sum(1) / np.linalg.norm(features, axis=1) / np.linalg.norm(means[cluster], axis=1)
    return features, 1 - cos


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(("keep", "trim"), [("hard", 0.0), ("easy", 0.0), ("hard", 0.26), ("easy", 0.26)])
def test_images_are_ranked_by_cosine_distance_to_the_centre_of_their_cluster(keep, trim, pooled, toy):
    box = toy()
    features, distance = planted(np.random.default_rng(0))
    method = Prototypes(clusters=4, keep=keep, trim=trim, pooled=pooled)
    picks = method(box.inputs(7, features=features)).indices
    members = [np.flatnonzero(box.data.train.labels == c) for c in range(3)]
    groups, quota = ([np.arange(120)], 21) if pooled else (members, 7)
    expected = []
    for rows in groups:
        hardest = sorted(rows, key=lambda i: -distance[i])[int(trim * len(rows)) :]
        expected += (hardest if keep == "hard" else hardest[::-1])[:quota]
    assert picks.tolist() == expected


def test_there_are_as_many_clusters_as_classes_unless_it_is_said(toy, monkeypatch):
    asked = []

    def k_means(features, number, seed):
        asked.append(number)
        return SimpleNamespace(cluster_centers_=features[:1])

    monkeypatch.setattr(clusters, "k_means", k_means)
    Prototypes()(toy().inputs(1, features=True))
    Prototypes(clusters=7)(toy().inputs(1, features=True))
    assert asked == [3, 7]


def test_of_many_images_some_are_drawn_to_find_the_clusters(toy, monkeypatch):
    features, distance = planted(np.random.default_rng(0))
    monkeypatch.setattr(clusters, "SAMPLE", 60)
    found = []
    k_means = clusters.k_means
    monkeypatch.setattr(clusters, "k_means", lambda rows, *rest: found.append(rows) or k_means(rows, *rest))
    picks = Prototypes(clusters=4, pooled=True)(toy().inputs(40, features=features)).indices
    assert found[0].shape == (60, 6) and len(np.unique(found[0], axis=0)) == 60
    assert stats.spearmanr(np.argsort(picks), -distance).statistic > 0.9  # other centres, but near


def test_more_clusters_than_rows_or_than_different_rows(toy):
    box = toy(per_class=4)
    assert len(set(Prototypes(clusters=50)(box.inputs(3, features=True)).indices.tolist())) == 9
    alike = np.repeat(np.random.default_rng(0).normal(size=(2, 3)), 6, axis=0)
    assert len(set(Prototypes(clusters=5)(box.inputs(3, features=alike)).indices.tolist())) == 9


def test_blocks_change_no_distance(monkeypatch):
    rng = np.random.default_rng(0)
    features, centres = rng.normal(size=(50, 4)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
    whole = prototypes.distances(features, centres)
    monkeypatch.setattr(clusters, "BLOCK", 10)
    assert prototypes.distances(features, centres) == pytest.approx(whole, abs=1e-6)


def test_a_row_of_zeros_is_as_far_as_a_right_angle():
    assert prototypes.distances(np.zeros((2, 3), np.float32), np.eye(3)[:1]).tolist() == [1, 1]


def test_it_cannot_be_cut_into_classes_and_a_trim_must_leave_enough(toy):
    assert Prototypes().together(10) is None
    with pytest.raises(DecoctError, match="lower trim"):
        Prototypes(trim=0.5)(toy().inputs(21, features=True))
