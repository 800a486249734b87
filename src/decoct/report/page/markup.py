"""HTML that escapes by default: everything that is not ``Markup`` is text."""

import html
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

VOID = {"img", "br", "meta", "hr"}


class Markup(str):
    """A string that is HTML already."""


def text(value: object) -> Markup:
    """The value as HTML text."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def tag(element: str, *children: object, **attributes: object) -> Markup:
    """An element; children that are not ``Markup`` are escaped, as attributes always are.

    A trailing underscore is dropped from an attribute's name and others become hyphens: ``class_``, ``data_method``.
    An attribute that is None or False is left out.
    """
    pairs = [(k.rstrip("_").replace("_", "-"), v) for k, v in attributes.items() if v is not None and v is not False]
    opening = "".join(f' {k}="{html.escape(str(v))}"' for k, v in pairs)
    if element in VOID:
        return Markup(f"<{element}{opening}>")
    return Markup(f"<{element}{opening}>{''.join(map(text, children))}</{element}>")


def join(parts: Iterable[object], separator: str = "") -> Markup:
    """The parts one after another, escaped where they are not ``Markup``."""
    return Markup(text(separator).join(map(text, parts)))


def name(value: object) -> Markup:
    """A name from the user or the data, isolated so that right-to-left text cannot reorder its surroundings."""
    return tag("bdi", value)


def valued(value: float | None, *children: object) -> Markup:
    """A number in words, with the number itself for the page's script to sort by."""
    known = value is not None and math.isfinite(value)
    return tag("span", *children, data_value=f"{value:.9g}" if known else "")


def table(head: Sequence[Sequence[Markup]], body: Iterable[Sequence[Markup]], class_: str = "") -> Markup:
    """A table of ready ``th`` and ``td`` elements that scrolls sideways where it is too wide."""
    rows = tag("thead", *(tag("tr", *row) for row in head)), tag("tbody", *(tag("tr", *row) for row in body))
    return tag("div", tag("table", *rows, class_=class_ or None), class_="scroll", tabindex=0)


def columns(*names: object) -> list[list[Markup]]:
    """One header row; the first column's header is left-aligned by the style sheet."""
    return [[tag("th", column, scope="col") for column in names]]


def cells(first: object, *rest: object) -> list[Markup]:
    """One body row: a header cell, then data cells."""
    return [tag("th", first, scope="row"), *(tag("td", value) for value in rest)]


def embed(value: Any) -> Markup:
    """JSON for a ``script`` element of type ``application/json``; nothing in it can close the element."""
    raw = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        raw = raw.replace(character, f"\\u{ord(character):04x}")
    return Markup(f'<script type="application/json">{raw}</script>')
