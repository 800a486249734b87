"""What a card is drawn with: text whose width is known, marks, lines and boxes, as elements of SVG."""

import re
from collections.abc import Sequence

from decoct.report.card import font
from decoct.report.page.markup import Markup, tag
from decoct.report.page.plot import SHAPES, Mark

INK, MUTED, LINE, PAPER, WARN = "#1b1e22", "#5c646e", "#dfe1df", "#ffffff", "#fdf4e0"  # a card is as light as paper
CELL = 12  # pixels that a mark's path is drawn in
# What XML allows, but for the marks that turn the direction of text and would turn what stands beside it.
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")


def clean(text: object) -> str:
    """The text in one line, without characters that XML forbids."""
    return " ".join(FORBIDDEN.sub("\ufffd", str(text)).split())


def text(
    x: float, y: float, said: str, size: float, *, bold: bool = False, fill: str = INK, at: str = "start"
) -> Markup:
    """One line of text; ``y`` is its baseline, and ``at`` says which end is at ``x``: start, middle or end."""
    look = {"font_weight": "bold" if bold else None, "text_anchor": None if at == "start" else at, "fill": fill}
    return tag("text", clean(said), x=_n(x), y=_n(y), font_size=_n(size), **look)


def lines(
    x: float, y: float, said: Sequence[str], size: float, *, bold: bool = False, fill: str = INK
) -> tuple[list[Markup], float]:
    """Lines of text one under the other, and where the next baseline would be."""
    step = round(1.36 * size)
    drawn = [text(x, y + i * step, line, size, bold=bold, fill=fill) for i, line in enumerate(said)]
    return drawn, y + step * len(said)


def mark(x: float, y: float, of: Mark, size: float) -> Markup:
    """A method's mark around a place."""
    return tag("path", d=SHAPES[of.shape], transform=_placed(x, y, size), **_paint(of))


def stamp(id_: str, of: Mark) -> Markup:
    """A mark that is used over and over, as wide and high as its cell."""
    return tag("path", d=SHAPES[of.shape], id=id_, **_paint(of))


def stamped(id_: str, x: float, y: float, size: float, said: str) -> Markup:
    """A mark that was defined before; ``said`` is shown by a browser on hover."""
    return tag("use", tag("title", clean(said)) if said else "", href=f"#{id_}", transform=_placed(x, y, size))


def bars(spans: Sequence[tuple[float, float, float]], of: Mark) -> Markup:
    """Upright lines: where they stand, and from where to where they go."""
    path = "".join(f"M{_n(x)} {_n(y0)}V{_n(y1)}" for x, y0, y1 in spans)
    return tag("path", d=path, stroke=of.color, stroke_width=1.8) if spans else Markup()


def _placed(x: float, y: float, size: float) -> str:
    return f"translate({_n(x - size / 2)} {_n(y - size / 2)}) scale({_n(size / CELL)})"


def _paint(of: Mark) -> dict[str, object]:
    return {"fill": of.color if of.filled else PAPER, "stroke": of.color, "stroke_width": 1.8}


def line(
    x0: float, y0: float, x1: float, y1: float, stroke: str = LINE, width: float = 1, dash: str | None = None
) -> Markup:
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


def fit(said: str, size: float, room: float, bold: bool = False, tail: int = 0) -> str:
    """The line as it is drawn, cut where it has no more room, before its last ``tail`` letters."""
    return font.fitted(clean(said), size, room, bold, tail)


def wrap(said: str, size: float, room: float, bold: bool = False, most: int = 99) -> list[str]:
    """Lines as they are drawn."""
    return font.wrapped(clean(said), size, room, bold, most)


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
