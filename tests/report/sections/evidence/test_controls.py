"""Methods against their controls: by hand, in words, and as no method of the study."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats as reference
from tests.report.conftest import view

from decoct.report import judged, wording
from decoct.report.accuracy import Setting
from decoct.report.judged import Judged
from decoct.report.read import frame
from decoct.report.sections.evidence import controls, transfer
from decoct.report.sections.evidence.controls import overall, sentences
from decoct.report.stats import moderated
from decoct.report.stats.answers import Answers
from decoct.report.summary import summarise

ERM, KD = Setting("erm", "net", "ipc=1"), Setting("kd", "net", "ipc=1")


def runs(*accuracies):
    """One student of each set."""
    return {(c, 0): accuracy for c, accuracy in enumerate(accuracies)}


def controlled(by_setting, beside, margin=0.01, fixed=(), outside=None, answers=None):
    """What is said of accuracies by setting and method."""
    tables = SimpleNamespace(floor=0.0, manifest=SimpleNamespace(deterministic=frozenset(fixed)))
    by = {(method, s): own for s, methods in by_setting.items() for method, own in methods.items()}
    margins = margin if isinstance(margin, dict) else dict.fromkeys(by_setting, margin)
    known = answers or Answers({}, lambda key: None)
    return controls.controlled(Judged(tables, tuple(by_setting), by, known, (), margins, (), outside or {}), beside)


def ahead(by):
    """A method and its control over three sets: ``by`` − .01, ``by`` and ``by`` + .01 apart."""
    return {"edc": runs(0.5 + by - 0.01, 0.4 + by, 0.3 + by + 0.01), "start": runs(0.5, 0.4, 0.3)}


def found(builder):
    folder = builder.build()
    return summarise(frame.read(folder))


@pytest.fixture
def started(builder):
    """sre2l beside its start, 20 points ahead under erm and behind under single_teacher; k_center beside random."""
    builder.methods["start"] = ("control", True)
    builder.truth["start"] = 0.1
    builder.controls = {"sre2l": "start", "k_center": "random"}
    builder.twist = lambda method, protocol, _: 0.4 if (method, protocol) == ("start", "single_teacher") else 0
    return builder


def test_the_difference_is_paired_over_sets_whose_students_are_averaged_first():
    own = {(0, 0): 0.5, (0, 1): 0.7, (1, 0): 0.4, (1, 1): 0.6, (2, 0): 0.9, (3, 0): 0.8}
    other = {(0, 0): 0.5, (0, 1): 0.62, (1, 0): 0.35, (1, 1): 0.55, (3, 0): 0.74, (4, 0): 0.1}
    (one,) = controlled({ERM: {"edc": own, "start": other}}, {"edc": "start"})
    assert (one.method, one.control, one.setting, one.comparison.n) == ("edc", "start", ERM, 3)
    # .04, .05 and .06: mean .05, sd .01, and t of two degrees of freedom is 4.302653 at 97.5 %
    half = 4.302653 * 0.01 / 3**0.5
    assert one.comparison.mean == pytest.approx(0.05)
    assert (one.comparison.lo, one.comparison.hi) == pytest.approx((0.05 - half, 0.05 + half), abs=1e-6)
    assert one.comparison.verdict == "better"


def test_two_sets_in_common_have_an_interval_and_no_word():
    (one,) = controlled({ERM: {"edc": runs(0.54, 0.55), "start": runs(0.5, 0.5)}}, {"edc": "start"})
    # .04 and .05: mean .045, sd .01 / √2, and t of one degree of freedom is 12.7062 at 97.5 %
    assert (one.comparison.lo, one.comparison.hi) == pytest.approx((0.045 - 0.063531, 0.045 + 0.063531), abs=1e-6)
    (sure,) = controlled({ERM: {"edc": runs(0.9, 0.9001), "start": runs(0.5, 0.5)}}, {"edc": "start"})
    assert sure.comparison.lo > 0
    assert one.comparison.verdict == sure.comparison.verdict == "open"


@pytest.mark.parametrize(
    ("by", "margin", "word"),
    [(0.05, 0.01, "better"), (-0.05, 0.01, "worse"), (0.0, 0.05, "same"), (0.02, 0.01, "open")],
)
def test_the_four_words(by, margin, word):
    (one,) = controlled({ERM: ahead(by)}, {"edc": "start"}, margin)
    half = 4.302653 * 0.01 / 3**0.5  # t of two degrees of freedom
    assert (one.comparison.lo, one.comparison.hi) == pytest.approx((by - half, by + half), abs=1e-6)
    assert one.comparison.verdict == word


def test_a_word_of_its_own_need_not_survive_holm():
    """.05 ± .01 over three sets has p = .0066 one-sided: below 2.5 % once, and not four times."""
    settings = [Setting("erm", "net", f"ipc={i}") for i in range(1, 5)]
    for many, word in ((1, "better"), (3, "better"), (4, "leans better")):
        every = controlled({s: ahead(0.05) for s in settings[:many]}, {"edc": "start"})
        assert [(c.comparison.verdict, c.comparison.alone) for c in every] == [(word, "better")] * many


def test_the_sentence_counts_by_protocol_and_says_what_is_left():
    (line,) = sentences(controlled({ERM: ahead(0.05), KD: ahead(0.02)}, {"edc": "start"}))
    assert line == (
        "edc is better than its control, start, in 1 of 2 settings (erm 1 of 1, kd 0 of 1), after Holm over 2 "
        "comparisons; 1 open"
    )
    (line,) = sentences(controlled({ERM: ahead(0.05)}, {"edc": "start"}))
    assert line == "edc is better than its control, start, in 1 of 1 setting"
    (line,) = sentences(controlled({ERM: ahead(-0.05), KD: {}}, {"edc": "start"}))
    assert line == (
        "edc is better than its control, start, in none of 2 settings, after Holm over 2 comparisons; 1 worse, "
        "1 without a shared replicate"
    )


def test_several_methods_have_one_sentence_over_all():
    by_setting = {s: {**ahead(0.05), "rded": runs(0.2, 0.2, 0.2)} for s in (ERM, KD)}
    every = controlled(by_setting, {"edc": "start", "rded": "crops"})
    assert sentences(every)[1] == "rded and its control, crops, share no replicate: nothing can be said"
    # Holm counts the two that could not be tested: 4 × .0066 is above 2.5 %
    assert overall(every) == (
        "Against their controls, after Holm over 4 comparisons: 2 leans better, 2 without a shared replicate"
    )
    assert overall(every[:2]) == sentences(every[:2])[0]
    assert overall(()) == ""


def test_settings_that_are_outside_are_not_asked():
    by_setting = {s: ahead(0.05) for s in (ERM, KD)}
    every = controlled(by_setting, {"edc": "start"}, outside={KD: "not readable"})
    assert every == controlled({ERM: ahead(0.05)}, {"edc": "start"})
    assert controlled(by_setting, {"edc": "start"}, outside=dict.fromkeys(by_setting, "not readable")) == ()


def test_each_setting_has_its_own_margin():
    by_setting = {ERM: ahead(0.0), KD: ahead(0.0)}
    every = controlled(by_setting, {"edc": "start"}, margin={ERM: 0.1, KD: 0.001})
    assert [(c.comparison.margin, c.comparison.verdict) for c in every] == [(0.1, "same"), (0.001, "open")]


def test_test_images_count_as_well_as_sets():
    """Three sets agree that edc has 12 of 20 test images and its start 10: two discordant images show nothing."""
    mask = {"edc": np.arange(20) < 12, "start": np.arange(20) < 10}
    answers = Answers({(m, ERM): {(c, 0): m for c in range(3)} for m in mask}, mask.get)
    by_setting = {ERM: {"edc": runs(0.6, 0.6, 0.6), "start": runs(0.5, 0.5, 0.5)}}
    (one,) = controlled(by_setting, {"edc": "start"}, answers=answers)
    assert one.comparison.verdict == "open" and one.comparison.interval.by == "both" and one.comparison.lo < 0
    (one,) = controlled(by_setting, {"edc": "start"})
    assert one.comparison.verdict == "better" and one.comparison.over_images is None


def test_fixed_and_stochastic_pairs_borrow_from_their_like():
    """By hand: each comparison's t with the prior of those that have as many fixed sides."""
    rng = np.random.default_rng(0)
    spreads = {"edc": 0.02, "start": 0.02, "herding": 0.002, "fixed": 0.002}
    by_setting = {
        Setting("erm", "net", f"ipc={i}"): {m: runs(*rng.normal(0.5, sd, 5)) for m, sd in spreads.items()}
        for i in range(1, 9)
    }
    every = controlled(by_setting, {"edc": "start", "herding": "fixed"}, fixed=("herding", "fixed"))
    for method in ("edc", "herding"):
        own = [c.comparison for c in every if c.method == method]
        prior = moderated.prior([c.difference.sets for c in own], [4] * 8)
        for c in own:
            assert c.prior == prior and prior.df > 0
            drawn = (prior.df * prior.variance + 4 * c.difference.sets) / (prior.df + 4)
            s2 = max(c.difference.sets, drawn)
            t = c.mean / math.sqrt(s2 / 5)
            assert c.p_better == pytest.approx(reference.t.sf(t, prior.df + 4))
    assert len({c.comparison.prior for c in every}) == 2


def test_a_run_with_controls(started):
    said = found(started)
    words = {(c.method, c.setting.protocol): c.comparison.verdict for c in said.found(controls.find)}
    assert words == {
        ("k_center", "erm"): "worse",
        ("k_center", "single_teacher"): "worse",
        ("k_center", "multi_teacher"): "worse",
        ("sre2l", "erm"): "better",
        ("sre2l", "single_teacher"): "worse",
        ("sre2l", "multi_teacher"): "better",
    }
    plain = json.loads(json.dumps(said.to_json(), allow_nan=False))["controls"]
    assert [line.partition(" is ")[0] for line in plain["methods"]] == ["k_center", "sre2l"]
    row = next(row for row in plain["comparisons"] if (row["method"], row["protocol"]) == ("sre2l", "erm"))
    c = next(c for c in said.found(controls.find) if (c.method, c.setting) == ("sre2l", said.settings[0])).comparison
    assert (row["control"], row["budget"], row["n"], row["verdict"]) == ("start", "ipc=1", 5, "better")
    assert (row["difference"], row["ci95"]) == (c.mean, [c.lo, c.hi])
    assert [r["conditional_on_set"] for r in plain["comparisons"]] == [
        r["method"] == "k_center" for r in plain["comparisons"]
    ]


def test_a_control_is_no_distillation_method(started):
    """Were it one, its 90 points would answer the question, and cost."""
    started.truth["start"], started.twist, started.students = 0.7, None, ("a", "b")
    said = found(started)
    assert said.brief.answer == "In part: rded beats every coreset in 12 of 12 settings"
    assert {b.method for b in said.claims.conclusion.each} == {"rded", "sre2l"}
    assert {m.method for m in said.claims.multiples} == {"rded", "sre2l"}
    assert all(t.pairs == 10 and "start" not in t.ranks for t in said.found(transfer.find))  # of five methods
    assert said.verdict("start", said.settings[0]).against_coresets == "better"


def test_a_control_that_is_not_there_yet_is_said(started):
    started.holes = lambda labels: labels["kind"] == "train" and labels["method"] == "start"
    said = found(started)
    assert sentences(said.found(controls.find)) == (
        "k_center is better than its control, random, in none of 6 settings, after Holm over 12 comparisons; 6 worse",
        "sre2l and its control, start, share no replicate: nothing can be said",
    )
    rows = said.to_json()["controls"]["comparisons"]
    assert [(r["difference"], r["ci95"], r["n"]) for r in rows if r["method"] == "sre2l"] == [
        (None, [None, None], 0)
    ] * 6


def test_a_setting_that_cannot_be_read_has_an_empty_cell_and_no_comparison(started):
    """Under erm at IPC 1 random sets are at chance, so that nothing is asked there."""
    builder = started
    builder.full = False
    builder.twist = lambda method, protocol, _: -0.48 if protocol == "erm" else 0
    builder.budgets = ("ipc=1",)
    own = judged.judge(frame.read(builder.build()))
    assert [s.protocol for s in own.outside] == ["erm"]
    said = summarise(own.frame)
    assert {c.setting.protocol for c in said.found(controls.find)} == {"single_teacher", "multi_teacher"}
    html = controls.show(view(said), said.found(controls.find))
    assert html.count('class="chip') == 4 and html.count(f">{wording.NONE}<") == 2
    assert "after Holm over 4 comparisons" in html
