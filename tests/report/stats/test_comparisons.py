"""Words against scipy's tests, their definitions, and simulations of families."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.report.stats import comparisons
from decoct.report.stats.crossed import crossed

differences = st.lists(st.floats(-0.05, 0.05), min_size=3, max_size=10).filter(lambda x: np.std(x) > 1e-5)


def of(values, margin=0.01, floor=0.0):
    """A comparison of one student a set, on the same test images."""
    return comparisons.compare(crossed({(c, 0): v for c, v in enumerate(values)}, None, floor), margin)


@given(values=differences)
def test_alone_it_is_scipys_three_tests(values):
    found = of(values)
    p_better = reference.ttest_1samp(values, 0, alternative="greater").pvalue
    p_worse = reference.ttest_1samp(values, 0, alternative="less").pvalue
    above = reference.ttest_1samp(values, -0.01, alternative="greater").pvalue
    below = reference.ttest_1samp(values, 0.01, alternative="less").pvalue
    assert (found.p_better, found.p_worse) == (pytest.approx(p_better), pytest.approx(p_worse))
    assert (found.p_same, found.p_not_better) == (pytest.approx(max(above, below)), pytest.approx(below))
    inside = max(-found.inner[0], found.inner[1]) < 0.01
    assert inside == (found.verdict == "same")
    if not inside:
        assert (found.lo > 0) == (found.verdict == "better")
        assert (found.hi < 0) == (found.verdict == "worse")


@given(values=differences)
def test_swapping_the_methods_mirrors_it(values):
    there, back = of(values), of([-d for d in values])
    assert back.verdict == comparisons.TURNED.get(there.verdict, there.verdict)
    turned = comparisons.turned(there)
    assert (turned.verdict, turned.p_better) == (back.verdict, pytest.approx(back.p_better))
    assert (back.lo, back.hi) == (pytest.approx(-there.hi), pytest.approx(-there.lo))


def test_certain_but_smaller_than_the_margin_is_the_same():
    found = of([0.0039, 0.0040, 0.0041, 0.0040, 0.0040])
    assert found.lo > 0
    assert found.verdict == "same"


@pytest.mark.parametrize(
    ("values", "word"),
    [([], "open"), ([0.3], "open"), ([0.3] * 2, "open"), ([0.0] * 5, "same"), ([0.3] * 5, "better")],
)
def test_no_pairs_too_few_and_no_spread(values, word):
    assert of(values).verdict == word


def test_equal_differences_on_a_coarse_grid_prove_little():
    one_image = 1 / 60
    assert of([one_image] * 3).verdict == "better"  # taken at face value
    assert of([one_image] * 3, floor=math.sqrt(1 / 6) / 60).verdict == "open"


def test_a_margin_of_nothing_is_refused():
    with pytest.raises(ValueError, match="margin"):
        of([0.1, 0.2, 0.3], margin=0)


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_as_its_own_step_down_rule_does(p):
    def step_down(level):
        rejected = set()
        for rank, i in enumerate(np.argsort(p, kind="stable")):
            if p[i] * (len(p) - rank) > level:
                break
            rejected.add(int(i))
        return rejected

    adjusted = comparisons.holm(p)
    for level in (0.01, 0.025, 0.05, 0.2):
        assert {i for i, q in enumerate(adjusted) if q <= level} == step_down(level)


def test_a_missing_p_value_stays_missing_and_still_counts():
    adjusted = comparisons.holm([0.01, math.nan])
    assert adjusted[0] == pytest.approx(0.02)
    assert math.isnan(adjusted[1])


BETTER, WORSE = [0.30, 0.31, 0.29, 0.30, 0.305], [-0.30, -0.31, -0.29, -0.30, -0.305]
EQUAL, OPEN = [0.001, -0.001, 0.0, 0.0005, -0.0005], [0.1, -0.1, 0.05, -0.05, 0.02]
WORDS = {"B": "better", "W": "worse", "S": "same", "b": "leans better", "w": "leans worse", "o": "open"}


@pytest.mark.parametrize(
    ("against", "word"),
    [
        *(("BB", "better"), ("BS", "same"), ("SS", "same"), ("BW", "worse"), ("oW", "worse"), ("bW", "worse")),
        *(("Bb", "leans better"), ("bb", "leans better"), ("Sb", "open"), ("bw", "leans worse"), ("Bw", "leans worse")),
        *(("Bo", "open"), ("So", "open"), ("o", "open"), ("", "open")),
    ],
)
def test_against_all(against, word):
    plain = of(OPEN)
    assert comparisons.against_all([replace(plain, verdict=WORDS[a]) for a in against]) == word


def test_what_the_family_does_not_carry_leans():
    alone = of([-0.020, -0.012, -0.035, -0.028, -0.009])
    assert alone.verdict == "worse" and alone.p_worse < 0.025 < 20 * alone.p_worse
    noise = of([0.03, -0.03, 0.02, -0.02, 0.0])
    assert [c.verdict for c in comparisons.corrected([alone])] == ["worse"] and comparisons.corrected([]) == []
    among = comparisons.corrected([alone] + [noise] * 19)
    assert [(c.verdict, c.family) for c in among] == [("leans worse", 20)] + [("open", 20)] * 19
    assert among[0].alone == "worse" and (among[0].lo, among[0].hi) == (alone.lo, alone.hi)  # intervals stay
    assert (comparisons.outside(alone).verdict, comparisons.outside(alone).family) == ("leans worse", 0)


@given(values=st.lists(st.lists(st.floats(-0.05, 0.05), min_size=3, max_size=6), max_size=8), data=st.data())
def test_words_of_a_family_are_those_of_holm_that_the_own_interval_agrees_with(values, data):
    family = [of(v, floor=1e-4) for v in values]
    found = comparisons.corrected(family)
    apart = comparisons.holm([2 * min(c.p_better, c.p_worse) for c in found])
    alike = comparisons.holm([c.p_same for c in found])
    for c, p, q in zip(found, apart, alike, strict=True):
        signed = "better" if c.p_better < c.p_worse else "worse"
        inside = max(-c.inner[0], c.inner[1]) < c.margin
        if q < 0.05:
            holds, word = inside, "same"
        else:
            holds, word = p < 0.05 and (c.lo > 0 or c.hi < 0), signed
        assert c.verdict == (word if holds else comparisons.leaning(c.alone))
    turned = [data.draw(st.booleans()) for _ in values]
    other = [of([-x for x in v] if t else v, floor=1e-4) for v, t in zip(values, turned, strict=True)]
    for c, back, t in zip(found, comparisons.corrected(other), turned, strict=True):
        assert back.verdict == (comparisons.TURNED.get(c.verdict, c.verdict) if t else c.verdict)


def test_comparisons_of_one_kind_lend_each_other_their_spread():
    rng = np.random.default_rng(0)
    quiet, loud = ([of(rng.normal(0, sd, 5)) for _ in range(200)] for sd in (0.005, 0.02))
    found = comparisons.corrected([*quiet, *loud], ["fixed"] * 200 + ["drawn"] * 200)
    assert {c.prior.variance for c in found[:200]} == {found[0].prior.variance}
    assert found[0].prior.variance == pytest.approx(0.005**2, rel=0.4)
    assert found[-1].prior.variance == pytest.approx(0.02**2, rel=0.4)
    assert all(c.pooled.df == 4 + c.prior.df for c in found) and found[0].prior.df > 2


def test_more_sets_never_know_less():
    """Every comparison of 250 is 20 points: no cliff where a bootstrap's p-values would end."""
    rng = np.random.default_rng(1)
    for n in (4, 5, 19, 20, 21, 40):
        family = [of(rng.normal(-0.2, 0.012, n)) for _ in range(250)]
        assert {c.verdict for c in comparisons.corrected(family)} == {"worse"}


def test_a_family_of_nothing_says_something_false_in_one_study_of_twenty_at_most():
    """Ten methods, 45 pairs that share them; 400 studies of 5 sets."""
    rng, wrong = np.random.default_rng(2), 0
    for _ in range(400):
        x = rng.normal(0, 0.0086, (10, 5))
        family = comparisons.corrected([of(x[i] - x[j]) for i in range(10) for j in range(i)])
        wrong += any(c.verdict in ("better", "worse") for c in family)
    assert wrong / 400 < 0.05


def test_three_points_among_many_are_found():
    """One of 45 comparisons is 3 points at a spread of 1.2: the t alone finds it in 15 of 100 studies."""
    rng, found, plain = np.random.default_rng(3), 0, 0
    for _ in range(200):
        family = [of(rng.normal(0.03 * (i == 0), 0.012, 5)) for i in range(45)]
        found += comparisons.corrected(family)[0].verdict == "better"
        plain += 45 * family[0].p_better < 0.025
    assert found > 160 and plain < 60


def test_what_would_decide_uses_the_same_test_and_correction():
    rng = np.random.default_rng(4)
    family = comparisons.corrected([of(rng.normal(0.012 * (i == 0), 0.012, 5)) for i in range(30)])
    c = family[0]
    assert c.verdict not in comparisons.SHOWN
    alone = replace(c, family=1)
    assert alone.needed < c.needed and alone.detectable < c.detectable
    shown = comparisons.corrected([of(BETTER)] * 4)[0]
    assert shown.needed is None
    assert math.isnan(of([0.1, 0.2]).detectable)
