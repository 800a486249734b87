"""What a card is drawn with: text whose width is known, marks, lines and boxes, as elements of SVG."""

import re
from collections.abc import Sequence

from decoct.report.card import font
from decoct.report.page.markup import Markup, tag
from decoct.report.page.plot import SHAPES, Mark

INK, MUTED, LINE, PAPER, WARN = "#1b1e22", "#5c646e", "#dfe1df", "#ffffff", "#fdf1d8"  # a card is as light as paper
CELL = 12  # pixels that a mark's path is drawn in
# What XML allows, but for the marks that turn the direction of text and would turn what stands beside it.
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")


def clean(text: object) -> str:
    """The text in one line, without characters that XML forbids."""
    return " ".join(FORBIDDEN.sub("\ufffd", str(text)).split())


def text(x: float, y: float, said: str, size: float, *, bold: bool = False, fill: str = INK, at: str = "start", clear: bool = False) -> Markup:
    """One line of text; ``y`` is its baseline, and ``at`` says which end is at ``x``: start, middle or end.

    A ``clear`` one has a rim of paper, where lines run behind it.
    """
    look = {"font_weight": "bold" if bold else None, "text_anchor": None if at == "start" else at, "fill": fill}
    rim = {"stroke": PAPER, "stroke_width": 4, "stroke_linejoin": "round", "paint_order": "stroke"} if clear else {}
    return tag("text", clean(said), x=_n(x), y=_n(y), font_size=_n(size), **look, **rim)


def lines(
    x: float, y: float, said: Sequence[str], size: float, *, bold: bool = False, fill: str = INK
) -> tuple[list[Markup], float]:
    """Lines of text one under the other, and where the next baseline would be."""
    step = round(1.36 * size)
    drawn = [text(x, y + i * step, line, size, bold=bold, fill=fill) for i, line in enumerate(said)]
    return drawn, y + step * len(said)


def mark(x: float, y: float, of: Mark, size: float, said: str = "") -> Markup:
    """A method's mark around a place; ``said`` is shown by a browser on hover."""
    scale = size / CELL
    place = f"translate({_n(x - size / 2)} {_n(y - size / 2)}) scale({_n(scale)})"
    paint = {"fill": of.color if of.filled else PAPER, "stroke": of.color, "stroke_width": 1.8}
    return tag("path", tag("title", clean(said)) if said else "", d=SHAPES[of.shape], transform=place, **paint)


def line(x0: float, y0: float, x1: float, y1: float, stroke: str = LINE, width: float = 1, dash: str | None = None) -> Markup:
    """A straight line."""
    ends = {"x1": _n(x0), "y1": _n(y0), "x2": _n(x1), "y2": _n(y1)}
    return tag("line", **ends, stroke=stroke, stroke_width=_n(width), stroke_dasharray=dash)


def box(x: float, y: float, width: float, height: float, fill: str, opacity: float | None = None) -> Markup:
    """A filled rectangle."""
    size = {"width": _n(max(width, 0)), "height": _n(max(height, 0))}
    return tag("rect", x=_n(x), y=_n(y), **size, fill=fill, fill_opacity=opacity)


def wide(said: str, size: float, bold: bool = False) -> float:
    """Pixels that a line takes as it is drawn."""
    return font.width(clean(said), size, bold)


def fit(said: str, size: float, room: float, bold: bool = False) -> str:
    """The line as it is drawn, cut off where it has no more room."""
    return font.fitted(clean(said), size, room, bold)


def wrap(said: str, size: float, room: float, bold: bool = False, most: int = 99) -> list[str]:
    """Lines as they are drawn."""
    return font.wrapped(clean(said), size, room, bold, most)


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
