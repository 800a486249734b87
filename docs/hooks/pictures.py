"""One method's pictures, cut out of a sheet in docs/results."""

import io
from pathlib import Path

from PIL import Image

RESULTS = Path(__file__).parents[1] / "results"
TEN, CLIP = "Ten images per class", "Two images of each of eight classes of clip art, 64 px"
# method → sheet, what it shows, (column, row) among the panels of a sheet (benchmarks/sheet.py)
CUTS = {
    "random": ("gallery", CLIP, (0, 0)),
    "herding": ("gallery", CLIP, (1, 0)),
    "k_center": ("gallery", CLIP, (2, 0)),
    "rded": ("gallery", CLIP, (3, 0)),
    "sre2l": ("gallery", CLIP, (0, 1)),
    "cda": ("gallery", CLIP, (1, 1)),
    "g_vbsm": ("gallery", CLIP, (2, 1)),
    "edc": ("gallery", CLIP, (3, 1)),
    "cv_dd": ("gallery", CLIP, (0, 2)),
    "fadrm": ("gallery", CLIP, (1, 2)),
    "delt": ("gallery", CLIP, (2, 2)),
    "cim": ("gallery", CLIP, (3, 2)),
    "mgd3": ("generative_sets", TEN, (2, 0)),
    "d4m_class": ("generative_sets", TEN, (0, 1)),
    "minimax": ("generative_sets", TEN, (1, 1)),
    "igd": ("generative_sets", TEN, (2, 1)),
    "dm": ("matching_sets", f"{TEN}, after 300 updates", (2, 0)),
    "dc": ("matching_sets", f"{TEN}, from real images, after 20 updates", (3, 0)),
    "dsa": ("matching_sets", f"{TEN}, after 20 updates", (0, 1)),
    "mtt": ("matching_sets", f"{TEN}, after 30 iterations", (1, 1)),
    "datm": ("matching_sets", f"{TEN}, after 30 iterations", (2, 1)),
}
WIDTH, HEIGHT, TITLE = 301, 314, 20


def cut(name: str) -> bytes:
    """The panel of a method as PNG, without its title."""
    sheet, _, (column, row) = CUTS[name]
    with Image.open(RESULTS / f"{sheet}.png") as image:
        left, top = column * WIDTH, row * HEIGHT + TITLE
        panel = image.crop((left, top, min(left + 291, image.width), min(top + 291, image.height)))
        out = io.BytesIO()
        panel.save(out, "PNG")
    return out.getvalue()
