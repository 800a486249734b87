"""The chart of an answer: its points, the full data, the margin, the choice."""

import math

import pytest
from tests.shrinking.answers import METHODS, accuracy, an_answer

from decoct.shrinking.answer import Point
from decoct.shrinking.written.chart import figure, margin, spoken


def traces(drawn, **wanted):
    return [t for t in drawn["data"] if all(t.get(key) == value for key, value in wanted.items())]


def test_each_method_has_a_line_of_its_race_and_the_tested_one_filled_marks_with_their_intervals():
    answer = an_answer()
    drawn = figure(answer)
    lines = traces(drawn, mode="lines+markers")
    assert [t["meta"]["method"] for t in lines] == list(METHODS)
    for line in lines:
        race = sorted(
            (p for p in answer.points if p.method == line["meta"]["method"] and p.on == "race"), key=lambda p: p.images
        )
        assert line["x"] == pytest.approx([p.images for p in race], rel=0.1)
        assert line["y"] == [100 * p.accuracy.mean for p in race]
        assert line["opacity"] < 1 and line["marker"]["symbol"].endswith("-open")
    (tested,) = [t for t in traces(drawn, mode="markers") if "hoverinfo" not in t]
    test = sorted((p for p in answer.points if p.on == "test"), key=lambda p: p.images)
    assert tested["x"] == [p.images for p in test] and not tested["marker"]["symbol"].endswith("-open")
    assert [y - low for y, low in zip(tested["y"], tested["error_y"]["arrayminus"], strict=True)] == pytest.approx(
        [100 * p.accuracy.lo for p in test]
    )
    assert "shown" in tested["customdata"][-1] and "600 test images" in tested["customdata"][-1]


def test_the_full_data_and_the_margin_are_lines_and_the_choice_is_ringed():
    layout = (drawn := figure(an_answer()))["layout"]
    heights = sorted(shape["y0"] for shape in layout["shapes"] if shape["type"] == "line" and shape.get("x0") == 0)
    assert heights == pytest.approx([88.9, 91.9])
    (band,) = [shape for shape in layout["shapes"] if shape["type"] == "rect"]
    assert (band["y0"], band["y1"]) == pytest.approx((90.6, 93.2))
    (ring,) = traces(drawn, hoverinfo="skip")
    assert (ring["x"], ring["y"]) == ([600], [pytest.approx(90.4)])
    low, high = layout["yaxis"]["range"]
    assert low < 88.9 and high > 93.2
    assert any("<b>600 images</b>" in note["text"] for note in layout["annotations"])


def test_what_was_dropped_far_below_does_not_press_the_rest_into_a_line():
    low, _ = figure(an_answer())["layout"]["yaxis"]["range"]
    dropped = min(p.accuracy.mean for p in an_answer().points if p.status == "dropped")
    racing = min(p.accuracy.lo for p in an_answer().points if p.status != "dropped")
    assert 100 * dropped < low < 100 * racing


def test_the_margin_may_be_relative_or_none():
    assert margin(an_answer()) == 0.03
    assert margin(an_answer(asked={"within": 0.02, "relative": True})) == pytest.approx(0.02 * 0.919)
    assert margin(an_answer(asked={"images": 500})) is None
    shapes = figure(an_answer(asked={}))["layout"]["shapes"]
    assert not any(shape.get("line", {}).get("dash") == "dot" for shape in shapes)


def test_a_race_that_has_just_begun_is_drawn_too():
    assert figure(an_answer(points=())) is None
    first = Point("random", 300, 0.1, accuracy(0.8, math.nan, 1), "race", "racing")
    drawn = figure(an_answer(points=(first,), full=None, small=None, method=None, images=None))
    assert drawn["data"][0]["error_y"]["array"] == [0.0]
    assert all(map(math.isfinite, drawn["layout"]["yaxis"]["range"]))


def test_a_reader_who_does_not_see_it_hears_the_test():
    said = spoken(an_answer())
    assert "All 3,000 images: 91.9 % [90.6, 93.2]." in said
    assert "facility_location, 300 images: 87.0 % [85.5, 88.5] on test images, not shown." in said
