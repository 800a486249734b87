"""Against the analysis of variance by hand, and simulation."""

import math

import numpy as np
import pytest

from decoct.report.stats.components import components


def study(rng, sets, students, mean=0.02, between=0.01, within=0.005):
    """Replicates of a design; students is a number, or one for each set."""
    counts = [students] * sets if isinstance(students, int) else students
    return {
        (c, t): mean + luck + within * rng.normal()
        for c, luck in enumerate(between * rng.normal(size=sets))
        for t in range(counts[c])
    }


def test_components_of_a_balanced_design_are_those_of_the_table():
    """Sets {1, 3}, {5, 7}, {9, 11}: mean squares 32 between, 2 within, two students a set."""
    values = {(c, t): float(4 * c + 2 * t + 1) for c in range(3) for t in range(2)}
    found = components(values, images=0.5)
    assert (found.condense, found.train) == (pytest.approx(math.sqrt(15)), pytest.approx(math.sqrt(2)))
    assert (found.together, found.images, found.sets, found.students) == (None, 0.5, 3, 6)


@pytest.mark.parametrize("students", [3, [1, 2, 3, 4, 1, 2, 3, 4]])
def test_components_are_found_again_in_simulation(students):
    rng = np.random.default_rng(5)
    found = [components(study(rng, 8, students)) for _ in range(3000)]
    variances = np.array([(c.condense**2, c.train**2) for c in found])
    error = 2.6 * variances.std(0) / math.sqrt(len(found))
    # a negative estimate is cut to 0, which lifts the mean of the first a little
    assert abs(variances.mean(0) - [1e-4, 2.5e-5]) == pytest.approx([0, 0], abs=float(error[0]))
    assert abs(variances[:, 1].mean() - 2.5e-5) < error[1]


def test_what_components_cannot_tell_is_not_told():
    one_each = components({(c, 0): x for c, x in enumerate([0.1, 0.2, 0.4])})
    assert (one_each.condense, one_each.train) == (None, None)
    assert one_each.together == pytest.approx(np.std([0.1, 0.2, 0.4], ddof=1))
    one_set = components({(c, 0): x for c, x in enumerate([0.1, 0.2, 0.4])}, one_set=True)
    assert (one_set.condense, one_set.together, one_set.train) == (None, None, one_each.together)
    assert (one_set.students, one_set.sets) == (3, 1)
    for nothing in ({}, {(0, 0): 0.3}):
        found = components(nothing)
        assert (found.condense, found.train, found.together) == (None, None, None)
