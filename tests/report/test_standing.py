"""Beside random: planted shifts are found, words follow p, extractors that contradict each other are named."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from tests.report.conftest import READINGS, SD

from decoct.report.read import frame
from decoct.report.standing import agreements, sentences, standings
from decoct.report.stats import comparisons, welch

BOTH = ("convnet3_bn", "judge")


def stood(builder, shift=None, **changes):
    builder.shift = shift
    for key, value in changes.items():
        setattr(builder, key, value)
    return standings(frame.read(builder.build()))


def one(found, **wanted):
    budget = wanted.pop("budget", "ipc=10")
    (s,) = [
        s
        for s in found
        if s.budget == budget
        and all(getattr(s if key == "method" else s.name, key) == value for key, value in wanted.items())
    ]
    return s


def test_a_planted_shift_is_worded_and_counted_and_what_is_not_shifted_is_open(builder):
    def shift(method, metric, extractor):
        return {("rded", "coverage"): 20 * SD, ("rded", "mmd"): 20 * SD, ("sre2l", "vendi"): -20 * SD}.get(
            (method, metric), 0.0
        )

    found = stood(builder, shift)
    assert one(found, method="rded", metric="coverage").word == "better"
    assert one(found, method="rded", metric="mmd").word == "worse"  # lower is better
    assert one(found, method="sre2l", metric="vendi").word == "worse"
    assert one(found, method="rded", metric="realism").word == "open"
    assert {s.word for s in found if s.method == "random" or s.name.metric == "recall"} == {""}
    coverage = one(found, method="rded", metric="coverage")
    assert coverage.z == pytest.approx((coverage.interval.mean - 0.31) / SD)
    assert coverage.over == "sets" and coverage.interval.n == 5
    assert one(found, method="rded", metric="mmd").towards == -one(found, method="rded", metric="mmd").z
    said = [line for line in sentences(found) if line.startswith("rded")]
    assert said == [
        "rded against random, by number of readings: representativeness better in 2, worse in 2, open in 2; "
        "diversity better in 0, worse in 0, open in 2; quality better in 0, worse in 0, open in 2"
    ]


def test_one_set_has_the_interval_over_its_images_and_is_asked_whether_it_could_be_random(builder):
    found = stood(builder, lambda method, metric, extractor: 2.5 * SD if method == "herding" else 0.0)
    s = one(found, method="herding", metric="vendi")
    assert s.over == "images" and s.interval.n == 1
    assert s.interval.hi - s.interval.lo == pytest.approx(0.1)
    t = abs(s.interval.mean - 3.2) / (SD * math.sqrt(1 + 1 / 20))
    assert s.p == pytest.approx(2 * scipy_stats.t.sf(t, 19))


def test_without_random_sets_there_are_values_and_no_words(builder):
    found = stood(builder, draws=0)
    assert {s.word for s in found} == {""} and all(s.random is None and math.isnan(s.z) for s in found)
    assert one(found, method="rded", metric="coverage").interval.n == 5
    assert sentences(found) == () and all(a.pairs == 0 for a in agreements(found))


def test_a_reading_that_is_not_defined_stays_undefined(builder):
    s = one(stood(builder), budget="ipc=1", method="rded", metric="recall")
    assert s.interval.n == 0 and s.over == "" and math.isnan(s.p)


def test_budgets_readings_and_methods_keep_their_order(builder):
    found = stood(builder, extractors=BOTH)
    assert list(dict.fromkeys(s.budget for s in found)) == ["ipc=1", "ipc=10"]
    assert list(dict.fromkeys(s.name.extractor for s in found)) == list(BOTH)
    first = [s for s in found if (s.budget, s.name.extractor) == ("ipc=1", BOTH[0])]
    assert list(dict.fromkeys(s.name.metric for s in first)) == [metric for metric, *_ in READINGS]
    assert [s.method for s in first[:5]] == list(builder.methods)


def test_extractors_that_contradict_each_other_are_named(builder):
    def shift(method, metric, extractor):
        side = 1 if extractor == BOTH[0] else -1
        return {"sre2l": 20 * SD * side, "rded": 20 * SD}.get(method, 0.0) if metric == "coverage" else 0.0

    found = stood(builder, shift, extractors=BOTH)
    second = agreements(found)[1]
    assert second.budget == "ipc=10" and second.extractors == BOTH
    assert second.against == (("sre2l", "coverage (per class, val)", *BOTH),)
    assert second.alike == 1 and second.pairs == 4 * 5  # four methods beside random, five leading readings
    assert second.taus["coverage (per class, val)"] < 1
    assert (
        "At IPC 10, convnet3_bn and judge contradict each other in 1 of 20 comparisons with random, agree in 1, and "
        "leave 18 open, where one or both find no difference; sre2l is better than random in coverage (per class, val) "
        "according to convnet3_bn and worse according to judge. Kendall's τ"
    ) in second.sentence()


def test_one_extractor_has_nobody_to_disagree_with(builder):
    assert agreements(stood(builder)) == ()


def test_methods_like_random_are_rarely_called_anything_else(builder):
    """Sixteen words a study, corrected: one study in twenty has a false one; 7 of 40 or more come once in 300."""
    builder.spread, wrong = 0.0, 0
    for number in range(40):
        rng = np.random.default_rng(number)
        builder.folder, builder.jobs = builder.folder.parent / f"null{number}", []
        changes = {"budgets": ("ipc=10",), "protocols": ("erm",), "replicates": 3, "full": False}
        found = stood(builder, lambda method, metric, extractor, rng=rng: SD * rng.normal(), **changes)
        wrong += any(s.word in ("better", "worse") for s in found)
    assert wrong < 7


def test_words_hold_over_all_budgets_and_extractors_together(builder):
    rng, lost = np.random.default_rng(0), 0
    found = stood(builder, lambda method, metric, extractor: 2 * SD * rng.normal(), extractors=BOTH)
    family = [s for s in found if s.lead and s.method != "random"]
    assert {(s.budget, s.name.extractor) for s in family} == {(b, e) for b in ("ipc=1", "ipc=10") for e in BOTH}
    adjusted = comparisons.holm([s.p for s in family])
    for place in {(s.budget, s.name.extractor) for s in family}:
        own = [s for s in family if (s.budget, s.name.extractor) == place]
        lost += sum(
            p < 0.05 <= adjusted[family.index(s)]
            for s, p in zip(own, comparisons.holm([s.p for s in own]), strict=True)
        )
    assert lost  # by budget and extractor, more would be said
    for s, p in zip(family, adjusted, strict=True):
        assert (s.word in ("better", "worse", "more", "less")) <= (p < 0.05)


@pytest.mark.parametrize("m", [1, 2, 5])
def test_apart_is_students_and_of_one_value_the_prediction_of_one_more(m):
    rng = np.random.default_rng(m)
    other, own = rng.normal(size=20), rng.normal(1, 2, size=m)
    got = welch.apart(own.tolist(), float(other.mean()), float(other.std(ddof=1)), 20)
    if m > 1:
        assert got == pytest.approx(scipy_stats.ttest_ind(own, other).pvalue)
    else:
        t = abs(own[0] - other.mean()) / (other.std(ddof=1) * math.sqrt(1 + 1 / 20))
        assert got == pytest.approx(2 * scipy_stats.t.sf(t, 19))


def test_sets_that_spread_so_widely_that_their_interval_holds_random_are_not_told_from_it(builder):
    """Student's t alone would be sure: most of its degrees of freedom are of random sets that lie close together."""
    far = iter([0.0, 40.0, 0.0, 40.0, 20.0] * 2)
    found = stood(builder, lambda method, metric, e: SD * next(far) if (method, metric) == ("rded", "vendi") else 0.0)
    s = one(found, method="rded", metric="vendi")
    assert s.p < 1e-3 and s.interval.lo < s.random.mean < s.interval.hi
    assert s.word == "open"


def test_apart_without_spread_and_without_values():
    assert welch.apart([1.0, 1.0], 1.0, 0.0, 20) == 1
    assert welch.apart([1.0, 1.0], 2.0, 0.0, 20) == 0
    assert math.isnan(welch.apart([], 1.0, 1.0, 20))
    assert math.isnan(welch.apart([1.0], 1.0, 1.0, 1))
    assert math.isnan(welch.apart([1.0], 1.0, math.nan, 20))
