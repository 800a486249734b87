"""What is concluded of distilled sets, on planted truths: of all of them, beside random, over data sets."""

import math

import numpy as np
import pytest

from decoct.report.accuracy import Setting
from decoct.report.conclusion import beside_random, conclude, ours, random_sentence
from decoct.report.stats.superiority import not_better
from decoct.report.verdict import verdicts

FAMILIES = {"random": "coreset", "herding": "coreset", "rded": "distillation", "sre2l": "distillation"}
LEVEL = {"random": 0.5, "herding": 0.55, "rded": 0.3, "sre2l": 0.4}


def judged(n=6, sd=0.004, outside=(), families=FAMILIES, protocols=("erm", "soft"), seed=0, **level):
    """Verdicts of one data set, two budgets: accuracies are the level and noise."""
    rng, levels = np.random.default_rng(seed), LEVEL | level
    settings = [Setting(protocol, "net", budget) for protocol in protocols for budget in ("ipc=1", "ipc=10")]
    own = {s: {m: {(c, 0): levels[m] + sd * rng.normal() for c in range(n)} for m in families} for s in settings}
    why = {s: "cannot be read" for s in settings if s.protocol in outside}
    return verdicts(own, families, dict.fromkeys(settings, 0.01), 0.0, outside=why)


def test_none_is_better_is_said_where_it_is_shown_of_all():
    found = conclude({"digits": judged()})
    assert found.answer == "none" and found.p < 0.05 and all(b.shown for b in found.each)
    assert found.text == (
        "On digits, no distilled set beats the best coreset by more than 1 point: this is shown in all 8 "
        "comparisons (method × setting), and in 8 the set is worse"
    )
    assert found.needed is None


def test_p_is_the_largest_over_methods_and_settings():
    own = judged(sd=0.03, rded=0.54, sre2l=0.52)
    found = conclude({"digits": own})
    distilled = [v for v in own if v.family == "distillation"]
    assert found.p == max(not_better(list(v.coresets.values())) for v in distilled)
    assert [b.p for b in found.each] == [not_better(list(v.coresets.values())) for v in distilled]


def test_the_opposite_names_who_is_better_and_where():
    found = conclude({"digits": judged(rded=0.7)})
    assert found.answer == "some"
    assert found.text.startswith(
        "On digits, distilled sets beat every coreset: rded in 4 of 4 settings; in 4 of 8 comparisons"
    )
    assert "shown not to be better by more than 1 point" in found.text and "sets per method" not in found.text


def test_open_says_what_would_settle_it():
    found = conclude({"digits": judged(sd=0.02, rded=0.55)})
    assert found.answer == "open" and "it is open whether a distilled set beats the best coreset" in found.text
    assert found.needed > 6 and f"about {found.needed} sets per method would settle what is open (now 6)" in found.text
    beyond = conclude({"digits": judged(sd=0.02, rded=0.56, n=3)})
    assert beyond.answer == "open"


def test_better_by_less_than_the_margin_is_no_contradiction():
    found = conclude({"digits": judged(sd=0.0005, rded=0.555, n=8)})
    assert found.answer == "none" and "no distilled set beats the best coreset by more than" in found.text


def test_what_cannot_be_read_is_left_out_and_counted():
    found = conclude({"digits": judged(rded=0.7, outside=("soft",))})
    assert found.outside == 2 and len(found.each) == 4 and "left out: 2 settings" in found.text
    nothing = conclude({"digits": judged(outside=("soft", "erm"))})
    assert nothing.answer == "untold" and "no setting can be read" in nothing.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"families": {"random": "coreset"}}, "no distillation method"),
        ({"families": {"rded": "distillation"}}, "no coreset"),
        ({"n": 2}, "it takes 3 sets per method"),
        ({"n": 0}, "no pair of students"),
    ],
)
def test_what_cannot_be_said(changes, said):
    found = conclude({"digits": judged(**changes)})
    assert found.answer == "untold" and said in found.text and math.isnan(found.p)


def test_over_data_sets_it_holds_of_all_or_is_open():
    both = conclude({"a": judged(), "b": judged(seed=1)})
    assert both.answer == "none" and both.text.startswith("On both data sets, no distilled set beats the best")
    assert "shown in all 16 comparisons (method × setting), and in 16 the set is worse" in both.text
    three = conclude({"a": judged(), "b": judged(), "c": judged(sd=0.03, rded=0.55)})
    assert three.answer == "open" and three.text.startswith("On all three data sets, it is open")
    assert three.p == max(conclude({"c": judged(sd=0.03, rded=0.55)}).p, both.p)


def test_a_data_set_of_which_nothing_can_be_said_is_not_among_all():
    found = conclude({"a": judged(), "b": judged(outside=("erm", "soft")), "c": judged()})
    assert found.answer == "none" and found.text.startswith("On both data sets, no distilled set")
    assert found.text.endswith("nothing can be said of b")


def test_why_nothing_can_be_said_is_told_of_data_sets_with_distilled_sets_alone():
    coresets = {m: family for m, family in FAMILIES.items() if family == "coreset"}
    found = conclude({"a": judged(outside=("erm", "soft")), "b": judged(families=coresets)})
    assert found.answer == "untold" and found.text == "On a: no setting can be read" and found.data == ("a", "b")


def test_what_has_no_test_keeps_it_open():
    found = conclude({"a": judged(), "b": judged(n=2)})
    assert found.answer == "open" and math.isnan(found.p) and "8 have too few sets for a test" in found.text


def test_beside_random_holm_goes_over_one_protocol():
    own = judged(sd=0.02, rded=0.5, sre2l=0.47)
    found = beside_random(own, "digits")
    for protocol in ("erm", "soft"):
        here = [b for b in found if b.setting.protocol == protocol]
        p = sorted(b.p for b in here)
        naive, open_ = set(), False
        for rank, one in enumerate(p):
            open_ = open_ or (len(p) - rank) * one >= 0.05
            naive |= set() if open_ else {one}
        assert {b.p for b in here if b.shown and b.word != "worse"} <= naive
        assert {b.p for b in here if b.shown} >= naive


def test_beside_random_is_counted_a_protocol():
    said = random_sentence(beside_random(judged(rded=0.7)))
    counts = "2 better, 2 not better (2 of them worse), 0 open"
    first = f"distilled sets against random, with a margin of 1 point: under erm, {counts}"
    assert said == f"{first}; under soft, {counts}"
    assert random_sentence(beside_random(judged(outside=("erm", "soft")))) == ""


def test_it_says_whose_methods_these_are():
    assert ours(FAMILIES) == "these two distillation methods (rded, sre2l) and these two coresets (random, herding)"
    assert ours({"rded": "distillation", "bare": "control"}) == "this one distillation method (rded)"


def test_where_nothing_is_better_by_the_margin_more_is_seldom_said_otherwise():
    """2 methods × 4 settings, rded better than the best coreset by exactly the margin: errs in 5 % at most."""
    wrong = sum(
        conclude({"digits": judged(n=5, sd=0.007, rded=0.56, seed=seed, protocols=("erm",))}).answer == "none"
        for seed in range(150)
    )
    assert wrong / 150 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 150)
