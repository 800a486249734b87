"""Facility location on distances against its definition, and against all sets where there are few."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.methods.coresets import craig as module
from decoct.methods.coresets.craig import cover


def points(n, d, seed, kinds=None):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, d))
    return torch.from_numpy(rows if kinds is None else rows[rng.integers(0, min(kinds, n), n)])


def between(x):
    """Distances of some rows to all."""
    return lambda rows: (x[rows, None] - x).norm(dim=2)


def value(distances, picks):
    """Σ_i min_{s picked} d_is."""
    return float(distances[:, list(picks)].min(1).values.sum())


@settings(deadline=None, max_examples=60)
@given(rows=st.integers(1, 30), d=st.integers(1, 4), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_each_pick_is_the_best_of_the_rows_left(rows, d, seed, data):
    x, n = points(rows, d, seed), data.draw(st.integers(1, rows))
    apart = between(x)(torch.arange(rows))
    picks, _ = cover(between(x), rows, n)
    assert len(set(picks.tolist())) == n
    for t, pick in enumerate(picks.tolist()):
        before = picks[:t].tolist()
        values = {i: value(apart, [*before, i]) for i in range(rows) if i not in before}
        assert values[pick] == pytest.approx(min(values.values()), rel=1e-5, abs=1e-5)


@settings(deadline=None, max_examples=60)
@given(rows=st.integers(1, 30), kinds=st.integers(1, 30), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_counts_are_rows_nearest_to_each_pick_and_a_pick_counts_for_itself(rows, kinds, seed, data):
    """With equal rows among them, which are as near to one pick as to another."""
    x, n = points(rows, 3, seed, kinds), data.draw(st.integers(1, rows))
    picks, counts = cover(between(x), rows, n)
    apart = between(x)(torch.arange(rows))[:, picks]
    owner = apart.argmin(1)  # the first of equals: the earliest pick
    owner[picks] = torch.arange(n)
    assert counts.tolist() == owner.bincount(minlength=n).tolist()
    assert counts.sum() == rows and counts.min() >= 1


@settings(deadline=None, max_examples=60)
@given(rows=st.integers(2, 30), kinds=st.integers(1, 30), seed=st.integers(0, 2**32 - 1), block=st.integers(1, 200))
def test_neither_room_nor_blocks_change_a_pick_and_fewer_picks_are_a_prefix(rows, kinds, seed, block):
    x = points(rows, 3, seed, kinds)
    picks, counts = cover(between(x), rows, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        again = cover(between(x), rows, rows, limit=0)
    assert picks.tolist() == again[0].tolist() and counts.tolist() == again[1].tolist() == [1] * rows
    assert cover(between(x), rows, rows // 2)[0].tolist() == picks[: rows // 2].tolist()


def test_of_equal_rows_the_lowest_is_picked_first():
    x = points(40, 3, 0)[torch.arange(40).repeat(2) % 40]
    picks = cover(between(x), 80, 40)[0]
    assert (picks < 40).all() and len(set(picks.tolist())) == 40
    assert cover(between(torch.zeros(5, 2)), 5, 5)[0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(5))
def test_no_set_is_much_better(seed):
    """F(S) = n c − Σ_i min d for the largest distance c is monotone and submodular: greedy has 1 − 1/e of the best."""
    x = points(9, 2, seed)
    apart = between(x)(torch.arange(9))
    for n in (1, 2, 3):
        worst = 9 * float(apart.max())
        best = max(worst - value(apart, some) for some in combinations(range(9), n))
        found = worst - value(apart, cover(between(x), 9, n)[0].tolist())
        assert found >= (1 - 1 / np.e) * best - 1e-6
        assert n > 1 or found == pytest.approx(best, rel=1e-6)


def test_memory_beyond_the_limit_is_a_block(monkeypatch):
    asked = []
    x = points(60, 3, 0)
    monkeypatch.setattr(module, "BLOCK", 300)

    def distances(rows):
        asked.append(len(rows))
        return between(x)(rows)

    cover(distances, 60, 6, limit=0)
    assert max(asked) == 5
    asked.clear()
    cover(distances, 60, 6, limit=4 * 60**2)
    assert sum(asked) == 60  # every distance once


@pytest.mark.parametrize("n", [0, -1, 4])
def test_a_number_of_picks_that_there_cannot_be_is_refused(n):
    with pytest.raises(ValueError, match=f"cannot pick {n} of 3 rows"):
        cover(between(points(3, 2, 0)), 3, n)
