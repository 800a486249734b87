"""Paired differences to random and to every coreset, and how sure they are: what they vary by, what would be found."""

import math
from collections.abc import Callable, Mapping, Sequence

from decoct.report import wording
from decoct.report.accuracy import Setting
from decoct.report.grouped import grouped
from decoct.report.page import plot
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import chip, difference, fold, note, place, section, stacked
from decoct.report.page.plot import Figure, Panel
from decoct.report.page.view import View
from decoct.report.read.manifest import REFERENCE
from decoct.report.sections.verdict import Verdict
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.components import Components
from decoct.report.stats.intervals import Interval

SPREADS: dict[str, Callable[[Components], float | None]] = {
    "sets": lambda c: c.condense,
    "students": lambda c: c.train,
    "sets and students": lambda c: c.together,
    "other test images": lambda c: c.images,
}


def show(view: View, verdicts: Sequence[Verdict], margins: Mapping[Setting, float]) -> Markup:
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
            f"In percentage points, with 95 % intervals{view.given}. Students of one replicate share initial "
            "weights and batch order, so that methods differ by their sets alone. "
            f"The band is the margin of ±{wording.margins(margins.values())}."
        ),
        view.charts(lambda panel: figure(view, verdicts, _widest(margins, panel), panel)),
        tag("h3", "Row minus column, against every coreset"),
        *tables,
    )


def _widest(margins: Mapping[Setting, float], panel: Panel) -> float:
    return max((m for setting, m in margins.items() if setting.panel == panel), default=0.01)


def figure(view: View, verdicts: Sequence[Verdict], margin: float, panel: Panel) -> Figure | None:
    """Paired differences to random with 95 % intervals, and the margin as a band."""
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


def _pairs(view: View, verdicts: Sequence[Verdict]) -> Markup:
    against = [label for label, family in view.methods.items() if family == "coreset" or label == REFERENCE]
    rows = [cells(view.method(v.method), *(_cell(v.coresets.get(label)) for label in against)) for v in verdicts]
    return table(columns("method", *map(view.method, against)), rows)


def _cell(c: Comparison | None) -> Markup:
    return join([difference(c), chip(c.verdict) if c.n else ""]) if c else Markup()


def chance(view: View, verdicts: Sequence[Verdict]) -> Markup:
    """A table for each setting; nothing where no method has two replicates in common with random."""
    told = grouped((v for v in verdicts if v.random and v.random.n > 1), lambda v: v.setting)
    blocks = [fold(place(s), _spreads(view, told[s]), opened=s == next(iter(told))) for s in view.settings if s in told]
    if not blocks:
        return Markup()
    return section(
        "chance",
        "How sure is it?",
        note(
            f"Differences to {REFERENCE} in points, with the interval{view.given} over sets and test images, and its "
            "parts: new sets and students on these test images, and these sets and students on other test images. "
            "Spread: standard deviations of a single difference between sets, between students of one set, and what "
            "as many other test images would add. Found at 80 %: the smallest true difference that as many sets with "
            "this spread find in four of five studies, after Holm. Ahead: how likely a new set gives more than a new "
            "random one, the share of the pairs here with Wilson's interval over them, which is wide where they are "
            "few. Each interval is at its own level."
        ),
        *blocks,
    )


def _spreads(view: View, verdicts: Sequence[Verdict]) -> Markup:
    spreads = {k: read for k, read in SPREADS.items() if any(v.components and read(v.components) for v in verdicts)}
    rows = []
    for v in verdicts:
        assert v.random is not None
        own = [_points(read(v.components) if v.components else None) for read in spreads.values()]
        ends = chip(v.random.verdict), difference(v.random), _part(v.random.over_sets), _part(v.random.over_images)
        rows.append(cells(view.method(v.method), *ends, *own, _points(v.random.detectable), _ahead(v.ahead)))
    named = (f"spread, {what}" for what in spreads)
    return table(
        columns("method", "", "over both", "over sets", "over test images", *named, "found at 80 %", "ahead, %"), rows
    )


def _part(i: Interval | None) -> Markup:
    if i is None or not math.isfinite(i.lo):
        return Markup(wording.NONE)
    return stacked(tag("small", f"{wording.bounds(i.lo, i.hi)}, n = {i.n:,}"), sort=i.lo)


def _ahead(i: Interval | None) -> Markup:
    if i is None:
        return Markup(wording.NONE)
    return stacked(f"{100 * i.mean:.0f}", f"[{100 * i.lo:.0f}, {100 * i.hi:.0f}], n = {i.n}", sort=i.mean)


def _points(sd: float | None) -> Markup:
    known = sd is not None and math.isfinite(sd)
    return valued(sd, name(f"{100 * sd:.2f}") if known and sd is not None else wording.NONE)
