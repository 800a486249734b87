"""The section beyond accuracy: how well each set stands for the data, beside random sets of the same size."""

import math

from decoct.report import wording
from decoct.report.findings.standing import Name, Standing, Word, sentences
from decoct.report.page import facets, parallel
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag
from decoct.report.page.parts import block, chart, method, note, section
from decoct.report.page.style import Mark
from decoct.report.summary import Summary

SIGNS: dict[Word, str] = {"better": "▲", "worse": "▼", "more": "△", "less": "▽", "like random": "≈", "": ""}


def beyond(summary: Summary, marks: dict[str, Mark]) -> Markup:
    """The leading readings beside random as figure and table, then everything that was read."""
    if not summary.standings:
        said = "No set has been measured: nothing can be said of how the sets cover the data, nor of their quality."
        return section("metrics", "Beyond accuracy", note(said))
    blocks: list[object] = []
    for budget in dict.fromkeys(s.budget for s in summary.standings):
        own = [s for s in summary.standings if s.budget == budget and s.lead]
        if own:
            heading = tag("h3", facets.budget(budget))
            blocks.append(block(heading, _charts(own, summary, marks), _table(own, summary, marks, words=True)))
    return section(
        "metrics",
        "Beyond accuracy",
        note(*_about(summary)),
        tag("ul", *(tag("li", f"{line}.") for line in sentences(summary.standings))),
        *(tag("p", f"{a.sentence()}.") for a in summary.agreements),
        facets.method_keys(summary, marks),
        *blocks,
        tag("h3", "All readings"),
        *_everything(summary, marks),
    )


def _charts(own: list[Standing], summary: Summary, marks: dict[str, Mark]) -> Markup:
    drawn = [
        chart(
            parallel.axes([s for s in own if s.name.extractor == e], summary, marks),
            join(["features of ", name(e)]),
            wide=True,
        )
        for e in dict.fromkeys(s.name.extractor for s in own)
    ]
    return tag("div", *drawn, class_="charts")


def _everything(summary: Summary, marks: dict[str, Mark]) -> list[Markup]:
    blocks = []
    for budget, extractor in dict.fromkeys((s.budget, s.name.extractor) for s in summary.standings):
        own = [s for s in summary.standings if (s.budget, s.name.extractor) == (budget, extractor)]
        heading = join([tag("b", facets.budget(budget)), " · features of ", name(extractor)])
        blocks.append(tag("details", tag("summary", heading), _table(own, summary, marks)))
    return blocks


def _table(own: list[Standing], summary: Summary, marks: dict[str, Mark], words: bool = False) -> Markup:
    """Readings down, methods across, what random sets give last; with words, the extractors stand side by side."""
    found = {(s.name, s.method): s for s in own}
    names = list(dict.fromkeys(s.name for s in own))
    if words:
        kinds = list(dict.fromkeys((n.axis, *n.what) for n in names))
        names.sort(key=lambda n: kinds.index((n.axis, *n.what)))
    names.sort(key=lambda n: list(dict.fromkeys(s.name.axis for s in own)).index(n.axis))
    body, last = [], ""
    for n in names:
        if n.axis != last:
            body.append([tag("th", n.axis, colspan=len(summary.methods) + 2, scope="colgroup", class_="axis")])
            last = n.axis
        row = [found.get((n, m)) for m in summary.methods]
        body.append(cells(_first(n, own, words), *(_cell(s, words) for s in row), _random([s for s in row if s])))
    head = columns("metric")
    head[0] += [tag("th", method(summary, marks, m), scope="col") for m in summary.methods]
    head[0] += [tag("th", "random sets", scope="col")]
    return table(head, body, class_="metrics")


def _first(n: Name, own: list[Standing], words: bool) -> Markup:
    against = "" if n.reference == "none" else f", against {n.reference}"
    whose = tag("small", name(n.extractor)) if words and n.extractor else Markup()
    small = tag("small", f"{n.scope.replace('_', ' ')}{against}")
    return join([name(n.metric.replace("_", " ")), parallel.ARROWS[parallel.direction(own, n)], " ", small, whose])


def _cell(s: Standing | None, words: bool) -> Markup:
    if s is None or not s.interval.n:
        return Markup(wording.NONE)
    shown = [wording.reading(s.interval.mean)]
    small = [f"[{wording.reading(s.interval.lo)}, {wording.reading(s.interval.hi)}]"] if s.over else []
    small += [f"z {s.z:+.1f}".replace("-", wording.MINUS)] if math.isfinite(s.z) else []
    sign = tag("i", SIGNS[s.word], class_=f"sign {s.word.replace(' ', '-')}", title=s.word) if words and s.word else ""
    return tag(
        "span",
        tag("span", sign, " ", *shown),
        *(tag("small", part) for part in small),
        class_="number stacked",
        data_value=s.interval.mean,
    )


def _random(row: list[Standing]) -> Markup:
    random = next((s.random for s in row if s.random), None)
    if random is None:
        return Markup(wording.NONE)
    small = tag("small", f"[{wording.reading(random.lo)}, {wording.reading(random.hi)}]")
    return tag("span", wording.reading(random.mean), small, class_="number stacked", data_value=random.mean)


def _about(summary: Summary) -> list[object]:
    sizes = [s.random.n for s in summary.standings if s.random]
    sets = f"{max(sizes)} random subsets" if sizes else "no random subsets"
    few = any(s.classes is not None and s.classes < summary.classes for s in summary.standings)
    return [
        "Each value is the mean over a method's sets, with a 95 % t interval over two or more of them; of one set, the "
        "interval is over its images and the held-out ones. The last column is what ",
        sets,
        " of the training images give that have as many images of each class: their mean and where one more would fall "
        "in 95 of 100 cases. z counts their standard deviations from that mean. ",
        tag("b", "▲ better"),
        " and ",
        tag("b", "▼ worse"),
        " than random (△ more, ▽ less, where neither is a virtue): by Student's t beside the random sets, after Holm "
        "over all of these readings, budgets and methods, and with their mean outside of the interval over "
        "sets. ≈: not told from random, which is not the same as equal. Against val wherever there is a choice, since "
        "a coreset's images are among train. The arrow beside a name points to what is better; diversity alone rewards "
        "noise: read it beside quality. A dash: not defined for a set of that size.",
        " On the parallel axes stands z, turned so that up is better, for readings that have a z and a direction; "
        "beyond ±3 it is logarithmic, and the band is where 95 of 100 random sets fall. Intervals and n are on hover "
        "and in the table.",
        " Means per class are over the classes that a set has images of." if few else "",
    ]
