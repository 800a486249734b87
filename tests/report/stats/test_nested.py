"""Against draws made one by one, closed forms and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.report.stats import comparisons, intervals, nested


def study(rng, sets, students, mean=0.02, between=0.01, within=0.005):
    """Replicates of a design; students is a number, or one for each set."""
    counts = [students] * sets if isinstance(students, int) else students
    return {
        (c, t): mean + luck + within * rng.normal()
        for c, luck in enumerate(between * rng.normal(size=sets))
        for t in range(counts[c])
    }


def test_below_the_fewest_sets_it_is_the_t_and_from_there_on_the_bootstrap():
    rng = np.random.default_rng(0)
    for sets, by in ((2, "t"), (nested.FEWEST - 1, "t"), (nested.FEWEST, "bootstrap")):
        a, b = study(rng, sets, 2, mean=0.7), study(rng, sets, 2, mean=0.68)
        found, means = nested.compare(a, b), intervals.paired(a, b)
        assert (found.by, nested.interval(a).by) == (by, by)
        assert (found == comparisons.compare(means)) == (by == "t")
        assert (found.n, found.mean, found.sd) == (
            sets,
            pytest.approx(np.mean(means)),
            pytest.approx(np.std(means, ddof=1)),
        )


def test_the_same_numbers_give_the_same_bounds_again():
    a = study(np.random.default_rng(1), 30, 3, mean=0.6)
    first = nested.interval(a)
    nested.picks.cache_clear()
    assert nested.interval(a) == first
    assert nested.interval(dict(reversed(a.items()))) == first


def test_draws_are_those_of_a_naive_rewrite():
    """Sets with replacement, then the students of each; unbalanced."""
    students, draws = (1, 3, 2, 3), 50
    values = np.random.default_rng(2).normal(size=sum(students))
    positions, weights = nested.picks(students, draws)
    means, sds = nested.redrawn(values, students, draws)
    groups = [set(range(sum(students[:c]), sum(students[: c + 1]))) for c in range(len(students))]
    for d in range(draws):
        chosen = []
        for slot in range(len(students)):
            used = [int(p) for p, w in zip(positions[d, slot], weights[d, slot], strict=True) if w > 0]
            own = next(g for g in groups if used[0] in g)
            assert set(used) <= own and len(used) == len(own)
            chosen.append(np.mean(values[used]))
        assert (means[d], sds[d]) == (pytest.approx(np.mean(chosen)), pytest.approx(np.std(chosen, ddof=1)))


def test_every_set_and_every_student_is_drawn_as_often():
    students = (1, 2, 3)
    positions, weights = nested.picks(students, 20_000)
    share = np.bincount(positions.ravel(), weights.ravel(), minlength=6) / weights.sum()
    assert share == pytest.approx([1 / 3, 1 / 6, 1 / 6, 1 / 9, 1 / 9, 1 / 9], abs=0.005)


def test_many_studies_at_once_are_the_same_studies_one_by_one():
    values = np.random.default_rng(3).normal(size=(6, 4))
    together = nested.pivots(values, (2, 2, 2), draws=199)
    for i in range(4):
        assert together[:, i] == pytest.approx(nested.pivots(values[:, i], (2, 2, 2), draws=199))


@given(seed=st.integers(0, 10_000), mean=st.sampled_from([0.0, 0.002, 0.005, 0.01, 0.012]))
def test_word_intervals_and_p_values_agree(seed, mean):
    rng = np.random.default_rng(seed)
    a, b = (study(rng, nested.FEWEST, 1, mean=x, between=0.008) for x in (mean, 0.0))
    found = nested.compare(a, b)
    assert found.lo < found.lo90 < found.mean < found.hi90 < found.hi
    assert (found.p_better < 0.025) == (found.lo > 0)
    assert (found.p_worse < 0.025) == (found.hi < 0)
    assert (found.p_equivalent < 0.05) == (max(-found.lo90, found.hi90) < found.margin)
    assert found.verdict == comparisons.decided(found.p_better, found.p_worse, found.p_equivalent)
    assert (found.needed is None) or found.verdict == "undecided"


def test_a_difference_beyond_every_draw_is_found_among_any_number_of_others():
    """By draws alone no p is below 1 / 10,000, and Holm over 300 comparisons would leave nothing of it."""
    rng = np.random.default_rng(5)
    a, b = (study(rng, nested.FEWEST, 1, mean=x) for x in (0.3, 0.0))
    found = nested.compare(a, b)
    assert found.by == "bootstrap" and found.p_better < 1e-10 and found.p_worse > 0.99
    assert {c.verdict for c in comparisons.corrected([found] * 300)} == {"better"}


@pytest.mark.parametrize("value", [0.0, 0.03])
def test_without_any_spread_the_grid_speaks_and_not_the_bootstrap(value):
    a, b = ({(c, 0): x for c in range(20)} for x in (0.5 + value, 0.5))
    assert nested.compare(a, b, floor=0.001).by == "t"
    assert nested.interval(a, floor=0.001).by == "t"


def test_a_few_distinct_values_give_bounds_that_are_numbers():
    """A draw of equal sets alone has no spread, and its ratio no bound."""
    a = {(c, 0): 0.5 + 0.01 * (c == 0) for c in range(nested.FEWEST)}
    found = nested.interval(a)
    assert math.isfinite(found.lo) and math.isfinite(found.hi)
    assert found.lo < found.mean < found.hi


def test_the_bootstrap_is_near_the_t_where_effects_are_normal_and_sets_many():
    a = study(np.random.default_rng(4), 200, 1, mean=0.6)
    found, t = nested.interval(a), intervals.t_interval(intervals.condense_means(a))
    assert (found.lo, found.hi) == (pytest.approx(t.lo, abs=3e-4), pytest.approx(t.hi, abs=3e-4))


def test_components_of_a_balanced_design_are_those_of_the_table():
    """Sets {1, 3}, {5, 7}, {9, 11}: mean squares 32 between, 2 within, two students a set."""
    values = {(c, t): float(4 * c + 2 * t + 1) for c in range(3) for t in range(2)}
    found = nested.components(values, images=0.5)
    assert (found.condense, found.train) == (pytest.approx(math.sqrt(15)), pytest.approx(math.sqrt(2)))
    assert (found.together, found.images, found.sets, found.students) == (None, 0.5, 3, 6)


@pytest.mark.parametrize("students", [3, [1, 2, 3, 4, 1, 2, 3, 4]])
def test_components_are_found_again_in_simulation(students):
    rng = np.random.default_rng(5)
    found = [nested.components(study(rng, 8, students)) for _ in range(3000)]
    variances = np.array([(c.condense**2, c.train**2) for c in found])
    error = 2.6 * variances.std(0) / math.sqrt(len(found))
    # a negative estimate is cut to 0, which lifts the mean of the first a little
    assert abs(variances.mean(0) - [1e-4, 2.5e-5]) == pytest.approx([0, 0], abs=float(error[0]))
    assert abs(variances[:, 1].mean() - 2.5e-5) < error[1]


def test_what_components_cannot_tell_is_not_told():
    one_each = nested.components({(c, 0): x for c, x in enumerate([0.1, 0.2, 0.4])})
    assert (one_each.condense, one_each.train) == (None, None)
    assert one_each.together == pytest.approx(np.std([0.1, 0.2, 0.4], ddof=1))
    one_set = nested.components({(c, 0): x for c, x in enumerate([0.1, 0.2, 0.4])}, one_set=True)
    assert (one_set.condense, one_set.together, one_set.train) == (None, None, one_each.together)
    assert (one_set.students, one_set.sets) == (3, 1)
    for nothing in ({}, {(0, 0): 0.3}):
        found = nested.components(nothing)
        assert (found.condense, found.train, found.together) == (None, None, None)


@given(seed=st.integers(0, 1000))
def test_swapping_the_methods_mirrors_a_bootstrap_too(seed):
    rng = np.random.default_rng(seed)
    a, b = (study(rng, nested.FEWEST, 2, mean=x) for x in (0.605, 0.6))
    there, back = nested.compare(a, b), nested.compare(b, a)
    assert (back.lo, back.hi) == (pytest.approx(-there.hi), pytest.approx(-there.lo))
    assert (back.lo90, back.p_better) == (pytest.approx(-there.hi90), pytest.approx(there.p_worse))
