"""The figures, as plotly data and layout; the page's script adds the colours of the theme and draws them."""

import html
import math
from collections.abc import Callable, Iterable
from statistics import fmean
from typing import Any

from decoct.report import wording
from decoct.report.frame import Frame
from decoct.report.manifest import REFERENCE
from decoct.report.stats import Comparison, Interval
from decoct.report.style import Mark
from decoct.report.summary import Accuracy, Summary
from decoct.report.verdict import Setting

Figure = dict[str, Any]
Panel = tuple[str, str]  # protocol, student


def label(name: object) -> str:
    """A name for plotly, which reads some HTML in labels; directional isolates keep right-to-left names in place."""
    return f"\u2068{html.escape(str(name), quote=False)}\u2069"


def panels(summary: Summary) -> dict[Panel, list[Setting]]:
    """Settings by protocol and student: one panel each."""
    found: dict[Panel, list[Setting]] = {}
    for setting in summary.settings:
        found.setdefault((setting.protocol, setting.student), []).append(setting)
    return found


def accuracy(summary: Summary, marks: dict[str, Mark], panel: Panel) -> Figure:
    """Dot and 95 % interval of every method, by budget, with the ceiling as a line."""
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
        traces.append(_dots(summary, marks, method, x, found))
    ticks = {"tickvals": list(range(len(settings))), "ticktext": [label(wording.budget(s.budget)) for s in settings]}
    xaxis = {"range": [-0.5, len(settings) - 0.5], "showgrid": False, "zeroline": False, **ticks}
    layout = _layout(330, xaxis, _accuracy_axis(summary))
    layout["shapes"] = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": i + 0.5, "x1": i + 0.5, "y0": 0, "y1": 1, "name": "grid"}
        for i in range(len(settings) - 1)
    ]
    return {"data": traces, "layout": _with_ceiling(layout, summary, panel)}


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
    for setting, _, _ in rows:
        if setting != last:
            heads.append((y, setting.budget))
            y, last = y + 1, setting
        places.append(y)
        y += 1
    traces = []
    for method in summary.methods:
        own = [(place, s, c) for place, (s, m, c) in zip(places, rows, strict=True) if m == method]
        if own:
            traces.append(_forest(marks[method], list(summary.methods).index(method), method, own))
    ends = [100 * x for _, _, c in rows for x in (c.mean, c.lo, c.hi) if math.isfinite(x)]
    m = 100 * summary.margin
    low, high = max(min(*ends, -m), -100), min(max(*ends, m), 100)
    pad = 0.06 * (high - low)
    xaxis = {"range": [low - pad, high + pad], "zeroline": True, "title": {"text": "points over random"}}
    ticks = {"tickvals": places, "ticktext": [label(method) for _, method, _ in rows]}
    yaxis = {"range": [y - 0.3, -0.7], "showgrid": False, "automargin": True, "zeroline": False, **ticks}
    layout = _layout(int(24 * y) + 70, xaxis, yaxis)
    layout["shapes"] = [
        {"type": "rect", "xref": "x", "yref": "paper", "x0": -m, "x1": m, "y0": 0, "y1": 1, "name": "band"}
    ]
    spot = {"xref": "paper", "x": 0, "xanchor": "left", "showarrow": False, "name": "head"}
    layout["annotations"] = [{**spot, "y": at, "text": f"<b>{label(wording.budget(b))}</b>"} for at, b in heads]
    return {"data": traces, "layout": layout}


def over_cost(frame: Frame, summary: Summary, marks: dict[str, Mark], panel: Panel) -> Figure:
    """Accuracy over construction seconds, teachers and features in full, on a log axis."""
    seconds = _mean_by_set(frame, "total_seconds")

    def x(a: Accuracy) -> float | None:
        value = seconds.get((a.method, a.setting.budget))
        return (
            max(value, 1e-3) if value is not None else None
        )  # a log axis has no zero; the clock has no less than 1 ms

    title = "time to make the set, its needs included"
    return _scatter(summary, marks, panel, x, title, wording.seconds, lambda v: f"{v:g} s")


def over_bytes(frame: Frame, summary: Summary, marks: dict[str, Mark], panel: Panel) -> Figure:
    """Accuracy over bytes of images and of stored labels, on a log axis."""
    images = _mean_by_set(frame, "image_bytes")

    def x(a: Accuracy) -> float | None:
        value = images.get((a.method, a.setting.budget))
        return value + a.label_bytes if value is not None else None

    return _scatter(summary, marks, panel, x, "images (PNG) and stored labels", wording.size, wording.size)


def _scatter(
    summary: Summary,
    marks: dict[str, Mark],
    panel: Panel,
    x: Callable[[Accuracy], float | None],
    title: str,
    write: Callable[[float | None], str],
    tick: Callable[[float], str],
) -> Figure:
    traces: list[Figure] = []
    seen: list[float] = []
    order = [s.budget for s in panels(summary)[panel]]
    for method in summary.methods:
        found = [a for s in panels(summary)[panel] if (a := summary.accuracy(method, s)) and x(a) is not None]
        at = [float(v) for a in found if (v := x(a)) is not None]
        seen += at
        trace = _dots(
            summary, marks, method, at, found, [f"{wording.budget(a.setting.budget)} · {write(x(a))}" for a in found]
        )
        sizes = [7 + 4 * order.index(a.setting.budget) / max(len(order) - 1, 1) for a in found]
        trace |= {"mode": "lines+markers", "line": {"width": 1, "color": marks[method].color}}
        traces.append(trace | {"marker": trace["marker"] | {"size": sizes}})
    ticks, ends = _log_ticks(seen)
    xaxis = {"type": "log", "title": {"text": title}, "tickvals": ticks, "ticktext": [tick(v) for v in ticks]}
    xaxis |= {"range": ends} if ends else {}
    return {"data": traces, "layout": _with_ceiling(_layout(330, xaxis, _accuracy_axis(summary)), summary, panel)}


def _dots(
    summary: Summary,
    marks: dict[str, Mark],
    method: str,
    x: list[float],
    found: list[Accuracy],
    extra: list[str] | None = None,
) -> Figure:
    mark = marks[method]
    notes = extra or [wording.budget(a.setting.budget) for a in found]
    hover = [f"<b>{label(method)}</b> · {label(n)}<br>{_said(a)}" for a, n in zip(found, notes, strict=True)]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(method),
        "meta": list(summary.methods).index(method),  # what the page's filter hides by
        "x": x,
        "y": [100 * a.interval.mean for a in found],
        "error_y": _bars(mark, (a.interval for a in found)),
        "marker": {"color": mark.color, "symbol": mark.symbol, "size": 9, "line": {"width": 2, "color": mark.color}},
        "customdata": hover,
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _said(a: Accuracy) -> str:
    students = f", {a.students} students" if a.students != a.interval.n else ""
    work = f"{a.steps:,} steps, {a.images_seen:,} images seen"
    return f"{wording.accuracy(a.interval)} %, n = {a.interval.n}{students}<br>{work}"


def _forest(mark: Mark, index: int, method: str, own: list[tuple[float, Setting, Comparison]]) -> Figure:
    said = [
        html.escape(wording.comparison(method, REFERENCE, c), quote=False).replace(": ", ":<br>") for _, _, c in own
    ]
    intervals = [Interval(c.mean, c.lo, c.hi, c.n) for _, _, c in own]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(method),
        "meta": index,
        "x": [100 * c.mean for _, _, c in own],
        "y": [place for place, _, _ in own],
        "error_x": _bars(mark, intervals),
        "marker": {"color": mark.color, "symbol": mark.symbol, "size": 9, "line": {"width": 2, "color": mark.color}},
        "customdata": said,
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _bars(mark: Mark, intervals: Iterable[Interval]) -> Figure:
    spans = [(i.hi - i.mean, i.mean - i.lo) if math.isfinite(i.lo) else (0.0, 0.0) for i in intervals]
    up, down = [100 * hi for hi, _ in spans], [100 * lo for _, lo in spans]
    bar = {"type": "data", "symmetric": False, "thickness": 1.6, "width": 0, "color": mark.color}
    return bar | {"array": up, "arrayminus": down}


def _accuracy_axis(summary: Summary) -> Figure:
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


def _with_ceiling(layout: Figure, summary: Summary, panel: Panel) -> Figure:
    for a in summary.ceiling:
        if (a.setting.protocol, a.setting.student) == panel:
            y, ends = 100 * a.interval.mean, (100 * a.interval.lo, 100 * a.interval.hi)
            across = {"xref": "paper", "x0": 0, "x1": 1, "yref": "y"}
            band = {"type": "rect", **across, "y0": ends[0], "y1": ends[1], "name": "band"}
            layout.setdefault("shapes", []).extend(
                [band, {"type": "line", **across, "y0": y, "y1": y, "name": "ceiling"}]
            )
            spot = {"xref": "paper", "x": 1, "xanchor": "right", "y": ends[1], "yanchor": "bottom", "showarrow": False}
            note = {**spot, "text": f"full data {wording.percent(a.interval.mean)}", "name": "note"}
            layout.setdefault("annotations", []).append(note)
    return layout


def _layout(height: int, xaxis: Figure, yaxis: Figure) -> Figure:
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 22, "b": 40},
        "xaxis": {"fixedrange": True, "automargin": True, **xaxis},
        "yaxis": {"fixedrange": True, **yaxis},
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": False,  # a finger on a phone scrolls the page
    }


def _log_ticks(values: list[float]) -> tuple[list[float], list[float]]:
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


def _mean_by_set(frame: Frame, column: str) -> dict[tuple[str, str], float]:
    values: dict[tuple[str, str], list[float]] = {}
    for row in frame.costs.to_pylist():
        if row[column] is not None:
            values.setdefault((row["method"], row["budget"]), []).append(row[column])
    return {key: fmean(v) for key, v in values.items()}
