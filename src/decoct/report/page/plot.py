"""Parts that figures share: a method's mark, dots with intervals, axes, the ceiling; as plotly data and layout.

Marks take Okabe and Ito's colours, and a shape as well; only distilled sets are filled.

The page's script adds the colours of the theme and draws them.
"""

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.page.markup import Markup, tag
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats.intervals import Interval

Figure = dict[str, Any]
Panel = tuple[str, str]  # protocol, student
Place = tuple[float, dict[str, str]]  # on an axis, and what stands there, by facet
HOVER = {"hovertemplate": "%{customdata}<extra></extra>"}
ROW = 24  # pixels
# Okabe and Ito, 2008: distinguishable with every common colour-vision deficiency; yellow last, it is faint on white.
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
    def marker(self) -> dict[str, Any]:
        """The symbol for plotly."""
        symbol = self.shape if self.filled else f"{self.shape}-open"
        return {"color": self.color, "symbol": symbol, "size": 9, "line": {"width": 2, "color": self.color}}

    def svg(self) -> Markup:
        """The symbol as a small inline picture."""
        paint = {"fill": self.color if self.filled else "none", "stroke": self.color, "stroke_width": 1.6}
        return tag(
            "svg", tag("path", d=SHAPES[self.shape], **paint), viewBox="0 0 12 12", class_="mark", aria_hidden="true"
        )


def marks(families: Mapping[str, str]) -> dict[str, Mark]:
    """A mark for every method; when the colours run out, the shapes change."""
    by_method, shapes = {REFERENCE: Mark(GREY, "circle", False)}, tuple(SHAPES)
    others = [label for label in families if label != REFERENCE]
    for i, label in enumerate(others):
        shape = shapes[(i + i // len(OKABE_ITO)) % len(shapes)]
        by_method[label] = Mark(OKABE_ITO[i % len(OKABE_ITO)], shape, families[label] == "distillation")
    return by_method


def label(name: object) -> str:
    """A name for plotly, which reads some HTML in labels, and formulas between dollars.

    Directional isolates keep right-to-left names in place.
    """
    return f"\u2068{html.escape(str(name), quote=False).replace('$', '&#36;')}\u2069"


def trace(
    mode: str,
    name: object,
    x: Sequence[float],
    y: Sequence[float | None],
    of: Mapping[str, Any],
    said: Sequence[str] | None = None,
    **look: Any,
) -> Figure:
    """Marks or lines; the page's filter hides them by what they are ``of``, and ``said`` is shown on hover."""
    hover = {} if said is None else {"customdata": said, **HOVER}
    return {"type": "scatter", "mode": mode, "name": label(name), "meta": of, "x": x, "y": y, **hover, **look}


def dots(
    mark: Mark, method: str, x: list[float], accuracies: Sequence[Accuracy], extra: Sequence[str] | None = None
) -> Figure:
    """A method's accuracies with their intervals; ``extra`` gives details on hover."""
    budgets, y = [a.setting.budget for a in accuracies], [100 * a.interval.mean for a in accuracies]
    notes = extra or list(map(wording.budget, budgets))
    hover = [f"<b>{label(method)}</b> · {label(n)}<br>{said(a)}" for a, n in zip(accuracies, notes, strict=True)]
    of, spread = {"method": method, "budget": budgets}, bars(mark.color, (a.interval for a in accuracies))
    return trace("markers", method, x, y, of, hover, marker=mark.marker, error_y=spread)


def joined(dots: Figure, order: Sequence[str], dash: str = "solid") -> Figure:
    """The dots of a method joined by a line from budget to budget; a larger mark is a larger budget."""
    sizes = [7 + 4 * order.index(budget) / max(len(order) - 1, 1) for budget in dots["meta"]["budget"]]
    line = {"width": 1, "color": dots["marker"]["color"], "dash": dash}
    return dots | {"mode": "lines+markers", "line": line, "marker": dots["marker"] | {"size": sizes}}


def said(a: Accuracy) -> str:
    """An accuracy and the work behind it, for the hover."""
    students = f", {a.students} students" if a.students != a.interval.n else ""
    work = f"{a.steps:,} steps, {a.images_seen:,} images seen"
    return f"{wording.accuracy(a.interval)} %, n = {a.interval.n}{students}<br>{work}"


def bars(color: str, intervals: Iterable[Interval]) -> Figure:
    """Error bars in percent; none where an interval is not defined."""
    spans = [(i.hi - i.mean, i.mean - i.lo) if math.isfinite(i.lo) else (0.0, 0.0) for i in intervals]
    up, down = [100 * hi for hi, _ in spans], [100 * lo for _, lo in spans]
    bar = {"type": "data", "symmetric": False, "thickness": 1.6, "width": 0, "color": color}
    return bar | {"array": up, "arrayminus": down}


def accuracy_axis(accuracies: Sequence[Accuracy]) -> Figure:
    """One range for all panels, so that heights can be compared across them."""
    means = [a.interval.mean for a in accuracies]
    ends = [x for a in accuracies for x in (a.interval.lo, a.interval.hi) if math.isfinite(x)]
    low, high = 100 * min(means + ends, default=0), 100 * max(means + ends, default=1)
    pad = max(0.06 * (high - low), 1)
    return axis((max(low - pad, -2), min(high + pad, 102)), ticksuffix=" %", zeroline=False, automargin=True)


def with_ceiling(layout: Figure, ceiling: Accuracy | None, whose: str = "") -> Figure:
    """The layout with the full data's accuracy as a line and its interval as a band."""
    if ceiling:
        i = ceiling.interval
        y, ends = 100 * i.mean, (100 * i.lo, 100 * i.hi)
        across = {"xref": "paper", "x0": 0, "x1": 1, "yref": "y"}
        band = {"type": "rect", **across, "y0": ends[0], "y1": ends[1], "name": "band"}
        layout.setdefault("shapes", []).extend([band, {"type": "line", **across, "y0": y, "y1": y, "name": "ceiling"}])
        spot = {"xref": "paper", "x": 1, "xanchor": "right", "y": ends[1], "yanchor": "bottom", "showarrow": False}
        note = {**spot, "text": f"full data{whose} {wording.percent(i.mean)}", "name": "note"}
        layout.setdefault("annotations", []).append(note)
    return layout


def slots(layout: Figure, axis: str, places: Iterable[Place], height: int = 0) -> Figure:
    """The layout with places on an axis that close up when what stands there is filtered out.

    Args:
        layout: to add to.
        axis: "x" or "y".
        places: where each stands, one apart, and what it is of.
        height: of each, in pixels, where they stand one above the other.
    """
    return layout | {"meta": {"axis": axis, "slots": [{"at": at, **of} for at, of in places], "height": height}}


def rows(xaxis: Figure, named: Sequence[tuple[str, str, dict[str, str]]]) -> tuple[Figure, list[float]]:
    """A figure of rows, budget by budget, each under a heading.

    Args:
        xaxis: that they share.
        named: budget and name of each row, and what it is of beside the budget.

    Returns:
        the layout, and where the rows stand.
    """
    heads, places, ticks = list[Place](), list[Place](), list[tuple[float, str]]()
    for budget, name, of in named:
        if not heads or heads[-1][1]["budget"] != budget:
            heads.append((float(len(places)), {"budget": budget}))
            places.append(heads[-1])
        ticks.append((float(len(places)), label(name)))
        places.append((ticks[-1][0], {**of, "budget": budget}))
    y = len(places)
    made = layout(ROW * y + 70, xaxis, axis((y - 0.3, -0.7), ticks, showgrid=False, zeroline=False, automargin=True))
    spot = {"xref": "paper", "x": 0, "xanchor": "left", "showarrow": False, "name": "head"}
    words = [(place, label(wording.budget(of["budget"]))) for place, of in heads]
    made["annotations"] = [{**spot, "y": place, "text": f"<b>{text}</b>"} for place, text in words]
    return slots(made, "y", places, ROW), [place for place, _ in ticks]


def axis(span: Sequence[float], ticks: Sequence[tuple[float, str]] = (), title: str = "", **more: Any) -> Figure:
    """An axis over a range, with words where its ticks are."""
    words = {"tickvals": [at for at, _ in ticks], "ticktext": [text for _, text in ticks]} if ticks else {}
    return {"range": list(span), **words, **({"title": {"text": title}} if title else {}), **more}


def layout(height: int, xaxis: Figure, yaxis: Figure) -> Figure:
    """The look of every figure."""
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 22, "b": 40},
        "xaxis": {"fixedrange": True, "automargin": True, **xaxis},
        "yaxis": {"fixedrange": True, **yaxis},
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": False,  # a finger on a phone scrolls the page
    }


def log_axis(title: str, values: Iterable[float], said: Callable[[float], str]) -> Figure:
    """A log axis over the values: ticks few enough for a phone, in 1-2-5 steps where it is short, in words."""
    logs = [math.log10(v) for v in values if v > 0]
    if not logs:
        return {"type": "log", "title": {"text": title}, "tickvals": [], "ticktext": []}
    pad = 0.07 * max(max(logs) - min(logs), 0.5)
    low, high = min(logs) - pad, max(logs) + pad
    powers = range(math.floor(low), math.ceil(high) + 1)
    steps = (1, 2, 5) if high - low < 2 else (1,)
    ticks = [m * 10.0**p for p in powers[:: 1 + len(powers) // 8] for m in steps]
    return axis((low, high), [(t, said(t)) for t in ticks if low <= math.log10(t) <= high], title, type="log")
