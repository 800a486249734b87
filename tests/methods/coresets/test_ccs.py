"""CCS against the algorithm of its paper, written out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.budget import Budget
from decoct.methods.coresets.ccs import CCS, budgets, stratified, usual

scores = st.lists(st.floats(-50, 50, width=16), min_size=1, max_size=60).map(np.array)


def strata_of(score, count):
    """Lists of row numbers by intervals of equal width, those without rows too."""
    low, width = score.min(), (score.max() - score.min()) / count
    bins = [[] for _ in range(count)]
    for row, value in enumerate(score):
        number = next((k for k in range(count) if value < low + (k + 1) * width), count - 1)
        bins[number if width else 0].append(row)
    return bins


@given(score=scores, count=st.integers(1, 50))
def test_strata_are_intervals_of_equal_width(score, count):
    numbers = stratified(score, count)
    low, width = score.min(), (score.max() - score.min()) / count
    assert ((numbers >= 0) & (numbers < count)).all()
    assert (score >= low + numbers * width - 1e-9).all()
    assert (score <= low + (numbers + 1) * width + 1e-9).all() or width == 0


@given(sizes=st.lists(st.integers(0, 20), min_size=1, max_size=50), data=st.data())
def test_the_smallest_stratum_gives_its_even_share_first(sizes, data):
    n = data.draw(st.integers(0, sum(sizes)))
    given_ = budgets(np.array(sizes), n)
    assert given_.sum() == n
    assert (given_ <= sizes).all()
    # What the paper writes: take the smallest of the strata left, of it min(size, floor(m / strata left)), and go on.
    left, m, expected = dict(enumerate(sizes)), n, {}
    while left:
        k = min(left, key=left.get)
        expected[k] = min(left.pop(k), m // (len(left) + 1))
        m -= expected[k]
    assert given_.tolist() == [expected[k] for k in range(len(sizes))]


def test_no_stratum_that_has_more_to_give_gives_less_than_another_by_more_than_one():
    assert budgets(np.array([1, 50, 5, 0, 50]), 30).tolist() == [1, 12, 5, 0, 12]


@pytest.mark.parametrize("ipc", [1, 4, 10, 30])
@pytest.mark.parametrize("pooled", [False, True])
def test_picks_are_as_many_of_each_stratum_as_a_naive_rewrite_takes(planted, ipc, pooled):
    method = CCS(trim=0.1, pooled=pooled)
    picks = method(planted.inputs(method, ipc)).indices
    difficulty = method.difficulty(planted.traces)
    groups = [np.arange(180)] if pooled else [np.flatnonzero(planted.labels == c) for c in range(3)]
    quota = 3 * ipc if pooled else ipc
    for rows in groups:
        rows = rows[np.argsort(-difficulty[rows], kind="stable")][int(0.1 * len(rows)) :]
        bins = strata_of(difficulty[rows], min(50, quota))
        m, taken = quota, {}
        for done, k in enumerate(sorted(range(len(bins)), key=lambda k: len(bins[k]))):
            taken[k] = min(len(bins[k]), m // (len(bins) - done))
            m -= taken[k]
        assert [np.isin(rows[bins[k]], picks).sum() for k in range(len(bins))] == [taken[k] for k in range(len(bins))]


def test_the_hardest_are_left_out_and_the_default_follows_the_share_that_is_kept(planted):
    difficulty = CCS().difficulty(planted.traces)
    for ipc, trim in ((6, 0.3), (18, 0.1), (19, 0.0)):
        picks = {CCS()(planted.inputs(CCS(), ipc, seed)).indices.tobytes() for seed in range(5)}
        fixed = {CCS(trim=trim)(planted.inputs(CCS(trim=trim), ipc, seed)).indices.tobytes() for seed in range(5)}
        assert picks == fixed
    hardest = [np.flatnonzero(planted.labels == c)[np.argsort(-difficulty[planted.labels == c])][:18] for c in range(3)]
    picked = np.concatenate([CCS()(planted.inputs(CCS(), 6, seed)).indices for seed in range(20)])
    assert not np.isin(np.concatenate(hardest), picked).any()


@given(counts=st.lists(st.integers(10, 1500), min_size=1, max_size=10))
def test_rounded_quotas_do_not_change_the_trim(counts):
    for fraction, trim in ((0.1, 0.3), (0.3, 0.1)):
        quotas = Budget(fraction=fraction).per_class(counts, list(map(str, counts)))
        groups = list(zip(quotas, counts, strict=True))
        assert usual(groups) == usual([(sum(quotas), sum(counts))]) == trim


def test_a_share_is_to_the_nearest_image_and_leaves_each_class_enough():
    assert [usual([(quota, 145)]) for quota in (15, 16, 44, 45)] == [0.3, 0.1, 0.1, 0.0]
    assert usual([(10, 1000), (10, 13)]) == 0.3  # 30 % of 13 leave 10, of 12 they leave 9
    assert usual([(10, 1000), (10, 12)]) == 0.1
    assert usual([(10, 1000), (10, 10)]) == 0.0


def test_a_tenth_of_a_class_that_is_rounded_up_loses_its_hardest(toy):
    box, method = toy(per_class=145, classes=2), CCS()
    inputs = replace(box.supplied(method, 1), budget=Budget(fraction=0.1))
    assert sorted(inputs.quotas()) == [14, 15]
    (traces,), labels = inputs.dynamics.values(), box.data.train.labels
    difficulty = method.difficulty(traces)
    for c in range(2):
        own = np.flatnonzero(labels == c)
        assert not np.isin(own[np.argsort(-difficulty[own])][:43], method(inputs).indices).any()


def test_images_of_a_stratum_are_drawn_uniformly(planted):
    method = CCS(strata=1, trim=0.0)
    counts = np.bincount(
        np.concatenate([method(planted.inputs(method, 6, s)).indices for s in range(400)]), minlength=180
    )
    assert counts.sum() == 7200 and counts.min() > 15 and counts.max() < 70  # 40 ± 6 each


def test_images_that_are_all_alike_are_one_stratum():
    assert stratified(np.full(5, 2.0), 3).tolist() == [0] * 5
