"""Panels of sets: tiles in a square, row by row; panels side by side under their names."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import decoct
from decoct.data.dataset import load_data
from decoct.study.run import run
from decoct.study.study import Study

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import sheet


@pytest.fixture(scope="module")
def made():
    data = load_data("digits")
    return decoct.condense("random", data, ipc=2), data


def test_a_panel_has_the_first_images_of_the_first_classes_row_by_row(made):
    chosen, data = made
    square = np.asarray(sheet.panel(chosen, data.train.images, 8, 2))
    tile = (sheet.PANEL + sheet.GAP) // 4 - sheet.GAP
    assert square.shape == (sheet.PANEL, sheet.PANEL, 3)
    pixels = chosen.materialise(data.train.images).pixels()
    for place, row in enumerate(int(i) for c in range(8) for i in np.flatnonzero(chosen.labels == c)[:2]):
        left, top = place % 4 * (tile + 1), place // 4 * (tile + 1)
        shown = square[top : top + tile, left : left + tile].mean()
        scale = 1 if pixels.dtype == np.uint8 else 255
        assert shown == pytest.approx((scale * pixels[row]).mean(), abs=3)
    assert (square[:, tile] == 255).all(), "a line of white parts two tiles"


def test_a_sheet_has_four_panels_a_row(made):
    square = sheet.panel(made[0], made[1].train.images, 8, 2)
    whole = sheet.sheet(dict.fromkeys("abcde", square))
    assert whole.size == (4 * sheet.WIDTH - 10, 2 * sheet.HEIGHT)
    left, top = 0, sheet.HEIGHT + sheet.TITLE
    assert whole.crop((left, top, left + sheet.PANEL, top + sheet.PANEL)).tobytes() == square.tobytes()


def test_a_sheet_of_a_run_has_the_first_set_of_each_method(tmp_path, monkeypatch):
    study = {"name": "small", "data": "digits", "condensers": ["random", "herding"], "budgets": [{"ipc": 2}]}
    rest = {"students": ["convnet2_w8"], "protocols": [{"name": "erm", "steps": 2}], "ceiling": False}
    run(Study.from_dict(study | rest | {"metrics": {"names": []}}), tmp_path / "run", workers=1)
    monkeypatch.setattr(sys, "argv", ["sheet", str(tmp_path / "run"), str(tmp_path / "sheet.png")])
    sheet.main()
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.size == (4 * sheet.WIDTH - 10, sheet.HEIGHT)
        second = np.asarray(image)[sheet.TITLE : sheet.TITLE + sheet.PANEL, sheet.WIDTH :][:, : sheet.PANEL]
    assert second.std() > 10, "the second panel is not empty"
