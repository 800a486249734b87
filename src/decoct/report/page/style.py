"""Colour and shape of a method: Okabe-Ito, and never colour alone; distilled sets alone are filled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from decoct.report.page.markup import Markup, tag
from decoct.report.read.manifest import REFERENCE

# Okabe and Ito, 2008: told apart with every common colour-vision deficiency; yellow last, it is faint on white.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442")
GREY = "#8A9099"
SHAPES = {
    "circle": "M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9z",
    "square": "M2 2h8v8h-8z",
    "diamond": "M6 .8L11.2 6L6 11.2L.8 6z",
    "triangle-up": "M6 1.2L11 10H1z",
    "triangle-down": "M6 10.8L1 2H11z",
}


@dataclass(frozen=True)
class Mark:
    """How a method is drawn.

    Attributes:
        color: as ``#rrggbb``.
        shape: a plotly marker symbol.
        filled: distilled sets are, coresets and controls are not.
    """

    color: str
    shape: str
    filled: bool

    @property
    def symbol(self) -> str:
        """The name that plotly gives the symbol."""
        return self.shape if self.filled else f"{self.shape}-open"

    @property
    def marker(self) -> dict[str, Any]:
        """The symbol for plotly."""
        return {"color": self.color, "symbol": self.symbol, "size": 9, "line": {"width": 2, "color": self.color}}

    def svg(self) -> Markup:
        """The symbol as a small inline picture."""
        paint = {"fill": self.color if self.filled else "none", "stroke": self.color, "stroke_width": 1.6}
        return tag(
            "svg", tag("path", d=SHAPES[self.shape], **paint), viewBox="0 0 12 12", class_="mark", aria_hidden="true"
        )


def marks(families: Mapping[str, str]) -> dict[str, Mark]:
    """A mark for every method; after the colours have gone round, the shapes change."""
    by_method, shapes = {REFERENCE: Mark(GREY, "circle", False)}, tuple(SHAPES)
    others = [label for label in families if label != REFERENCE]
    for i, label in enumerate(others):
        shape = shapes[(i + i // len(OKABE_ITO)) % len(shapes)]
        by_method[label] = Mark(OKABE_ITO[i % len(OKABE_ITO)], shape, families[label] == "distillation")
    return by_method
