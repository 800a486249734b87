"""Average ranks on the page: a critical-difference diagram, and what it may be read as (Demšar, 2006)."""

import math
from collections.abc import Mapping

from decoct.report import wording
from decoct.report.findings.ranks import Ranks, over_budgets
from decoct.report.page import plot
from decoct.report.page.markup import Markup, tag
from decoct.report.page.parts import chart, note, section, title
from decoct.report.page.plot import Figure, Panel
from decoct.report.page.style import GREY, Mark
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import CONTROL
from decoct.report.summary import Summary

LANE = 0.45  # height of a bar that joins methods, in rows
READING = (
    "In each block the methods are ranked by mean accuracy, 1 for the highest, ties shared; dots are the means of "
    "those ranks. A bar joins methods that the ranks do not tell apart, which is not to say that they are equal. A "
    "rank takes each mean as it stands, whatever its interval: near ties count as much as wide gaps. "
)
ONE_DATA_SET = (
    "Budgets of one data set share its images and teachers, so they are no independent blocks, and a test over them "
    "speaks of this data set alone; ranks over several data sets come from decoct report RUN RUN …. "
)


def ranks(frame: Frame, summary: Summary, marks: dict[str, Mark]) -> Markup:
    """A run's ranks over its budgets; empty where it has one budget or one method."""
    methods = [label for label, family in summary.methods.items() if family != CONTROL]
    found = over_budgets(summary.accuracies, methods, frame.manifest.data["name"])
    return section("ranks", "Average ranks", diagrams(found, marks), note(READING, ONE_DATA_SET)) if found else Markup()


def diagrams(found: Mapping[Panel, Ranks], marks: dict[str, Mark]) -> Markup:
    """A figure and its sentences for each protocol and student, side by side where there is room."""
    return tag("div", *(_panel(panel, own, marks) for panel, own in found.items()), class_="charts")


def diagram(own: Ranks, marks: dict[str, Mark]) -> Figure | None:
    """Average ranks as dots, the best on top, under bars that join methods that are not told apart."""
    if not own.mean:
        return None
    methods, last = list(own.mean), len(own.mean) - 1
    scaled = math.isfinite(own.critical)
    top = -1 - LANE * (len(own.groups) + scaled) if own.tested else -0.5
    traces = [_bar(own, group, -1 - LANE * i) for i, group in enumerate(own.groups)]
    if scaled:
        said = f"critical difference {own.critical:.2f} (Nemenyi)"
        traces.append(_line([1, 1 + own.critical], [top + LANE / 2] * 2, GREY, 2, said, "dot"))
    for row, method in enumerate(methods):
        mark, rank = marks[method], own.mean[method]
        said = f"<b>{plot.label(method)}</b><br>average rank {rank:.2f} over {wording.count(len(own.blocks), own.what)}"
        if own.tested:  # else there is no bar to reach
            stem = _line([rank, rank], [top + LANE * scaled, row], mark.color, 1, "")
            traces.append(stem | {"meta": {"method": method}})
        traces.append(_dot(mark, method, rank, row, said))
    rows = {"tickvals": list(range(last + 1)), "ticktext": [plot.label(m) for m in methods]}
    yaxis = {"range": [last + 0.6, top - 0.2], "showgrid": False, "zeroline": False, "automargin": True, **rows}
    ends = 1 + max(last, own.critical if scaled else 0)
    ticks = {"tickvals": list(range(1, last + 2)), "title": {"text": "average rank, 1 is best"}}
    xaxis = {"range": [0.8, ends + 0.2], "zeroline": False, **ticks}
    layout = plot.layout(int(24 * (last + 1.8 - top)) + 70, xaxis, yaxis)
    if scaled:
        spot = {"xref": "x", "x": 1 + own.critical / 2, "xanchor": "center", "y": top + LANE / 2, "yanchor": "bottom"}
        layout["annotations"] = [{**spot, "showarrow": False, "text": f"CD {own.critical:.2f}", "name": "note"}]
    return {"data": traces, "layout": plot.slots(layout, "y", ((i, {"method": m}) for i, m in enumerate(methods)), 24)}


def _panel(panel: Panel, own: Ranks, marks: dict[str, Mark]) -> Markup:
    said = tag("ul", *(tag("li", f"{line}.") for line in own.sentences()))
    if not own.mean:
        return Markup()
    return tag("div", chart(diagram(own, marks), title(panel)), said, style="min-width:0")  # as narrow as a phone


def _bar(own: Ranks, group: tuple[str, ...], height: float) -> Figure:
    """From the best to the worst of a group, a little longer, so that it shows where their ranks are the same."""
    ends = [own.mean[group[0]] - 0.06, own.mean[group[-1]] + 0.06]
    return _line(ends, [height, height], GREY, 5, f"not told apart: {', '.join(map(plot.label, group))}")


def _line(x: list[float], y: list[float], color: str, width: float, said: str, dash: str = "solid") -> Figure:
    hover = {"hovertemplate": "%{customdata}<extra></extra>", "customdata": [said] * 2} if said else {}
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": color, "width": width, "dash": dash},
        **(hover or {"hoverinfo": "skip"}),
    }


def _dot(mark: Mark, method: str, rank: float, row: int, said: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": plot.label(method),
        "meta": {"method": method},
        "x": [rank],
        "y": [row],
        "marker": {"color": mark.color, "symbol": mark.symbol, "size": 9, "line": {"width": 2, "color": mark.color}},
        "customdata": [said],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
