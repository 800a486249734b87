"""Interquartile means and performance profiles against scipy and plain counting; where there are sets enough."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.report.page.view import View
from decoct.report.read import frame
from decoct.report.several.aggregate import OF_FULL, PLAIN, bootstrapped, figure, interquartile, profile
from decoct.report.several.leaderboard import leaderboard
from decoct.report.several.page import render

SCORE = st.floats(0, 1, width=32)
SMALL = {"protocols": ("erm",), "class_names": tuple("0123"), "replicates": 3}


@given(st.lists(st.lists(SCORE, min_size=4, max_size=4), min_size=1, max_size=5))
def test_of_blocks_of_one_size_it_is_scipys_trimmed_mean(scores):
    naive = reference.trim_mean(np.array(scores), 0.25, axis=None)
    assert interquartile(scores) == pytest.approx(naive, abs=1e-9)


def test_blocks_count_alike_whatever_their_sets():
    assert interquartile([[0.0] * 9, [1.0]]) == pytest.approx(0.5)
    # Six scores: the second to the fifth stand between the quartiles, the outer two of them by half.
    assert interquartile([[1, 2, 3], [4, 5, 6]]) == pytest.approx((2 / 2 + 3 + 4 + 5 / 2) / 3)


@given(st.lists(st.lists(SCORE, min_size=1, max_size=4), min_size=1, max_size=4), SCORE)
def test_a_profile_counts_what_lies_above(scores, at):
    naive = np.mean([sum(x > at for x in own) / len(own) for own in scores])
    assert profile(scores, np.array([at]))[0] == pytest.approx(naive)


def test_the_bootstrap_is_stratified_and_the_same_again():
    """Between blocks of one value each nothing is drawn anew, however far apart they lie."""
    fixed = bootstrapped([[0.2] * 3, [0.5] * 3, [0.9] * 3])
    assert (fixed.lo, fixed.hi) == pytest.approx((fixed.mean, fixed.mean)) and fixed.n == 9
    scores = np.random.default_rng(0).normal(0.5, 0.1, (5, 8)).tolist()
    assert bootstrapped(scores) == bootstrapped(scores)


def test_its_interval_holds_the_truth_where_sets_are_many():
    rng, right = np.random.default_rng(1), 0
    for _ in range(200):
        found = bootstrapped(rng.normal(0.5, 0.1, (4, 15)).tolist())
        right += found.lo <= 0.5 <= found.hi
    assert 0.88 < right / 200 <= 0.99


@pytest.fixture
def board(builder, tmp_path, on_other_data):
    def make(**runs):
        folders = [
            on_other_data(type(builder)(tmp_path / name, **{**SMALL, **own}).build(), name)
            for name, own in runs.items()
        ]
        return leaderboard([frame.read(folder) for folder in folders])

    return make


def test_scores_are_over_the_full_data_where_all_have_it(board):
    found = board(one={}, two={})
    (own,) = found.aggregates.values()
    assert own.what == OF_FULL and len(own.blocks) == 4 and next(iter(own.means)) == "rded"
    first = next(a for a in found.entries[0].accuracies if a.method == "rded")
    assert np.mean(own.scores["rded"][0]) == pytest.approx(first.interval.mean / (349 / 360))  # 97 %, in whole images
    page = render(found)
    assert 'id="aggregate"' in page and f"interquartile mean of {OF_FULL}, %" in page
    told = json.loads(json.dumps(found.to_json("x"), allow_nan=False))["interquartile_means"]
    assert told[0]["methods"]["rded"]["n"] == 12


def test_plain_accuracies_where_one_lacks_it(board):
    (own,) = board(one={}, two={"full": False}).aggregates.values()
    assert own.what == PLAIN and max(x for s in own.scores["rded"] for x in s) < 1


@pytest.mark.parametrize("change", [{"replicates": 2}, {"budgets": ("ipc=1",)}])
def test_with_few_blocks_or_few_sets_there_is_nothing(board, change):
    found = board(one=change, two=change)
    assert found.aggregates == {} and 'id="aggregate"' not in render(found)


def test_the_figure_falls_from_all_to_none_and_names_stay_text(board):
    methods = {"random": ("coreset", True), "<b>": ("distillation", True)}
    found = board(**{name: {"methods": methods, "truth": {"random": 0.5, "<b>": 0.4}} for name in ("one", "two")})
    (own,) = found.aggregates.values()
    drawn = figure(View(found.methods, frozenset(), (), ()), own)
    go.Figure(data=drawn["data"], layout={k: v for k, v in drawn["layout"].items() if k != "meta"})
    for line in drawn["data"]:
        assert line["y"][0] == 100 and line["y"][-1] == 0 and line["y"] == sorted(line["y"], reverse=True)
    assert "<b>" not in drawn["data"][1]["customdata"][0].removesuffix("<br>")
