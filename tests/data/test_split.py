"""Splits: right proportions, nothing on both sides, nothing lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import DecoctError
from decoct.data.split import pixel_groups, stratified

SEEDS = st.integers(0, 2**32 - 1)


@given(counts=st.lists(st.integers(2, 60), min_size=1, max_size=6), fraction=st.floats(0.01, 0.99), seed=SEEDS)
def test_distinct_images_split_in_exact_proportion(counts, fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    names = [str(c) for c in range(len(counts))]
    held = stratified(labels, np.arange(len(labels)), fraction, seed, names)
    for c, count in enumerate(counts):
        taken = int(held[labels == c].sum())
        assert 1 <= taken <= count - 1
        assert abs(taken - fraction * count) <= 0.5 or taken in (1, count - 1)


@given(data=st.data(), classes=st.integers(1, 4), seed=SEEDS, fraction=st.floats(0.05, 0.5))
def test_groups_stay_together_and_cost_less_than_one_group(data, classes, seed, fraction):
    sizes = [data.draw(st.lists(st.integers(1, 4), min_size=6, max_size=20)) for _ in range(classes)]
    flat = [(c, size) for c, row in enumerate(sizes) for size in row]
    labels = np.array([c for c, size in flat for _ in range(size)])
    groups = np.array([g for g, (_, size) in enumerate(flat) for _ in range(size)])
    held = stratified(labels, groups, fraction, seed, [str(c) for c in range(classes)])
    assert all(len(set(held[groups == g].tolist())) == 1 for g in range(len(flat)))
    for c, row in enumerate(sizes):
        taken, share = int(held[labels == c].sum()), max(1, round(fraction * sum(row)))
        assert share - max(row) < taken <= max(share, min(row))


@given(seed=SEEDS)
def test_groups_that_span_classes_stay_together(seed):
    rng = np.random.default_rng(seed)
    labels, groups = rng.integers(0, 3, 90), np.unique(rng.integers(0, 45, 90), return_inverse=True)[1]
    held = stratified(labels, groups, 0.3, seed, ["a", "b", "c"])
    assert not set(groups[held].tolist()) & set(groups[~held].tolist())
    assert set(labels[held].tolist()) == set(labels[~held].tolist()) == {0, 1, 2}


def test_the_seed_decides():
    labels, groups = np.repeat([0, 1], 50), np.arange(100)
    split = [stratified(labels, groups, 0.2, seed, ["a", "b"]) for seed in (0, 0, 1)]
    assert (split[0] == split[1]).all()
    assert (split[0] != split[2]).any()


def test_a_class_of_one_distinct_image_is_named():
    labels, groups = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 3, 3])
    with pytest.raises(DecoctError, match="class 'dog' has 1 distinct"):
        stratified(labels, groups, 0.2, 0, ["cat", "dog"])


def test_equal_pixels_make_a_group():
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 4, 4), dtype=np.uint8)
    assert pixel_groups(images[[0, 1, 0, 2, 1]]).tolist() == [0, 1, 0, 2, 1]
