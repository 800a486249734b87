"""The page in a real browser: silent, opened door by door, filtered, sorted, taken away, safe whatever is named how."""

import csv
import html
import io
import re
import shutil
import time
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from tests.report.conftest import Builder

from decoct.report.write import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")

SCRIPT, QUOTES, RIGHT = "<script>alert(1)</script>", '"quo\'te" & <b>bold</b> $x_1$ 50%', "مرحبا"
METHODS = {
    "random": ("coreset", True),
    "=herding": ("coreset", False),
    SCRIPT: ("distillation", True),
    QUOTES: ("distillation", True),
    RIGHT: ("distillation", True),
}
TRUTH = dict(zip(METHODS, (0.5, 0.52, 0.6, 0.3, 0.45), strict=True))
COPIED = (
    "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (text) => { window.copied = text; }}})"
)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A page on which every name is as bad as names get."""
    builder = Builder(tmp_path_factory.mktemp("hostile") / "run", maps=True, train_replicates=1, replicates=3)
    builder.methods, builder.truth = dict(METHODS), dict(TRUTH)
    builder.protocols, builder.students = ("erm", SCRIPT), ("net_a", RIGHT)
    builder.class_names, builder.name = (SCRIPT, QUOTES, RIGHT, "</bdi>", "a\u2028b"), QUOTES
    builder.skew = lambda method, c: 0.01 * c - 0.02
    builder.said = {QUOTES: {"about": f"{SCRIPT}\n\n``{QUOTES}``"}}
    return write_report(builder.build()).page


@pytest.fixture
def opened(chromium):
    """Opens a page, and fails at the end if it complained or asked the network for anything."""
    contexts, complaints = [], []

    def open_(path, width=1280, fragment="", **options):
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(COPIED)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
        page.goto(f"{path.as_uri()}{fragment}")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def kept(chromium, hostile):
    """One page for the tests that leave it as it was: opening it takes longer than what they do."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page, complaints = context.new_page(), []
    page.add_init_script(COPIED)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(hostile.as_uri())
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def view(kept):
    yield kept
    kept.evaluate("document.querySelector('[data-reset]').click()")


def open_around(page, selector):
    """Open the door and the section around the first that matches."""
    page.locator(selector).first.evaluate(
        "e => { for (; e; e = e.parentElement) if (e.matches('details.door, details.section')) e.open = true; }"
    )


def open_everything(page):
    """Open all that is folded."""
    page.locator("details:not([open]) > summary").evaluate_all("all => all.forEach(s => s.parentNode.open = true)")


def seen(page, selector):
    """Open what is around the first that matches, scroll to it, and wait until the page has set it up."""
    open_around(page, selector)
    locator = page.locator(selector).first
    locator.scroll_into_view_if_needed()
    if "figure" in selector:
        page.locator(f"{selector}[aria-busy=false] .main-svg").first.wait_for()
    else:
        page.locator(f"{selector}.ready").first.wait_for()
    return locator


def unfold(summary):
    """Open what is folded, by keyboard: under a mouse, figures drawn meanwhile move the page between down and up."""
    summary.press("Enter")


def press(page, facet, value):
    """Press the filter's button for a value."""
    filters = page.locator("details.filters")
    if filters.get_attribute("open") is None:
        unfold(filters.locator("> summary"))
    wanted = page.locator(f".filters button[data-facet={facet}]")
    (at,) = [i for i in range(wanted.count()) if wanted.nth(i).get_attribute("data-value") == value]
    wanted.nth(at).press("Enter")


def drawn(figure):
    """What plotly has drawn: data and layout."""
    return figure.locator(".plot").evaluate(
        """e => ({data: e.data, layout: {height: e.layout.height, x: e.layout.xaxis,
            ink: getComputedStyle(e.querySelector('.xtick text')).fill}})"""
    )


def rows(table):
    """Cells of the rows that are shown."""
    return table.evaluate(
        """t => [...t.rows].filter(r => r.offsetParent)
                .map(r => [...r.cells].filter(c => c.offsetParent).map(c => c.innerText))"""
    )


def test_every_figure_is_drawn_without_a_word_and_without_the_network(opened, hostile):
    page = opened(hostile)
    open_everything(page)
    for figure in page.locator("figure.chart").all():
        figure.scroll_into_view_if_needed()
        figure.locator(".main-svg").first.wait_for()
    assert page.locator("figure.chart").count() == page.locator("figure.chart:has(.main-svg)").count() > 20
    assert page.title() == f"{QUOTES} · decoct"


def test_names_are_text(view):
    page = view
    assert page.locator("h1").inner_text() == QUOTES
    assert page.locator("main b b, main script:not([type]), main img[src='x']").count() == 0
    table = seen(page, "#accuracy table")
    heads = [row[0].removesuffix("†") for row in rows(table)[2:]]
    assert heads[:5] == list(METHODS)
    ticks = seen(page, "#differences figure").locator(".ytick text").all_text_contents()
    assert {text.strip("\u2068\u2069") for text in ticks} == set(METHODS) - {"random"}
    open_around(page, "#classes table")
    unfold(page.locator("#classes .section > details > summary").first)
    names = [row[0] for row in rows(seen(page, "#classes .section > details[open] table"))[1:]]
    assert names == [SCRIPT, QUOTES, RIGHT, "</bdi>", "a\u2028b"]  # the worst first
    options = page.locator("select[data-class] option").all_text_contents()
    assert options[1:5] == [SCRIPT, QUOTES, RIGHT, "</bdi>"]
    bold = page.locator("#accuracy th bdi", has_text="مرحبا").first
    assert bold.evaluate("e => getComputedStyle(e).unicodeBidi") == "isolate"


def test_a_method_leaves_every_figure_and_table(view):
    page = view
    table, figure = seen(page, "#accuracy table"), seen(page, "#accuracy figure")
    before = len(rows(table)), len(drawn(figure)["data"])
    press(page, "method", SCRIPT)
    assert (len(rows(table)), len(drawn(figure)["data"])) == (before[0] - 1, before[1] - 1)
    assert not any(SCRIPT in row[0] for row in rows(table))
    for section in ("differences", "times", "weight", "featuremap", "diversity"):
        made = drawn(seen(page, f"#{section} figure"))
        assert made["data"] and SCRIPT not in [(trace.get("meta") or {}).get("method") for trace in made["data"]]
    fold = "#readings .section > details:not(.menu)"
    open_around(page, fold)
    if page.locator(fold).first.get_attribute("open") is None:
        unfold(page.locator(f"{fold} > summary").first)
    assert not any(SCRIPT in cell for cell in rows(seen(page, f"{fold} table"))[0])  # a column
    open_around(page, "#sets figure")
    cards = page.locator("#sets figure figcaption")
    names = [cards.nth(i).inner_text().split("\n")[0] for i in range(cards.count()) if cards.nth(i).is_visible()]
    assert names and SCRIPT not in names
    assert "1 method hidden" in page.locator(".filters .state").inner_text()
    assert page.locator("#accuracy .keys button[aria-pressed=false]").count() == 1  # the legend says the same


def test_budget_protocol_and_student_leave_figures_and_tables(view):
    page = view
    table = seen(page, "#accuracy table")
    forest = drawn(seen(page, "#differences figure"))["layout"]["height"]
    press(page, "budget", "ipc=1")
    made = drawn(seen(page, "#accuracy figure"))
    assert [t.strip("\u2068\u2069") for t in made["layout"]["x"]["ticktext"]] == ["IPC 10"]
    assert made["layout"]["x"]["range"] == [-0.5, 0.5]
    assert all(len(trace["x"]) == 1 and abs(trace["x"][0]) < 0.5 for trace in made["data"])
    assert drawn(seen(page, "#differences figure"))["layout"]["height"] == forest - 5 * 24  # a heading, four methods
    assert rows(table)[1] == ["method", *["IPC 10"] * 4]
    assert {len(row) for row in rows(table)} == {5}
    assert not any("IPC 1" in row[1:2] for row in rows(seen(page, "#times table")))
    open_around(page, "#sets h4")
    assert page.locator("#sets h4:visible").all_inner_texts() == ["IPC 10"]
    open_around(page, "#coresets h4")
    unfold(page.locator("#coresets summary", has_text="Row minus column"))
    pairs = page.locator("#coresets h4:visible")
    assert pairs.count() == 4 and not any(text.endswith("IPC 1") for text in pairs.all_inner_texts())
    unfold(page.locator("#coresets summary", has_text="Row minus column"))
    press(page, "protocol", SCRIPT)
    press(page, "student", RIGHT)
    assert page.locator("#accuracy figure:visible").count() == 1
    assert {len(row) for row in rows(table)} == {2}
    assert "net_a" in rows(table)[0][1]


def test_a_view_is_shared_by_its_address_and_taken_back(opened, hostile):
    page = opened(hostile)
    seen(page, "#accuracy table")
    press(page, "method", QUOTES)
    press(page, "budget", "ipc=1")
    unfold(page.locator("#cost > summary"))
    expect(page).to_have_url(re.compile("#cost&method="))
    fragment = page.evaluate("location.hash")
    assert fragment.startswith("#cost&method=")
    other = opened(hostile, fragment=fragment)
    table = seen(other, "#accuracy table")
    assert len(rows(table)) == 2 + 4 + 1 and set(rows(table)[1][1:]) == {"IPC 10"}
    unfold(other.locator(".filters > summary"))
    other.locator(".filters [data-reset]").click()
    assert len(rows(table)) == 2 + 5 + 1 and "&" not in other.evaluate("location.hash")
    assert len(drawn(seen(other, "#accuracy figure"))["data"]) == 5


def test_an_address_with_nonsense_shows_everything(view):
    table = seen(view, "#accuracy table")
    view.evaluate("location.hash = '#nowhere&method=nobody&method=%zz&x'")
    assert len(rows(table)) == 2 + 5 + 1 and len(drawn(seen(view, "#accuracy figure"))["data"]) == 5


def test_the_map_shows_one_class(view):
    page = view
    figure = seen(page, "#featuremap figure")
    page.locator("select[data-class]").select_option("1")
    assert [len(trace["x"]) for trace in drawn(figure)["data"]] == [10, *[1] * 5]  # of 50 real ones, and of 5
    said = drawn(figure)["data"][0]["customdata"]
    assert {html.unescape(text).strip("\u2068\u2069") for text in said} == {QUOTES}
    page.locator("select[data-class]").select_option("")
    assert [len(trace["x"]) for trace in drawn(figure)["data"]] == [50, *[5] * 5]


def test_tables_sort_by_value_with_mouse_and_keyboard(view):
    page = view
    table = seen(page, "#times table")
    heads = rows(table)[0]
    column = heads.index("image bytes")
    button = table.locator("thead th").nth(column).locator("button")

    def shown():
        return [row[column] for row in rows(table)[1:]]

    def sort():
        return table.locator("thead th").nth(column).get_attribute("aria-sort")

    original = shown()
    assert sort() is None and set(original) == {"450 B", "4.5 kB"}
    button.click()
    assert sort() == "descending" and shown() == ["4.5 kB"] * 5 + ["450 B"] * 5
    button.focus()
    page.keyboard.press("Enter")
    assert sort() == "ascending" and shown() == ["450 B"] * 5 + ["4.5 kB"] * 5
    page.keyboard.press("Enter")
    assert sort() is None and shown() == original
    first = table.locator("thead th").first.locator("button")
    first.click()
    assert table.locator("[aria-sort]").count() == 1 and rows(table)[1][0] == QUOTES


def test_sorting_leaves_headings_and_dashes_in_their_places(view):
    page = view
    fold = "#readings .section > details:not(.menu)"
    open_around(page, fold)
    if page.locator(fold).first.get_attribute("open") is None:
        unfold(page.locator(f"{fold} > summary").first)
    table = seen(page, f"{fold} table")
    groups = [row[0] for row in rows(table) if len(row) == 1]
    table.locator("thead th").nth(1).locator("button").press("Enter")
    values, found = {}, []
    for row in rows(table)[1:]:
        if len(row) == 1:
            found.append(row[0])
        else:
            values.setdefault(found[-1], []).append(row[1].split("\n")[0])
    assert found == groups and len(groups) == 3
    assert any(own[-1] == "–" for own in values.values())
    for own in values.values():
        known = [float(value.replace("−", "-").lstrip("▲▼△▽≈ ")) for value in own if value != "–"]
        assert known == sorted(known, reverse=True) and "–" not in own[: len(known)]


def test_a_table_goes_to_markdown_and_csv_as_it_is_shown(view):
    page = view
    seen(page, "#accuracy table")
    press(page, "student", RIGHT)
    menu = page.locator("#accuracy details.menu").first
    unfold(menu.locator("summary"))
    menu.get_by_text("Copy as Markdown").press("Enter")
    lines = page.evaluate("window.copied").strip().split("\n")
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1 and len(lines) == 2 + 5 + 1
    assert lines[0].startswith(r"| method | erm · net\_a · IPC 1 | erm · net\_a · IPC 10 | \<script\>")
    assert lines[4].startswith(r"| \<script\>alert(1)\</script\> | ")
    with page.expect_download() as download:
        menu.get_by_text("Download CSV").press("Enter")
    found = list(csv.reader(io.StringIO(download.value.path().read_text("utf-8-sig"), newline="")))
    assert len({len(row) for row in found}) == 1 and found[0][:2] == ["method", "erm · net_a · IPC 1"]
    assert [row[0].removesuffix(" †") for row in found[1:]] == ["random", "'=herding", *list(METHODS)[2:], "full data"]
    assert re.fullmatch(r"\d+\.\d \[\d+\.\d, \d+\.\d\] n = 3", found[1][1])


def test_a_figure_goes_to_svg_and_png_in_the_colours_of_paper(opened, hostile):
    page = opened(hostile, color_scheme="dark")
    figure = seen(page, "#accuracy figure")
    figure.hover()
    files = {}
    for format in ("SVG", "PNG"):
        with page.expect_download() as download:
            figure.locator(".save").get_by_text(format).press("Enter")
        files[format] = download.value.path().read_bytes()
        assert download.value.suggested_filename == f"decoct-accuracy.{format.lower()}"
    svg = files["SVG"].decode()
    assert svg.startswith("<svg") and "<script" not in svg and "IPC 10" in svg
    with Image.open(io.BytesIO(files["PNG"])) as picture:
        assert picture.width > 800 and picture.convert("RGB").getpixel((1, 1)) == (255, 255, 255)


def test_a_phone_scrolls_down_and_not_sideways(opened, hostile):
    page = opened(hostile, width=390)
    page.locator("#card figure.chart[aria-busy=false]").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390  # every door closed
    open_everything(page)
    for figure in page.locator("figure.chart").all()[::4]:
        figure.scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_page_is_as_dark_as_the_device_asks_for(view):
    figure = seen(view, "#accuracy figure")
    for scheme, above in (("dark", False), ("light", True)):
        view.emulate_media(color_scheme=scheme)
        colors = view.evaluate("getComputedStyle(document.body).backgroundColor"), drawn(figure)["layout"]["ink"]
        paper, ink = (np.mean([int(x) for x in re.findall(r"\d+", color)]) for color in colors)
        assert (paper > 128) == above == (ink < 128)


def test_paper_has_every_figure_and_no_buttons(opened, hostile):
    page = opened(hostile, color_scheme="dark")
    page.locator("#card figure.chart[aria-busy=false]").first.wait_for()
    page.emulate_media(media="print")
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page\n") > 5
    assert page.locator("figure.chart:has(.main-svg)").count() == page.locator("figure.chart").count() > 20
    assert page.locator("main button:not(.sort):visible, .filters:visible").count() == 0
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


LETTERS = """() => {
    const found = [], walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    const skip = 'script, template, style, .filters, .menu, .keys, .chooser, .save, .keep, svg, .light';
    while (walker.nextNode()) {
        const e = walker.currentNode.parentElement;
        if (!e.closest(skip) && walker.currentNode.nodeValue.trim() && !e.checkVisibility()) found.push(e.outerHTML);
    }
    return found;
}"""


def test_what_doors_hide_is_on_paper_whichever_way_it_is_printed(opened, hostile):
    """A browser says that it prints; a preview, or one that says nothing, only changes the medium."""
    page = opened(hostile)
    page.locator("#card figure.chart[aria-busy=false]").first.wait_for()
    assert len(page.evaluate(LETTERS)) > 1000  # closed
    page.emulate_media(media="print")
    page.locator("#provenance > details[open]").wait_for()
    assert page.locator("figure.chart:has(.main-svg)").count() == page.locator("figure.chart").count() > 20
    assert page.evaluate(LETTERS) == []
    page.emulate_media(media="screen")
    page.locator("#provenance > details:not([open])").wait_for(state="attached")
    assert page.locator(".door[open], .section[open]").count() == 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(LETTERS) == []
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".door[open], .section[open]").count() == 0


def test_printing_leaves_doors_and_address_as_they_were(opened, hostile):
    page = opened(hostile)
    unfold(page.locator("#made > summary"))
    unfold(page.locator("#methods summary").first)
    state = "[[...document.querySelectorAll('details:not(.menu)')].map(e => e.open), location.hash]"
    page.locator("#methods table.ready").first.wait_for()
    before = page.evaluate(state)
    pdf = page.pdf(format="A4")
    assert pdf.count(b"/Type /Page\n") > 5
    page.wait_for_timeout(300)  # what opened and closed is told of later
    assert page.evaluate(state) == before and before[1] == "#methods"
    assert page.locator("#made[open], #methods > details[open]").count() == 2


def test_doors_are_closed_and_open_by_keyboard_alone(opened, hostile):
    page = opened(hostile)
    assert page.locator("details.door").count() == 5 and page.locator("details.door[open]").count() == 0
    for _ in range(60):  # by tab, past the card and the filter
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#evidence > summary')"):
            break
    page.keyboard.press("Enter")
    assert page.locator("#evidence[open] > .said").is_visible()
    assert page.locator("#evidence section").first.is_visible()
    assert not page.locator("#evidence table").first.is_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('#evidence .section > summary')")
    page.keyboard.press("Space")
    assert page.evaluate("document.activeElement.parentNode.open")
    first = page.evaluate("document.activeElement.closest('section').id")
    expect(page).to_have_url(re.compile(f"#{first}$"))
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.locator("details.door[open]").count() == 0


@pytest.mark.parametrize(
    ("address", "door", "section"),
    [
        ("#accuracy", "evidence", "accuracy"),
        ("#diversity", "beyond", "diversity"),
        ("#cost", "cost", None),
        ("#methods&budget=ipc%3D1", "made", "methods"),
    ],
)
def test_an_address_opens_its_door_and_section_and_nothing_else(opened, hostile, address, door, section):
    page = opened(hostile, fragment=address)
    page.locator(f"#{door}[open]").wait_for()
    target = page.locator(f"#{section or door}")
    opened_now = page.locator("details.door[open], details.section[open]")
    assert opened_now.count() == 1 + (section is not None)
    assert page.locator(f"#{section} > details.section[open]").count() == (section is not None)
    expect(target.locator("summary").first).to_be_in_viewport()
    assert page.evaluate("location.hash") == address
    page.evaluate("location.hash = '#sets'")  # another address on the same page
    page.locator("#pictures[open] #sets > details[open]").wait_for()


def test_an_address_with_filters_opens_a_door_in_which_they_hold(opened, hostile):
    page = opened(hostile, fragment="#accuracy&budget=ipc%3D1")
    table = page.locator("#accuracy table.ready")
    table.wait_for()
    assert set(rows(table)[1][1:]) == {"IPC 10"} and "1 budget hidden" in page.locator(".filters .state").inner_text()


def test_find_in_page_reaches_what_is_closed(opened, hostile):
    """A text fragment is found as a search is; what is found opens."""
    page = opened(hostile, fragment="#:~:text=Save%20the%20study%20below%20as")
    page.locator("#made[open] #provenance > details[open]").wait_for()
    assert page.locator("#provenance .note", has_text="Save the study below as").is_visible()
    assert page.locator("details.door[open]").count() == 1


def test_headings_go_down_one_step_at_a_time(opened, hostile):
    page = opened(hostile)
    names = page.locator("h1, h2, h3, h4, h5, h6").evaluate_all("all => all.map(e => e.tagName)")
    levels = [int(name[1]) for name in names]
    assert levels[0] == 1 and levels.count(1) == 1 and levels.count(2) == 1 + 5 and max(levels) == 4
    assert all(below - above <= 1 for above, below in pairwise(levels))


def test_a_screen_reader_meets_names_of_all_that_opens_and_of_all_buttons(opened, hostile):
    page = opened(hostile)
    doors = {"Evidence", "Beyond accuracy", "Cost", "Pictures", "How it was made"}
    told = page.locator("body").aria_snapshot()
    assert all(f'heading "{door}" [level=2]' in told for door in doors)
    open_everything(page)
    for table in page.locator("main table").all():
        table.scroll_into_view_if_needed()
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    for role in ("DisclosureTriangle", "button", "combobox", "image"):
        own = [n for n in nodes if not n["ignored"] and n["role"]["value"] == role]
        assert own and [n["backendDOMNodeId"] for n in own if not n["name"]["value"].strip()] == [], role
    triangles = [n for n in nodes if not n["ignored"] and n["role"]["value"] == "DisclosureTriangle"]
    names = [n["name"]["value"] for n in triangles]
    assert all(any(name.startswith(door) for name in names) for door in doors)
    for n in triangles:
        state = {p["name"]: p["value"]["value"] for p in n["properties"]}
        assert state["expanded"] == (n["name"]["value"] != "Take this table")


def test_at_most_900_words_and_few_screens_before_a_door_is_opened(opened, tmp_path):
    path = write_report(Builder(tmp_path / "run", maps=True).build()).page
    for width, screens in ((1400, 6), (390, 10)):
        page = opened(path, width=width)
        page.locator("#card figure.chart[aria-busy=false]").first.wait_for()
        assert 60 < page.evaluate("document.body.innerText.split(/\\s+/).filter(Boolean).length") <= 900
        assert page.evaluate("document.documentElement.scrollHeight") <= screens * (1000 if width == 1400 else 844)
    assert path.stat().st_size < 2e6


def test_a_thousand_classes_stay_quick(opened, tmp_path):
    builder = Builder(tmp_path / "run", maps=True, replicates=2, protocols=("erm",), budgets=("ipc=1", "ipc=3"))
    builder.class_names = tuple(f"class {i} {RIGHT}" for i in range(1000))
    builder.test_images = 5000
    builder.skew = lambda method, c: 0.0001 * (c % 97)
    page = opened(write_report(builder.build()).page)
    table = seen(page, "#accuracy table")
    started = time.monotonic()
    press(page, "method", "rded")
    assert len(rows(table)) == 2 + 4 + 1
    assert time.monotonic() - started < 3
    open_around(page, "#classes table")
    unfold(page.locator("#classes .section > details > summary").first)
    ends = rows(seen(page, "#classes .section > details[open] table"))[1:]
    assert len(ends) == 4 * 20
    assert [row[1] for row in ends[:20]] == ["worst"] * 10 + ["best"] * 10
    open_around(page, "select[data-class]")
    page.locator("select[data-class]").select_option("999")
    assert sum(len(trace["x"]) for trace in drawn(seen(page, "#featuremap figure"))["data"]) < 10


@pytest.mark.parametrize("change", [{"methods": {"rded": ("distillation", True)}}, {"holes": lambda labels: True}])
def test_a_page_with_little_on_it_does_not_complain(opened, builder, change):
    for name, value in change.items():
        setattr(builder, name, value)
    page = opened(write_report(builder.build()).page)
    open_everything(page)
    for table in page.locator("main table:visible").all():
        table.scroll_into_view_if_needed()
    said = "No student has been trained" if "holes" in change else "rded is the only method"
    assert said in page.locator("#card").inner_text()
    assert "be said" in page.locator("#made" if "methods" in change else "#evidence").locator("xpath=..").inner_text()
