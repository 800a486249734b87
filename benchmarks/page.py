"""How long a reader waits for a large page (1,000 classes, ten methods), or how much a page gives to read.

python benchmarks/page.py --runs 5
python benchmarks/page.py --read runs/demo/report.html
"""

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from decoct.report.write import write_report
from yardstick import table

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests know how to write a run by hand
from tests.report.conftest import Builder

CLASSES = 1000
METHODS = {f"method {i}": ("coreset" if i < 5 else "distillation", i % 2 == 0) for i in range(9)}
SIDE = 54  # pixels of a picture: noise, which no format makes smaller
MEASURES = {"first paint": 2.0, "first contentful paint": 2.0, "first figure drawn": 5.0, "a method filtered out": 1.0}


class Large(Builder):
    """A run whose pictures weigh what real ones do."""

    def _grid(self, rows: int, columns: int) -> bytes:
        pixels = self.rng.integers(0, 255, (rows * SIDE, 10 * SIDE), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "png")
        return buffer.getvalue()


def page(folder: Path) -> Path:
    """The page of such a run."""
    builder = Large(folder / "run", maps=True, replicates=3, protocols=("erm", "single_teacher"), test_images=50_000)
    builder.methods = {"random": ("coreset", True), **METHODS}
    builder.truth = {label: 0.4 + 0.01 * i for i, label in enumerate(builder.methods)}
    builder.budgets = ("ipc=1", "ipc=10", "ipc=50")
    builder.class_names = tuple(f"class {i}" for i in range(CLASSES))
    builder.skew = lambda method, c: 0.0005 * (c % 401 - 200)
    return write_report(builder.build()).page


def visit(browser: Browser, path: Path) -> dict[str, float]:
    """Seconds from the start of the navigation, by the browser's own clock."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.goto(path.as_uri(), wait_until="load")
    found = tab.evaluate("performance.getEntriesByType('paint').map(e => [e.name, e.startTime])")
    seconds = {name.replace("-", " "): at / 1000 for name, at in found}
    tab.locator("#card figure[aria-busy=false]").first.wait_for()
    seconds["first figure drawn"] = tab.evaluate("performance.now()") / 1000
    seconds["a method filtered out"] = tab.evaluate(
        """() => new Promise((done) => {
            const start = performance.now();
            document.querySelector("button[data-facet=method]").click();
            requestAnimationFrame(() => setTimeout(() => done((performance.now() - start) / 1000)));
        })"""
    )
    tab.close()
    return seconds


def read(browser: Browser, path: Path) -> list[list[str]]:
    """Words and screens before a door is opened, at two widths, and words behind each door as it opens."""
    rows = [["bytes", f"{path.stat().st_size:,}", "≤ 2,000,000"]]
    for width, height, screens in ((1400, 1000, 6), (390, 844, 10)):
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.goto(path.as_uri(), wait_until="load")
        tab.locator("#card figure[aria-busy=false]").first.wait_for()
        tall, wide = tab.evaluate("[document.documentElement.scrollHeight, document.documentElement.scrollWidth]")
        rows.append([f"screens at {width} × {height}, doors closed", f"{tall / height:.1f}", f"≤ {screens}"])
        rows.append([f"pixels that {width} px scroll sideways", str(wide - width), "0"])
        if width == 1400:
            rows.append(["words, doors closed", str(_words(tab)), "≤ 900"])
            for door in tab.locator("details.door").all():
                before, key = _words(tab), door.get_attribute("id")
                door.locator("> summary").press("Enter")
                rows.append([f"words that the door '{key}' adds", str(_words(tab) - before), "–"])
        tab.close()
    return rows


def _words(tab: Page) -> int:
    return int(tab.evaluate("document.body.innerText.split(/\\s+/).filter(Boolean).length"))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--read", type=Path, metavar="PAGE", help="only count what this page gives to read")
    options = arguments.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("this benchmark needs chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        if options.read:
            print(table(["what a reader meets", "", "target"], read(browser, options.read.resolve())))
            return
        path = page(Path(folder))
        seen = [visit(browser, path) for _ in range(options.runs)]
        version, size = browser.version, path.stat().st_size
        browser.close()
    rows = []
    for name, target in MEASURES.items():
        values = [each[name] for each in seen]
        rows.append([name, f"{median(values):.2f}", f"{max(values):.2f}", f"< {target:g}"])
    print(f"A page of {size / 1e6:.1f} MB with {CLASSES:,} classes in Chromium {version}; {options.runs} visits.\n")
    print(table(["until", "median, s", "slowest, s", "target, s"], rows))


if __name__ == "__main__":
    main()
