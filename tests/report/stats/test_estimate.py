"""Against scipy's t where there is one source of error, the definition where there are two, and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.report.stats.estimate import NOTHING, Estimate

parts = st.lists(st.tuples(st.floats(1e-6, 1), st.floats(1, 50)), min_size=1, max_size=3).map(tuple)


@given(mean=st.floats(-1, 1), se=st.floats(1e-2, 1), df=st.floats(1, 100), x=st.floats(-1, 1))
def test_with_one_source_it_is_the_t(mean, se, df, x):
    e = Estimate(mean, ((se**2, df),))
    assert e.above(x) == pytest.approx(reference.t.sf((mean - x) / se, df))
    assert e.above(x) + e.below(x) == pytest.approx(1)
    assert e.bounds(0.9) == pytest.approx(reference.t.interval(0.9, df, mean, se))
    assert (e.se, e.df) == (pytest.approx(se), pytest.approx(df))


@given(parts=parts, level=st.sampled_from([0.5, 0.9, 0.95, 0.9999]))
def test_half_widths_add_as_errors_do(parts, level):
    lo, hi = Estimate(0.2, parts).bounds(level)
    halves = [reference.t.ppf((1 + level) / 2, df) ** 2 * v for v, df in parts]
    assert (0.2 - lo, hi - 0.2) == pytest.approx((math.sqrt(sum(halves)),) * 2)


@given(parts=parts, z=st.floats(-8, 8))
def test_a_tail_begins_where_the_interval_of_its_level_ends(parts, z):
    e = Estimate(0.0, parts)
    p = e.below(-abs(z) * e.se) if z < 0 else e.above(-z * e.se)
    x = -z * e.se
    assert e.above(x) + e.below(x) == pytest.approx(1)
    small = min(e.above(x), e.below(x))
    assert e.half(small) == pytest.approx(abs(x), rel=1e-5, abs=1e-7 * e.se) and 0 <= p <= 1


def test_a_tail_far_out_is_still_a_number():
    far = Estimate(1.0, ((1e-6, 4.0), (1e-6, 2000.0))).above()
    assert 0 < far < 1e-8
    assert Estimate(1.0, ((1e-12, 1e4),)).above() >= 0


def test_without_an_error_the_sign_decides_and_what_is_not_known_stays_so():
    assert [Estimate(m, ((0.0, 4.0),)).above() for m in (0.1, 0.0, -0.1)] == [0.0, 0.5, 1.0]
    assert math.isnan(NOTHING.above()) and math.isnan(NOTHING.below()) and math.isnan(NOTHING.bounds(0.95)[0])
    assert math.isnan(Estimate(0.3, ()).se)


@given(parts=parts)
def test_degrees_of_freedom_are_satterthwaites(parts):
    total = sum(v for v, _ in parts)
    assert Estimate(0.0, parts).df == pytest.approx(total**2 / sum(v**2 / d for v, d in parts))


@pytest.mark.parametrize("df", [2, 4, 12])
@pytest.mark.parametrize("second", [0.1, 1.0, 10.0])
def test_two_sources_keep_the_level_in_the_middle_and_in_the_tail(df, second):
    """One variance is seen with few degrees of freedom, the other is known; binomial error at 0.1 %: 0.02 points."""
    rng, studies = np.random.default_rng(0), 200_000
    seen, z = rng.chisquare(df, studies) / df, rng.normal(size=studies) * math.sqrt(1 + second)
    for alpha, least, most in ((0.05, 0.02, 0.052), (0.001, 0.0, 0.0012)):
        t, normal = reference.t.ppf(1 - alpha / 2, df), reference.norm.ppf(1 - alpha / 2)
        beyond = np.mean(z**2 > t**2 * seen + normal**2 * second)
        assert least <= beyond <= most
        e = Estimate(0.0, ((float(seen[0]), float(df)), (second, 1e9)))
        assert e.half(alpha / 2) == pytest.approx(math.sqrt(t**2 * seen[0] + normal**2 * second), rel=1e-6)
