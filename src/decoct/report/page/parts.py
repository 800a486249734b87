"""Pieces that the page's sections are made of."""

from collections.abc import Callable, Mapping, Sequence

from decoct.report import wording
from decoct.report.findings.accuracy import Accuracy
from decoct.report.findings.verdict import Setting
from decoct.report.page import facets, figures
from decoct.report.page.markup import Markup, embed, join, name, table, tag
from decoct.report.page.plot import Figure, Panel
from decoct.report.page.style import Mark
from decoct.report.read.manifest import FULL
from decoct.report.stats.comparisons import Comparison, Word
from decoct.report.summary import Summary

SIGNS: dict[Word, str] = {"better": "▲", "worse": "▼", "equivalent": "≈", "undecided": "?"}


def section(key: str, title: str, *content: object) -> Markup:
    """A section of the page with its heading; empty content leaves it out."""
    return tag("section", tag("h2", title), *content, id=key) if any(content) else Markup()


def block(*content: object) -> Markup:
    """What stands under one ``h3``, so that the filter can hide it with what the heading names."""
    return tag("div", *content, class_="block")


def note(*content: object) -> Markup:
    """Small print."""
    return tag("p", *content, class_="note")


def method(summary: Summary, marks: dict[str, Mark], label: str) -> Markup:
    """A method's mark and name; a dagger where its intervals condition on one set."""
    mark = marks[label].svg() if label in marks else Markup()
    dagger = tag("sup", "†") if label in summary.deterministic else ""
    return tag("span", mark, name(label), dagger, data_method=label)


def methods(summary: Summary, marks: dict[str, Mark]) -> dict[str, Markup]:
    """Mark and name of every method, by label."""
    return {label: method(summary, marks, label) for label in summary.methods}


def chip(word: Word) -> Markup:
    """A verdict as sign and word, so that colour is never alone."""
    return tag("span", tag("i", SIGNS[word]), f" {word}", class_=f"chip {word}")


def chart(figure: Figure | None, caption: object, wide: bool = False) -> Markup:
    """A figure that the page's script draws."""
    if figure is None:
        return Markup()
    holder = tag("div", class_="plot", style=f"height:{figure['layout']['height']}px")
    return tag("figure", tag("figcaption", caption), holder, embed(figure), class_="chart wide" if wide else "chart")


def charts(summary: Summary, draw: Callable[[Panel], Figure | None]) -> Markup:
    """One figure a protocol and student, side by side where there is room."""
    return tag("div", *(chart(draw(panel), title(panel)) for panel in figures.panels(summary)), class_="charts")


def title(panel: Panel) -> Markup:
    """Protocol and student of a panel."""
    return join([tag("b", facets.protocol(panel[0])), " · ", facets.student(panel[1])])


def accuracy_cell(a: Accuracy | None) -> Markup:
    """Mean, interval and what n counts, one under the other."""
    if a is None:
        return Markup(wording.NONE)
    count = f"{a.interval.n:,} test images" if a.method == FULL else f"n = {a.interval.n}"
    small = join(
        part for part in (tag("small", wording.bounds(a.interval.lo, a.interval.hi)), tag("small", count)) if part
    )
    return tag(
        "span", tag("b", wording.percent(a.interval.mean)), small, class_="number stacked", data_value=a.interval.mean
    )


def comparison_cell(c: Comparison | None) -> Markup:
    """The word of a comparison, over its difference."""
    if c is None or c.n == 0:
        return Markup(wording.NONE)
    return join([chip(c.verdict), difference(c)])


def difference(c: Comparison) -> Markup:
    """Points with their interval."""
    if c.n == 0:
        return Markup(wording.NONE)
    small = tag("small", wording.bounds(c.lo, c.hi) or "n = 1")
    return tag("span", wording.points(c.mean), " ", small, class_="number", data_value=c.mean)


def grid(
    summary: Summary,
    heads: Mapping[str, Markup],
    cell: Callable[[str, Setting], Markup],
    last: Sequence[list[Markup]] = (),
) -> Markup:
    """Methods by settings, each protocol and student over its budgets; ``heads`` begin the rows, by method."""
    panels = figures.panels(summary)
    top = [tag("th", "method", rowspan=2, scope="col")]
    top += [tag("th", title(panel), colspan=len(own), scope="colgroup") for panel, own in panels.items()]
    budgets = [tag("th", facets.budget(s.budget), scope="col", class_=first(s, summary)) for s in summary.settings]
    rows = [
        [
            tag("th", head, scope="row"),
            *(tag("td", cell(label, s), class_=first(s, summary)) for s in summary.settings),
        ]
        for label, head in heads.items()
    ]
    return table([top, budgets], [*rows, *last], class_="grid")


def first(setting: Setting, summary: Summary) -> str | None:
    """The class of a cell that begins a panel."""
    own = figures.panels(summary)[setting.protocol, setting.student]
    return "first" if own[0] == setting else None
