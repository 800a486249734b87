"""Figure and table of readings: up is better whatever the reading, words have signs, names stay text."""

import math

import pytest
from tests.report.conftest import READINGS, SD, view

from decoct.report import standing
from decoct.report.sections.beyond import _readings
from decoct.report.sections.beyond._readings import figure, readings_table
from decoct.report.write import write_report

BOTH = ("convnet3_bn", "judge")


def read(builder, **changes):
    """The leading readings of the largest budget, the run's numbers, and the figure of those readings."""
    for key, value in changes.items():
        setattr(builder, key, value)
    summary = write_report(builder.build())
    own = [s for s in summary.found(standing.find) if s.budget == "ipc=10" and s.lead]
    return own, summary, figure(view(summary), own)


def test_up_is_better_whatever_the_reading(builder):
    own, _, made = read(builder, shift=lambda m, metric, e: -20 * SD * (m == "rded" and metric == "mmd"))
    at = [i for i, text in enumerate(made["layout"]["xaxis"]["ticktext"]) if "mmd" in text]
    assert "↓" in made["layout"]["xaxis"]["ticktext"][at[0]]
    (trace,) = [t for t in made["data"] if t["meta"]["method"] == "rded"]
    low, high = made["layout"]["yaxis"]["range"]
    assert 0 < trace["y"][at[0]] < high and low == -high
    (s,) = [s for s in own if s.method == "rded" and s.name.metric == "mmd"]
    assert trace["y"][at[0]] == pytest.approx(3 * (1 + math.log(-s.z / 3)))
    assert f"n = {s.interval.n}" in trace["customdata"][at[0]] and "[" in trace["customdata"][at[0]]


def test_one_place_a_leading_reading_and_marks_of_every_method(builder):
    _, summary, made = read(builder)
    assert [t["meta"]["method"] for t in made["data"]] == list(summary.methods)
    assert len(made["layout"]["xaxis"]["tickvals"]) == len(READINGS) - 1  # recall does not lead
    for place in zip(*(t["x"] for t in made["data"]), strict=True):
        assert len(set(place)) == len(place)  # equal sets do not hide each other
        assert len({round(x) for x in place}) == 1  # nor stand at another reading's place


def test_each_extractor_has_places_of_its_own_that_name_it(builder):
    _, _, made = read(builder, extractors=BOTH)
    ticks = made["layout"]["xaxis"]["ticktext"]
    assert [sum(e in text for text in ticks) for e in BOTH] == [len(READINGS) - 1] * 2


def test_a_reading_that_a_method_lacks_leaves_its_place_empty(builder):
    own, summary, whole = read(builder)
    rest = [s for s in own if (s.method, s.name.metric) != ("rded", "mmd")]
    made = figure(view(summary), rest)
    assert made["layout"]["xaxis"] == whole["layout"]["xaxis"]
    (before,), (after,) = ([t for t in f["data"] if t["meta"]["method"] == "rded"] for f in (whole, made))
    (at,) = [i for i, text in enumerate(made["layout"]["xaxis"]["ticktext"]) if "mmd" in text]
    assert after["x"] == [x for x in before["x"] if round(x) != at] and len(after["x"]) == len(READINGS) - 2


def test_there_is_no_figure_of_what_has_no_z(builder):
    assert read(builder, draws=0)[2] is None


@pytest.mark.parametrize("z", [0.0, 1.0, 3.0, 3.0001, 50.0])
def test_the_axis_is_odd_rising_and_smooth(z):
    at = _readings.squeezed
    assert at(-z) == -at(z)
    assert 0 < at(z + 1e-3) - at(z) <= 1.0001e-3
    assert at(z) == z if z <= 3 else at(z) == pytest.approx(3 + 3 * math.log(z / 3))


def test_words_are_signs_in_a_table_of_leading_readings_alone(builder):
    own, summary, _ = read(builder, shift=lambda method, metric, e: 20 * SD * (method == "rded"))
    page = str(readings_table(view(summary), own, words=True))
    assert page.count('title="better"') == 4 and page.count('title="worse"') == 1  # mmd, where lower is better
    assert "random sets</th>" in page and 'data-value="0.31"' in page
    assert 'class="sign' not in str(readings_table(view(summary), own))


def test_the_last_column_is_empty_without_random_sets(builder):
    own, summary, _ = read(builder, draws=0)
    rows = str(readings_table(view(summary), own, words=True)).split("<tr>")[2:]
    readings = [row for row in rows if "<td>" in row]
    assert len(readings) == len(READINGS) - 1
    assert all(row.split("<td>")[-1].startswith("–<") for row in readings)
    assert all(row.count("<td>–<") == 1 for row in readings)  # the methods have theirs


def test_names_stay_text(builder):
    evil = '<img src=x onerror="alert(1)">'
    own, summary, _ = read(builder, extractors=(evil,))
    page = str(readings_table(view(summary), own, words=True))
    assert evil not in page and "&lt;img src=x" in page


@pytest.mark.parametrize("axis", ["representativeness", "diversity", "quality"])
def test_an_axis_counts_its_own_words(builder, axis):
    def shift(method, metric, extractor):
        return {"rded": 20 * SD, "sre2l": -20 * SD}.get(method, 0.0)

    _, summary, _ = read(builder, shift=shift)
    own = [s for s in summary.found(standing.find) if s.word and s.name.axis == axis]
    said = _readings.said(summary, axis)
    for method in ("herding", "k_center", "rded", "sre2l"):
        words = [s.word for s in own if s.method == method]
        assert len(words) == 2 * {"representativeness": 3}.get(axis, 1)  # budgets × leading readings with a direction
        better, worse = words.count("better"), words.count("worse")
        counted = f"{method} is better in {better} and worse in {worse} of {len(words)} reading"
        assert (counted in said) == (better + worse > 0) and (f"{method} is" in said) == (counted in said)
    assert said.endswith("; for all others it is open")
    assert "random is" not in said and {s.word for s in own if s.method == "rded"} >= {"better"}
    assert _readings.said(summary, "nothing") == ""


def test_an_axis_shows_its_largest_budget_and_a_table_for_each(builder):
    _, summary, _ = read(builder)
    page = str(_readings.of_axis(summary, "quality"))
    assert page.count('class="chart wide"') == 1 and page.count("<table") == 2
    caption = page.partition("<figcaption>")[2].partition("</figcaption>")[0]
    assert "IPC 10" in caption and "IPC 1<" not in caption
    assert "realism" in page and "vendi" not in page
    assert _readings.of_axis(summary, "nothing") == ""
