"""Splits on inputs that nobody chose: groups whole, classes never gone, shares as asked where that is possible."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import UsageError
from decoct.shrinking.reading.splits import folds, hold_out, never_held

POOLS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), min_size=1, max_size=60)


def rows_of(labels: list[int], groups: list[int] | None = None, classes: int | None = None) -> SimpleNamespace:
    """As much of a pool as splits look at."""
    labels_of = np.array(labels, dtype=np.int64)
    groups_of = np.arange(len(labels)) if groups is None else np.array(groups, dtype=np.int64)
    names = tuple(f"c{i}" for i in range(classes or int(labels_of.max(initial=0)) + 1))
    return SimpleNamespace(labels=labels_of, groups=groups_of, class_names=names)


def drawn(rows):
    return rows_of([label for label, _ in rows], [group for _, group in rows], classes=5)


def check(pool, rest, held, rows):
    assert sorted([*rest, *held]) == sorted(rows)
    assert not set(pool.groups[rest]) & set(pool.groups[held])
    assert set(pool.labels[rest]) == set(pool.labels[rows])


@given(rows=POOLS, fraction=st.floats(0.05, 0.9), seed=st.integers(0, 5), data=st.data())
def test_what_is_held_out_is_whole_and_leaves_every_class(rows, fraction, seed, data):
    pool = drawn(rows)
    some = np.array(sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1))))
    rest, held = hold_out(pool, some, fraction, seed)
    check(pool, rest, held, some)
    again = hold_out(pool, some[::-1], fraction, seed)
    assert rest.tolist() == again[0].tolist() and held.tolist() == again[1].tolist()
    for name in never_held(pool, some):
        assert pool.class_names.index(name) not in pool.labels[held]


@given(counts=st.lists(st.integers(2, 40), min_size=2, max_size=6), fraction=st.floats(0.05, 0.9))
def test_without_groups_each_class_gives_its_rounded_share(counts, fraction):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    pool = rows_of(labels)
    _, held = hold_out(pool, np.arange(len(labels)), fraction, 3)
    expected = [min(max(round(fraction * count), 1), count - 1) for count in counts]
    assert np.bincount(pool.labels[held], minlength=len(counts)).tolist() == expected


def test_a_class_of_two_large_groups_gives_the_smaller():
    pool = rows_of([0] * 10 + [1] * 10, [0] * 6 + [1] * 4 + list(range(2, 12)))
    _, held = hold_out(pool, np.arange(20), 0.2, 0)
    assert held[pool.labels[held] == 0].tolist() == [6, 7, 8, 9]


def test_classes_of_one_group_are_named():
    pool = rows_of([0, 0, 1, 1, 2], [0, 0, 1, 2, 3])
    assert never_held(pool, np.arange(5)) == ("c0", "c2")
    assert never_held(pool, np.array([1, 2])) == ("c0", "c1")


@given(rows=POOLS, k=st.integers(2, 6), seed=st.integers(0, 5))
def test_folds_are_disjoint_and_each_leaves_every_class(rows, k, seed):
    pool = drawn(rows)
    every = np.arange(len(rows))
    parts = folds(pool, every, k, seed)
    assert len(parts) == k and len(np.unique(np.concatenate(parts))) == sum(map(len, parts))
    for held in parts:
        check(pool, np.setdiff1d(every, held), held, every)


@given(counts=st.lists(st.integers(2, 40), min_size=2, max_size=6), k=st.integers(2, 6), seed=st.integers(0, 5))
def test_without_groups_every_image_is_held_once_and_classes_are_even(counts, k, seed):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    pool = rows_of(labels)
    parts = folds(pool, np.arange(len(labels)), k, seed)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    for label in range(len(counts)):
        each = [int((pool.labels[held] == label).sum()) for held in parts]
        assert max(each) - min(each) <= 1


def test_a_class_that_no_split_can_hold_out_is_in_no_fold():
    pool = rows_of([0] * 4 + [1] * 3, [0, 0, 0, 0, 1, 2, 3])
    assert sorted(np.concatenate(folds(pool, np.arange(7), 3, 0))) == [4, 5, 6]


def test_seeds_differ():
    pool = rows_of([0, 1] * 50)
    assert hold_out(pool, np.arange(100), 0.25, 0)[1].tolist() != hold_out(pool, np.arange(100), 0.25, 1)[1].tolist()
    assert folds(pool, np.arange(100), 5, 0)[0].tolist() != folds(pool, np.arange(100), 5, 1)[0].tolist()


def test_what_is_no_split_is_refused():
    pool = rows_of([0, 1])
    with pytest.raises(UsageError, match="between 0 and 1"):
        hold_out(pool, np.arange(2), 1.0, 0)
    with pytest.raises(UsageError, match="at least two"):
        folds(pool, np.arange(2), 1, 0)
