import math

import pytest

from decoct.report.stats.margin import margin


@pytest.mark.parametrize(
    ("stated", "random", "is_"),
    [(0.02, 0.5, 0.02), (None, 0.5, 0.01), (None, 0.04, 0.002), (None, math.nan, 0.01), (None, 0.0, 1e-4)],
)
def test_it_is_what_the_study_says_or_the_smaller_of_a_point_and_a_twentieth(stated, random, is_):
    assert margin(stated, random) == pytest.approx(is_)
