"""The four claims on planted truths: what is said follows from the results and from nothing else."""

import json

import pytest

from decoct.report.read import frame
from decoct.report.read.manifest import REFERENCE
from decoct.report.summary import summarise


def summary(builder):
    folder = builder.build()
    return summarise(frame.read(folder))


def claim(found, key):
    return next(c for c in found.claims.all if c.key == key)


def test_four_questions_in_order(builder):
    builder.extractors = ("judge",)
    found = summary(builder)
    assert [c.key for c in found.claims.all] == ["random", "coresets", "cost", "coverage"]
    assert all(c.question.endswith("?") and not c.answer.endswith(".") for c in found.claims.all)
    assert all([line for line in c.methods if "rded" in line] for c in found.claims.all)


def test_against_random_the_counts_are_those_of_the_words_and_of_holm_in_each_protocol(builder):
    builder.noise = 0.05
    found = summary(builder)
    mine = [v for v in found.verdicts if v.family == "distillation"]
    assert any(v.random.verdict != v.random.alone for v in mine)
    beside = {(b.method, b.setting): b for b in found.claims.beside_random}
    assert len(beside) == len(mine) == 12
    for protocol in ("erm", "single_teacher", "multi_teacher"):
        own = [beside[v.method, v.setting] for v in mine if v.setting.protocol == protocol]
        words = [v.random.verdict for v in mine if v.setting.protocol == protocol]
        shown = sum(b.shown for b in own)
        part = claim(found, "random").answer.partition(f"under {protocol}, ")[2].partition(";")[0]
        assert f" better, {shown} not better (" in part
        assert [b.word for b in own] == words and all(b.shown for b in own if b.word == "worse")
    low = min((v.random for v in mine if v.method == "rded"), key=lambda c: c.mean)
    assert f"differences {100 * low.mean:+.1f} points [".replace("-", "−") in claim(found, "random").methods[0]


def test_planted_truths(builder):
    found = summary(builder)
    random = claim(found, "random").answer
    assert random.startswith(
        "Distilled sets against random, with a margin of 1 point: "
        "under erm, 2 better, 2 not better (2 of them worse), 0 open; under "
    )
    said = claim(found, "coresets")
    assert said.answer.startswith("On digits, distilled sets beat every coreset: rded in 6 of 6 settings")
    assert said.answer.endswith(
        "these two distillation methods (rded, sre2l) and these three coresets (random, herding, k_center)"
    )
    assert said.methods[1].startswith("sre2l: better than every coreset in 0 of 6 settings, not better than the")
    assert "by more than 1 point in 6, worse in 6" in said.methods[1]
    assert "(herding, " in said.methods[0]  # the coreset that does best, by what was planted


def test_none_is_better_where_none_was_planted(builder):
    builder.truth |= {"rded": 0.40}
    found = summary(builder)
    assert found.claims.conclusion.answer == "none"
    said = (
        "On digits, no distilled set beats the best coreset by more than 1 point: this is shown in all 12 comparisons"
    )
    assert (
        claim(found, "coresets").answer.startswith(said)
        and "and in 12 the set is worse" in claim(found, "coresets").answer
    )


def test_a_method_is_not_better_than_every_coreset_where_one_is_untested(builder):
    builder.holes = lambda labels: labels["kind"] == "train" and labels["method"] == "k_center"
    found = summary(builder)
    v = found.verdict("rded", found.settings[0])
    assert v.coresets["k_center"].n == 0 and v.against_coresets == "open"
    assert {v.coresets[m].verdict for m in ("random", "herding")} == {"better"}
    assert "rded: better than every coreset in 0 of" in claim(found, "coresets").methods[0]
    assert "n = 0" not in claim(found, "coresets").methods[0]


def test_a_certain_difference_below_the_margin_is_not_better_by_more(builder):
    builder.truth |= dict.fromkeys(("rded", "sre2l"), builder.truth[REFERENCE] + 0.004)
    builder.noise, builder.test_images = 0.0003, 100_000
    said = claim(summary(builder), "random")
    assert "under erm, 0 better, 4 not better (0 of them worse), 0 open" in said.answer


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"methods": ("random", "herding")}, "random", "no distillation method"),
        ({"methods": ("random", "herding")}, "cost", "no distillation method"),
        ({"methods": ("herding", "rded")}, "random", "no random selection"),
        ({"methods": ("rded", "sre2l")}, "coresets", "no coreset"),
        ({"methods": ("rded", "sre2l")}, "coverage", "no coreset"),
        ({"replicates": 1}, "random", "It takes 3 sets per method to show anything; this study has 1"),
        ({"replicates": 2}, "coresets", "It takes 3 sets per method to show anything; this study has 2"),
        ({"holes": lambda labels: labels["kind"] == "train"}, "random", "No pair of students"),
        ({"holes": lambda labels: labels["kind"] == "train"}, "coresets", "No pair of students"),
        ({"holes": lambda labels: True}, "cost", "costs cannot be compared"),
        ({"holes": lambda labels: True}, "coverage", "was not measured"),
    ],
)
def test_what_cannot_be_said_is_said(builder, changes, key, said):
    for name, value in changes.items():
        setattr(builder, name, {m: builder.methods[m] for m in value} if name == "methods" else value)
    found = summary(builder)
    assert said in claim(found, key).answer
    plain = json.dumps(found.to_json(), allow_nan=False)
    assert not any("nan" in line for c in found.claims.all for line in (c.answer, *c.methods)) and plain


def test_no_method_is_called_better_where_all_are_alike(builder):
    """Identical accuracies: nothing is better, and none is shown to be better by more than the margin."""
    builder.truth, builder.noise, builder.test_images = dict.fromkeys(builder.truth, 0.5), 0.0, 100_000
    found = summary(builder)
    said = (
        "Distilled sets against random, with a margin of 1 point: under erm, 0 better, 4 not better (0 of them worse)"
    )
    assert claim(found, "random").answer.startswith(said)
    assert found.claims.conclusion.answer == "none" and "in none the set is worse" in claim(found, "coresets").answer


def test_the_json_holds_questions_multiples_and_contrasts(builder):
    found = summary(builder)
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))["claims"]
    assert [c["key"] for c in plain["questions"]] == ["random", "coresets", "cost", "coverage"]
    assert len(plain["cost"]) == 12 and plain["cost"][0]["full"]["n"] == [5, 5]
    assert plain["coverage"][0]["name"]["metric"] == "coverage" and "herding" in plain["coverage"][0]["contrasts"]
    assert plain["conclusion"]["answer"] == "some" and len(plain["conclusion"]["each"]) == 12
    assert len(plain["beside_random"]) == 12 and len(plain["equal_cost"]) == 36
