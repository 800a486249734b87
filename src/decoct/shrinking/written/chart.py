"""Accuracy over the number of images: a line for each method, the full data with its band, the margin, the choice."""

import math
from collections.abc import Sequence
from dataclasses import replace

from decoct.report import wording
from decoct.report.page import plot
from decoct.report.page.plot import Figure, Mark
from decoct.shrinking.answer import Answer, Measured, Point

HEIGHT, APART = 440, 0.009  # pixels; between two methods at one size, in powers of ten
MARGIN = "#D55E00"  # of the line below which a set loses too much


def methods(answer: Answer) -> list[str]:
    """The methods that have a point, in the order of the race."""
    return list(dict.fromkeys(point.method for point in answer.points))


def marks(answer: Answer) -> dict[str, Mark]:
    """How each method is drawn, hollow as in the race."""
    return plot.marks(dict.fromkeys(methods(answer), "coreset"))


def share(fraction: float | None) -> str:
    """A size as percent of the candidates, by which points of one size are known: folds differ by an image or two."""
    return "" if fraction is None else f"{100 * fraction:.3g}"


def figure(answer: Answer) -> Figure | None:
    """The chart for the page; None before the first point.

    What the race says, on held-out train images, is pale and joined by lines; what the test says is filled.
    """
    if not answer.points:
        return None
    names, look = methods(answer), marks(answer)
    traces = []
    for k, name in enumerate(names):
        shift = 10 ** (APART * (k - (len(names) - 1) / 2))
        for on in ("race", "test"):
            own = sorted((p for p in answer.points if p.method == name and p.on == on), key=lambda p: p.images)
            if own:
                traces.append(_trace(name, own, look[name], shift if on == "race" else 1.0))
    sizes = [p.images for p in answer.points] + [answer.candidates]
    layout = plot.layout(HEIGHT, plot.log_axis("images", sizes, lambda v: f"{v:,.0f}"), _accuracy_axis(answer))
    layout |= {"shapes": [], "annotations": [], "margin": {"l": 8, "r": 12, "t": 26, "b": 44}}
    _full(layout, answer)
    _chosen(layout, traces, answer)
    return {"data": traces, "layout": layout}


def margin(answer: Answer) -> float | None:
    """How much accuracy a set may lose, as a fraction; None where none was asked."""
    within = answer.asked.get("within")
    if not isinstance(within, (int, float)):
        return None
    return float(within) * (answer.full.mean if answer.asked.get("relative") and answer.full else 1.0)


def spoken(answer: Answer) -> str:
    """What the chart shows, for a reader who does not see it."""
    said = [f"Accuracy over the number of images for {wording.count(len(methods(answer)), 'method')}."]
    if answer.full:
        said.append(f"All {answer.candidates:,} images: {_value(answer.full)}.")
    for p in answer.points:
        if p.on == "test":
            said.append(f"{p.method}, {p.images:,} images: {_value(p.accuracy)} on test images, {p.status}.")
    return " ".join([*said, "The table below has all numbers."])


def _trace(name: str, own: Sequence[Point], mark: Mark, shift: float) -> Figure:
    race = own[0].on == "race"
    drawn = mark if race else replace(mark, filled=True)
    where = "held-out train images" if race else "test images"
    said = [
        f"<b>{plot.label(name)}</b> · {p.images:,} images ({share(p.fraction)} %)<br>"
        f"{_value(p.accuracy)} on {p.accuracy.images:,} {where}<br>{wording.count(p.accuracy.n, 'student')}, {p.status}"
        for p in own
    ]
    x, y = [p.images * shift for p in own], [100 * p.accuracy.mean for p in own]
    bars = _bars(drawn.color, [p.accuracy for p in own]) | {"thickness": 1 if race else 2.2}
    marker = drawn.marker | {"size": 6 if race else 12}
    line = {"line": {"width": 1.2, "color": drawn.color}} if race else {}
    mode = "lines+markers" if race else "markers"
    return plot.trace(
        mode, name, x, y, {"method": name}, said, marker=marker, error_y=bars, opacity=0.5 if race else 1, **line
    )


def _bars(color: str, measured: Sequence[Measured]) -> Figure:
    known = [math.isfinite(m.lo) and math.isfinite(m.hi) for m in measured]
    up = [100 * (m.hi - m.mean) if k else 0.0 for m, k in zip(measured, known, strict=True)]
    down = [100 * (m.mean - m.lo) if k else 0.0 for m, k in zip(measured, known, strict=True)]
    return {"type": "data", "symmetric": False, "width": 0, "color": color, "array": up, "arrayminus": down}


def _accuracy_axis(answer: Answer) -> Figure:
    """The range of all that was not dropped: what is far worse would press the rest into a line."""
    there = [p for p in answer.points if p.status != "dropped"] or answer.points
    measured = [p.accuracy for p in there] + ([answer.full] if answer.full else [])
    ends = [100 * x for m in measured for x in (m.lo, m.mean, m.hi) if math.isfinite(x)]
    if answer.full and (asked := margin(answer)) is not None:
        ends.append(100 * (answer.full.mean - asked))
    low, high = min(ends, default=0.0), max(ends, default=100.0)
    pad = max(0.08 * (high - low), 1)
    span = max(low - pad, -2), min(high + pad, 102)
    return plot.axis(span, ticksuffix=" %", zeroline=False, automargin=True)


def _full(layout: Figure, answer: Answer) -> None:
    """Add the line and band of the full data, and the line of the margin."""
    if not answer.full:
        return
    full, across = answer.full, {"xref": "paper", "x0": 0, "x1": 1, "yref": "y"}
    line = {**across, "type": "line", "y0": 100 * full.mean, "y1": 100 * full.mean, "name": "ceiling"}
    spot = {"xref": "paper", "showarrow": False, "yref": "y", "name": "note"}
    top = full.hi if math.isfinite(full.hi) else full.mean
    if math.isfinite(full.lo):
        layout["shapes"].append({**across, "type": "rect", "y0": 100 * full.lo, "y1": 100 * top, "name": "band"})
    layout["shapes"].append(line)
    said = f"all {answer.candidates:,} images: {wording.percent(full.mean)} %"
    layout["annotations"].append({**spot, "x": 0, "xanchor": "left", "y": 100 * top, "yanchor": "bottom", "text": said})
    if (asked := margin(answer)) is not None:
        at = 100 * (full.mean - asked)
        look = {"color": MARGIN, "width": 1.4, "dash": "dot"}
        layout["shapes"].append({**across, "type": "line", "y0": at, "y1": at, "line": look})
        said = f"{wording.margin(asked)} less"
        layout["annotations"].append({**spot, "x": 1, "xanchor": "right", "y": at, "yanchor": "top", "text": said})


def _chosen(layout: Figure, traces: list[Figure], answer: Answer) -> None:
    """Mark the set with a ring and its number of images."""
    if answer.images is None or answer.method is None:
        return
    own = answer.small or next(
        (
            p.accuracy
            for p in answer.points
            if p.method == answer.method and share(p.fraction) == share(answer.fraction)
        ),
        None,
    )
    if own is None:
        return
    color = marks(answer).get(answer.method, Mark(plot.GREY, "circle", False)).color
    ring = {"symbol": "circle-open", "size": 26, "color": color, "line": {"width": 2.5, "color": color}}
    x, y = answer.images, 100 * own.mean
    traces.append(
        plot.trace("markers", answer.method, [x], [y], {"method": answer.method}, marker=ring, hoverinfo="skip")
    )
    drop = {"type": "line", "xref": "x", "x0": x, "x1": x, "yref": "y", "y0": layout["yaxis"]["range"][0], "y1": y}
    layout["shapes"].append(drop | {"line": {"color": color, "width": 1.6}, "layer": "below"})
    note = {
        "x": math.log10(x),
        "xref": "x",
        "xanchor": "left",
        "xshift": 6,
        "y": 0,
        "yref": "paper",
        "yanchor": "bottom",
    }
    text = f"<b>{answer.images:,} images</b>"
    layout["annotations"].append({**note, "text": text, "showarrow": False, "name": "head"})


def _value(m: Measured) -> str:
    return f"{wording.percent(m.mean)} % {wording.bounds(m.lo, m.hi)}".rstrip()
