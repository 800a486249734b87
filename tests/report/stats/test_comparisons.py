"""Against scipy, closed forms and simulation."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.report.stats import comparisons, intervals

accuracies = st.lists(st.floats(0, 1), min_size=2, max_size=12).filter(lambda x: np.std(x) > 1e-6)


@given(values=accuracies, level=st.sampled_from([0.9, 0.95, 0.99]))
def test_a_t_interval_is_scipys(values, level):
    found = intervals.t_interval(values, level)
    lo, hi = reference.t.interval(level, len(values) - 1, np.mean(values), reference.sem(values))
    assert (found.lo, found.hi, found.n) == (pytest.approx(lo), pytest.approx(hi), len(values))


def test_one_value_has_a_mean_and_no_interval():
    found = intervals.t_interval([0.7])
    assert (found.mean, found.n) == (0.7, 1)
    assert math.isnan(found.lo) and math.isnan(found.hi)


@given(n=st.integers(1, 5000), share=st.floats(0, 1))
def test_wilson_is_scipys(n, share):
    right = round(share * n)
    expected = reference.binomtest(right, n).proportion_ci(method="wilson")
    found = intervals.wilson(right, n)
    assert (found.lo, found.hi) == (pytest.approx(expected.low, abs=1e-9), pytest.approx(expected.high, abs=1e-9))


@given(differences=st.lists(st.floats(-0.05, 0.05), min_size=2, max_size=10).filter(lambda x: np.std(x) > 1e-6))
def test_a_comparison_is_scipys_three_tests(differences):
    found = comparisons.compare(differences, margin=0.01)
    p_better = reference.ttest_1samp(differences, 0, alternative="greater").pvalue
    p_worse = reference.ttest_1samp(differences, 0, alternative="less").pvalue
    above = reference.ttest_1samp(differences, -0.01, alternative="greater").pvalue
    below = reference.ttest_1samp(differences, 0.01, alternative="less").pvalue
    assert (found.p_better, found.p_worse) == (pytest.approx(p_better), pytest.approx(p_worse))
    assert found.p_equivalent == pytest.approx(max(above, below))
    inside = max(-found.lo90, found.hi90) < 0.01
    assert inside == (found.verdict == "equivalent")
    if not inside:
        assert (found.lo > 0) == (found.verdict == "better")
        assert (found.hi < 0) == (found.verdict == "worse")


@given(differences=accuracies)
def test_swapping_the_methods_mirrors_the_verdict(differences):
    there, back = comparisons.compare(differences), comparisons.compare([-d for d in differences])
    mirror = {"better": "worse", "worse": "better"}
    assert back.verdict == mirror.get(there.verdict, there.verdict)
    assert (back.lo, back.hi) == (pytest.approx(-there.hi), pytest.approx(-there.lo))


def test_certain_but_smaller_than_the_margin_is_equivalent():
    found = comparisons.compare([0.0039, 0.0040, 0.0041, 0.0040, 0.0040])
    assert found.lo > 0
    assert found.verdict == "equivalent"


@pytest.mark.parametrize(
    ("differences", "word"),
    [([], "undecided"), ([0.3], "undecided"), ([0.0] * 5, "equivalent"), ([0.3] * 5, "better"), ([-0.3] * 5, "worse")],
)
def test_no_pairs_one_pair_and_no_spread(differences, word):
    assert comparisons.compare(differences).verdict == word


def test_two_equal_differences_on_a_coarse_grid_prove_little():
    one_image = 1 / 60
    assert comparisons.compare([one_image] * 2).verdict == "better"  # taken at face value
    assert comparisons.compare([one_image] * 2, floor=intervals.grid_floor(60)).verdict == "undecided"


def test_the_grid_floor_is_what_rounding_does():
    rng = np.random.default_rng(0)
    raw = rng.uniform(0.2, 0.9, (2, 200_000))
    error = np.round(raw * 100) / 100 - raw
    assert intervals.grid_floor(100) == pytest.approx((error[0] - error[1]).std(), rel=0.01)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_never_becomes_a_verdict(bad):
    with pytest.raises(ValueError, match="not finite"):
        comparisons.compare([0.1, bad, 0.2])


def test_an_interval_says_what_it_is_by():
    assert intervals.t_interval([0.1, 0.2]).by == intervals.clip(intervals.t_interval([0.1, 0.2]), 0, 1).by == "t"
    assert intervals.wilson(3, 4).by == intervals.wilson(0, 0).by == "wilson"


def test_a_margin_of_nothing_is_refused():
    with pytest.raises(ValueError, match="margin"):
        comparisons.compare([0.1, 0.2], margin=0)


def test_pairs_are_averaged_within_a_set_and_only_common_replicates_count():
    a = {(0, 0): 0.9, (0, 1): 0.7, (1, 0): 0.8, (2, 0): 0.1}
    b = {(0, 0): 0.5, (0, 1): 0.5, (1, 0): 0.5, (1, 1): 0.0, (3, 0): 0.9}
    assert intervals.paired(a, b) == pytest.approx([0.3, 0.3])


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


@pytest.mark.parametrize(
    ("against", "word"),
    [
        ([BETTER, BETTER], "better"),
        ([BETTER, EQUAL], "equivalent"),
        ([EQUAL, EQUAL], "equivalent"),
        ([BETTER, OPEN], "undecided"),
        ([EQUAL, OPEN], "undecided"),
        ([BETTER, WORSE], "worse"),
        ([OPEN, WORSE], "worse"),
        ([BETTER, []], "undecided"),
        ([BETTER, [0.3]], "undecided"),
        ([], "undecided"),
    ],
)
def test_against_all(against, word):
    assert comparisons.against_all([comparisons.compare(d) for d in against]) == word


def test_words_of_a_family_are_those_of_holm():
    alone = comparisons.compare([-0.020, -0.012, -0.035, -0.028, -0.009])
    assert alone.verdict == "worse" and alone.p_worse < 0.025 < 20 * alone.p_worse
    noise = comparisons.compare([0.03, -0.03, 0.02, -0.02, 0.0])
    assert comparisons.corrected([alone]) == [alone] and comparisons.corrected([]) == []
    among = comparisons.corrected([alone] + [noise] * 19)
    assert [(c.verdict, c.family) for c in among] == [("undecided", 20)] * 20
    assert among[0].alone == "worse" and (among[0].lo, among[0].hi) == (alone.lo, alone.hi)  # intervals stay


@given(differences=st.lists(st.lists(st.floats(-0.05, 0.05), min_size=1, max_size=5), max_size=6), data=st.data())
def test_a_corrected_word_needs_the_word_alone_and_hangs_on_no_order(differences, data):
    family = [comparisons.compare(d) for d in differences]
    found = comparisons.corrected(family)
    apart = comparisons.holm([2 * min(c.p_better, c.p_worse) for c in family])
    alike = comparisons.holm([c.p_equivalent for c in family])
    for c, p, q in zip(found, apart, alike, strict=True):
        signed = "better" if c.p_better < c.p_worse else "worse"
        assert c.verdict == ("equivalent" if q < 0.05 else signed if p < 0.05 else "undecided")
    turned = [data.draw(st.booleans()) for _ in differences]
    other = [
        comparisons.compare([-x for x in d]) if t else comparisons.compare(d)
        for d, t in zip(differences, turned, strict=True)
    ]
    words = {"better": "worse", "worse": "better"}
    back = [
        words.get(c.verdict, c.verdict) if t else c.verdict
        for c, t in zip(comparisons.corrected(other), turned, strict=True)
    ]
    assert back == [c.verdict for c in found]


@given(
    values=st.lists(st.floats(0, 1), min_size=2, max_size=6).filter(lambda x: np.std(x) > 1e-3),
    mean=st.floats(0, 1),
    sd=st.floats(0.01, 1),
    n=st.integers(2, 20),
)
def test_more_of_the_same_is_asked_by_students_t_with_the_pooled_spread(values, mean, sd, n):
    theirs = reference.ttest_ind_from_stats(np.mean(values), np.std(values, ddof=1), len(values), mean, sd, n)
    assert comparisons.apart(values, mean, sd, n) == pytest.approx(theirs.pvalue)
    one = (values[0] - mean) / (sd * math.sqrt(1 + 1 / n))  # one value more
    assert comparisons.apart(values[:1], mean, sd, n) == pytest.approx(2 * reference.t.sf(abs(one), n - 1))


def test_without_a_spread_the_margin_itself_is_not_within_it():
    assert comparisons.compare([0.25] * 3, margin=0.25).verdict == "better"
    assert [comparisons.equivalence_power(x, 0.0, 0.25, 5) for x in (0.24, 0.25, -0.25, 0.26)] == [1, 0, 0, 0]


def test_more_comparisons_take_more_replicates_to_decide():
    undecided = comparisons.compare([0.02, -0.01, 0.03, 0.0, 0.01])
    among = comparisons.corrected([undecided] * 50)[0]
    assert undecided.verdict == among.verdict == "undecided"
    assert (
        undecided.needed < among.needed == comparisons.replicates_to_decide(among.mean, among.sd, 0.01, alpha=0.05 / 50)
    )
    assert comparisons.compare([0.02, 0.021, 0.019]).needed is None and comparisons.compare([0.02]).needed is None


@pytest.mark.parametrize("mean", [0.0, 0.003, 0.012, 0.03])
@pytest.mark.parametrize("sd", [0.005, 0.02])
def test_replicates_to_decide_is_the_smallest_n_with_the_power(mean, sd):
    def power(n):
        t = reference.t.ppf(0.975, n - 1)
        difference = reference.nct.sf(t, n - 1, mean * n**0.5 / sd)
        t, nc = reference.t.ppf(0.95, n - 1), [(mean + m) * n**0.5 / sd for m in (-0.01, 0.01)]
        equivalence = reference.nct.cdf(-t, n - 1, nc[0]) - reference.nct.cdf(t, n - 1, nc[1])
        return max(difference, equivalence)

    found = comparisons.replicates_to_decide(mean, sd, margin=0.01)
    assert found == next(n for n in range(2, 1001) if power(n) >= 0.8)


def test_the_power_is_what_simulation_finds():
    rng = np.random.default_rng(1)
    mean, sd = 0.02, 0.018
    n = comparisons.replicates_to_decide(mean, sd, 0.01)
    words = [comparisons.compare(rng.normal(mean, sd, n)).verdict for _ in range(2000)]
    assert words.count("better") / 2000 == pytest.approx(0.8, abs=0.04)
    n = comparisons.replicates_to_decide(0.0, 0.008, 0.01)
    words = [comparisons.compare(rng.normal(0, 0.008, n)).verdict for _ in range(2000)]
    assert 0.76 < words.count("equivalent") / 2000 < 0.93  # n is whole, so the power lands at or above 80 %


def test_out_of_reach_is_none():
    assert comparisons.replicates_to_decide(0.0101, 0.5, 0.01) is None
    n = comparisons.replicates_to_decide(0.02, 0.05, 0.01)
    assert n > 2 and comparisons.replicates_to_decide(0.02, 0.05, 0.01, limit=n) == n
    assert comparisons.replicates_to_decide(0.02, 0.05, 0.01, limit=n - 1) is None


def test_more_spread_never_needs_fewer():
    needed = [comparisons.replicates_to_decide(0.02, sd, 0.01) for sd in (0.0, 0.01, 0.02, 0.04)]
    assert all(a <= b for a, b in pairwise(needed))


def test_the_paired_interval_of_nested_replicates_keeps_its_coverage_at_five():
    """Five sets of two students; students share their seed across methods; the true difference is 2 points."""
    rng = np.random.default_rng(2)
    hits, studies = 0, 4000
    for _ in range(studies):
        student = rng.normal(0, 0.03, (5, 2))  # common to both methods, so it cancels in the pair
        sets, noise = rng.normal(0, 0.01, (2, 5, 1)), rng.normal(0, 0.01, (2, 5, 2))
        values = np.array([0.62, 0.60])[:, None, None] + student + sets + noise
        a, b = ({(c, t): v[c, t] for c in range(5) for t in range(2)} for v in values)
        found = comparisons.compare(intervals.paired(a, b))
        hits += found.lo <= 0.02 <= found.hi
    assert hits / studies == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("n", [2, 3, 5, 20, 200])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_the_detectable_difference_is_the_inverse_of_the_power(n, power):
    found = comparisons.detectable(0.012, n, power)
    assert comparisons.difference_power(found, 0.012, n) == pytest.approx(power, abs=1e-5)
    assert comparisons.detectable(0.024, n, power) == pytest.approx(2 * found)


def test_the_detectable_difference_is_found_as_often_in_simulation():
    rng, n, sd = np.random.default_rng(3), 5, 0.01
    drawn = rng.normal(comparisons.detectable(sd, n), sd, (20_000, n))
    found = reference.ttest_1samp(drawn, 0, axis=1, alternative="greater").pvalue < 0.025
    assert found.mean() == pytest.approx(0.8, abs=0.01)  # binomial error: 0.003


def test_one_replicate_detects_nothing_and_no_spread_everything():
    assert math.isnan(comparisons.detectable(0.01, 1)) and math.isnan(comparisons.detectable(math.nan, 5))
    assert comparisons.detectable(0.0, 5) == 0.0
    assert math.isnan(comparisons.compare([0.1]).detectable)


def test_power_and_equivalence_are_statsmodels():
    power = pytest.importorskip("statsmodels.stats.power")
    weights = pytest.importorskip("statsmodels.stats.weightstats")
    effect = power.TTestPower().solve_power(nobs=5, alpha=0.05, power=0.8, alternative="two-sided")
    assert comparisons.detectable(0.01, 5) == pytest.approx(0.01 * effect, rel=1e-3)  # its other tail adds a little
    differences = [0.004, -0.002, 0.006, 0.001, 0.003]
    p, *_ = weights.DescrStatsW(differences).ttost_mean(-0.01, 0.01)
    assert comparisons.compare(differences).p_equivalent == pytest.approx(p)


@given(
    differences=st.lists(st.lists(st.floats(-0.05, 0.05), min_size=2, max_size=5), min_size=1, max_size=4),
)
def test_the_word_against_all_follows_its_definition(differences):
    """Better: better than each. Worse: worse than one of them."""
    found = [comparisons.compare(d) for d in differences]
    expected = "undecided"
    if any(c.verdict == "worse" for c in found):
        expected = "worse"
    elif all(c.verdict == "better" for c in found):
        expected = "better"
    elif all(c.verdict in ("better", "equivalent") for c in found):
        expected = "equivalent"
    assert comparisons.against_all(found) == expected
