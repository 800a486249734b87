"""Groups of rows: whatever the order, the room and the threads, each gets its own rows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct import select
from decoct.select import classes


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    ordered=st.booleans(),
    threads=st.integers(1, 3),
    limit=st.sampled_from([1, 100, 2**20]),
)
@settings(max_examples=60, deadline=None)
def test_each_group_gets_its_rows(seed, sizes, ordered, threads, limit):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    labels = labels if ordered else np.random.default_rng(seed).permutation(labels)
    features = np.arange(len(labels) * 3, dtype=np.float32).reshape(-1, 3)
    groups = [np.flatnonzero(labels == c) for c in range(len(sizes))]
    calls = []
    found = select.each(
        lambda number, rows: (number, rows.copy()),
        features,
        groups,
        threads=threads,
        limit=limit,
        progress=lambda *call: calls.append(call),
    )
    for number, group in enumerate(groups):
        assert found[number][0] == number
        assert (found[number][1] == features[group]).all()
    assert calls == [(done, len(sizes)) for done in range(1, len(sizes) + 1)]


def test_rows_with_one_left_out_are_not_consecutive():
    features = np.arange(12.0).reshape(6, 2)
    groups = [np.array([0, 1, 3]), np.array([4, 5])]
    found = select.each(lambda number, rows: rows.copy(), features, groups, threads=1)
    assert [rows.tolist() for rows in found] == [features[group].tolist() for group in groups]


def test_a_read_only_map_is_gathered_within_the_limit(tmp_path, monkeypatch):
    np.save(tmp_path / "f.npy", np.random.default_rng(0).normal(size=(600, 8)).astype(np.float32))
    mapped = np.load(tmp_path / "f.npy", mmap_mode="r")
    groups = [np.arange(c, 600, 6) for c in range(6)]
    sizes = []
    gather = classes._gather
    monkeypatch.setattr(classes, "_gather", lambda f, g: sizes.append(sum(map(len, g))) or gather(f, g))
    found = select.each(lambda number, rows: rows.sum(0), mapped, groups, limit=200 * 8 * 4)
    assert sizes == [200, 200, 200]
    assert np.allclose(found, [np.asarray(mapped)[group].sum(0) for group in groups])


def test_picks_hang_on_no_thread():
    features = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    groups = [np.arange(c, 300, 5) for c in range(5)]
    one, three = (
        select.each(lambda _, rows: select.herding(rows, 20).tolist(), features, groups, threads=threads)
        for threads in (1, 3)
    )
    assert one == three


def test_an_error_in_a_thread_comes_out():
    def fails(number, rows):
        raise ValueError(f"group {number}")

    with pytest.raises(ValueError, match="group 0"):
        select.each(fails, np.zeros((4, 2)), [np.array([0, 1]), np.array([2, 3])], threads=2)


def test_threads_in_the_pool_compute_alone():
    threads = select.each(
        lambda *_: torch.get_num_threads(), np.zeros((4, 2)), [np.array([0]), np.array([2])], threads=2
    )
    assert threads == [1, 1]
