"""The four claims on planted truths: what is said follows from the results and from nothing else."""

import json
import math
import re

import numpy as np
import pytest
from scipy import stats as scipy_stats
from tests.report.conftest import SD, view

from decoct.core.record import read_cost, write_cost
from decoct.report.read import frame
from decoct.report.read.manifest import REFERENCE
from decoct.report.sections import claims
from decoct.report.sections.claims import Coverage, contradictions, coverage_sentences, coverages, overall_coverage
from decoct.report.sections.standing import Name, standings
from decoct.report.stats import intervals
from decoct.report.stats.welch import Contrast
from decoct.report.summary import summarise


def summary(builder):
    folder = builder.build()
    return summarise(frame.read(folder))


def claim(found, key):
    return next(c for c in found.claims.all if c.key == key)


def test_four_questions_in_order(builder):
    found = summary(builder)
    assert [c.key for c in found.claims.all] == ["random", "coresets", "cost", "coverage"]
    assert all(c.question.endswith("?") and not c.answer.endswith(".") for c in found.claims.all)
    assert all([line for line in c.methods if "rded" in line] for c in found.claims.all)


def test_against_random_the_counts_are_those_that_keep_their_word_after_holm(builder):
    builder.noise = 0.05
    found = summary(builder)
    mine = [v for v in found.verdicts if v.family == "distillation"]
    assert any(v.random.verdict != v.random.alone for v in mine)
    for word in ("better", "worse"):
        count = sum(v.random.verdict == word for v in mine) or "none"
        said = claim(found, "random").answer
        assert (
            f"better than random of the same size in {count} of 12" if word == "better" else f"worse in {count}"
        ) in said
    own = [v.random for v in mine if v.method == "rded"]
    low = min(own, key=lambda c: c.mean)
    assert f"differences {100 * low.mean:+.1f} points [" in claim(found, "random").methods[0]


def test_planted_truths(builder):
    found = summary(builder)
    assert "better than random of the same size in 6 of 12" in claim(found, "random").answer
    assert "and worse in 6, after Holm" in claim(found, "random").answer
    said = claim(found, "coresets")
    assert "better than every coreset in 6 of 12" in said.answer and said.answer.endswith(": rded in 6")
    assert said.methods[1].startswith("sre2l: better than every coreset in none of 6 settings and worse than at least")
    assert "(herding, " in said.methods[0]  # the coreset that does best, by what was planted


def test_a_method_is_not_better_than_every_coreset_where_one_is_untested(builder):
    builder.holes = lambda labels: labels["kind"] == "train" and labels["method"] == "k_center"
    found = summary(builder)
    v = found.verdict("rded", found.settings[0])
    assert v.coresets["k_center"].n == 0 and v.against_coresets == "undecided"
    assert {v.coresets[m].verdict for m in ("random", "herding")} == {"better"}
    assert "better than every coreset in none" in claim(found, "coresets").answer
    assert "n = 0" not in claim(found, "coresets").methods[0]


def test_a_certain_difference_below_the_margin_is_equivalent_and_not_better(builder):
    builder.truth |= dict.fromkeys(("rded", "sre2l"), builder.truth[REFERENCE] + 0.004)
    builder.noise, builder.test_images = 0.0003, 100_000
    said = claim(summary(builder), "random")
    assert "in none of 12" in said.answer and "equivalent within the margin in 6" in said.methods[0]


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"methods": ("random", "herding")}, "random", "no distillation method"),
        ({"methods": ("random", "herding")}, "cost", "no distillation method"),
        ({"methods": ("herding", "rded")}, "random", "no random selection"),
        ({"methods": ("rded", "sre2l")}, "coresets", "no coreset"),
        ({"methods": ("rded", "sre2l")}, "coverage", "no coreset"),
        ({"replicates": 1}, "random", "One replicate shows no difference"),
        ({"replicates": 1}, "coresets", "One replicate shows no difference"),
        ({"holes": lambda labels: labels["kind"] == "train"}, "random", "No pair of students"),
        ({"holes": lambda labels: labels["kind"] == "train"}, "coresets", "No pair of students"),
        ({"holes": lambda labels: True}, "cost", "costs cannot be compared"),
        ({"holes": lambda labels: True}, "coverage", "cannot be said"),
    ],
)
def test_what_cannot_be_said_is_said(builder, changes, key, said):
    for name, value in changes.items():
        setattr(builder, name, {m: builder.methods[m] for m in value} if name == "methods" else value)
    found = summary(builder)
    assert said in claim(found, key).answer
    plain = json.dumps(found.to_json(), allow_nan=False)
    assert not any("nan" in line for c in found.claims.all for line in (c.answer, *c.methods)) and plain


def test_no_method_is_called_anything_where_all_are_alike(builder):
    """One study: identical accuracies give no better, no worse, and sentences without an interval of no width."""
    builder.truth, builder.noise = dict.fromkeys(builder.truth, 0.5), 0.0
    found = summary(builder)
    assert "in none of 12 comparisons" in claim(found, "random").answer
    assert "in none of 12 comparisons" in claim(found, "coresets").answer


def test_the_json_holds_questions_multiples_and_contrasts(builder):
    found = summary(builder)
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))["claims"]
    assert [c["key"] for c in plain["questions"]] == ["random", "coresets", "cost", "coverage"]
    assert len(plain["cost"]) == 12 and plain["cost"][0]["full"]["n"] == [5, 5]
    assert plain["coverage"][0]["name"]["metric"] == "coverage" and "herding" in plain["coverage"][0]["contrasts"]
    assert found.claims.price == (claim(found, "cost").answer,)


def shown(builder):
    folder = builder.build()
    summary = summarise(frame.read(folder))
    return summary, claims.show(view(summary), summary.claims)


def text(markup):
    return re.sub(r"<[^>]*>", " ", markup)


def test_every_question_has_its_answer_and_its_methods(builder):
    summary, section = shown(builder)
    for claim in summary.claims.all:
        assert claim.question in section and claim.answer in section
        assert all(line in section.replace("&amp;", "&") for line in claim.methods)
    assert section.count("<details>") == 4 and section.count("<table") == 2


def test_multiples_stand_with_interval_sets_and_the_construction_alone(builder):
    _, section = shown(builder)
    words = " ".join(text(section).split())
    assert (
        "36.0 s 16.0 s alone 900 [900, 900] sets: 5 and 5 400 [400, 400] alone 1.50 [1.50, 1.50] sets: 5 and 1" in words
    )
    assert "stands as it is, and contrasts condition on it" in words


def test_machines_unlike_leave_a_dash_that_says_why(builder):
    folder = builder.build()
    for file in (folder / "store" / "features").rglob("measured.json"):
        write_cost(file.parent, read_cost(file).model_copy(update={"hardware": "<b>Other"}))
    summary = summarise(frame.read(folder))
    section = claims.show(view(summary), summary.claims)
    assert "unlike machines" in section and "<b>Other" not in section


def test_a_study_of_selections_alone_has_answers_and_no_tables(builder):
    builder.methods = {m: builder.methods[m] for m in ("random", "herding")}
    _, section = shown(builder)
    assert section.count("no distillation method") == 4 and "<details>" not in section
    assert not re.search(r"\bnan\b|\bNone\b", text(section))


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
    assert [c.word for c in claims._coverage_worded([one_alone])] == [word]


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
    assert claims._floor(rows, name, 180) == pytest.approx(3 * intervals.grid_floor(180) / math.sqrt(2))
    assert claims._floor(rows[1:], name, 180) == pytest.approx(intervals.grid_floor(180) / math.sqrt(2))


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
    assert {c.word for c in found} == {"open"} and "it takes two" in overall_coverage(found)
    builder.folder, builder.jobs = builder.folder.with_name("again"), []
    _, found = covered(builder, holes=lambda labels: labels["kind"] == "measure")
    assert found == () and "cannot be said" in overall_coverage(found) and coverage_sentences(found) == ()


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
        "rded at IPC 1 (better to convnet3_bn, worse to judge)",
        "rded at IPC 10 (better to convnet3_bn, worse to judge)",
    ]
    assert "convnet3_bn and judge contradict each other on rded at IPC 1" in overall_coverage(found)
    builder.folder, builder.jobs = builder.folder.with_name("again"), []
    _, found = covered(builder, planted)
    assert "nowhere shown to contradict" in overall_coverage(found)


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
