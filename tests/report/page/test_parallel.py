"""The metrics on parallel axes."""

import math

import pytest
from tests.report.conftest import READINGS, SD

from decoct.report.page import parallel
from decoct.report.page.style import marks
from decoct.report.write import write_report


def read(builder, **changes):
    for key, value in changes.items():
        setattr(builder, key, value)
    summary = write_report(builder.build())
    own = [s for s in summary.standings if s.budget == "ipc=10" and s.lead]
    return own, summary, parallel.axes(own, summary, marks(summary.methods))


def test_up_is_better_whatever_the_reading(builder):
    own, _, figure = read(builder, shift=lambda m, metric, e: -20 * SD * (m == "rded" and metric == "mmd"))
    at = [i for i, text in enumerate(figure["layout"]["xaxis"]["ticktext"]) if "mmd" in text]
    assert "↓" in figure["layout"]["xaxis"]["ticktext"][at[0]]
    (trace,) = [t for t in figure["data"] if t["meta"]["method"] == "rded"]
    low, high = figure["layout"]["yaxis"]["range"]
    assert 0 < trace["y"][at[0]] < high and low == -high
    (s,) = [s for s in own if s.method == "rded" and s.name.metric == "mmd"]
    assert trace["y"][at[0]] == pytest.approx(3 * (1 + math.log(-s.z / 3)))
    assert f"n = {s.interval.n}" in trace["customdata"][at[0]] and "[" in trace["customdata"][at[0]]


def test_one_axis_a_leading_reading_and_one_line_a_method(builder):
    _, summary, figure = read(builder)
    assert [t["meta"]["method"] for t in figure["data"]] == list(summary.methods)
    assert len(figure["layout"]["xaxis"]["tickvals"]) == len(READINGS) - 1  # recall does not lead
    for place in zip(*(t["x"] for t in figure["data"]), strict=True):
        assert len(set(place)) == len(place)  # equal sets do not hide each other


def test_a_reading_that_a_method_lacks_breaks_its_line(builder):
    own, summary, _ = read(builder)
    rest = [s for s in own if (s.method, s.name.metric) != ("rded", "mmd")]
    figure = parallel.axes(rest, summary, marks(summary.methods))
    (trace,) = [t for t in figure["data"] if t["meta"]["method"] == "rded"]
    assert [y is None for y in trace["y"]].count(True) == 1 and len(trace["x"]) == len(READINGS) - 1


def test_there_is_no_figure_of_what_has_no_z(builder):
    assert read(builder, draws=0)[2] is None


@pytest.mark.parametrize("z", [0.0, 1.0, 3.0, 3.0001, 50.0])
def test_the_axis_is_odd_rising_and_smooth(z):
    at = parallel.squeezed
    assert at(-z) == -at(z)
    assert 0 < at(z + 1e-3) - at(z) <= 1.0001e-3
    assert at(z) == z if z <= 3 else at(z) == pytest.approx(3 + 3 * math.log(z / 3))
