"""A sheet of sets by a few coresets and decoupled methods from real colour pictures, for docs/results.

    python examples/clipart.py runs/openclipart
    python benchmarks/gallery.py runs/openclipart docs/results/gallery.png

Debian's clip art at 64 px, two images per class, the presets for two cores with narrow ConvNets as teachers. The pages
of the methods show their panels of the sheet.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

import decoct
from decoct.core.condensed import Condensed, picture
from decoct.core.spec import find
from decoct.data.dataset import load_data

TEACHER, COMMITTEE = "convnet4_bn_w32", ("convnet4_bn_w32", "convnet3_bn_w32", "convnet4_bn_w16")
SEVERAL = ("g_vbsm", "edc", "cv_dd", "fadrm")  # whose paper has several nets
METHODS = (
    *("random", "herding", "k_center", "rded"),
    *("sre2l", "cda", "g_vbsm", "edc"),
    *("cv_dd", "fadrm", "delt", "cim"),
)
IPC, TILES, SIDE, GAP, TITLE, COLUMNS = 2, 4, 72, 1, 20, 4
PANEL = TILES * (SIDE + GAP) - GAP


def fields(name: str) -> dict[str, Any]:
    """The preset for two cores, with nets that know 64 px."""
    spec = find("condenser", name)
    known = set(spec.model_fields)
    made: dict[str, Any] = {"preset": "small_cpu"} if "preset" in known else {}
    made |= {"nets": COMMITTEE if name in SEVERAL else (TEACHER,)} if "nets" in known else {}
    return made | dict.fromkeys(known & {"teacher", "extractor", "ranker"}, TEACHER)


def panel(made: Condensed, train: Any) -> Image.Image:
    """Two images of each of the first eight classes."""
    pixels = made.materialise(train).pixels()
    rows = [int(row) for c in range(TILES * TILES // IPC) for row in np.flatnonzero(made.labels == c)[:IPC]]
    sheet = Image.new("RGB", (PANEL, PANEL), "white")
    for place, row in enumerate(rows):
        image = pixels[row] if pixels.dtype == np.uint8 else np.clip(np.rint(pixels[row] * 255), 0, 255)
        tile = picture(image.astype(np.uint8)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        sheet.paste(tile, ((place % TILES) * (SIDE + GAP), (place // TILES) * (SIDE + GAP)))
    return sheet


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path, help="what examples/clipart.py made")
    arguments.add_argument("out", type=Path, help="the sheet")
    asked = arguments.parse_args()
    data = load_data({"name": "folder", "path": str(asked.data), "size": 64, "skip_corrupt": True})
    width, height = PANEL + 10, PANEL + TITLE + 3
    sheet = Image.new("RGB", (COLUMNS * width - 10, -(-len(METHODS) // COLUMNS) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for place, name in enumerate(METHODS):
        start = time.perf_counter()
        made = decoct.condense(name, data, ipc=IPC, **fields(name))
        left, top = (place % COLUMNS) * width, (place // COLUMNS) * height
        draw.text((left, top + 4), name, fill="black")
        sheet.paste(panel(made, data.train.images), (left, top + TITLE))
        print(f"{name:9} {time.perf_counter() - start:6.1f} s", flush=True)
        sheet.save(asked.out)


if __name__ == "__main__":
    main()
