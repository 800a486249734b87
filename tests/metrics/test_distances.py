"""Distances within a set against double loops and scipy, planted duplicates, random subsets."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Measured
from decoct.metrics import distances as module
from decoct.metrics.distances import Distances, distances, near_scale

SEEDS = st.integers(0, 2**32 - 1)


def to_nearest(points):
    points = np.float64(points).tolist()
    return [min(math.dist(p, q) for j, q in enumerate(points) if j != i) for i, p in enumerate(points)]


def naive(real, condensed):
    scale, points = np.percentile(to_nearest(real), 5), np.float64(condensed).tolist()
    near = to_nearest(points)
    return {
        "pairwise": np.mean([math.dist(p, q) for i, p in enumerate(points) for q in points[:i]]),
        "nearest": np.median(near),
        "near_duplicates": np.mean([d <= scale * (1 + 1e-14) for d in near]),
    }


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(2, 25),
    m=st.integers(2, 20),
    d=st.integers(1, 6),
    offset=st.sampled_from([0.0, 1e3]),
    seed=SEEDS,
)
def test_it_is_what_its_definition_says(n, m, d, offset, seed):
    rng = np.random.default_rng(seed)
    real, condensed = ((rng.normal(size=(rows, d)) + offset).astype(np.float32) for rows in (n, m))
    condensed[: m // 4] = condensed[-1]
    assert distances(real, condensed) == pytest.approx(naive(real, condensed), rel=1e-7)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(2, 25), m=st.integers(2, 20), d=st.integers(1, 3), seed=SEEDS)
def test_ties_and_members_are_decided_exactly(n, m, d, seed):
    """Among members, the pair that sets the scale may be in the set itself: it is at most as far, not less far."""
    rng = np.random.default_rng(seed)
    real = rng.integers(0, 6, size=(n, d)) + 1000
    condensed = real[rng.integers(0, n, m)]
    assert distances(real, condensed) == pytest.approx(naive(real, condensed), rel=1e-7)


def test_it_agrees_with_scipy():
    rng = np.random.default_rng(0)
    condensed = rng.normal(size=(150, 40))
    got, pairs = distances(rng.normal(size=(300, 40)), condensed), pdist(condensed)
    square = squareform(pairs)
    np.fill_diagonal(square, np.inf)
    assert got["pairwise"] == pytest.approx(pairs.mean(), rel=1e-12)
    assert got["nearest"] == pytest.approx(np.median(square.min(0)), rel=1e-12)


@pytest.mark.parametrize("same", [1e-12, 0.0])
def test_planted_duplicates_are_found_and_nothing_else(same):
    """Float32 products far from the origin see no difference between a copy and its neighbours; the rows do."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(400, 64)) + 1000
    condensed = rng.normal(size=(40, 64)) + 1000
    condensed[:6] = condensed[10:16] + same  # twelve of forty have a twin
    condensed[6] = condensed[10]  # and one is the third of its kind
    assert distances(real, condensed)["near_duplicates"] == 13 / 40


def test_copies_count_where_the_scale_is_zero_and_others_do_not():
    real = np.repeat(np.arange(20.0), 2)[:, None]  # every real image has a copy
    assert near_scale(real) == 0
    assert distances(real, np.array([[0.0], [0.0], [1e-9], [5.0]]))["near_duplicates"] == 0.5


def test_a_pair_just_as_far_as_the_scale_counts_in_whatever_order_its_squares_are_summed():
    rng = np.random.default_rng(0)
    for _ in range(20):
        pair = rng.normal(size=(2, 300))
        assert distances(pair, pair[:, rng.permutation(300)])["near_duplicates"] == 1


def test_a_large_mean_takes_no_digits():
    rng = np.random.default_rng(0)
    real, condensed = (rng.integers(-8, 9, size=(n, 4)) / 1024 for n in (50, 20))
    far = distances(real + 2**20, condensed + 2**20)  # all of them are exact, and their squares are not
    assert far == pytest.approx(distances(real, condensed), rel=1e-9)


def test_all_real_images_have_the_twentieth_that_the_scale_was_made_of():
    rng = np.random.default_rng(0)
    for n in (21, 101, 500):
        real = rng.normal(size=(n, 8)).astype(np.float32)
        least = math.floor(0.05 * (n - 1)) + 1  # so many order statistics are at most as large as the percentile
        found = round(distances(real, real[::-1])["near_duplicates"] * n)
        assert found in (least, least + 1)  # the last of them may be one of two that are nearest to each other


def test_a_random_subset_has_a_share_of_them_that_is_its_share_of_the_data():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(2000, 8))
    got = [distances(real, real[rng.permutation(2000)[:400]])["near_duplicates"] for _ in range(10)]
    assert np.mean(got) == pytest.approx(0.05 * 400 / 2000, abs=0.005)


def test_a_collapsed_set_has_them_all_and_noise_is_far_from_itself():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(300, 16))
    subset, collapsed, noise = (
        distances(real, s) for s in (real[:50], real[:50] * 0.01, rng.normal(size=(50, 16)) * 5)
    )
    assert collapsed["near_duplicates"] == 1 and noise["near_duplicates"] == 0
    for name in ("pairwise", "nearest"):
        assert collapsed[name] < 0.1 * subset[name] and noise[name] > 3 * subset[name]


def test_equal_images_are_at_distance_zero():
    assert distances(np.eye(3), np.full((7, 3), 0.1)) == {
        "pairwise": pytest.approx(0, abs=1e-15),
        "nearest": 0,
        "near_duplicates": 1,
    }


def test_blocks_change_nothing_but_the_order_of_sums(monkeypatch):
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(30, 8)), rng.normal(size=(37, 8)) + 100
    whole = distances(real, condensed)
    monkeypatch.setattr(module, "BLOCK", 100)  # two rows at once, and one at the end
    assert distances(real, condensed) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_float_type_is_taken_at_its_own_values(dtype):
    generator = torch.Generator().manual_seed(0)
    real, condensed = (torch.randn(n, 6, generator=generator).to(dtype) for n in (40, 15))
    expected = distances(real.double().numpy(), condensed.double().numpy())
    assert distances(real, condensed) == pytest.approx(expected, rel=1e-12)


def test_what_is_not_defined_is_nan():
    rng = np.random.default_rng(0)
    assert all(map(math.isnan, distances(rng.normal(size=(9, 2)), np.ones((1, 2))).values()))
    alone = distances(np.ones((1, 2)), np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert math.isnan(alone.pop("near_duplicates"))
    assert alone == pytest.approx({"pairwise": 5, "nearest": 5})


def test_bad_input_is_refused_by_name():
    good = np.zeros((9, 2))
    with pytest.raises(ValueError, match="condensed features hold values that are not finite"):
        distances(good, np.array([[0.0, np.inf]]))
    with pytest.raises(ValueError, match="real features hold values that are not finite"):
        distances(np.array([[0.0, np.nan]]), good)
    with pytest.raises(ValueError, match="at least one row"):
        distances(good, good[:0])
    with pytest.raises(ValueError, match="2 dimensions, condensed 1"):
        distances(good, good[:, :1])


def test_the_metric_reads_each_class_and_all_by_the_scale_of_train():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    real = {"train": rng.normal(size=(60, 3)), "val": rng.normal(size=(40, 3))}
    rows = np.arange(30)
    split_labels = {"train": labels, "val": labels[:40]}
    measured = Measured(real["train"][rows], labels[rows], real, split_labels, ("a", "b"), True, np.zeros((30, 2)))
    got = {(r.metric, r.scope): r for r in Distances()(measured)}
    assert {name for name, _ in got} == set(Distances.higher_is_better) >= set(Distances.lead) | set(Distances.limits)
    assert {r.reference for r in got.values()} == {"train"} and len(got) == 6
    pooled = distances(real["train"], measured.condensed)
    each = [distances(real["train"][labels == c], measured.condensed[labels[rows] == c]) for c in (0, 1)]
    names = {"pairwise": "pairwise_distance", "nearest": "nearest_distance", "near_duplicates": "near_duplicates"}
    for value, name in names.items():
        assert got[name, "pooled"].value == pooled[value]
        assert got[name, "per_class"].value == pytest.approx(np.mean([e[value] for e in each]))
        assert got[name, "per_class"].classes == 2


def test_the_metric_names_the_split_in_its_errors():
    real, labels = {"train": np.ones((5, 2))}, {"train": np.zeros(5, int)}
    bad = Measured(np.full((4, 2), np.nan), np.zeros(4, int), real, labels, ("a",), False, np.zeros((4, 1)))
    with pytest.raises(DecoctError, match="against the train split: condensed features hold values"):
        Distances()(bad)
