"""Who covers the held-out data, on planted truths: contrasts, words after Holm, and what cannot be said.

Features are of "judge", which made no set; herding's are the teacher's.
"""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from tests.report import conftest
from tests.report.conftest import SD, view

from decoct.report.read import frame
from decoct.report.sections.beyond import coverage
from decoct.report.sections.beyond._agreed import Check, Coverage
from decoct.report.sections.beyond.coverage import (
    contradictions,
    coverage_sentences,
    coverages,
    overall_coverage,
)
from decoct.report.standing import Name, standings
from decoct.report.stats import intervals
from decoct.report.stats.welch import Contrast
from decoct.report.summary import summarise

BOTH = ("witness", "judge")


NOTHING = Contrast(0.0, -0.1, 0.1, (5, 5), 0.5, 0.5)


def covered(builder, shift=None, **changes):
    builder.shift, builder.extractors = shift, ("judge",)
    for key, value in changes.items():
        setattr(builder, key, value)
    tables = frame.read(builder.build())
    return tables, coverages(tables, standings(tables))


def builder_frame(builder):
    return frame.read(builder.folder)


def one(found, method, budget="ipc=10", extractor="judge"):
    (c,) = [c for c in found if (c.method, c.budget, c.name.extractor) == (method, budget, extractor)]
    return c


def planted(method, metric, extractor):
    """In coverage, and in the distance, where lower is better; nothing in the modes."""
    size = {"rded": 20 * SD, "sre2l": -20 * SD}.get(method, 0.0)
    return {"coverage": size, "mmd": -size}.get(metric, 0.0)


def test_planted_differences_are_found(builder):
    _, found = covered(builder, planted)
    assert {c.word for c in found if c.method == "rded"} == {"better"}
    assert {c.word for c in found if c.method == "sre2l"} == {"worse"}
    assert one(found, "sre2l").behind == ("random", "herding", "k_center")
    assert one(found, "rded").beside == "better" and one(found, "sre2l").beside == "worse"
    assert "better than every coreset in 2 of 4 comparisons" in overall_coverage(found)
    said = "rded against every coreset: better in 2 of 2 comparisons, worse than"
    assert coverage_sentences(found)[0].startswith(said)


@pytest.mark.parametrize(
    ("coverage_says", "distance_says", "modes_say", "word", "clash"),
    [
        (1, 1, 0, "better", ""),
        (1, 1, 1, "better", ""),
        (1, 0, 0, "open", ""),
        (0, 1, 0, "open", ""),
        (1, -1, 0, "open", "coverage better, mmd worse"),  # points about one of ten modes
        (1, 1, -1, "open", "coverage and mmd better, modes worse"),
        (-1, -1, 0, "worse", ""),
        (-1, 0, 0, "open", ""),
        (-1, 1, 0, "open", "mmd better, coverage worse"),
        (-1, -1, 1, "open", "modes better, coverage and mmd worse"),
    ],
)
def test_a_word_needs_coverage_and_a_distance_and_no_modes_against_it(
    builder, coverage_says, distance_says, modes_say, word, clash
):
    """It was coverage's alone, which named a winner that the distance refuted."""

    def shift(method, metric, extractor):
        sides = {"coverage": coverage_says, "mmd": -distance_says, "modes": modes_say}
        return 20 * SD * sides.get(metric, 0) if method == "rded" else 0.0

    _, found = covered(builder, shift, spread=0.0)  # so that what is not shifted is alike
    for budget in ("ipc=1", "ipc=10"):
        c = one(found, "rded", budget)
        assert c.word == word
        assert c.clashes() == ({clash: ["random", "herding", "k_center"]} if clash else {})
    told = f"; readings disagree on rded at IPC 1 ({clash} than random, herding, k_center), rded at IPC 10 ("
    assert (told in overall_coverage(found)) == bool(clash)
    page = str(coverage.coverage_table(view(summarise(builder_frame(builder))), found))
    assert page.count(f"{clash} than random, herding, k_center</small>") == 2 if clash else "better, " not in page


def test_features_that_made_a_set_say_nothing(builder):
    """Herding takes the least distance of means in the features that it uses."""
    _, found = covered(builder, planted, extractors=("teacher", "judge"))
    assert {c.name.extractor for c in found if c.word != "open"} == {"judge"}
    assert [c.independent for c in found] == [False] * 4 + [True] * 4
    assert "better than every coreset in 2 of 4 comparisons" in overall_coverage(found)
    assert all(
        "better in 2 of 2" in line or "worse than at least one in 2" in line for line in coverage_sentences(found)
    )
    page = str(coverage.coverage_table(view(summarise(builder_frame(builder))), found))
    assert page.count(", beside mmd</small>") == 8
    assert page.count("had a part in the sets") == 4 and page.count('class="chip') == 4
    builder.folder, builder.jobs = builder.folder.with_name("again"), []
    _, found = covered(builder, planted, extractors=("teacher",))
    assert {c.word for c in found} == {"open"} and coverage_sentences(found) == ()
    assert (
        overall_coverage(found)
        == "Every extractor had a part in making a set, so none can say who covers the data better"
    )


@pytest.mark.parametrize("gone", ["mmd", "modes"])
def test_coverage_alone_says_nothing(builder, gone, monkeypatch):
    monkeypatch.setattr(conftest, "READINGS", tuple(r for r in conftest.READINGS if r[0] != gone))
    _, found = covered(builder, planted)
    assert found and {c.word for c in found} == {"open"}
    lacking = {"mmd": "mmd or sliced_wasserstein", "modes": "modes"}[gone]
    assert overall_coverage(found).endswith(f"who covers the data better without {lacking} against val")


def test_the_sliced_distance_stands_in_for_mmd(builder, monkeypatch):
    other = [("sliced_wasserstein" if r[0] == "mmd" else r[0], *r[1:]) for r in conftest.READINGS]
    monkeypatch.setattr(conftest, "READINGS", tuple(other))
    _, found = covered(builder, lambda m, metric, e: planted(m, {"sliced_wasserstein": "mmd"}.get(metric, metric), e))
    assert {c.word for c in found if c.method == "rded"} == {"better"}
    assert {c.distance.metric for c in found} == {"sliced_wasserstein"}


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
    same, even = Check("mmd", {"random": contrast}), Check("modes", {"random": NOTHING})
    one_alone = Coverage("rded", "ipc=1", name, 0.4, {"random": contrast}, "", math.nan, same, even)
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
        return planted("rded", metric, extractor) if method in ("rded", "herding") else 0.0

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
        return side * planted("rded", metric, extractor) if method == "rded" else 0.0

    _, found = covered(builder, shift, extractors=BOTH)
    assert list(contradictions(found)) == [
        "rded at IPC 1 (better in the features of witness, worse in those of judge)",
        "rded at IPC 10 (better in the features of witness, worse in those of judge)",
    ]
    assert "witness and judge disagree on rded at IPC 1" in overall_coverage(found)
    builder.folder, builder.jobs = builder.folder.with_name("again"), []
    _, found = covered(builder, planted, extractors=BOTH)
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
    builder.shift, builder.extractors = planted, ("judge",)
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
