"""What the figures share: dots with intervals, axes, the ceiling; as plotly data and layout."""

import html
import math
from collections.abc import Iterable
from typing import Any

from decoct.report import wording
from decoct.report.findings.accuracy import Accuracy
from decoct.report.page.style import Mark
from decoct.report.stats.intervals import Interval
from decoct.report.summary import Summary

Figure = dict[str, Any]
Panel = tuple[str, str]  # protocol, student


def label(name: object) -> str:
    """A name for plotly, which reads some HTML in labels, and formulas between dollars.

    Directional isolates keep right-to-left names in place.
    """
    return f"\u2068{html.escape(str(name), quote=False).replace('$', '&#36;')}\u2069"


def dots(
    marks: dict[str, Mark],
    method: str,
    x: list[float],
    found: list[Accuracy],
    extra: list[str] | None = None,
) -> Figure:
    """A method's accuracies with their intervals; ``extra`` says on hover what stands behind each."""
    mark = marks[method]
    notes = extra or [wording.budget(a.setting.budget) for a in found]
    hover = [f"<b>{label(method)}</b> · {label(n)}<br>{said(a)}" for a, n in zip(found, notes, strict=True)]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(method),
        "meta": {"method": method, "budget": [a.setting.budget for a in found]},  # what the page's filter hides by
        "x": x,
        "y": [100 * a.interval.mean for a in found],
        "error_y": bars(mark.color, (a.interval for a in found)),
        "marker": {"color": mark.color, "symbol": mark.symbol, "size": 9, "line": {"width": 2, "color": mark.color}},
        "customdata": hover,
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def joined(trace: Figure, budgets: list[str], order: list[str], dash: str = "solid") -> Figure:
    """The dots of a method joined by a line from budget to budget; a larger mark is a larger budget."""
    sizes = [7 + 4 * order.index(budget) / max(len(order) - 1, 1) for budget in budgets]
    line = {"width": 1, "color": trace["marker"]["color"], "dash": dash}
    return trace | {"mode": "lines+markers", "line": line, "marker": trace["marker"] | {"size": sizes}}


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


def accuracy_axis(summary: Summary) -> Figure:
    """One range for all panels, so that heights can be compared across them."""
    means = [a.interval.mean for a in summary.accuracies]
    ends = [x for a in summary.accuracies for x in (a.interval.lo, a.interval.hi) if math.isfinite(x)]
    low, high = 100 * min(means + ends, default=0), 100 * max(means + ends, default=1)
    pad = max(0.06 * (high - low), 1)
    return {
        "range": [max(low - pad, -2), min(high + pad, 102)],
        "ticksuffix": " %",
        "zeroline": False,
        "automargin": True,
    }


def with_ceiling(layout: Figure, summary: Summary, panel: Panel, whose: str = "") -> Figure:
    """The layout with the full data's accuracy as a line and its interval as a band."""
    for a in summary.ceiling:
        if (a.setting.protocol, a.setting.student) == panel:
            y, ends = 100 * a.interval.mean, (100 * a.interval.lo, 100 * a.interval.hi)
            across = {"xref": "paper", "x0": 0, "x1": 1, "yref": "y"}
            band = {"type": "rect", **across, "y0": ends[0], "y1": ends[1], "name": "band"}
            layout.setdefault("shapes", []).extend(
                [band, {"type": "line", **across, "y0": y, "y1": y, "name": "ceiling"}]
            )
            spot = {"xref": "paper", "x": 1, "xanchor": "right", "y": ends[1], "yanchor": "bottom", "showarrow": False}
            note = {**spot, "text": f"full data{whose} {wording.percent(a.interval.mean)}", "name": "note"}
            layout.setdefault("annotations", []).append(note)
    return layout


def slots(layout: Figure, axis: str, places: Iterable[tuple[float, dict[str, str]]], height: int = 0) -> Figure:
    """The layout with places on an axis that close up when what stands there is filtered out.

    Args:
        layout: to add to.
        axis: "x" or "y".
        places: where each stands, one apart, and what it is of.
        height: of each, in pixels, where they stand one above the other.
    """
    return layout | {"meta": {"axis": axis, "slots": [{"at": at, **of} for at, of in places], "height": height}}


def layout(height: int, xaxis: Figure, yaxis: Figure) -> Figure:
    """What every figure looks like."""
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 22, "b": 40},
        "xaxis": {"fixedrange": True, "automargin": True, **xaxis},
        "yaxis": {"fixedrange": True, **yaxis},
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": False,  # a finger on a phone scrolls the page
    }


def log_ticks(values: list[float]) -> tuple[list[float], list[float]]:
    """Ticks and range (as powers of ten) of a log axis: few enough for a phone, in 1-2-5 steps where it is short."""
    logs = [math.log10(v) for v in values if v > 0]
    if not logs:
        return [], []
    pad = 0.07 * max(max(logs) - min(logs), 0.5)
    low, high = min(logs) - pad, max(logs) + pad
    powers = range(math.floor(low), math.ceil(high) + 1)
    steps = (1, 2, 5) if high - low < 2 else (1,)
    ticks = [m * 10.0**p for p in powers[:: 1 + len(powers) // 8] for m in steps]
    return [t for t in ticks if low <= math.log10(t) <= high], [low, high]
