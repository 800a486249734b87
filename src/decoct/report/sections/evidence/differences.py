"""Paired differences from random and from every coreset, and how sure they are."""

import math
from collections.abc import Mapping, Sequence

from decoct.report import wording
from decoct.report.accuracy import Setting
from decoct.report.grouped import grouped
from decoct.report.page import plot
from decoct.report.page.markup import Markup
from decoct.report.page.parts import content, note
from decoct.report.page.plot import Figure, Panel
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.intervals import Interval
from decoct.report.verdict import Verdict


def show(view: View, verdicts: Sequence[Verdict], margins: Mapping[Setting, float]) -> Markup:
    """Figure and tables; nothing where no method shares a replicate with a coreset."""
    if not any(c.n for v in verdicts for c in v.coresets.values()):
        return Markup()
    return content(
        note(
            f"In percentage points, with 95 % intervals{view.given}. Students of one replicate share initial weights "
            "and batch order, so methods differ by their sets alone. "
            f"The band is the margin of ±{wording.margins(margins.values())}."
        ),
        view.charts(lambda panel: figure(view, verdicts, _widest(margins, panel), panel)),
    )


def _widest(margins: Mapping[Setting, float], panel: Panel) -> float:
    return max((m for setting, m in margins.items() if setting.panel == panel), default=0.01)


def figure(view: View, verdicts: Sequence[Verdict], margin: float, panel: Panel) -> Figure | None:
    """Paired differences from random with 95 % intervals, and the margin as a band."""
    own = [(v.setting, v.method, v.random) for v in verdicts if v.setting.panel == panel and v.random and v.random.n]
    if not own:
        return None
    ends = [100 * x for _, _, c in own for x in (c.mean, c.lo, c.hi) if math.isfinite(x)]
    m = 100 * margin
    low, high = max(min(*ends, -m), -100), min(max(*ends, m), 100)
    pad = 0.06 * (high - low)
    xaxis = plot.axis((low - pad, high + pad), title="points over random", zeroline=True)
    layout, places = plot.rows(xaxis, [(s.budget, method, {"method": method}) for s, method, _ in own])
    across = {"type": "rect", "xref": "x", "yref": "paper", "x0": -m, "x1": m, "y0": 0, "y1": 1, "name": "band"}
    layout["shapes"] = [across]
    methods = grouped(zip(places, own, strict=True), lambda row: row[1][1])
    drawn = [(method, methods[method]) for method in view.methods if method in methods]
    traces = [_forest(view, method, [(y, s, c) for y, (s, _, c) in rows]) for method, rows in drawn]
    return {"data": traces, "layout": layout}


def _forest(view: View, method: str, own: Sequence[tuple[float, Setting, Comparison]]) -> Figure:
    said = [plot.label(wording.comparison(method, REFERENCE, c)).replace(": ", ":<br>") for _, _, c in own]
    of, mark = {"method": method, "budget": [s.budget for _, s, _ in own]}, view.marks[method]
    spread = plot.bars(mark.color, [Interval(c.mean, c.lo, c.hi, c.n) for _, _, c in own])
    x, y = [100 * c.mean for _, _, c in own], [at for at, _, _ in own]
    return plot.trace("markers", method, x, y, of, said, marker=mark.marker, error_x=spread)


def say(verdicts: Sequence[Verdict]) -> str:
    """The smallest and the largest difference from random; empty where there is none."""
    known = [v for v in verdicts if v.random and v.random.n and not v.outside]
    if not known:
        return ""
    low, high = (pick(known, key=lambda v: v.random.mean if v.random else 0.0) for pick in (min, max))
    return f"Differences from {REFERENCE} range from {_said(low)} to {_said(high)}"


def _said(v: Verdict) -> str:
    assert v.random is not None
    return f"{wording.difference(v.random, ' points')} ({v.method}, {v.setting})"


SECTION = Section("Paired differences", 40, lambda s: show(s, s.verdicts, s.margins), lambda s: say(s.verdicts))
