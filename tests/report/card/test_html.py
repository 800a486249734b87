"""The card on a page: short, escaped, filtered with the rest, and drawn from the same numbers."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import plotly.graph_objects as go
import pytest
from tests.report.card.conftest import RUNS, SCRIPT
from tests.report.conftest import view

from decoct.report import wording
from decoct.report.card import chart, html
from decoct.report.card.content import card
from decoct.report.page import plot
from decoct.report.read import frame
from decoct.report.summary import summarise

VOID = {"img", "br", "meta", "hr"}


class Page(HTMLParser):
    """Words that are seen, elements with their attributes, and whether every element is closed in its order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.elements, self.sound = [], [], [], True
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.sound &= bool(self.open) and self.open.pop() == tag

    def handle_data(self, data):
        if "script" not in self.open:
            self.words += data.split()
        elif data.startswith("<svg"):
            self.drawing = data


@pytest.fixture(params=RUNS)
def shown(request, told):
    summary, made = told(request.param)
    return summary, made, html.show(view(summary), made)


def test_a_card_is_whole_and_short(shown):
    _, made, text = shown
    page = Page(text)
    assert page.sound and page.open == []
    assert len(page.words) <= 250
    assert made.answer.split()[0] in page.words


def test_pictures_buttons_and_charts_have_names(shown):
    _, made, text = shown
    page = Page(text)
    images = [a for tag, a in page.elements if tag == "img"]
    drawing = ElementTree.fromstring(page.drawing)
    assert len(images) == sum(len(strip.pictures) for strip in made.strips)
    assert all(a["alt"] and a["loading"] == "lazy" and a["src"].startswith("data:image/") for a in images)
    drawn = [e.get("data-picture") for e in drawing.iter("{http://www.w3.org/2000/svg}image")]
    assert sorted(a["data-picture"] for a in images) == sorted(drawn)
    groups = [a["aria-label"] for tag, a in page.elements if a.get("role") == "group"]
    assert len(groups) == (0 if made.ranked else len(made.rows)) and all("highest" in label for label in groups)
    assert [a["data-save"] for tag, a in page.elements if tag == "button"] == ["png", "svg"]
    assert [tag for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)][:1] == ["h2"]


def test_names_are_text(told):
    summary, made = told("hostile")
    text = html.show(view(summary), made)
    assert "<script>alert" not in text and "<b>bold" not in text
    assert SCRIPT in " ".join(Page(text).words)


def test_a_figure_has_every_accuracy_with_its_interval(shown):
    summary, made, _ = shown
    for row in made.rows:
        figure = html.figure(row, summary.marks, plot.accuracy_axis(row.accuracies))
        slots = figure["layout"]["meta"]["slots"]
        assert [slot["at"] for slot in slots] == list(range(len(slots)))
        points = 0
        for trace in figure["data"]:
            method, meta = trace["meta"]["method"], trace["meta"]
            each = zip(trace["x"], trace["y"], meta["protocol"], meta["budget"], trace["error_y"]["array"], strict=True)
            for x, y, protocol, budget, up in each:
                slot = slots[round(x)]
                assert (slot["protocol"], slot["budget"], slot["student"]) == (protocol, budget, meta["student"])
                setting = next(s for s in summary.settings if s == (protocol, row.student, budget))
                i = summary.accuracy(method, setting).interval
                assert y == pytest.approx(100 * i.mean)
                assert i.n < 2 or up == pytest.approx(100 * (i.hi - i.mean))
                points += 1
        assert points == len([a for a in row.accuracies if a.method in summary.methods])
        json.dumps(figure, allow_nan=False)
        go.Figure(figure)  # raises on an unknown property or value


def test_a_ranking_has_a_line_for_each_method_with_its_mark_at_its_accuracy(told):
    summary, made = told("one")
    text = html.show(view(summary), made)
    page = Page(text)
    assert page.sound and not [a for tag, a in page.elements if a.get("class") == "chart"]
    (ranking,) = re.findall(r'<div class="ranking">.*?</ol>', text)
    low, high = chart.span(made.rows[0].accuracies)
    assert ranking.count("<li>") == len(made.ranked) == 5
    for line, a in zip(ranking.split("<li>")[1:], made.ranked, strict=True):
        assert f"<b>{wording.percent(a.interval.mean)} %</b>" in line
        assert wording.bounds(a.interval.lo, a.interval.hi) in line
        (at,) = re.findall(r'class="point" style="left: ([\d.]+)%"', line)
        assert low + float(at) / 100 * (high - low) == pytest.approx(100 * a.interval.mean, abs=0.01)
        ((left, wide),) = re.findall(r'class="bar" style="left: ([\d.]+)%; width: ([\d.]+)%', line)
        assert float(wide) / 100 * (high - low) == pytest.approx(100 * (a.interval.hi - a.interval.lo), abs=0.02)
        assert low + float(left) / 100 * (high - low) == pytest.approx(100 * a.interval.lo, abs=0.01)


def test_a_ranking_that_cannot_be_read_is_shaded(builder):
    builder.truth, builder.noise = dict.fromkeys(builder.truth, 0.1), 0.001
    builder.budgets, builder.protocols = ("ipc=1",), ("erm",)
    summary = summarise(frame.read(builder.build()))
    made = card(summary)
    assert made.ranked and any(note.startswith("Shaded") for note in made.notes)
    assert '<div class="ranking unreadable">' in html.show(view(summary), made)


def test_each_panel_has_its_own_ceiling(told):
    summary, made = told("usual")
    (row,) = made.rows
    layout = html.figure(row, summary.marks, plot.accuracy_axis(row.accuracies))["layout"]
    lines = [(s["x0"], s["x1"], s["y0"]) for s in layout["shapes"] if s["name"] == "ceiling"]
    means = [100 * panel.ceiling.interval.mean for panel in row.panels]
    assert lines == [(2 * k - 0.5, 2 * k + 1.5, pytest.approx(mean)) for k, mean in enumerate(means)]
    notes = [a for a in layout["annotations"] if a["name"] == "note"]
    assert [a["text"] for a in notes] == [f"full data {wording.percent(m / 100)} %" for m in means]
    of = [each["of"]["protocol"] for each in layout["meta"]["annotations"]]
    assert of == [panel.protocol for panel in row.panels for _ in range(2)]  # heading and ceiling


@pytest.mark.parametrize(
    ("name", "halves"),
    [
        ("erm", ["erm"]),
        ("single_teacher", ["single_", "teacher"]),
        ("unbreakablename", ["unbrea…name"]),
        ("a_protocol_of_great_length", ["a_protocol_of_", "great_length"]),
    ],
)
def test_a_long_heading_has_two_lines_on_a_phone(name, halves):
    assert html._halves(name, 14 if name.startswith("a") else 11) == halves
