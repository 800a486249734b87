"""Who covers the held-out data, on planted truths: contrasts, words after Holm, and what cannot be said."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from tests.report.conftest import SD

from decoct.report.read import frame
from decoct.report.sections.beyond import coverage
from decoct.report.sections.beyond.coverage import (
    Coverage,
    contradictions,
    coverage_sentences,
    coverages,
    overall_coverage,
)
from decoct.report.standing import Name, standings
from decoct.report.stats import intervals
from decoct.report.stats.welch import Contrast
from decoct.report.summary import summarise

BOTH = ("convnet3_bn", "judge")


def covered(builder, shift=None, **changes):
    builder.shift = shift
    for key, value in changes.items():
        setattr(builder, key, value)
    tables = frame.read(builder.build())
    return tables, coverages(tables, standings(tables))


def one(found, method, budget="ipc=10", extractor="teacher"):
    (c,) = [c for c in found if (c.method, c.budget, c.name.extractor) == (method, budget, extractor)]
    return c


def planted(method, metric, extractor):
    return {"rded": 20 * SD, "sre2l": -20 * SD}.get(method, 0.0) if metric == "coverage" else 0.0


def test_planted_differences_are_found(builder):
    _, found = covered(builder, planted)
    assert {c.word for c in found if c.method == "rded"} == {"better"}
    assert {c.word for c in found if c.method == "sre2l"} == {"worse"}
    assert one(found, "sre2l").behind == ("random", "herding", "k_center")
    assert one(found, "rded").beside == "better" and one(found, "sre2l").beside == "worse"
    assert "better than every coreset in 2 of 4 comparisons" in overall_coverage(found)
    said = "rded against every coreset: better in 2 of 2 comparisons, worse than"
    assert coverage_sentences(found)[0].startswith(said)


def test_contrasts_are_welchs_and_of_one_deterministic_set_a_one_sample_t(builder):
    tables, found = covered(builder)
    rows = tables.metrics.to_pylist()

    def values(method):
        where = {"method": method, "budget": "ipc=10", "metric": "coverage"}
        return [row["value"] for row in rows if all(row[key] == value for key, value in where.items())]

    contrasts = one(found, "rded").contrasts
    theirs = scipy_stats.ttest_ind(values("rded"), values("random"), equal_var=False)
    assert contrasts["random"].p_better == pytest.approx(
        theirs.pvalue / 2 if theirs.statistic > 0 else 1 - theirs.pvalue / 2
    )
    (herding,) = values("herding")
    interval = scipy_stats.ttest_1samp(values("rded"), herding).confidence_interval(0.95)
    got = contrasts["herding"]
    assert (got.lo + herding, got.hi + herding) == pytest.approx((interval.low, interval.high))
    assert got.n == (5, 1) and contrasts["random"].n == (5, 5)


@pytest.mark.parametrize(
    ("p_better", "p_worse", "word"),
    [(0.024, 0.976, "better"), (0.026, 0.974, "open"), (0.976, 0.024, "worse"), (0.974, 0.026, "open")],
)
def test_each_side_is_tested_at_half_of_five_percent(p_better, p_worse, word):
    contrast = Contrast(0.1, 0.0, 0.2, (5, 5), p_better, p_worse)
    name = Name("representativeness", "coverage", "per_class", "val", "teacher")
    one_alone = Coverage("rded", "ipc=1", name, 0.4, {"random": contrast}, "", math.nan)
    assert [c.word for c in coverage._coverage_worded([one_alone])] == [word]


def test_sets_that_read_alike_have_the_spread_of_whole_held_out_images(builder):
    """Without it, a difference of a third of an image would be certain."""
    _, found = covered(builder, lambda method, *_: 0.002 * (method == "rded"), spread=0.0)
    c = one(found, "rded")
    assert c.word == "open"
    against = c.contrasts["herding"]  # one set, a known number
    half = scipy_stats.t.ppf(0.975, 4) * intervals.grid_floor(180) / math.sqrt(2) / math.sqrt(5)
    assert (against.lo, against.hi) == pytest.approx((against.mean - half, against.mean + half))


def test_a_reading_beside_its_expectation_has_that_spread_in_its_own_units():
    name = Name("representativeness", "coverage_ratio", "per_class", "val", "teacher")
    where = {"method": "random", "scope": "per_class", "reference": "val"}
    rows = [where | {"metric": m, "value": x} for m, x in (("coverage", 0.25), ("coverage_ratio", 0.75))]
    assert coverage._floor(rows, name, 180) == pytest.approx(3 * intervals.grid_floor(180) / math.sqrt(2))
    assert coverage._floor(rows[1:], name, 180) == pytest.approx(intervals.grid_floor(180) / math.sqrt(2))


def test_better_than_all_but_one_is_open(builder):
    def shift(method, metric, extractor):
        return 20 * SD if method in ("rded", "herding") and metric == "coverage" else 0.0

    _, found = covered(builder, shift)
    assert {c.word for c in found if c.method == "rded"} == {"open"}


def test_a_coreset_that_was_not_read_keeps_better_from_being_said(builder):
    def gone(labels):
        return labels["kind"] == "measure" and labels["method"] == "k_center"

    _, found = covered(builder, planted, holes=gone)
    assert math.isnan(one(found, "rded").contrasts["k_center"].mean)
    assert one(found, "rded").word == "open" and one(found, "sre2l").word == "worse"


def test_one_replicate_cannot_say_and_a_study_without_readings_says_so(builder):
    _, found = covered(builder, planted, replicates=1)
    assert {c.word for c in found} == {"open"} and "needs two sets" in overall_coverage(found)
    builder.folder, builder.jobs = builder.folder.with_name("again"), []
    _, found = covered(builder, holes=lambda labels: labels["kind"] == "measure")
    assert found == () and "was not measured" in overall_coverage(found) and coverage_sentences(found) == ()


def test_no_coreset_says_so(builder):
    builder.methods = {m: builder.methods[m] for m in ("rded", "sre2l")}
    _, found = covered(builder)
    assert found and "no coreset" in overall_coverage(found) and len(coverage_sentences(found)) == 2


def test_extractors_that_contradict_each_other_are_named(builder):
    def shift(method, metric, extractor):
        side = 1 if extractor == BOTH[0] else -1
        return 20 * SD * side if (method, metric) == ("rded", "coverage") else 0.0

    _, found = covered(builder, shift, extractors=BOTH)
    assert list(contradictions(found)) == [
        "rded at IPC 1 (better in the features of convnet3_bn, worse in those of judge)",
        "rded at IPC 10 (better in the features of convnet3_bn, worse in those of judge)",
    ]
    assert "convnet3_bn and judge disagree on rded at IPC 1" in overall_coverage(found)
    builder.folder, builder.jobs = builder.folder.with_name("again"), []
    _, found = covered(builder, planted)
    assert "in 4 of 8" in overall_coverage(found) and "disagree" not in overall_coverage(found)


def test_methods_alike_are_rarely_told_apart(builder):
    """Better or worse anywhere, in 5 % of studies at most; 6 of 25 come once in 800."""
    wrong = 0
    builder.spread = 0.0
    builder.methods = {method: (family, True) for method, (family, _) in builder.methods.items()}
    for number in range(25):
        rng = np.random.default_rng(number)
        builder.folder, builder.jobs = builder.folder.parent / f"null{number}", []
        changes = {"budgets": ("ipc=10",), "protocols": ("erm",), "replicates": 3, "full": False, "draws": 0}
        _, found = covered(builder, lambda method, metric, extractor, rng=rng: SD * rng.normal(), **changes)
        assert all(len(c.contrasts) == 3 for c in found)
        wrong += any(c.word != "open" for c in found)
    assert wrong < 6


def test_every_contrast_and_every_methods_range_are_on_the_page(builder):
    builder.shift = planted
    summary = summarise(frame.read(builder.build()))
    page, lines = str(coverage.SECTION.show(summary)), summary.claims.of("coverage").methods
    assert page.count("<tr>") == 1 + len(summary.claims.coverages) == 1 + 2 * 2
    assert page.count('class="chip better"') == 2 == page.count('class="chip worse"')
    assert page.count(">sets: 5 and ") == 2 * 2 * 3  # methods, budgets, coresets
    assert len(lines) >= 2 and all(f"<li>{line}.</li>" in page for line in lines)
    assert "stands as it is, and all contrasts condition on it" in page
    evil = '<img src=x onerror="alert(1)">'
    builder.folder, builder.jobs, builder.extractors = builder.folder.with_name("again"), [], (evil,)
    page = str(coverage.SECTION.show(summarise(frame.read(builder.build()))))
    assert evil not in page and "&lt;img src=x" in page


def test_a_study_without_a_distillation_method_has_no_section(builder):
    builder.methods = {m: builder.methods[m] for m in ("random", "herding")}
    assert coverage.SECTION.show(summarise(frame.read(builder.build()))) == ""
