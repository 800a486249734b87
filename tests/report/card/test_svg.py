"""A drawn card is whole, safe XML on which nothing overlaps, and its marks stand where the numbers are."""

import re
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from tests.report.card.conftest import QUOTES, RUNS, SCRIPT

from decoct.report import wording
from decoct.report.card import chart, font
from decoct.report.card.svg import WIDTH, draw

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=RUNS)
def drawn(request, told):
    """Summary, card, and the drawing as a tree, of every run."""
    summary, made = told(request.param)
    return summary, made, ElementTree.fromstring(draw(made))


def box(element):
    """Left, top, right, bottom of a line of text or a picture."""
    x, y = float(element.get("x")), float(element.get("y"))
    if element.tag == f"{SVG}image":
        return x, y, x + float(element.get("width")), y + float(element.get("height"))
    size, bold = float(element.get("font-size")), element.get("font-weight") == "bold"
    wide = font.width(element.text or "", size, bold)
    left = x - wide * {"middle": 0.5, "end": 1}.get(element.get("text-anchor"), 0)
    return left, y - 0.76 * size, left + wide, y + 0.2 * size


def test_no_text_leaves_the_drawing_or_meets_another(drawn):
    _, _, tree = drawn
    left, top, width, height = map(float, tree.get("viewBox").split())
    assert (left, top, width) == (0, 0, WIDTH) and tree.get("height") == f"{height:g}"
    parts = [e for e in tree.iter() if e.tag in (f"{SVG}text", f"{SVG}image")]
    boxes = [(box(e), e.text) for e in parts]
    assert len(boxes) >= 3
    for (x0, y0, x1, y1), said in boxes:
        assert x0 >= 40 and y0 >= 0 and x1 <= WIDTH - 55 and y1 <= height, said
    for (a, one), (b, other) in combinations(boxes, 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, (one, other)


def test_every_mark_stands_at_its_accuracy_and_says_it(drawn):
    summary, made, tree = drawn
    every = [a for row in made.rows for a in row.accuracies]
    own = [a for a in every if a.method in summary.methods]
    marks = tree.findall(f".//{SVG}use")
    assert len(marks) == len(own)
    colors = {f"#m{k}": made.marks[method].color for k, method in enumerate(made.drawn)}
    at = {e.get("id"): e.get("stroke") for e in tree.findall(f".//{SVG}defs/{SVG}path")}
    assert {f"#{key}": color for key, color in at.items()} == colors
    found = {}
    for e in marks:
        x, y, scale = map(float, re.fullmatch(r"translate\((\S+) (\S+)\) scale\((\S+)\)", e.get("transform")).groups())
        method = made.drawn[int(e.get("href")[2:])]
        found.setdefault(method, []).append((y + 6 * scale, x))
        title = e.find(f"{SVG}title")
        assert title is None or title.text.startswith(f"{' '.join(method.split())}, ")
    if len(made.rows) == 1 and not made.ranked:  # where one axis holds, and goes upwards
        ends = [e for e in tree.iter(f"{SVG}text") if e.get("text-anchor") == "end" and e.get("font-size") == "12"]
        ticks = [e for e in ends if re.fullmatch(r"\d+ %", e.text)]
        (t0, y0), (t1, y1) = ((int(e.text[:-2]), float(e.get("y")) - 4) for e in (ticks[0], ticks[-1]))
        for method, places in found.items():
            read = sorted(t0 + (y - y0) * (t1 - t0) / (y1 - y0) for y, _ in places)
            means = sorted(100 * a.interval.mean for a in own if a.method == method)
            assert read == pytest.approx(means, abs=0.001 * abs(t1 - t0) + 0.02)


def test_the_numbers_beside_the_marks_are_the_summarys(told):
    summary, made = told("usual")
    tree = ElementTree.fromstring(draw(made))
    said = {e.text for e in tree.iter(f"{SVG}title")}
    for a in summary.accuracies:
        if a.method in summary.methods:
            where = f"{a.method}, {a.setting.protocol}, {wording.budget(a.setting.budget)}"
            assert f"{where}: {wording.accuracy(a.interval)} %, n = {a.interval.n}" in said
    texts = [e.text for e in tree.iter(f"{SVG}text")]
    for a in summary.ceiling.values():
        assert f"full data {wording.percent(a.interval.mean)} %" in texts
    for take in made.takes:
        assert f"{wording.percent(take.interval.mean)} %" in texts
        assert wording.bounds(take.interval.lo, take.interval.hi) in texts
    assert all(spent.span in texts for spent in made.costs)


def test_a_ranking_goes_from_the_best_to_the_worst_with_marks_and_intervals_on_its_axis(told):
    _, made = told("one")
    tree = ElementTree.fromstring(draw(made))
    middle = [e for e in tree.iter(f"{SVG}text") if e.get("text-anchor") == "middle"]
    ticks = [(int(e.text[:-2]), float(e.get("x"))) for e in middle if re.fullmatch(r"\d+ %", e.text)]
    (t0, x0), (t1, x1) = ticks[0], ticks[-1]
    marks = [re.findall(r"[\d.]+", e.get("transform")) for e in tree.iter(f"{SVG}use")]
    places = [(float(y) + 6 * float(scale), float(x) + 6 * float(scale)) for x, y, scale in marks]
    assert places == sorted(places)  # downwards, in the order of the means
    means = [100 * a.interval.mean for a in made.ranked]
    assert means == sorted(means, reverse=True)
    assert [t0 + (x - x0) * (t1 - t0) / (x1 - x0) for _, x in places] == pytest.approx(means, abs=0.02)
    level = [e for e in tree.iter(f"{SVG}line") if e.get("y1") == e.get("y2")]
    for (y, _), a in zip(places, made.ranked, strict=True):
        (bar,) = (e for e in level if float(e.get("y1")) == pytest.approx(y, abs=0.1))
        drawn = [t0 + (float(bar.get(end)) - x0) * (t1 - t0) / (x1 - x0) for end in ("x1", "x2")]
        assert drawn == pytest.approx([100 * a.interval.lo, 100 * a.interval.hi], abs=0.02)


def test_intervals_are_drawn_from_end_to_end(told):
    _, made = told("usual")
    tree = ElementTree.fromstring(draw(made))
    every = [a for row in made.rows for a in row.accuracies]
    low, high = chart.span(every)
    bars = [e.get("d") for e in tree.iter(f"{SVG}path") if re.match(r"M\S+ \S+V", e.get("d"))]
    lengths = sorted(abs(float(y0) - float(y1)) for d in bars for y0, y1 in re.findall(r"M\S+ (\S+?)V([\d.]+)", d))
    own = [a.interval for a in every if a.method in made.marks]
    wanted = sorted(chart.HEIGHT * 100 * (i.hi - i.lo) / (high - low) for i in own)
    assert lengths == pytest.approx(wanted, abs=0.02)


def test_names_are_text(told):
    _, made = told("hostile")
    drawn = draw(made)
    tree = ElementTree.fromstring(drawn)
    assert {e.tag for e in tree.iter()} <= {
        SVG + tag
        for tag in ["svg", "metadata", "title", "desc", "rect", "text", "defs", "path", "g", "line", "use", "image"]
    }  # fmt: skip
    assert "<script" not in drawn and "<b>" not in drawn and "\u202e" not in drawn and "\x01" not in drawn
    texts = [e.text for e in tree.iter(f"{SVG}text")]
    assert SCRIPT in texts and QUOTES in texts
    assert all(e.get("href").startswith("data:image/") for e in tree.iter(f"{SVG}image"))


def test_the_drawing_asks_for_nothing_and_is_as_light_as_can_be(told):
    for run, most in (("usual", 60_000), ("many", 300_000), ("thousand", 60_000)):
        drawn = draw(told(run)[1])
        assert len(drawn.encode()) < most, run
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import|<style", drawn)


def test_pictures_that_the_page_has_are_only_named(told):
    _, made = told("usual")
    tree = ElementTree.fromstring(draw(made, pictures=False))
    found = [e.get("data-picture") for e in tree.iter(f"{SVG}image")]
    assert found == [f"{i}-{k}" for i, strip in enumerate(made.strips) for k in range(len(strip.pictures))]
    assert all(e.get("href") is None for e in tree.iter(f"{SVG}image"))


@pytest.mark.parametrize(("low", "high"), [(0, 100), (60.3, 61.9), (12, 55), (90, 102), (-2, 3)])
def test_ticks_are_round_and_few(low, high):
    found = chart.ticks(low, high)
    assert 1 <= len(found) <= 7 and all(low <= t <= high and 0 <= t <= 100 for t in found)
    assert len({b - a for a, b in pairwise(found)}) <= 1
