"""The section of where the points come from: a waterfall from a random set under hard labels, and its table."""

import math
from collections.abc import Sequence

from decoct.report import wording
from decoct.report.findings import breakdown as findings
from decoct.report.findings.breakdown import Breakdown, Work
from decoct.report.page import facets, plot
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import charts, method, note, section, title
from decoct.report.page.plot import Figure, Panel
from decoct.report.page.style import GREY, Mark
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats.intervals import Interval
from decoct.report.summary import Summary


def breakdown(summary: Summary, marks: dict[str, Mark]) -> Markup:
    """The sentences, a figure for each protocol and student, and all numbers with steps and images seen."""
    if not summary.methods:
        return Markup()
    lines = [*findings.sentences(summary.breakdown), *summary.untold]
    tables: list[Markup] = []
    soft = next((b.setting[:2] for b in summary.breakdown if b.labels), None)
    for panel in dict.fromkeys(b.setting[:2] for b in summary.breakdown):
        own = [b for b in summary.breakdown if b.setting[:2] == panel]
        opened = "open" if panel == soft or (soft is None and not tables) else None
        tables.append(tag("details", tag("summary", title(panel)), _table(own, summary, marks), open=opened))
    about = note(
        "From the left: a random set under hard labels; what the protocol's labels add to that random set; what a "
        "method's images add to a random set under the same protocol. All three are paired over the replicates that "
        "they share, and add up to the method's accuracy. Bars carry 95 % intervals of what they add. Labels come with "
        "a protocol, and with it its loss, steps and augmentation: so steps and images seen stand beside. ",
        f"{REFERENCE} under the same hard labels is the start where a protocol has hard labels: only images add there.",
    )
    return section(
        "breakdown",
        "Where the points come from",
        tag("p", f"{findings.overall(summary.breakdown)}."),
        tag("ul", *(tag("li", f"{line}.") for line in lines)) if lines else "",
        charts(summary, lambda panel: figure(summary, marks, panel)) if summary.breakdown else "",
        *tables,
        about if tables else "",
    )


def figure(summary: Summary, marks: dict[str, Mark], panel: Panel) -> Figure | None:
    """A waterfall for each budget: random under hard labels, the labels, then each method's images from there on."""
    found = [b for b in summary.breakdown if b.setting[:2] == panel]
    if not found:
        return None
    traces, places, ticks, slots, heads = [], [], [], [], []
    y = 0.0
    for budget in dict.fromkeys(b.setting.budget for b in found):
        own = [b for b in found if b.setting.budget == budget]
        first = max(own, key=lambda b: b.images.n)  # random's own numbers, over as many replicates as there are
        heads.append((y, budget))
        slots.append((y, {"budget": budget}))
        of = {"budget": budget}
        rows = [(of, f"{REFERENCE}, {first.hard}", _base(first, of))]
        if first.labels:
            rows.append((of, f"labels of {panel[0]}", _labels(first, first.labels, of)))
        for b in own:
            both = {"method": b.method, "budget": budget}
            rows.append((both, b.method, _images(b, marks[b.method], both)))
        for what, tick, trace in rows:
            y += 1
            places.append(y)
            ticks.append(plot.label(tick))
            slots.append((y, what))
            traces.append(trace | {"name": plot.label(tick), "y": [y]})
        y += 1
    yaxis = {"range": [y - 0.3, -0.7], "showgrid": False, "zeroline": False, "automargin": True}
    xaxis = {"range": [0, _end(summary)], "ticksuffix": " %", "title": {"text": "test accuracy"}}
    layout = plot.layout(int(24 * y) + 70, xaxis, yaxis | {"tickvals": places, "ticktext": ticks})
    spot = {"xref": "paper", "x": 0, "xanchor": "left", "showarrow": False, "name": "head"}
    layout["annotations"] = [{**spot, "y": at, "text": f"<b>{plot.label(wording.budget(b))}</b>"} for at, b in heads]
    return {"data": traces, "layout": plot.slots(layout, "y", slots, height=24)}


def _end(summary: Summary) -> float:
    """Of the axis of accuracy, the same in all panels, so that lengths can be compared across them."""
    ends = [x for b in summary.breakdown for x in (b.base.mean, b.base.hi, b.total.mean, _images_end(b))]
    return min(106 * max(x for x in ends if math.isfinite(x)), 102)


def _images_end(b: Breakdown) -> float:
    return b.total.mean - b.images.mean + b.images.hi


def _base(b: Breakdown, of: dict[str, str]) -> Figure:
    said = (f"{REFERENCE} under {b.hard}", f"{wording.accuracy(b.base)} %, n = {b.base.n}", b.before)
    marker = {"color": _faint(GREY), "line": {"color": GREY, "width": 1.6}}
    return _bar(0.0, b.base.mean, b.base, GREY, marker, said, of)


def _labels(b: Breakdown, added: Interval, of: dict[str, str]) -> Figure:
    said = (f"labels of {b.setting.protocol}", _added(added), b.beside)
    striped = {"color": GREY, "pattern": {"shape": "/", "fgcolor": GREY, "bgcolor": "rgba(0,0,0,0)", "size": 5}}
    marker = {**striped, "line": {"color": GREY, "width": 1.6}}
    return _bar(b.base.mean, added.mean, added, GREY, marker, said, of)


def _images(b: Breakdown, mark: Mark, of: dict[str, str]) -> Figure:
    said = (f"images of {b.method}", _added(b.images), f"{wording.accuracy(b.total)} % in all, {b.after}")
    fill = _faint(mark.color) if mark.filled else "rgba(0,0,0,0)"
    marker = {"color": fill, "line": {"color": mark.color, "width": 1.6}}
    return _bar(b.total.mean - b.images.mean, b.images.mean, b.images, mark.color, marker, said, of)


def _bar(
    start: float,
    added: float,
    interval: Interval,
    color: str,
    marker: Figure,
    said: Sequence[object],
    of: dict[str, str],
) -> Figure:
    return {
        "type": "bar",
        "orientation": "h",
        "width": 0.62,
        "base": 100 * start,
        "x": [100 * added],
        "error_x": plot.bars(color, [interval]),
        "marker": marker,
        "meta": of,
        "customdata": ["<br>".join(map(plot.label, said))],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _faint(color: str) -> str:
    """The colour, thin enough for the interval to be seen on it."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},.4)"


def _added(i: Interval) -> str:
    return f"{wording.points(i.mean)} points {wording.bounds(i.lo, i.hi)}".rstrip() + f", n = {i.n}"


def _table(own: Sequence[Breakdown], summary: Summary, marks: dict[str, Mark]) -> Markup:
    soft = any(b.labels for b in own)
    body = []
    for b in own:
        start = _accuracy(b.base, b.before)
        middle = [_part(b.labels, b.beside)] if soft else []
        body.append(
            cells(
                method(summary, marks, b.method),
                facets.budget(b.setting.budget),
                start,
                *middle,
                _part(b.images, None),
                _accuracy(b.total, b.after),
                *([_part(b.beyond, None)] if soft else []),
            )
        )
    head = columns("method", "budget")
    head[0] += [tag("th", REFERENCE, " under ", name(own[0].hard), scope="col")]
    words = ["labels add", "images add", "accuracy", "labels minus images"] if soft else ["images add", "accuracy"]
    head[0] += [tag("th", word, scope="col") for word in words]
    return table(head, body)


def _accuracy(i: Interval, work: Work) -> Markup:
    small = [f"{wording.bounds(i.lo, i.hi)} n = {i.n}".strip(), _work(work)]
    shown = tag("b", wording.percent(i.mean))
    return tag("span", shown, *(tag("small", s) for s in small if s), class_="number stacked", data_value=i.mean)


def _part(i: Interval | None, work: Work | None) -> Markup:
    if i is None:
        return Markup(wording.NONE)
    small = [f"{wording.bounds(i.lo, i.hi)} n = {i.n}".strip(), _work(work) if work else ""]
    shown = join([valued(i.mean, wording.points(i.mean)), *(tag("small", s) for s in small if s)])
    return tag("span", shown, class_="number stacked")


def _work(work: Work) -> str:
    return f"{work.steps:,} steps, {work.images_seen:,} seen"
