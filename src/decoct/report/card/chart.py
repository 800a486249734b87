"""The accuracies of a card as SVG: a panel for each protocol, budgets along it, dots with intervals, the ceiling."""

import math
from collections.abc import Mapping, Sequence

from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.card import ink
from decoct.report.card.content import Card, Panel, Row, tick
from decoct.report.page import plot
from decoct.report.page.markup import Markup, tag
from decoct.report.page.plot import Mark

HEIGHT, AXIS, GAP, HEAD, TICKS = 236, 46, 26, 26, 22  # pixels: of a plot, its axis, between panels, heads, ticks
WIDEST, APART = 460, 44  # pixels of one budget, and from mark to mark at most
NAMED = 600  # marks up to which each says what it is: more would make the file heavy
STEPS = (1, 2, 5, 10, 20, 25, 50)  # points from tick to tick


def legend(card: Card, x: float, y: float, room: float) -> tuple[list[Markup], float]:
    """Marks and names in lines, and where what follows may begin."""
    drawn, at = list[Markup](), x
    for word, methods in card.legend:
        if word:
            drawn.append(ink.text(at, y, word, 13, fill=ink.MUTED))
            at += ink.wide(word, 13) + 16
        for method in methods:
            name = ink.fit(method, 14, min(room - 20, 260), tail=4)
            wide = 20 + ink.wide(name, 14)
            if at > x and at + wide > x + room:
                at, y = x, y + 24
            drawn += [ink.mark(at + 6, y - 5, card.marks[method], 11), ink.text(at + 20, y, name, 14)]
            at += wide + 26
    return drawn, y + 16


def rows(card: Card, x: float, y: float, room: float) -> tuple[list[Markup], float]:
    """All rows of panels under each other, on one range of accuracies, and where what follows may begin."""
    every = [a for row in card.rows for a in row.accuracies]
    across, named, drawn = span(every), len({row.student for row in card.rows}) > 1, [stamps(card)]
    for row in card.rows:
        if named:
            drawn.append(ink.text(x, y + 18, ink.fit(row.student, 14, room), 14, fill=ink.MUTED))
            y += 28
        parts, y = _row(row, card, across, x, y, room)
        drawn += parts
        y += 14
    return drawn, y


def ticks(low: float, high: float) -> list[int]:
    """Round percentages within a range, six at most."""
    step = next((s for s in STEPS if (high - low) / s <= 6), STEPS[-1])
    return [t for t in range(math.ceil(low / step) * step, math.floor(high) + 1, step) if 0 <= t <= 100]


def stamps(card: Card) -> Markup:
    """The marks that are drawn over and over: ``m0`` is that of the first method drawn."""
    return tag("defs", *(ink.stamp(f"m{k}", card.marks[m]) for k, m in enumerate(card.drawn)))


def span(accuracies: Sequence[Accuracy]) -> tuple[float, float]:
    """The range of an axis of accuracies, in percent."""
    low, high = plot.accuracy_axis(accuracies)["range"]
    return low, high


def _row(
    row: Row, card: Card, across: tuple[float, float], x: float, y: float, room: float
) -> tuple[list[Markup], float]:
    slots = sum(len(panel.settings) for panel in row.panels)
    slot = min(WIDEST, (room - AXIS - GAP * (len(row.panels) - 1)) / slots)
    top, bottom, methods = y + HEAD, y + HEAD + HEIGHT, card.drawn
    drawn = [
        ink.text(x + AXIS - 10, _at(value, across, top) + 4, f"{value} %", 12, fill=ink.MUTED, at="end")
        for value in ticks(*across)
    ]
    left, low, named = x + AXIS, 0, sum(len(each.accuracies) for each in card.rows) <= NAMED
    for panel in row.panels:
        width = slot * len(panel.settings)
        drawn += _panel(panel, methods, card.marks, across, left, top, slot, named)
        for i, setting in enumerate(panel.settings):
            words = ink.wrap(tick(setting.budget), 12, slot - 6, most=4)
            low = max(low, len(words))
            for k, word in enumerate(words):
                fitting = ink.fit(word, 12, slot - 4)
                drawn.append(ink.text(left + (i + 0.5) * slot, bottom + 18 + 15 * k, fitting, 12, at="middle"))
        left += width + GAP
    return drawn, bottom + TICKS + 15 * (low - 1)


def _panel(
    panel: Panel,
    methods: Sequence[str],
    marks: Mapping[str, Mark],
    across: tuple[float, float],
    left: float,
    top: float,
    slot: float,
    named: bool,
) -> list[Markup]:
    right, bottom = left + slot * len(panel.settings), top + HEIGHT
    drawn = _heading(panel, left, right, top - 10)
    drawn += [
        ink.box(left + i * slot, top, slot, HEIGHT, ink.WARN)
        for i, setting in enumerate(panel.settings)
        if setting in panel.unreadable
    ]
    drawn += [ink.line(left, y, right, y) for y in (_at(value, across, top) for value in ticks(*across))]
    drawn += [ink.line(left + i * slot, top, left + i * slot, bottom) for i in range(1, len(panel.settings))]
    drawn += _ceiling(panel.ceiling, across, left, right, top) if panel.ceiling else []
    step = min(APART, 0.8 * slot / max(len(methods), 1))
    size = min(12, max(5, 0.9 * step))
    for k, method in enumerate(methods):
        middle = left + slot / 2 + step * (k - (len(methods) - 1) / 2)
        there = [(middle + i * slot, a) for i, a in enumerate(panel.points[method]) if a]
        known = [(x, a.interval) for x, a in there if math.isfinite(a.interval.lo)]
        drawn.append(
            ink.bars([(x, _at(100 * i.lo, across, top), _at(100 * i.hi, across, top)) for x, i in known], marks[method])
        )
        for x, a in there:
            words = said(a) if named else ""
            drawn.append(ink.stamped(f"m{k}", x, _at(100 * a.interval.mean, across, top), size, words))
    return drawn


def _heading(panel: Panel, left: float, right: float, y: float) -> list[Markup]:
    """The protocol, and at the other end the accuracy of the full data."""
    full, room = "", right - left
    if panel.ceiling:
        number = wording.percent(panel.ceiling.interval.mean)
        full = f"full data {number} %" if ink.wide(f"full data {number} %", 12) < room / 2 else number
        room -= ink.wide(full, 12) + 14
    name = ink.text(left, y, ink.fit(panel.protocol, 14, room, True), 14, bold=True)
    return [name, ink.text(right, y, full, 12, fill=ink.MUTED, at="end")] if full else [name]


def said(a: Accuracy) -> str:
    """An accuracy in words, for the hover."""
    where = f"{a.setting.protocol}, {wording.budget(a.setting.budget)}"
    return f"{a.method}, {where}: {wording.accuracy(a.interval)} %, n = {a.interval.n}"


def _ceiling(a: Accuracy, across: tuple[float, float], left: float, right: float, top: float) -> list[Markup]:
    low, mean, high = (_at(100 * value, across, top) for value in (a.interval.lo, a.interval.mean, a.interval.hi))
    return [
        ink.box(left, high, right - left, low - high, ink.MUTED, 0.13),
        ink.line(left, mean, right, mean, ink.MUTED, 1.4, "6 4"),
    ]


def _at(percent: float, across: tuple[float, float], top: float) -> float:
    """Where a percentage stands: the range is drawn upwards."""
    low, high = across
    return top + HEIGHT * (high - percent) / (high - low)
