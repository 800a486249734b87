"""Numbers as people read them."""

import math

import pytest

from decoct.report import wording
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.crossed import Crossed


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (wording.points(0.0312), "+3.1"),
        (wording.points(-0.0312), "−3.1"),
        (wording.points(-0.0001), "0.0"),
        (wording.bounds(-0.0001, 0.05), "[0.0, 5.0]"),
        (wording.seconds(0.0853), "85 ms"),
        (wording.seconds(190), "3 min 10 s"),
        (wording.seconds(7500), "2 h 5 min"),
        (wording.size(999), "999 B"),
        (wording.size(5.67e9), "5.67 GB"),
        (wording.budget("ipc=10"), "IPC 10"),
        (wording.budget("fraction=0.07"), "7 % of each class"),
        (wording.budget("fraction=0.125 balanced"), "12.5 %, balanced"),
        (wording.budget("images=1"), "1 image"),
        (wording.budget("images=12811"), "12,811 images"),
        (wording.budget("images=25 unbalanced"), "25 images, unbalanced"),
        (wording.budget("all"), "all"),
    ],
)
def test_numbers_for_people(said, expected):
    assert said == expected


def compared(word, mean=0.021, n=5, family=12, sd=0.02):
    return Comparison(Crossed(n, mean, sd**2), 0.01, verdict=word, family=family)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (compared("better"), "a is better than b: +2.1 points [−0.4, 4.6], n = 5"),
        (compared("worse", -0.021), "a is worse than b: −2.1 points [−4.6, 0.4], n = 5"),
        # t of four degrees of freedom is 2.131847 at 95 %, 2.776445 at 97.5 %
        (compared("same"), "a is the same as b within 1 point: +2.1 points, 90 % interval [0.2, 4.0], n = 5"),
        (compared("leans better", family=0), "a against b leans better: +2.1 points [−0.4, 4.6], n = 5"),
        (compared("leans worse", family=0), "a against b leans worse: +2.1 points [−0.4, 4.6], n = 5"),
        (compared("open", family=0), "a against b is open: +2.1 points [−0.4, 4.6], n = 5"),
        (compared("open", n=2), "a against b is open: +2.1 points, n = 2; it takes 3 replicates"),
        (compared("open", n=1), "a against b is open: +2.1 points, n = 1; it takes 3 replicates"),
        (compared("open", math.nan, 0), "a and b share no replicate: nothing can be said"),
    ],
)
def test_a_comparison_is_a_sentence_with_word_difference_interval_and_n(found, said):
    assert wording.comparison("a", "b", found) == said


@pytest.mark.parametrize(("word", "says"), [("open", "is open"), ("leans better", "leans better")])
def test_what_is_not_shown_says_how_many_sets_would_decide(word, says):
    near = compared(word)
    assert near.needed and near.needed > 5
    numbers = "+2.1 points [−0.4, 4.6], n = 5"
    assert wording.comparison("a", "b", near) == f"a against b {says}: {numbers}; about {near.needed} sets would decide"
    never = Comparison(Crossed(5, 0.01, 0.04, images=1.0, tested=20), 0.01, verdict=word, family=12)
    assert wording.comparison("a", "b", never).endswith("; no number of sets up to 1,000 would decide")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.01,), "1 point"),
        ((0.005, 0.005), "0.5 points"),
        ((0.002, 0.01), "0.2 to 1 point"),
        ((0.01, 0.02), "1 to 2 points"),
        ((), "1 point"),
    ],
)
def test_margins_of_several_settings(values, said):
    assert wording.margins(values) == said


@pytest.mark.parametrize(
    ("words", "said"),
    [("", ""), ("a", "a"), ("ab", "a and b"), ("abc", "a, b and c"), ("abcde", "a, b, c and 2 more")],
)
def test_many_names_are_cut(words, said):
    assert wording.few(words) == said
