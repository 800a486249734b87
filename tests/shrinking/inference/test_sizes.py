"""Sizes of the ladder, the knee, and random images needed, where the answer is known."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import UsageError
from decoct.shrinking.inference.shown import Outcome
from decoct.shrinking.inference.sizes import FRACTIONS, knee, ladder, needed


def test_many_images_get_every_fraction():
    assert ladder(3000, 10) == (150, 300, 600, 900, 1500, 2100)
    assert ladder(1_000_000, 10_000)[0] == 50_000
    assert ladder(100_000, 10_000) == (10_000, 20_000, 30_000, 50_000, 70_000)  # 5 % would lose classes


@given(n=st.integers(2, 100_000), classes=st.integers(2, 2000))
def test_no_class_is_lost_and_neighbours_are_apart(n, classes):
    if n <= classes:
        with pytest.raises(UsageError, match="give more images"):
            ladder(n, classes)
        return
    sizes = ladder(n, classes)
    assert 1 <= len(sizes) <= len(FRACTIONS) and classes <= sizes[0] and sizes[-1] < n
    assert all(b - a >= min(50, n / 4) for a, b in pairwise(sizes))


def test_few_images_get_few_sizes():
    assert len(ladder(60, 3)) <= 3 < len(ladder(1000, 3))


def test_the_knee_is_where_a_curve_is_furthest_above_its_chord():
    sizes = (100, 200, 400, 800, 1600)  # even steps of log n
    assert knee(dict(zip(sizes, (0.5, 0.8, 0.85, 0.88, 0.9), strict=True))) == 200  # (0, .75, .88, .95, 1) − ¼ a step
    assert knee(dict(zip(sizes, (0.5, 0.6, 0.9, 0.9, 0.9), strict=True))) == 400
    assert knee(dict(zip(sizes, (0.9, 0.5, 0.5, 0.5, 0.5), strict=True))) is None  # it never rises
    assert knee(dict(zip(sizes, (0.1, 0.2, 0.3, 0.4, 0.5), strict=True))) is None  # it does not bend
    assert knee({10: 0.5, 100: 0.9}) is None


def curve(losses, images=2000, rows=3):
    """Outcomes in which the set is right everywhere, and random of each size is wrong as often as it says."""
    full = np.ones((rows, images), np.bool_)
    out = {}
    for size, loss in losses.items():
        small = full.copy()
        k = round(abs(loss) * images)
        if loss >= 0:
            small[:, :k] = False
            out[size] = [Outcome(full, small)]
        else:
            out[size] = [Outcome(small ^ (np.arange(images) < k), full)]
    return out


def test_random_images_needed_lie_on_the_line_over_log_n():
    mean, lo, hi = needed(curve({100: 0.3, 400: 0.1, 1600: -0.1}))
    assert mean == pytest.approx(800, rel=1e-6)  # half way in log n
    assert 400 < lo < mean < hi < 1600
    few = needed(curve({100: 0.3, 400: 0.1, 1600: -0.1}, images=200))
    assert few[0] == pytest.approx(800, rel=1e-6) and few[1] < lo and few[2] > hi


def test_what_the_ladder_does_not_reach_is_not_a_number_of_images():
    assert needed(curve({100: 0.4, 400: 0.2})) == (math.inf, math.inf, math.inf)
    assert needed(curve({100: -0.2, 400: -0.3})) == (0, 0, 0)
    mean, lo, hi = needed(curve({100: 0.2, 400: 0.001}))
    assert mean == hi == math.inf and 100 < lo < 400
    with pytest.raises(ValueError, match="at least one size"):
        needed({})


def test_a_dip_of_the_curve_is_smoothed():
    mean, _, _ = needed(curve({100: 0.3, 200: 0.04, 400: 0.06, 1600: -0.05}))
    assert mean == pytest.approx(800, rel=1e-6)  # 0.05 at 200 and 400: half way from there in log n
