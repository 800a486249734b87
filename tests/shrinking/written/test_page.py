"""The page of an answer, as text and in a browser: whatever was found, whatever names are."""

import math
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from playwright.sync_api import sync_playwright
from tests.shrinking.answers import SAID, an_answer, some_problems
from tests.shrinking.pools import make_pool

from decoct.shrinking.answer import Class, Measured, Point, Problem
from decoct.shrinking.made import Made
from decoct.shrinking.written.page import render

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def pool(tmp_path):
    return make_pool(tmp_path / "pool", [f"{'ab'[i % 2]}/{i}.png" for i in range(80)], np.arange(80) % 2, ["a", "b"])


class Text(HTMLParser):
    """What a reader sees of each section, by its id, and of the header as ""."""

    def __init__(self, page):
        super().__init__()
        self.at, self.found, self.silent = "", {"": ""}, 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.silent += tag in ("script", "style", "title")
        if tag == "section":
            self.at = dict(attributes)["id"]
            self.found[self.at] = ""

    def handle_endtag(self, tag):
        self.silent -= tag in ("script", "style", "title")

    def handle_data(self, data):
        if not self.silent:
            self.found[self.at] += f" {data}"


def read(page):
    return {at: " ".join(text.split()) for at, text in Text(page).found.items()}


def test_the_answer_comes_first_then_the_rest(pool):
    said = read(render(an_answer(problems=some_problems(pool)), pool, np.arange(0, 40)))
    head = said[""]
    assert "600 of 3,000 images are enough" in head
    places = [head.index(sentence) for sentence in SAID]
    assert places == sorted(places)
    for number in ("90.4 % [88.9, 91.9]", "91.9 % [90.6, 93.2]", "1.5 points at most 2.7 points", "1,100 [800, 1,600]"):
        assert number in head
    assert list(said) == ["", "sizes", "classes", "kept", "problems", "cost", "files"]
    assert "Choosing pays after 2 trainings" in said["cost"] and "all 8 min 35 s" in said["cost"]
    assert "small/left_out.csv" in said["files"]


def test_the_table_has_every_point_with_the_test_before_the_race(pool):
    answer = an_answer()
    page = render(answer, pool)
    said = read(page)["sizes"]
    tested = {(p.method, p.images) for p in answer.points if p.on == "test"}
    for p in answer.points:
        shown = p.on == "test" or (p.method, p.images) not in tested
        assert (
            f"{100 * p.accuracy.mean:.1f} [{100 * p.accuracy.lo:.1f}, {100 * p.accuracy.hi:.1f}]" in said
        ) or not shown
    assert "90.4 [88.9, 91.9] the set" in said and "87.0 [85.5, 88.5] test: not shown" in said
    gone = page.count('class="gone"')
    assert gone == sum(p.status == "dropped" for p in answer.points) == said.count("dropped")


@pytest.mark.parametrize(
    ("decided", "head"),
    [
        ("not_shown", "No smaller set was shown to be enough"),
        ("not_decidable", "There are too few test images to decide"),
        ("curve", "What more images bring"),
    ],
)
def test_without_a_set_the_page_says_so(pool, decided, head):
    none = {"method": None, "images": None, "fraction": None, "small": None, "loss": None, "random_needed": None}
    answer = an_answer(decided=decided, **none, images_needed=4200, files={}, classes=())
    said = read(render(answer, pool))
    assert head in said[""] and "enough images" not in said[""] and "this set" not in said[""]
    assert "2.4 points 4,200 test images would do for what you asked" in said[""]
    assert "kept" not in said and "classes" not in said and "No set was written" in said["files"]


def test_a_size_that_was_asked_for_is_not_called_enough(pool):
    assert "600 of 3,000 images 600 of" in read(render(an_answer(decided="asked_size"), pool))[""]


def test_a_set_that_was_made_is_called_so(pool):
    made = Made(np.array(pool.images[:4]), np.array([0, 0, 1, 1]), 41.0)
    said = read(render(an_answer(made=made, method="dm", images=4, fraction=0.001), pool, made))
    assert "4 images made from 3,000 are enough" in said[""]
    assert "4 images, made by dm. All are in kept.csv, your own in left_out.csv" in said["kept"]
    assert "Making the set pays after 2 trainings" in said["cost"] and "making the set 41" in said["cost"]


def test_folds_and_an_unfinished_run_are_said(pool):
    answer = an_answer(test={"how": "folds", "folds": 5, "images": 3000}, unfinished="2 of 5 folds were not tested")
    page = render(answer, pool)
    said = read(page)
    assert "each of 3,000 images was tested once, in 5 folds" in said["sizes"]
    assert "Not finished: 2 of 5 folds were not tested. The same command continues." in said[""]
    assert "Not finished" not in read(render(an_answer(), pool))[""]


def test_before_the_first_training_there_is_a_page_too(pool):
    nothing = an_answer(
        said=(), decided="", method=None, images=None, fraction=None, full=None, small=None, loss=None,
        smallest_margin=None, random_needed=None, points=(), classes=(), cost={}, test={}, files={},
    )  # fmt: skip
    said = read(render(nothing, pool))
    assert "No answer yet" in said[""] and "Nothing has been trained yet" in said["sizes"]
    assert "Nothing was found" in said["problems"] and "Nothing was measured" in said["cost"]


def test_a_mere_check_shows_the_problems_alone(pool):
    check = {"decided": "check", "method": None, "images": None, "full": None, "small": None, "loss": None}
    check |= {"smallest_margin": None, "random_needed": None, "points": (), "said": ("2 exact duplicates in 1 group",)}
    found = (Problem("exact_duplicates", (0, 2), ("a/0.png", "a/2.png"), ("a", "a"), "equal files"),)
    said = read(render(an_answer(problems=found, **check), pool))
    assert list(said) == ["", "problems"] and "equal files" in said["problems"]
    assert said[""] == "What is wrong with photos ? 2 images to look at 2 exact duplicates in 1 group"
    assert "Nothing is wrong with the images" in read(render(an_answer(**check), pool))[""]


def test_numbers_that_are_not_known_are_dashes_or_left_out(pool):
    nan = math.nan
    point = Point("random", 300, 0.1, Measured(0.8, nan, nan, 1, 100), "race", "racing")
    answer = an_answer(
        points=(point,),
        small=Measured(0.9, nan, nan, 1, 100),
        loss=Measured(-0.01, nan, nan, 1, 100),
        random_needed=(nan, 800, nan),
        classes=(Class("a", 3, 1, nan, nan, nan), Class("b", 3, 1, 0.9, 0.8, nan)),
        cost={"race": 3.0, "pays_after": math.inf},
    )
    said = read(render(answer, pool))
    assert "nan" not in " ".join(said.values()).lower()
    assert "lost −1 points" in said[""] and "more than all [800, more than all]" in said[""]
    assert said["classes"].index("b 3 1") < said["classes"].index("a 3 1 – – – –")
    assert "pays" not in said["cost"]


def test_ten_thousand_classes_show_the_worst_thirty_and_stay_small(tmp_path):
    rng, names = np.random.default_rng(0), [f"class {i}" for i in range(10_000)]
    images = rng.integers(0, 256, (20_000, 3, 64, 64), dtype=np.uint8)
    labels = np.arange(20_000) % 10_000
    pool = make_pool(tmp_path, [f"{i}.png" for i in range(20_000)], labels, names, images=images)
    losses = rng.permutation(10_000) / 10_000
    classes = tuple(Class(n, 2, 1, 1.0, 1 - x, x) for n, x in zip(names, losses, strict=True))
    problems = tuple(
        Problem(kind, (i, i + 10_000), (f"{i}.png", f"{i + 10_000}.png"), (names[i], names[i]), "", i)
        for kind in ("near_duplicates", "exact_duplicates", "leak", "two_labels", "label_issue", "outlier", "new kind")
        for i in range(3_000)
    )
    page = render(an_answer(classes=classes, problems=problems), pool, np.arange(10_000))
    assert len(page.encode()) < 5_000_000
    said = read(page)["classes"]
    worst = [names[i] for i in np.argsort(-losses)[:31]]
    assert re.findall(r"class \d+", said) == worst[:30]
    assert "The 30 of 10,000 classes that lose most are listed" in said
    assert f'data-said="in the set: 1" role="group" aria-label="{worst[0]},' in page


def test_files_and_page_load_no_torch():
    script = "import sys; from decoct.shrinking.written import files, page, terminal; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"


def test_with_folds_the_set_is_marked_though_its_size_is_off_by_an_image(pool):
    answer = an_answer(images=601)
    assert "90.4 [88.9, 91.9] the set" in read(render(answer, pool))["sizes"]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_in_a_browser_the_page_is_silent_drawn_and_no_wider_than_the_screen(tmp_path, width, scheme):
    names = [SCRIPT, '"quo\'te" & <b>', "مرحبا", "</bdi></script>", "x" * 90]
    paths = [f"{name}/{i}.png" for i in range(16) for name in names]
    pool = make_pool(tmp_path / "pool", paths, np.arange(80) % 5, names, source=SCRIPT)
    classes = tuple(Class(name, 16, 8, 0.9, 0.8, 0.2) for name in names)
    points = tuple(replace(p, method=SCRIPT) if p.method == "ccs" else p for p in an_answer().points)
    answer = an_answer(
        said=(SCRIPT, *names), source=SCRIPT, learner=SCRIPT, classes=classes, points=points,
        problems=(*some_problems(pool), Problem(SCRIPT, (0,), (SCRIPT,), (SCRIPT,), SCRIPT)),
        files={SCRIPT: SCRIPT}, unfinished=SCRIPT, cost={SCRIPT: 1.0},
    )  # fmt: skip
    path, complaints = tmp_path / "report.html", []
    path.write_text(render(answer, pool, np.arange(40)), "utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        view.on("console", lambda message: complaints.append(message.text))
        view.on("pageerror", lambda error: complaints.append(str(error)))
        view.on("dialog", lambda dialog: complaints.append(dialog.message))
        view.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
        view.goto(path.as_uri())
        view.locator("#sizes figure").scroll_into_view_if_needed()
        view.locator("#sizes figure[aria-busy=false] .main-svg").first.wait_for()
        assert view.evaluate("document.documentElement.scrollWidth") == width
        assert view.locator("#sizes .scatterlayer .trace").count() == 8 + 1 + 1  # races, the test, the ring
        assert view.locator("#sizes [role=group][aria-label]").first.get_attribute("aria-label").startswith("Accuracy")
        assert view.locator("nav a").count() == 6
        assert view.locator("#classes tbody tr").count() == 5
        loaded = "all => all.every(image => image.complete && image.naturalWidth > 0 && image.alt)"
        assert view.locator("main img").evaluate_all(loaded)
        view.locator("#sizes .keys button").first.click()
        assert view.locator("#sizes .scatterlayer .trace").count() == 7 + 1 + 1
        assert view.locator("#sizes tbody tr:visible").count() == 7
        browser.close()
    assert complaints == []
