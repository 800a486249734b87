"""A card as the first screen of a page: for wide screens and phones, light and dark, saved as a picture by a button."""

import math
from collections.abc import Iterator

from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.card import chart
from decoct.report.card.content import Card, Panel, Row, tick
from decoct.report.card.spent import Spent
from decoct.report.card.strips import Strip
from decoct.report.card.svg import draw
from decoct.report.card.take import Take
from decoct.report.page import facets, parts, plot
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.plot import Figure, Mark
from decoct.report.page.view import View

HEIGHT = 250  # pixels of a chart
LABELLED = 3  # panels side by side up to which words fit beside the full data's number
LETTERS, FEW = 96, 33  # characters of all headings of a row, and on a phone
NAME, TAIL = 18, 4  # letters of a name beside pictures, and of its end, which distinguishes variants


def show(view: View, card: Card) -> Markup:
    """The card as an ``article``, with the drawing that the buttons save."""
    right = [*_takes(view, card), *_costs(view, card)]
    looks = [_title("What the sets look like", card.pictured), *(_strip(view, i, s) for i, s in enumerate(card.strips))]
    longest = min(max((len(s.method) for s in card.strips), default=0), NAME)
    halves = [tag("div", *looks, style=f"--name: {longest + 4}ch")] if card.strips else []
    halves += [tag("div", *right)] if right else []
    return tag(
        "article",
        tag("p", join(map(name, card.facts), " · "), class_="facts"),
        tag("h2", card.question),
        tag("p", tag("b", f"{card.lead}.") if card.lead else "", " ", tag("span", card.answer), class_="reply"),
        *([_ranking(view, card)] if card.ranked else _charts(view, card)),
        tag("div", *halves, class_="halves") if halves else "",
        tag("p", " ".join(card.notes), class_="fine") if card.notes else "",
        tag("p", _button("PNG"), _button("SVG"), class_="keep"),
        # Inert text, in which every "<" of a name is escaped already.
        tag("script", Markup(draw(card, pictures=False)), type="image/svg+xml"),
        id="card",
        class_=None if card.lead else "whole",
    )


def _legend(view: View, card: Card) -> Iterator[Markup]:
    for word, methods in card.legend:
        first, *rest = methods
        yield tag("li", tag("small", word) if word else "", _named(view, first))  # a word and its first stay together
        yield from (tag("li", _named(view, method)) for method in rest)


def figure(row: Row, marks: dict[str, Mark], yaxis: Figure) -> Figure:
    """Dots with intervals by protocol and budget, side by side; ceilings as lines, each across its protocol."""
    places = [(panel, i) for panel in row.panels for i in range(len(panel.settings))]
    methods = [m for m in marks if any(any(panel.points.get(m, ())) for panel in row.panels)]
    step = min(0.15, 0.75 / max(len(methods), 1))
    traces = []
    for k, method in enumerate(methods):
        own = [(at, panel, a) for at, (panel, i) in enumerate(places) if (a := panel.points[method][i])]
        x = [at + step * (k - (len(methods) - 1) / 2) for at, _, _ in own]
        where = [f"{panel.protocol}, {wording.budget(a.setting.budget)}" for _, panel, a in own]
        drawn = plot.dots(marks[method], method, x, [a for _, _, a in own], where)
        drawn["meta"] |= {"protocol": [panel.protocol for _, panel, _ in own], "student": row.student}
        traces.append(drawn)
    ticks = [(at, plot.label(tick(panel.settings[i].budget))) for at, (panel, i) in enumerate(places)]
    look: Figure = {"showgrid": False, "zeroline": False, "autotickangles": [0, -45, -90]}
    layout = plot.layout(HEIGHT, plot.axis((-0.5, len(places) - 0.5), ticks, **look), yaxis)
    of = [{"budget": p.settings[i].budget, "protocol": p.protocol, "student": row.student} for p, i in places]
    layout = plot.slots(layout, "x", enumerate(of)) | {"shapes": [], "annotations": []}
    layout["meta"]["annotations"] = []  # what each shows, and how it looks where there is little room
    first = 0
    for panel in row.panels:
        _frame(layout, row, panel, first, len(row.panels))
        first += len(panel.settings)
    return {"data": traces, "layout": layout}


def _frame(layout: Figure, row: Row, panel: Panel, first: int, abreast: int) -> None:
    """Add a panel's heading, its borders, what cannot be read in it, and its ceiling to a layout."""
    left, right = first - 0.5, first + len(panel.settings) - 0.5
    tall = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1}
    if first:
        layout["shapes"].append({**tall, "type": "line", "x0": left, "x1": left, "name": "grid"})
    for i, setting in enumerate(panel.settings):
        if setting in panel.unreadable:
            layout["shapes"].append({**tall, "type": "rect", "x0": left + i, "x1": left + i + 1, "name": "band"})
    heading = {
        "xref": "x",
        "showarrow": False,
        "x": left,
        "xanchor": "left",
        "yref": "paper",
        "y": 1,
        "yanchor": "bottom",
        "align": "left",
    }
    whole, halves = [_cut(panel.protocol, LETTERS // abreast)], _halves(panel.protocol, FEW // abreast)
    words, fewer = (f"<b>{'<br>'.join(map(plot.label, part))}</b>" for part in (whole, halves))
    layout["annotations"].append({**heading, "text": words, "name": "head"})
    narrow: list[Figure] = [{"text": fewer}]
    if len(halves) > 1:
        layout["margin"]["t"] = 36
    if panel.ceiling:
        full = panel.ceiling.interval
        across = {"xref": "x", "x0": left, "x1": right, "yref": "y"}
        layout["shapes"] += [
            {**across, "type": "rect", "y0": 100 * full.lo, "y1": 100 * full.hi, "name": "band"},
            {**across, "type": "line", "y0": 100 * full.mean, "y1": 100 * full.mean, "name": "ceiling"},
        ]
        number = wording.percent(full.mean)
        said = f"full data {number} %" if abreast <= LABELLED else number
        place = {**heading, "x": right, "xanchor": "right", "xshift": -6}
        above = {"text": number, "y": 100 * full.hi, "yref": "y", "xshift": 0}  # the heading takes all there is
        narrow.append(above if abreast <= LABELLED else {"visible": False})
        layout["annotations"].append({**place, "text": said, "name": "note"})
    of = {"protocol": panel.protocol, "student": row.student}
    layout["meta"]["annotations"] += [{"of": of, "narrow": each} for each in narrow]


def _halves(name: str, most: int) -> list[str]:
    """A name of more letters in two lines, cut nearest to its middle after a hyphen, a space or an underscore."""
    cuts = [i + 1 for i, c in enumerate(name[:-1]) if c in "_- "]
    if len(name) <= most or not cuts:
        return [_cut(name, most)]
    middle = min(cuts, key=lambda i: abs(i - len(name) / 2))
    return [_cut(name[:middle], most), _cut(name[middle:], most)]


def _cut(name: str, most: int) -> str:
    """A name of more letters without its middle."""
    return name if len(name) <= most else f"{name[: most - TAIL - 1]}…{name[-TAIL:]}"


def _ranking(view: View, card: Card) -> Markup:
    """A line for each method, the best first: its name, its mark on the axis, its accuracy."""
    (panel,) = card.rows[0].panels
    (low, high), kinds = chart.span(card.rows[0].accuracies), card.kinds

    def at(fraction: float) -> float:
        return round((100 * fraction - low) / (high - low) * 100, 2)

    full = panel.ceiling
    dashed = tag("i", class_="full", style=f"left: {at(full.interval.mean)}%") if full else ""
    lines = []
    for a in card.ranked:
        i, mark = a.interval, view.marks[a.method]
        known = f"left: {at(i.lo)}%; width: {at(i.hi) - at(i.lo):.2f}%; background: {mark.color}"
        drawn = [dashed, tag("i", class_="bar", style=known) if math.isfinite(i.lo) else ""]
        drawn.append(tag("i", mark.svg(), class_="point", style=f"left: {at(i.mean)}%"))
        track = tag("span", *drawn, class_="track", title=chart.said(a))
        number = tag("b", f"{wording.percent(i.mean)} %"), tag("small", wording.bounds(i.lo, i.hi))
        lines.append(tag("li", _named(view, a.method), tag("small", kinds[a.method]), track, *number))
    words = f"full data {wording.percent(full.interval.mean)} %" if full else ""
    ticks = (tag("i", f"{value} %", style=f"left: {at(value / 100)}%") for value in chart.ticks(low, high))
    where = f"{panel.protocol}, {tick(panel.settings[0].budget)}"
    return tag(
        "div",
        tag("p", tag("b", where), tag("span", words), class_="where"),
        tag("ol", *lines),
        tag("p", *ticks, class_="track", aria_hidden="true"),
        class_="ranking unreadable" if panel.unreadable else "ranking",
    )


def _charts(view: View, card: Card) -> Iterator[Markup]:
    if card.rows:
        yield tag("ul", *_legend(view, card), class_="legend")
    several = len({row.student for row in card.rows}) > 1
    yaxis = plot.accuracy_axis([a for row in card.rows for a in row.accuracies])
    for row in card.rows:
        caption = facets.student(row.student) if several else ""
        drawn = parts.chart(figure(row, view.marks, yaxis), caption, wide=True)
        yield tag("div", drawn, role="group", aria_label=_spoken(row))


def _spoken(row: Row) -> str:
    """What a chart shows, for a reader who does not see it: the ends of each setting."""
    said = []
    for panel in row.panels:
        for i, setting in enumerate(panel.settings):
            own = [a for many in panel.points.values() if (a := many[i])]
            if own:
                high, low = (end(own, key=lambda a: a.interval.mean) for end in (max, min))
                lowest = f", lowest {_brief(low)}" if low is not high else ""
                where = f"{panel.protocol}, {wording.budget(setting.budget)}"
                said.append(f"{where}: highest {_brief(high)}{lowest}.")
    return f"Accuracies with {row.student}. {' '.join(said)}"


def _brief(a: Accuracy) -> str:
    return f"{a.method} {wording.percent(a.interval.mean)} %"


def _strip(view: View, at: int, strip: Strip) -> Markup:
    images = [
        tag(
            "img",
            src=picture,
            width=strip.side,
            height=strip.side,
            alt=f"picture {k + 1} of {strip.method}",
            class_="pixelated" if strip.side <= 40 else None,
            loading="lazy",
            data_picture=f"{at}-{k}",
        )
        for k, picture in enumerate(strip.pictures)
    ]
    said = f"{wording.count(len(images), 'picture')} of {strip.method}"
    caption = tag("figcaption", _named(view, strip.method, NAME), title=strip.method)
    return tag("figure", caption, tag("div", *images, role="img", aria_label=said), class_="strip")


def _takes(view: View, card: Card) -> Iterator[Markup]:
    if card.takes:
        yield _title("What to take", "the highest mean accuracy")
        yield tag("ul", *(_take(view, take) for take in card.takes), class_="takes")


def _take(view: View, take: Take) -> Markup:
    limit = tag("span", take.limit, class_="limit")
    if take.interval is None:
        return tag("li", limit, tag("span", tag("bdi", take.note)))
    i = take.interval
    what = tag("span", tag("b", _named(view, take.method)), " ", take.where, " ", tag("small", take.note))
    number = tag("span", tag("b", f"{wording.percent(i.mean)} %"), tag("small", wording.bounds(i.lo, i.hi)))
    return tag("li", limit, what, number)


def _costs(view: View, card: Card) -> Iterator[Markup]:
    if card.costs:
        yield _title("What a set cost", "teachers included")
        yield tag("ul", *(_spent(view, spent) for spent in card.costs), class_="costs")
    elif card.uncompared:
        yield _title("What a set cost", "")
        yield tag("p", card.uncompared)


def _spent(view: View, spent: Spent) -> Markup:
    names = [_named(view, m) for m in spent.methods[:3]]
    more = len(spent.methods) - len(names)
    names += [tag("span", f"and {more} more")] if more else []
    return tag("li", tag("span", join(names, " ")), tag("b", spent.span))


def _title(said: str, more: str) -> Markup:
    return tag("h3", said, tag("small", f" {more}") if more else "")


def _named(view: View, method: str, most: int = 60) -> Markup:
    """A method's mark and name, which the page's filter knows."""
    return tag("span", view.marks[method].svg(), name(_cut(method, most)), class_="method", data_method=method)


def _button(kind: str) -> Markup:
    return tag("button", f"Save as {kind}", type="button", data_save=kind.lower())
