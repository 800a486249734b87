"""The four claims on planted truths: what is said follows from the results and from nothing else."""

import json
import re

import pytest
from tests.report.conftest import view

from decoct.report.read import frame
from decoct.report.read.manifest import REFERENCE
from decoct.report.sections import claims
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
        file.write_text(file.read_text().replace("Test CPU", "<b>Other"))
    summary = summarise(frame.read(folder))
    section = claims.show(view(summary), summary.claims)
    assert "unlike machines" in section and "<b>Other" not in section


def test_a_study_of_selections_alone_has_answers_and_no_tables(builder):
    builder.methods = {m: builder.methods[m] for m in ("random", "herding")}
    _, section = shown(builder)
    assert section.count("no distillation method") == 4 and "<details>" not in section
    assert not re.search(r"\bnan\b|\bNone\b", text(section))
