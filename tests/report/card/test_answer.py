"""The question and its answer, in the words of the run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.report.card.answer import LONGEST, answer, question, shortened, split


def test_the_question_is_of_the_families_that_the_study_has(told):
    assert question(told("usual")[0]) == "Is distilling digits worth it, and which small training set should I use?"
    assert question(told("coresets")[0]) == "Which coreset of digits should I use?"
    assert question(told("lonely")[0]) == "Which distilled set of digits should I use?"


def test_where_distilled_sets_meet_coresets_the_answer_is_the_terminals(told):
    summary, _ = told("usual")
    lead, said = answer(summary)
    assert f"{lead}: {said}" == f"{summary.brief.answer}." and lead == "In part"


def test_where_nothing_is_better_the_answer_counts_the_comparisons(builder):
    from decoct.report.read import frame
    from decoct.report.summary import summarise

    builder.truth |= {"rded": 0.30, "sre2l": 0.25}
    summary = summarise(frame.read(builder.build()))
    each = summary.claims.conclusion.each
    assert summary.claims.conclusion.answer == "none" and len(each) == 12
    least = "No distilled set beats the best coreset by more than 1 point, in any of 12 comparisons."
    assert answer(summary) == ("No", least)


def test_coresets_alone_are_answered_by_their_verdicts_and_not_by_the_highest_mean(told):
    summary, made = told("coresets")
    assert not any(v.random and v.random.verdict == "better" for v in summary.verdicts)
    assert (made.lead, made.answer) == ("None", "No coreset is shown to be better than random in any of 2 settings.")
    assert made.question.startswith("Which coreset of ")


def test_without_a_coreset_the_highest_mean_is_named(told):
    assert told("lonely")[1].answer == "rded is the only method that has been trained."


def test_where_nothing_can_be_read_the_answer_says_what_to_change(told):
    assert answer(told("chance")[0]) == (
        "No answer",
        "Students hardly learn in any setting; raise the budgets or train for more steps.",
    )


@pytest.mark.parametrize(
    ("said", "lead", "rest"),
    [
        ("In part: rded beats all", "In part", "rded beats all."),
        ("No answer: it takes 3 sets", "No answer", "It takes 3 sets."),
        ("Nothing of that much is shown, and it is open", "", "Nothing of that much is shown, and it is open."),
        ("rded, of all methods, leads", "", "rded, of all methods, leads."),
    ],
)
def test_a_beginning_of_up_to_three_words_leads(said, lead, rest):
    assert split(said, ["rded"]) == (lead, rest)


@given(st.text(st.sampled_from("ab ,;("), max_size=400))
def test_an_answer_is_cut_where_it_is_too_long(said):
    cut = shortened(said)
    assert len(cut) <= LONGEST and (cut == said or cut.endswith(" …"))
    assert said.startswith(cut.removesuffix(" …"))
