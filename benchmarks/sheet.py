"""A sheet with a set of each method of a run, for docs/results; the pages of the methods show their panels of it.

python benchmarks/sheet.py runs/matching docs/results/matching_sets.png
"""

import argparse
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from decoct.core.condensed import Condensed, picture
from decoct.data.dataset import load_data
from decoct.report.read.manifest import Manifest

PANEL, GAP, TITLE, COLUMNS = 291, 1, 20, 4
WIDTH, HEIGHT = PANEL + 10, PANEL + TITLE + 3


def panel(made: Condensed, train: Any, classes: int, each: int) -> Image.Image:
    """So many images of each of the first classes, row by row in a square; what learnt pixels have outside black and
    white is cut off."""
    pixels = made.materialise(train).pixels()
    rows = [int(row) for c in range(classes) for row in np.flatnonzero(made.labels == c)[:each]]
    tiles = isqrt(classes * each - 1) + 1
    step = (PANEL + GAP) // tiles
    square = Image.new("RGB", (PANEL, PANEL), "white")
    for place, row in enumerate(rows):
        image = pixels[row] if pixels.dtype == np.uint8 else np.clip(np.rint(pixels[row] * 255), 0, 255)
        tile = picture(image.astype(np.uint8)).convert("RGB")
        tile = tile.resize((step - GAP, step - GAP), Image.Resampling.LANCZOS)
        square.paste(tile, (place % tiles * step, place // tiles * step))
    return square


def sheet(panels: dict[str, Image.Image]) -> Image.Image:
    """Panels with their names above, in rows."""
    whole = Image.new("RGB", (COLUMNS * WIDTH - 10, -(-len(panels) // COLUMNS) * HEIGHT), "white")
    draw = ImageDraw.Draw(whole)
    for place, (name, square) in enumerate(panels.items()):
        left, top = place % COLUMNS * WIDTH, place // COLUMNS * HEIGHT
        draw.text((left, top + 4), name, fill="black")
        whole.paste(square, (left, top + TITLE))
    return whole


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path, help="of a study of one budget")
    arguments.add_argument("out", type=Path, help="the sheet")
    arguments.add_argument("--classes", type=int, default=10)
    arguments.add_argument("--each", type=int, default=10, help="images of a class")
    asked = arguments.parse_args()
    manifest = Manifest.read(asked.run)
    data = load_data(manifest.study["data"])
    panels: dict[str, Image.Image] = {}
    for job in manifest.finished("condense"):
        if job.labels["condense_replicate"] == 0:
            made = Condensed.load(manifest.cell(job))
            panels[str(job.labels["method"])] = panel(made, data.train.images, asked.classes, asked.each)
    sheet(panels).save(asked.out)


if __name__ == "__main__":
    main()
