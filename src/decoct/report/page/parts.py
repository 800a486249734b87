"""Pieces that the page's sections are made of, and the page around them: no network, for screen, phone and paper."""

import base64
import gzip
import string
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Setting
from decoct.report.page import facets
from decoct.report.page.markup import Markup, columns, embed, join, table, tag
from decoct.report.page.plot import Figure, Panel
from decoct.report.stats.comparisons import Comparison, Word

SIGNS: dict[Word, str] = {
    "better": "▲",
    "worse": "▼",
    "same": "≈",
    "leans better": "△",
    "leans worse": "▽",
    "open": "?",
}


def section(key: str, title: str, *content: object) -> Markup:
    """A section of the page with its heading; empty content leaves it out."""
    return tag("section", tag("h2", title), *content, id=key) if any(content) else Markup()


def content(*parts: object) -> Markup:
    """The content of a section; empty parts leave no trace."""
    return join(part for part in parts if part)


def block(*content: object) -> Markup:
    """The content under one ``h3``, which the filter hides with the names in the heading."""
    return tag("div", *content, class_="block")


def fold(heading: object, *content: object, opened: bool = False) -> Markup:
    """Content that a click on its heading opens."""
    return tag("details", tag("summary", heading), *content, open="open" if opened else None)


def note(*content: object) -> Markup:
    """Small print."""
    return tag("p", *content, class_="note")


def bullets(sentences: Iterable[str]) -> Markup:
    """A list of sentences without their full stops; empty without sentences."""
    items = [tag("li", f"{sentence}.") for sentence in sentences]
    return tag("ul", *items) if items else Markup()


def chip(word: Word) -> Markup:
    """A verdict as sign and word, so that it never depends on colour alone."""
    return tag("span", tag("i", SIGNS[word]), f" {word}", class_=f"chip {word.replace(' ', '-')}")


def chart(figure: Figure | None, caption: object, wide: bool = False) -> Markup:
    """A figure that the page's script draws."""
    if figure is None:
        return Markup()
    holder = tag("div", class_="plot", style=f"height:{figure['layout']['height']}px")
    return tag("figure", tag("figcaption", caption), holder, embed(figure), class_="chart wide" if wide else "chart")


def title(panel: Panel) -> Markup:
    """Protocol and student of a panel."""
    return join([tag("b", facets.protocol(panel[0])), " · ", facets.student(panel[1])])


def place(setting: Setting) -> Markup:
    """Protocol, student and budget."""
    return join([title(setting.panel), " · ", facets.budget(setting.budget)])


def stacked(value: object, *small: object, sort: float | None = None) -> Markup:
    """A value over its details in small print; the page's script sorts the cell by ``sort``."""
    return tag("span", value, *(tag("small", s) for s in small if s), class_="number stacked", data_value=sort)


def panelled(
    panels: Sequence[tuple[object, Sequence[object]]],
    rows: Iterable[tuple[object, Sequence[object]]],
    last: Sequence[Sequence[Markup]] = (),
) -> Markup:
    """Methods down, columns across in panels.

    Args:
        panels: heading of each, and those of its columns.
        rows: the heading of each, and its cells.
        last: further rows, ready to show.
    """
    begins = ["first" if i == 0 else None for _, own in panels for i in range(len(own))]
    top = [tag("th"), *(tag("th", heading, colspan=len(own), scope="colgroup") for heading, own in panels)]
    heads = zip((head for _, own in panels for head in own), begins, strict=True)
    under = columns("method")[0] + [tag("th", head, scope="col", class_=begin) for head, begin in heads]
    body = [
        [tag("th", first, scope="row"), *(tag("td", cell, class_=b) for cell, b in zip(row, begins, strict=True))]
        for first, row in rows
    ]
    return table([top, under], [*body, *last], class_="grid")


def accuracy_cell(a: Accuracy | None) -> Markup:
    """Mean, interval and what n counts, one under the other."""
    if a is None:
        return Markup(wording.NONE)
    i = a.interval
    count = f"{i.n:,} test images" if i.by == "wilson" else f"n = {i.n}"
    return stacked(tag("b", wording.percent(i.mean)), wording.bounds(i.lo, i.hi), count, sort=i.mean)


def comparison_cell(c: Comparison | None) -> Markup:
    """The word of a comparison, over its difference."""
    if c is None or c.n == 0:
        return Markup(wording.NONE)
    return join([chip(c.verdict), difference(c)])


def difference(c: Comparison) -> Markup:
    """Points with their interval."""
    if c.n == 0:
        return Markup(wording.NONE)
    small = tag("small", wording.bounds(c.lo, c.hi) or "n = 1", " over sets alone" if c.n == 2 else "")
    return tag("span", wording.points(c.mean), " ", small, class_="number", data_value=c.mean)


def document(title: str, header: Markup, main: Markup, holes: Markup, filters: Markup, more: str = "") -> str:
    """A page of ready parts, self-contained: with the style and ``more`` of it, the script, the library that draws."""
    template, style = string.Template(_asset("page.html")), _asset("page.css") + _asset("card.css") + more
    # The page's own script has a scope of its own.
    own = "\n".join(_asset(f"script/{part}.js") for part in ("filters", "tables", "figures", "card", "doors", "page"))
    parts = {"header": header, "holes": holes, "filters": filters, "main": main, "style": style, "plotly": _plotly()}
    return template.substitute(parts, title=tag("title", title), script=f'"use strict";\n(() => {{\n{own}}})();')


def _asset(file: str) -> str:
    return files("decoct.report.page").joinpath(file).read_text("utf-8")


@cache
def _plotly() -> str:
    """The library that draws, so that the page needs no network: compressed, 0.5 MB."""
    return base64.b64encode(gzip.compress(_asset("plotly/plotly-basic.min.js").encode(), mtime=0)).decode()
