"""The section of accuracy by class: every class where they are few, the ends of the list where they are many."""

import math
from collections.abc import Sequence

from decoct.report import wording
from decoct.report.findings.by_class import ByClass, by_class, images
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import method, note, section, title
from decoct.report.page.style import Mark
from decoct.report.read.frame import Frame
from decoct.report.summary import Summary

FEW, ENDS = 20, 10  # classes that are all shown; classes shown at each end where there are more


def classes(frame: Frame, summary: Summary, marks: dict[str, Mark]) -> Markup:
    """A table for each setting; nothing where nothing is trained or there is one class."""
    names: list[str] = frame.manifest.data["class_names"]
    found = {(each.method, each.setting): each for each in by_class(frame)}
    if not found or len(names) < 2:
        return Markup()
    blocks = []
    for setting in summary.settings:
        own = [found[m, setting] for m in summary.methods if (m, setting) in found]
        if own:
            made = _all(own, names, summary, marks) if len(names) <= FEW else _ends(own, names, summary, marks)
            heading = join([title((setting.protocol, setting.student)), " · ", facets.budget(setting.budget)])
            blocks.append(tag("details", tag("summary", heading, _lowest(own, names)), made))
    counts = images(frame)
    tests = f"{counts.min():,.0f}" + (f" to {counts.max():,.0f}" if counts.max() > counts.min() else "")
    shown = "Every class, the one that is worst on average first. "
    if len(names) > FEW:
        shown = (
            f"Of each method the {ENDS} worst and the {ENDS} best of {len(names):,} classes, by their means: the ends "
            "of so long a list owe much to luck. All are in tables/classes.csv beside this page. "
        )
    about = note(
        "Test accuracy of single classes in percent, mean over a method's students with 95 % t intervals over "
        f"condense-level means, each class for itself. A class has {tests} test images, and the intervals condition on "
        "them. ",
        shown,
    )
    return section("classes", "By class", about, *blocks)


def _all(own: Sequence[ByClass], names: Sequence[str], summary: Summary, marks: dict[str, Mark]) -> Markup:
    """Classes down, methods across."""
    mean = [sum(each.mean[c] for each in own) / len(own) for c in range(len(names))]
    order = sorted(range(len(names)), key=lambda c: (math.isnan(mean[c]), mean[c]))  # what is not defined, last
    head = columns("class")
    head[0] += [tag("th", method(summary, marks, each.method), scope="col") for each in own]
    return table(head, (cells(name(names[c]), *(_cell(each, c) for each in own)) for c in order), class_="grid")


def _ends(own: Sequence[ByClass], names: Sequence[str], summary: Summary, marks: dict[str, Mark]) -> Markup:
    """A row for each method and class at an end."""
    rows = []
    for each in own:
        order = each.order()
        ends = [(c, "worst") for c in order[:ENDS]] + [(c, "best") for c in order[ENDS:][-ENDS:][::-1]]
        rows += [cells(method(summary, marks, each.method), end, name(names[c]), _cell(each, c)) for c, end in ends]
    return table(columns("method", "end", "class", "accuracy"), rows)


def _cell(each: ByClass, c: int) -> Markup:
    bounds = wording.bounds(each.lo[c], each.hi[c])
    small = tag("small", f"{bounds} " if bounds else "", f"n = {each.n}")
    return valued(float(each.mean[c]), tag("b", wording.percent(each.mean[c])), " ", small)


def _lowest(own: Sequence[ByClass], names: Sequence[str]) -> Markup:
    """The worst class of all, so that a closed table says something."""
    ends = [(each.mean[c], each, c) for each in own for c in each.order()[:1]]
    if not ends:
        return Markup()
    value, each, c = min(ends, key=lambda end: end[0])
    return tag("small", f" lowest: {wording.percent(value)} % of class ", name(names[c]), " with ", name(each.method))
