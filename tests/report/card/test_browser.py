"""The card in a real browser: saved by its buttons, on a phone, in the dark, filtered with the page."""

import io
import shutil
from itertools import combinations, pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright
from tests.report.card.conftest import SCRIPT

from decoct.report.card import html
from decoct.report.card.svg import draw
from decoct.report.page.markup import Markup
from decoct.report.page.parts import document

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, told, tmp_path):
    """``opened(RUN)``: a page with its card alone; fails at the end if it complained or asked the network."""
    contexts, complaints = [], []

    def open_(run, width=1400, **options):
        summary, made = told(run)
        path = tmp_path / f"{run}.html"
        parts = Markup(), html.show(summary, made), Markup(), summary.filters()
        path.write_text(document(run, *parts), "utf-8")
        context = chromium.new_context(viewport={"width": width, "height": 1000}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
        page.goto(path.as_uri())
        if made.rows and not made.ranked:
            page.locator("#card figure.chart[aria-busy=false] .main-svg").first.wait_for()
        return page, made

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def saved(page, kind):
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Save as {kind.upper()}").press("Enter")
    assert download.value.suggested_filename == f"card.{kind}"
    return download.value.path().read_bytes()


@pytest.mark.parametrize("run", ["usual", "hostile"])
def test_a_button_saves_the_card_as_it_is_drawn(opened, run):
    page, made = opened(run, color_scheme="dark")
    tree, drawn = ElementTree.fromstring(saved(page, "svg")), ElementTree.fromstring(draw(made))
    assert [(e.tag, e.text, e.get("href"), e.get("x"), e.get("d")) for e in tree.iter()] == [
        (e.tag, e.text, e.get("href"), e.get("x"), e.get("d")) for e in drawn.iter()
    ]
    with Image.open(io.BytesIO(saved(page, "png"))) as picture:
        assert picture.size == (2400, 2 * int(drawn.get("height")))
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert (pixels[:30] == 255).all()  # paper is light, whatever the page is
    for mark in list(made.marks.values())[1:]:
        color = [int(mark.color[i : i + 2], 16) for i in (1, 3, 5)]
        assert (abs(pixels - color).sum(-1) < 12).sum() > 300, mark
    x, y = next((float(e.get("x")), float(e.get("y"))) for e in drawn.iter() if e.tag.endswith("image"))
    assert pixels[int(2 * y) : int(2 * y) + 60, int(2 * x) : int(2 * x) + 60].std() > 30  # a picture


@pytest.mark.parametrize("run", ["usual", "many", "hostile", "nothing", "chance"])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(opened, run):
    page, _ = opened(run, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    over = """[...document.querySelectorAll('#card *')].filter(
        (e) => e.getBoundingClientRect().right > 391 && !e.closest('svg')).map((e) => e.outerHTML.slice(0, 80))"""
    assert page.evaluate(over) == []


def test_headings_are_short_on_a_phone_alone(opened):
    for width, text in ((1400, "\u2068single_teacher\u2069"), (390, "\u2068single_\u2069\u2068teacher\u2069")):
        page, _ = opened("usual", width=width)
        found = page.locator("#card .annotation-text", has_text="single_").first.text_content()
        assert found == text
        words = page.locator("#card .annotation-text")
        boxes = words.evaluate_all("all => all.map(e => e.getBoundingClientRect().toJSON())")
        for a, b in combinations(boxes, 2):
            beside = a["right"] <= b["left"] or b["right"] <= a["left"]
            assert beside or a["bottom"] <= b["top"] or b["bottom"] <= a["top"], (a, b)


def test_what_is_filtered_out_leaves_the_chart_and_the_strips(opened):
    page, made = opened("hostile")
    figure = page.locator("#card figure.chart").first
    count = "figure => figure.querySelector('.plot').data.length"
    before = figure.evaluate(count)
    page.locator(".filters > summary").press("Enter")
    page.locator(".filters button[data-facet=method]", has_text=SCRIPT).first.press("Enter")
    assert figure.evaluate(count) == before - 1
    assert page.locator("#card .strip:visible").count() == len(made.strips) - 1
    page.locator(".filters button[data-facet=protocol]", has_text="erm").first.press("Enter")
    texts = figure.locator(".annotation-text").all_text_contents()
    assert not any("erm" in text for text in texts) and any("script" in text for text in texts)
    assert len(figure.locator(".xtick text").all()) == 2
    assert ElementTree.fromstring(saved(page, "svg")).tag.endswith("svg")  # the whole card still


@pytest.mark.parametrize("width", [1400, 390])
def test_a_ranking_fits_its_screen_and_loses_what_is_filtered_out(opened, width):
    page, made = opened("one", width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    lines = page.locator("#card .ranking li:visible")
    assert lines.count() == len(made.ranked)
    for line in lines.all():
        parts = [line.locator(part).bounding_box() for part in (".method", ".track", "b")]
        ends = [(box["x"], box["x"] + box["width"]) for box in parts]
        assert all(right <= left for (_, right), (left, _) in pairwise(ends)) and parts[1]["width"] > 90
    page.locator(".filters > summary").press("Enter")
    page.locator(".filters button[data-facet=method]", has_text=SCRIPT).first.press("Enter")
    assert lines.count() == len(made.ranked) - 1


def test_the_card_is_as_dark_as_the_device_asks_for(opened):
    for scheme, above in (("dark", False), ("light", True)):
        page, _ = opened("usual", color_scheme=scheme)
        color = page.evaluate("getComputedStyle(document.querySelector('#card')).backgroundColor")
        assert (int(color.split("(")[1].split(",")[0]) > 128) == above
