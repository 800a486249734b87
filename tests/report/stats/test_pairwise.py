"""All pairs at once, against each pair by itself."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.report.stats import moderated
from decoct.report.stats.answers import Answers
from decoct.report.stats.crossed import crossed
from decoct.report.stats.estimate import NOTHING
from decoct.report.stats.intervals import common
from decoct.report.stats.pairwise import pairwise


def drawn(rng, methods, places, images, whole, stored=1.0):
    """Answers by key, of methods that have some replicates; some are not stored."""
    keys, files = {}, {}
    for i in range(methods):
        own = [place for place in places if whole or rng.random() < 0.7]
        keys[f"m{i}", "s"] = {place: f"{i} {place}" for place in own}
        known = rng.random() < stored
        for place in own:
            right = rng.random(images) < 0.3 + 0.4 * rng.random()
            files[f"{i} {place}"] = (right if known else None, float(right.mean()))
    runs = [{place: files[key][1] for place, key in own.items()} for own in keys.values()]
    return runs, Answers(keys, lambda key: files[key][0])


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    methods=st.integers(1, 5),
    sets=st.integers(1, 6),
    students=st.integers(1, 2),
    whole=st.booleans(),
    stored=st.sampled_from([1.0, 0.7]),
    floor=st.sampled_from([0.0, 0.05]),
)
def test_every_pair_is_what_it_is_by_itself(seed, methods, sets, students, whole, stored, floor):
    rng = np.random.default_rng(seed)
    places = [(c, t) for c in range(sets) for t in range(students)]
    runs, answers = drawn(rng, methods, places, 40, whole, stored)
    results = list(answers.keys.values())
    pairs = pairwise(runs, lambda i, at: answers.load(results[i][at]), floor)
    naive = {}
    for i in range(methods):
        for j in range(methods):
            values = common([(1, runs[j]), (-1, runs[i])])
            if i == j or not values:
                continue
            one = crossed(values, answers.combined([(1, f"m{j}", "s"), (-1, f"m{i}", "s")]), floor)
            naive[i, j] = one
            images = math.nan if one.images is None else one.images
            got = pairs.n[i, j], pairs.mean[i, j], pairs.sets[i, j], pairs.images[i, j]
            assert got == pytest.approx((one.n, one.mean, one.sets, images), nan_ok=True, rel=1e-4, abs=1e-8)
    upper = [c for (i, j), c in naive.items() if i < j and c.n > 1]
    prior = moderated.prior([c.sets for c in upper], [c.n - 1.0 for c in upper])
    for level in (0.5, 0.05, 0.001):
        better = pairs.borrowed().better(level)
        for i in range(methods):
            for j in range(methods):
                one = naive[i, j].estimate(prior) if (i, j) in naive else NOTHING
                half = one.half(level)
                if not abs(one.mean - half) < 1e-6:
                    assert better[i, j] == (one.mean > half)


def test_pairs_borrow_from_pairs_with_as_many_fixed_sides():
    rng = np.random.default_rng(0)
    x = rng.normal(0.5, 0.01, (8, 5))
    x[4:] = rng.normal(0.5, 0.001, (4, 5))
    runs = [{(c, 0): float(v) for c, v in enumerate(row)} for row in x]
    fixed = [False] * 4 + [True] * 4
    pairs = pairwise(runs).borrowed(fixed)
    upper = [(i, j) for i in range(8) for j in range(i + 1, 8)]
    alone = {(i, j): crossed(common([(1, runs[j]), (-1, runs[i])])) for i, j in upper}
    for i, j in upper:
        kind = [pair for pair in upper if fixed[pair[0]] + fixed[pair[1]] == fixed[i] + fixed[j]]
        prior = moderated.prior([alone[pair].sets for pair in kind], [4.0] * len(kind))
        moved = moderated.moderated(alone[i, j].sets, 4.0, prior)
        assert (pairs.sets[i, j], pairs.df[i, j]) == (pairs.sets[j, i], pairs.df[j, i]) == pytest.approx(moved)


def test_a_difference_that_is_only_the_grids_is_not_certain():
    runs = [{(c, 0): 0.5 for c in range(3)}, {(c, 0): 0.51 for c in range(3)}]
    assert not pairwise([runs[0], runs[0]]).better(0.5).any()
    assert pairwise(runs).better(1e-6).tolist() == [[False, True], [False, False]]
    assert not pairwise(runs, floor=0.01).better(0.05).any()


def test_two_sets_show_nothing():
    runs = [{(c, 0): 0.1 * i + 0.01 * c * i for c in range(2)} for i in range(3)]
    assert not pairwise(runs).better(0.4).any()
    assert pairwise([]).borrowed().better(0.05).shape == (0, 0)
