"""A card as a file of either kind, in place of no other file."""

import io

import numpy as np
import pytest
from PIL import Image

from decoct.core.errors import UsageError
from decoct.report.card.svg import WIDTH, draw
from decoct.report.card.write import png, write_card


def test_a_png_is_twice_the_drawing_and_shows_what_is_in_it(told, tmp_path):
    summary, made = told("usual")
    write_card(summary, tmp_path / "new" / "card.PNG")
    drawn = draw(made)
    height = int(drawn.split('viewBox="0 0 1200 ')[1].split('"')[0])
    with Image.open(tmp_path / "new" / "card.PNG") as picture:
        assert picture.size == (2 * WIDTH, 2 * height) and picture.info["Comment"] == "decoct card"
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert (pixels[:40] == 255).all() and (pixels[:, :40] == 255).all()  # margins
    for mark in made.marks.values():
        color = [int(mark.color[i : i + 2], 16) for i in (1, 3, 5)]
        assert (abs(pixels - color).sum(-1) == 0).sum() > 500, mark
    assert (pixels.sum(-1) < 120).mean() > 0.005  # letters


def test_an_svg_is_the_drawing(told, tmp_path):
    summary, made = told("hostile")
    write_card(summary, tmp_path / "card.svg")
    assert (tmp_path / "card.svg").read_text("utf-8") == draw(made)
    assert [path.name for path in tmp_path.iterdir()] == ["card.svg"]


def test_letters_of_other_alphabets_are_drawn_too(told):
    with Image.open(io.BytesIO(png(draw(told("hostile")[1])))) as picture:
        assert picture.width == 2 * WIDTH


def test_a_card_replaces_a_card_and_nothing_else(told, tmp_path):
    summary, _ = told("lonely")
    for name in ("card.png", "card.svg"):
        write_card(summary, tmp_path / name)
        write_card(summary, tmp_path / name)
        (tmp_path / f"my_{name}").write_bytes(b"mine")
        with pytest.raises(UsageError, match="not a card that decoct wrote"):
            write_card(summary, tmp_path / f"my_{name}")
        assert (tmp_path / f"my_{name}").read_bytes() == b"mine"
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UsageError, match="not a card"):
        write_card(summary, tmp_path / "folder.png")
    with pytest.raises(UsageError, match="name it card"):
        write_card(summary, tmp_path / "card.jpg")
