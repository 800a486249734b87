"""Text is measured as it is drawn."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from decoct.report.card import font, ink
from decoct.report.card.write import png

NAMES = st.text(st.characters(codec="latin-1", exclude_categories=("C", "Z")), min_size=1, max_size=60)


def ends(said, size, bold):
    """The first and the last column in which a line of text leaves ink, drawn at 100."""
    drawn = ink.text(100, 60, said, size, bold=bold)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="90" font-family="{font.FAMILY}">{drawn}</svg>'
    with Image.open(io.BytesIO(png(svg))) as picture:
        columns = np.flatnonzero(np.asarray(picture)[..., 3].any(0))
    return columns[0] / 2, columns[-1] / 2


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize(
    "said", ["Hamburgefonstiv", "IPC 10", "k_center_80 % [79.6, 83.1]", "Größe ±0,5 − Łódź", "αβγ→∞"]
)
def test_a_line_is_as_wide_as_it_is_measured(said, bold):
    without, inside = (last - first for first, last in (ends(text, 20, bold) for text in ("||", f"|{said}|")))
    assert inside - without == pytest.approx(font.width(said, 20, bold), abs=0.75)  # columns are half a pixel


@given(NAMES, st.floats(8, 50), st.floats(20, 600), st.integers(0, 6))
def test_what_is_fitted_fits_and_keeps_its_ends(text, size, room, tail):
    cut = font.fitted(text, size, room, tail=tail)
    assert font.width(cut, size) <= max(room, font.width("…" + text[-tail:] * (tail > 0), size))
    if cut != text:
        assert any(text.startswith(cut[:at]) and text.endswith(cut[at + 1 :]) for at, c in enumerate(cut) if c == "…")


@given(st.lists(NAMES, max_size=8), st.floats(60, 400))
def test_wrapped_lines_hold_all_words_and_fit(words, room):
    text = " ".join(words)
    lines = font.wrapped(text, 14, room)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(font.width(line, 14) <= room for line in lines)
    few = font.wrapped(text, 14, room, most=2)
    assert len(few) <= 2 and all(font.width(line, 14) <= room for line in few)


def test_letters_that_the_font_lacks_are_known_and_wide():
    assert all(map(font.has, "aÄőŁαΩ▲●≈±†–—−×·… "))
    assert not any(map(font.has, "中م☃"))
    assert font.width("中中", 10) == 20
    assert font.width("\u2068ab\u2069", 10) == font.width("ab", 10)


@given(st.text(max_size=40))
def test_what_is_drawn_is_xml_whatever_it_says(said):
    from xml.etree import ElementTree

    read = ElementTree.fromstring(ink.text(0, 0, said, 12))
    assert (read.text or "") == ink.clean(said)
