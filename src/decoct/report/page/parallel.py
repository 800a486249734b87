"""The leading readings on parallel axes: one axis a reading, one line a method, up is better."""

import math
from collections.abc import Sequence

from decoct.report import wording
from decoct.report.findings.standing import Name, Standing
from decoct.report.page import plot
from decoct.report.page.plot import Figure
from decoct.report.page.style import Mark
from decoct.report.summary import Summary

ARROWS = {True: " ↑", False: " ↓", None: ""}
WIDE = 3.0  # z below which the axes are linear


def axes(own: Sequence[Standing], summary: Summary, marks: dict[str, Mark]) -> Figure | None:
    """z beside random sets of every method, its sign turned where lower is better.

    Args:
        own: the leading readings of one budget and extractor.
        summary: for the methods.
        marks: of the methods.

    Returns:
        A line for each method; None where fewer than two readings have a z and a direction.
    """
    shown = [s for s in own if math.isfinite(s.z) and s.higher_is_better is not None]
    names = list(dict.fromkeys(s.name for s in shown))
    if len(names) < 2:
        return None
    found = {(s.method, s.name): s for s in shown}
    lines = {label: [found.get((label, n)) for n in names] for label in summary.methods}
    step = min(0.03, 0.3 / max(len(lines), 1))  # two methods with the same sets would hide each other
    traces = [
        _line(label, marks[label], line, step * (i - (len(lines) - 1) / 2))
        for i, (label, line) in enumerate(lines.items())
        if any(line)
    ]
    most = max(WIDE, *(abs(s.towards) for s in shown))
    ticks = [z for z in (-1000, -300, -100, -30, -10, -3, 0, 3, 10, 30, 100, 300, 1000) if abs(z) <= 1.3 * most]
    ends = squeezed(1.25 * most)
    yaxis = {
        "range": [-ends, ends],
        "tickvals": [squeezed(z) for z in ticks],
        "ticktext": [f"{z:,}".replace("-", wording.MINUS) for z in ticks],
        "title": {"text": "z beside random, up is better"},
        "zeroline": True,
        "showgrid": False,
        "automargin": True,
    }
    text = [plot.label(f"{n.metric.replace('_', ' ')}{ARROWS[direction(shown, n)]}") for n in names]
    xaxis = {
        "range": [-0.3, len(names) - 0.7],
        "tickvals": list(range(len(names))),
        "ticktext": text,
        "tickangle": -45 if len(names) > 3 else 0,
        "zeroline": False,
        "showgrid": True,  # the axes themselves
    }
    layout = plot.layout(420, xaxis, yaxis)
    band = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "name": "band"}
    layout["shapes"] = [{**band, "y0": squeezed(-1.96), "y1": squeezed(1.96)}]
    return {"data": traces, "layout": layout}


def direction(own: Sequence[Standing], n: Name) -> bool | None:
    """Whether higher is better of a reading; None for a fact that is no virtue."""
    return next(s.higher_is_better for s in own if s.name == n)


def squeezed(z: float) -> float:
    """Linear up to ``WIDE``, beyond that logarithmic, and smooth."""
    return z if abs(z) <= WIDE else math.copysign(WIDE * (1 + math.log(abs(z) / WIDE)), z)


def _line(label: str, mark: Mark, line: Sequence[Standing | None], aside: float) -> Figure:
    hover = [f"<b>{plot.label(label)}</b><br>{plot.label(_said(s))}" if s else "" for s in line]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": plot.label(label),
        "meta": {"method": label},
        "x": [at + aside for at in range(len(line))],
        "y": [squeezed(s.towards) if s else None for s in line],  # the line breaks where a reading is not defined
        "line": {"width": 1.2, "color": mark.color},
        "marker": {"color": mark.color, "symbol": mark.symbol, "size": 9, "line": {"width": 2, "color": mark.color}},
        "customdata": hover,
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _said(s: Standing) -> str:
    bounds = f" [{wording.reading(s.interval.lo)}, {wording.reading(s.interval.hi)}]" if s.over else ""
    n = f"n = {s.interval.n}" + (", interval over images" if s.over == "images" else "")
    random = f"; random {wording.reading(s.random.mean)}" if s.random else ""
    z = f"z {s.z:+.1f}".replace("-", wording.MINUS)
    return f"{s.name}: {wording.reading(s.interval.mean)}{bounds}, {n}{random}, {z}"
