"""Against the moments that the fit is made of, its limits, and variances drawn from a known prior."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import polygamma

from decoct.report.stats.moderated import CAP, NONE, Prior, moderated, prior, trigamma_inverse


@given(y=st.floats(1e-3, 1e4))
def test_the_inverse_of_trigamma_is_one(y):
    assert trigamma_inverse(float(polygamma(1, y))) == pytest.approx(y, rel=1e-3)


def drawn(rng, s0, d0, df, number):
    """Variances whose true values are s₀² d₀ / χ²(d₀), seen with df degrees of freedom."""
    true = s0 * d0 / rng.chisquare(d0, number)
    return true * rng.chisquare(df, number) / df


@pytest.mark.parametrize(("d0", "df"), [(3.0, 4), (6.0, 4), (6.0, 9)])
def test_a_known_prior_is_found_again(d0, df):
    found = prior(drawn(np.random.default_rng(0), 2.5e-4, d0, df, 20_000), [df] * 20_000)
    assert (found.variance, found.df) == (pytest.approx(2.5e-4, rel=0.05), pytest.approx(d0, rel=0.15))


def test_variances_that_are_all_alike_are_worth_the_cap_and_no_more():
    found = prior(np.random.default_rng(1).chisquare(4, 5000) / 4, [4] * 5000)
    assert found.df == CAP and found.variance == pytest.approx(1, rel=0.03)
    assert prior([2.0] * 50, [4] * 50).df == CAP  # less spread than chance alone makes


def test_wide_ones_among_them_make_it_worth_less():
    rng = np.random.default_rng(2)
    plain = rng.chisquare(4, 42) / 4
    wide = plain * np.where(np.arange(42) < 6, 25, 1)
    assert prior(wide, [4] * 42).df < 4


@pytest.mark.parametrize("variances", [[], [1.0] * 3, [0.0] * 20, [math.nan] * 20])
def test_too_few_tell_nothing_and_leave_a_variance_as_it_is(variances):
    found = prior(variances, [4] * len(variances))
    assert found == NONE and moderated(0.3, 4, found) == (0.3, 4)


@given(variance=st.floats(0, 10), df=st.floats(1, 30), s0=st.floats(0.01, 10), d0=st.floats(0.1, 8))
def test_it_is_drawn_up_towards_what_is_usual_and_never_down(variance, df, s0, d0):
    found, total = moderated(variance, df, Prior(s0, d0))
    assert found == pytest.approx(max(variance, (d0 * s0 + df * variance) / (d0 + df)))
    assert total == pytest.approx(d0 + df)


def test_a_t_of_it_keeps_its_level_where_the_model_holds():
    """Smyth (2004): under the prior it is a t of d₀ + d degrees of freedom; never drawn down, it errs less."""
    rng, number, n = np.random.default_rng(3), 40_000, 5
    true = 1e-4 * 4.0 / rng.chisquare(4.0, number)
    x = rng.normal(size=(number, n)) * np.sqrt(true)[:, None]
    s2 = x.var(1, ddof=1)
    fitted = prior(s2, [n - 1] * number)
    pooled = np.array([moderated(v, n - 1, fitted) for v in s2])
    t = x.mean(1) / np.sqrt(pooled[:, 0] / n)
    from scipy.stats import t as student

    p = 2 * student.sf(np.abs(t), pooled[:, 1])
    assert 0.03 < np.mean(p < 0.05) < 0.05
    assert np.mean(p < 0.001) < 0.0012
