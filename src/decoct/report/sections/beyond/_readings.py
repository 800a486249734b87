"""What the sections of the three axes and of all readings share: figure, table and cells."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from decoct.report import standing, wording
from decoct.report.grouped import grouped
from decoct.report.page import facets, plot
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag
from decoct.report.page.parts import block, chart, content, fold, stacked
from decoct.report.page.plot import Figure
from decoct.report.page.view import View
from decoct.report.standing import ARROWS, SIGNS, WIDE, Name, Random, Standing
from decoct.report.stats.intervals import Interval

if TYPE_CHECKING:
    from decoct.report.summary import Summary


def of_axis(summary: "Summary", axis: str) -> Markup:
    """A figure of an axis' leading readings against random sets, and their table; empty where nothing was measured."""
    own = [s for s in summary.found(standing.find) if s.lead and s.name.axis == axis]
    if not own:
        return Markup()
    last = list(dict.fromkeys(s.budget for s in own if math.isfinite(s.z)))[-1:]
    made = figure(summary, [s for s in own if s.budget in last])
    caption = [
        "Standard deviations from random sets at ",
        *map(facets.budget, last),
        ": 95 of 100 random sets lie in the band",
    ]
    tables = [
        block(tag("h4", facets.budget(budget)), readings_table(summary, read, words=True))
        for budget, read in grouped(own, lambda s: s.budget).items()
    ]
    return content(
        tag("div", chart(made, join(caption), wide=True), class_="charts") if made else "",
        summary.keys() if made else "",
        fold("The leading readings, budget by budget", *tables),
    )


def said(summary: "Summary", axis: str) -> str:
    """In how many leading readings of an axis each method is better or worse than random; empty without readings."""
    told = _told(summary, axis)
    methods, parts = grouped(told, lambda s: s.method), []
    for method, own in methods.items():
        words = [s.word for s in own]
        if not {"better", "worse"} & set(words):
            continue
        parts.append(
            f"{method} is better in {words.count('better')} and worse in {words.count('worse')} of "
            f"{wording.count(len(words), 'reading')}"
        )
    if not parts:
        return "No method is shown to differ from random sets of the same size in any reading" if told else ""
    parts += ["for all others it is open"] if len(parts) < len(methods) else []
    return f"Compared with random sets of the same size, {'; '.join(parts)}"


def _told(summary: "Summary", axis: str) -> list[Standing]:
    """The leading readings of an axis that have a word beside random and a direction."""
    return [
        s for s in summary.found(standing.find) if s.word and s.higher_is_better is not None and s.name.axis == axis
    ]


def figure(view: View, own: Sequence[Standing]) -> Figure | None:
    """Draw z beside random sets over the readings of one budget, turned where lower is better.

    Returns:
        Marks for each method; None where no reading has a z and a direction.
    """
    shown = [s for s in own if math.isfinite(s.z) and s.higher_is_better is not None]
    at = {name: i for i, name in enumerate(dict.fromkeys(s.name for s in shown))}
    if not at:
        return None
    step = min(0.08, 0.5 / max(len(view.methods), 1))  # two methods with the same sets would hide each other
    traces = []
    for i, label in enumerate(view.methods):
        line, aside = [s for s in shown if s.method == label], step * (i - (len(view.methods) - 1) / 2)
        traces += [_line(view, label, line, [at[s.name] + aside for s in line])] if line else []
    most = max(WIDE, *(abs(s.towards) for s in shown))
    ticks = [z for z in (-1000, -300, -100, -30, -10, -3, 0, 3, 10, 30, 100, 300, 1000) if abs(z) <= 1.3 * most]
    ends = squeezed(1.25 * most)
    words = [(squeezed(z), f"{z:,}".replace("-", wording.MINUS)) for z in ticks]
    yaxis = plot.axis((-ends, ends), words, "worse ↔ better", zeroline=True, showgrid=False, automargin=True)
    several = len({n.extractor for n in at}) > 1
    text = [(i, _tick(n, direction(shown, n), several)) for n, i in at.items()]
    look: Figure = {"autotickangles": [0, -45, -90], "ticklabeloverflow": "allow", "zeroline": False, "showgrid": True}
    xaxis = plot.axis((-0.5, len(at) - 0.5), text, **look)
    layout = plot.layout(380, xaxis, yaxis)
    band = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "name": "band"}
    layout["shapes"] = [{**band, "y0": squeezed(-1.96), "y1": squeezed(1.96)}]
    return {"data": traces, "layout": layout}


def _tick(n: Name, higher: bool | None, extractors: bool) -> str:
    """The metric, two words a line, and whose features it was read in."""
    words = n.metric.split("_")
    lines = [" ".join(words[i : i + 2]) for i in range(0, len(words), 2)]
    lines[-1] += ARROWS[higher]
    return "<br>".join(map(plot.label, [*lines, n.extractor] if extractors and n.extractor else lines))


def direction(own: Sequence[Standing], n: Name) -> bool | None:
    """Whether higher is better of a reading; None for a fact that is no virtue."""
    return next(s.higher_is_better for s in own if s.name == n)


def squeezed(z: float) -> float:
    """Linear up to ``WIDE``, beyond that logarithmic, and smooth."""
    return z if abs(z) <= WIDE else math.copysign(WIDE * (1 + math.log(abs(z) / WIDE)), z)


def _line(view: View, label: str, own: Sequence[Standing], x: Sequence[float]) -> Figure:
    mark, y = view.marks[label], [squeezed(s.towards) for s in own]
    hover = [f"<b>{plot.label(label)}</b><br>{plot.label(_said(s))}" for s in own]
    of = {"method": label, "budget": [s.budget for s in own]}
    return plot.trace("markers", label, x, y, of, hover, marker=mark.marker)


def _said(s: Standing) -> str:
    bounds = f" {_bounds(s.interval)}" if s.over else ""
    n = f"n = {s.interval.n}" + (", interval over images" if s.over == "images" else "")
    random = f"; random {wording.reading(s.random.mean)}" if s.random else ""
    return f"{s.name}: {wording.reading(s.interval.mean)}{bounds}, {n}{random}, {_z(s)}"


def readings_table(view: View, own: Sequence[Standing], words: bool = False) -> Markup:
    """Readings down, methods across, what random sets give last; with words, the extractors stand side by side."""
    placed = {(s.name, s.method): s for s in own}
    names = list(dict.fromkeys(s.name for s in own))
    if words:
        kinds = list(dict.fromkeys((n.axis, *n.what) for n in names))
        names.sort(key=lambda n: kinds.index((n.axis, *n.what)))
    body = []
    for axis in dict.fromkeys(s.name.axis for s in own):
        body.append([tag("th", axis, colspan=len(view.methods) + 2, scope="colgroup", class_="axis")])
        for n in (n for n in names if n.axis == axis):
            row = [placed.get((n, label)) for label in view.methods]
            body.append(cells(_first(n, own, words), *(_cell(s, words) for s in row), _random([s for s in row if s])))
    return table(columns("metric", *map(view.method, view.methods), "random sets"), body, class_="metrics")


def _first(n: Name, own: Sequence[Standing], words: bool) -> Markup:
    against = "" if n.reference == "none" else f", against {n.reference}"
    whose = tag("small", name(n.extractor)) if words and n.extractor else Markup()
    small = tag("small", f"{n.scope.replace('_', ' ')}{against}")
    return join([name(n.metric.replace("_", " ")), ARROWS[direction(own, n)], " ", small, whose])


def _cell(s: Standing | None, words: bool) -> Markup:
    if s is None or not s.interval.n:
        return Markup(wording.NONE)
    sign = tag("i", SIGNS[s.word], class_=f"sign {s.word.replace(' ', '-')}", title=s.word) if words and s.word else ""
    value = tag("span", sign, " ", wording.reading(s.interval.mean))
    return stacked(value, _bounds(s.interval) if s.over else "", _z(s), sort=s.interval.mean)


def _random(row: list[Standing]) -> Markup:
    random = next((s.random for s in row if s.random), None)
    if random is None:
        return Markup(wording.NONE)
    return stacked(wording.reading(random.mean), _bounds(random), sort=random.mean)


def _bounds(i: Interval | Random) -> str:
    return f"[{wording.reading(i.lo)}, {wording.reading(i.hi)}]"


def _z(s: Standing) -> str:
    return f"z {s.z:+.1f}".replace("-", wording.MINUS) if math.isfinite(s.z) else ""
