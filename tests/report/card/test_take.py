"""Three recommendations at most, each one of the summary's."""

import pytest
from tests.report.card.conftest import RUNS

from decoct.report.advice.recommend import stretches


@pytest.mark.parametrize("run", RUNS)
def test_a_recommendation_is_one_of_the_summarys(told, run):
    summary, made = told(run)
    choices = [c for r in summary.advice if r.limit.kind == "images" for c in r.choices if c.pick]
    assert len(made.takes) <= 3
    for take in made.takes:
        if take.interval:
            same = [c for c in choices if c.interval is take.interval]
            assert same and same[0].pick.accuracy.method == take.method
        else:
            assert take.note.startswith("nothing to recommend: ")


def test_sizes_that_say_the_same_are_one(builder, told):
    summary, made = told("thousand")
    (student,) = {c.student for r in summary.advice for c in r.choices}
    images = [r for r in summary.advice if r.limit.kind == "images"]
    assert len(made.takes) == min(3, len(stretches(images, student)))


def test_what_stands_beside_says_how_sure_it_is(told):
    assert all("uncertain: too few sets" in take.note for take in told("single")[1].takes)
    assert [take.note for take in told("lonely")[1].takes] == ["nothing else fits"]
    assert all(" with " in take.where for take in told("students")[1].takes)
    (take,) = told("coresets")[1].takes[:1]
    assert take.where == "" and take.note.startswith("random ")
