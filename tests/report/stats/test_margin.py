"""The margin: what a study states, or the smaller of one point and a twentieth of random's accuracy."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.report.stats.margin import margin


@pytest.mark.parametrize(
    ("stated", "random", "expected"),
    [
        (None, 0.63, 0.01),
        (None, 0.04, 0.002),  # hard labels at IPC 10 on ImageNet-1K
        (None, 0.2, 0.01),
        (None, 0.001, 1e-4),
        (None, 0.0, 1e-4),
        (None, math.nan, 0.01),
        (0.03, 0.04, 0.03),
        (0.03, math.nan, 0.03),
    ],
)
def test_in_round_numbers(stated, random, expected):
    assert margin(stated, random) == pytest.approx(expected, rel=1e-12)


@given(st.floats(0, 1))
def test_it_is_never_above_a_point_and_never_nothing(random):
    assert 1e-4 <= margin(None, random) <= 0.01
    assert margin(None, random) <= max(1e-4, random / 20) * (1 + 1e-12)
