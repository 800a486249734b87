"""How long a reader waits for a large page: 1,000 classes, ten methods, about 20 MB, in a real browser.

python benchmarks/page.py --runs 5
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
from playwright.sync_api import Browser, sync_playwright

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
    tab.locator("#accuracy figure").first.scroll_into_view_if_needed()
    tab.locator("#accuracy figure[aria-busy=false]").first.wait_for()
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


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=5)
    options = arguments.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("this benchmark needs chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = page(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
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
