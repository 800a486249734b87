"""The figures, as plotly data and layout; the page's script adds the colours of the theme and draws them."""

import math
from statistics import fmean

from decoct.report import wording
from decoct.report.findings import price
from decoct.report.findings.same_steps import NAME
from decoct.report.findings.verdict import Setting
from decoct.report.page import plot
from decoct.report.page.plot import Figure, Panel
from decoct.report.page.style import GREY, Mark
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.intervals import Interval
from decoct.report.summary import Summary


def panels(summary: Summary) -> dict[Panel, list[Setting]]:
    """Settings by protocol and student: one panel each."""
    found: dict[Panel, list[Setting]] = {}
    for setting in summary.settings:
        found.setdefault((setting.protocol, setting.student), []).append(setting)
    return found


def accuracy(summary: Summary, marks: dict[str, Mark], panel: Panel) -> Figure:
    """Dot and 95 % interval of every method, by budget; the ceiling and the full data after as many steps as lines."""
    settings = panels(summary)[panel]
    methods = list(summary.methods)
    step = min(0.15, 0.7 / max(len(methods), 1))
    traces = []
    for i, method in enumerate(methods):
        x, found = [], []
        for position, setting in enumerate(settings):
            if a := summary.accuracy(method, setting):
                x.append(position + step * (i - (len(methods) - 1) / 2))
                found.append(a)
        traces.append(plot.dots(marks, method, x, found))
    traces += _same_steps(summary, settings)
    ticks = {
        "tickvals": list(range(len(settings))),
        "ticktext": [plot.label(wording.budget(s.budget)) for s in settings],
        "autotickangles": [0, -45],  # upwards: a label that leaves the figure on the right is not drawn
    }
    xaxis = {"range": [-0.5, len(settings) - 0.5], "showgrid": False, "zeroline": False, **ticks}
    layout = plot.layout(330, xaxis, plot.accuracy_axis(summary))
    layout["shapes"] = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": i + 0.5, "x1": i + 0.5, "y0": 0, "y1": 1, "name": "grid"}
        for i in range(len(settings) - 1)
    ]
    layout = plot.slots(layout, "x", ((i, {"budget": s.budget}) for i, s in enumerate(settings)))
    return {"data": traces, "layout": plot.with_ceiling(layout, summary, panel)}


def differences(summary: Summary, marks: dict[str, Mark], panel: Panel) -> Figure | None:
    """Paired differences to random with 95 % intervals, and the margin of equivalence as a band."""
    rows: list[tuple[Setting, str, Comparison]] = []
    for setting in panels(summary)[panel]:
        for method in summary.methods:
            c = summary.verdict(method, setting).random
            if c and c.n:
                rows.append((setting, method, c))
    if not rows:
        return None
    last, y, places, heads = None, 0.0, [], []
    slots: list[tuple[float, dict[str, str]]] = []
    for setting, method, _ in rows:
        if setting != last:
            heads.append((y, setting.budget))
            slots.append((y, {"budget": setting.budget}))
            y, last = y + 1, setting
        places.append(y)
        slots.append((y, {"method": method, "budget": setting.budget}))
        y += 1
    traces = []
    for method in summary.methods:
        own = [(place, s, c) for place, (s, m, c) in zip(places, rows, strict=True) if m == method]
        if own:
            traces.append(_forest(marks[method], method, own))
    ends = [100 * x for _, _, c in rows for x in (c.mean, c.lo, c.hi) if math.isfinite(x)]
    m = 100 * summary.margin
    low, high = max(min(*ends, -m), -100), min(max(*ends, m), 100)
    pad = 0.06 * (high - low)
    xaxis = {"range": [low - pad, high + pad], "zeroline": True, "title": {"text": "points over random"}}
    ticks = {"tickvals": places, "ticktext": [plot.label(method) for _, method, _ in rows]}
    yaxis = {"range": [y - 0.3, -0.7], "showgrid": False, "automargin": True, "zeroline": False, **ticks}
    layout = plot.layout(int(24 * y) + 70, xaxis, yaxis)
    layout["shapes"] = [
        {"type": "rect", "xref": "x", "yref": "paper", "x0": -m, "x1": m, "y0": 0, "y1": 1, "name": "band"}
    ]
    spot = {"xref": "paper", "x": 0, "xanchor": "left", "showarrow": False, "name": "head"}
    layout["annotations"] = [{**spot, "y": at, "text": f"<b>{plot.label(wording.budget(b))}</b>"} for at, b in heads]
    return {"data": traces, "layout": plot.slots(layout, "y", slots, height=24)}


def over_cost(frame: Frame, summary: Summary, marks: dict[str, Mark], panel: Panel) -> Figure:
    """Accuracy over construction seconds, teachers and features in full, on a log axis; wall time only if need be."""
    by = price.measure(price.made_here(frame.costs.to_pylist()))
    seconds = _mean_by_set(frame, price.FULL[by] if by else "total_seconds")
    traces: list[Figure] = []
    seen: list[float] = []
    order = [s.budget for s in panels(summary)[panel]]
    for method in summary.methods:
        found = [
            a for s in panels(summary)[panel] if (a := summary.accuracy(method, s)) and (method, s.budget) in seconds
        ]
        # A log axis has no zero; the clock has no less than 1 ms.
        at = [max(seconds[method, a.setting.budget], 1e-3) for a in found]
        seen += at
        notes = [f"{wording.budget(a.setting.budget)} · {wording.seconds(x)}" for a, x in zip(found, at, strict=True)]
        traces.append(plot.joined(plot.dots(marks, method, at, found, notes), [a.setting.budget for a in found], order))
    ticks, ends = plot.log_ticks(seen)
    title = {"text": f"{by or 'wall time'} to make the set, its needs included"}
    xaxis = {"type": "log", "title": title, "tickvals": ticks, "ticktext": [f"{v:g} s" for v in ticks]}
    xaxis |= {"range": ends} if ends else {}
    layout = plot.layout(330, xaxis, plot.accuracy_axis(summary))
    return {"data": traces, "layout": plot.with_ceiling(layout, summary, panel)}


def _same_steps(summary: Summary, settings: list[Setting]) -> list[Figure]:
    """A dotted line across each budget, each for itself, since their sets may take different steps."""
    traces = []
    for position, setting in enumerate(settings):
        if a := summary.same_steps(setting):
            across = [position - 0.42, position, position + 0.42]
            bar = plot.bars(GREY, [a.interval, *[Interval(a.interval.mean, math.nan, math.nan, 0)] * 2])
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": NAME,
                    "meta": {"budget": setting.budget},
                    "x": across,
                    "y": [100 * a.interval.mean] * 3,
                    "error_y": bar,  # at the line's left end, beside the methods' own
                    "line": {"color": GREY, "width": 2, "dash": "dot"},
                    "customdata": [f"<b>{NAME}</b> · {plot.label(wording.budget(setting.budget))}<br>{plot.said(a)}"]
                    * 3,
                    "hovertemplate": "%{customdata}<extra></extra>",
                }
            )
    return traces


def _forest(mark: Mark, method: str, own: list[tuple[float, Setting, Comparison]]) -> Figure:
    said = [plot.label(wording.comparison(method, REFERENCE, c)).replace(": ", ":<br>") for _, _, c in own]
    intervals = [Interval(c.mean, c.lo, c.hi, c.n) for _, _, c in own]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": plot.label(method),
        "meta": {"method": method, "budget": [s.budget for _, s, _ in own]},
        "x": [100 * c.mean for _, _, c in own],
        "y": [place for place, _, _ in own],
        "error_x": plot.bars(mark.color, intervals),
        "marker": {"color": mark.color, "symbol": mark.symbol, "size": 9, "line": {"width": 2, "color": mark.color}},
        "customdata": said,
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _mean_by_set(frame: Frame, column: str) -> dict[tuple[str, str], float]:
    values: dict[tuple[str, str], list[float]] = {}
    for row in frame.costs.to_pylist():
        if row[column] is not None:
            values.setdefault((row["method"], row["budget"]), []).append(row[column])
    return {key: fmean(v) for key, v in values.items()}
