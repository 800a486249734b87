"""Paired differences: to random as a figure, to every coreset as tables."""

import math
from collections.abc import Sequence

from decoct.report import wording
from decoct.report.accuracy import Setting
from decoct.report.grouped import grouped
from decoct.report.manifest import REFERENCE
from decoct.report.page import plot
from decoct.report.page.markup import Markup, cells, columns, join, table, tag
from decoct.report.page.parts import chip, difference, fold, note, place, section
from decoct.report.page.plot import Figure, Panel
from decoct.report.page.view import View
from decoct.report.sections.verdict import Verdict
from decoct.report.stats import Comparison, Interval


def show(view: View, verdicts: Sequence[Verdict], margin: float) -> Markup:
    """Figure and tables; nothing where no method shares a replicate with a coreset."""
    if not any(c.n for v in verdicts for c in v.coresets.values()):
        return Markup()
    tables = [
        fold(place(setting), _pairs(view, [v for v in verdicts if v.setting == setting]), opened=not i)
        for i, setting in enumerate(view.settings)
    ]
    return section(
        "differences",
        "Paired differences",
        note(
            "In percentage points, with 95 % intervals. Students of one replicate share initial weights and batch "
            "order, so that methods differ by their sets alone. "
            f"The band is the margin of ±{wording.margin(margin)}."
        ),
        view.charts(lambda panel: figure(view, verdicts, margin, panel)),
        tag("h3", "Row minus column, against every coreset"),
        *tables,
    )


def figure(view: View, verdicts: Sequence[Verdict], margin: float, panel: Panel) -> Figure | None:
    """Paired differences to random with 95 % intervals, and the margin of equivalence as a band."""
    own = [(v.setting, v.method, v.random) for v in verdicts if v.setting.panel == panel and v.random and v.random.n]
    if not own:
        return None
    ends = [100 * x for _, _, c in own for x in (c.mean, c.lo, c.hi) if math.isfinite(x)]
    m = 100 * margin
    low, high = max(min(*ends, -m), -100), min(max(*ends, m), 100)
    pad = 0.06 * (high - low)
    xaxis = {"range": [low - pad, high + pad], "zeroline": True, "title": {"text": "points over random"}}
    budgets = grouped(own, lambda row: row[0].budget)
    layout, places = plot.rows(
        xaxis, {budget: [(method, {"method": method}) for _, method, _ in rows] for budget, rows in budgets.items()}
    )
    across = {"type": "rect", "xref": "x", "yref": "paper", "x0": -m, "x1": m, "y0": 0, "y1": 1, "name": "band"}
    layout["shapes"] = [across]
    methods = grouped(zip(places, own, strict=True), lambda row: row[1][1])
    drawn = [(method, methods[method]) for method in view.methods if method in methods]
    traces = [_forest(view, method, [(y, s, c) for y, (s, _, c) in rows]) for method, rows in drawn]
    return {"data": traces, "layout": layout}


def _forest(view: View, method: str, own: Sequence[tuple[float, Setting, Comparison]]) -> Figure:
    return plot.scatter(
        "markers",
        method,
        view.marks[method],
        [100 * c.mean for _, _, c in own],
        [y for y, _, _ in own],
        meta={"method": method, "budget": [s.budget for _, s, _ in own]},
        error_x=plot.bars(view.marks[method].color, [Interval(c.mean, c.lo, c.hi, c.n) for _, _, c in own]),
        customdata=[plot.label(wording.comparison(method, REFERENCE, c)).replace(": ", ":<br>") for _, _, c in own],
        **plot.HOVER,
    )


def _pairs(view: View, verdicts: Sequence[Verdict]) -> Markup:
    against = [label for label, family in view.methods.items() if family == "coreset" or label == REFERENCE]
    rows = [cells(view.method(v.method), *(_cell(v.coresets.get(label)) for label in against)) for v in verdicts]
    return table(columns("method", *map(view.method, against)), rows)


def _cell(c: Comparison | None) -> Markup:
    return join([difference(c), chip(c.verdict) if c.n else ""]) if c else Markup()
