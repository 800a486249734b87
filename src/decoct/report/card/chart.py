"""The accuracies of a card as SVG: a panel for each protocol, budgets along it, dots with intervals, the ceiling."""

import math
from collections.abc import Mapping, Sequence

from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.card import ink
from decoct.report.card.content import Card, Panel, Row
from decoct.report.page import plot
from decoct.report.page.markup import Markup
from decoct.report.page.plot import Mark

HEIGHT, AXIS, GAP, HEAD, TICKS = 236, 46, 26, 26, 22  # pixels: of a plot, its axis, between panels, heads, ticks
WIDEST = 300  # pixels of one budget
STEPS = (1, 2, 5, 10, 20, 25, 50)  # points from tick to tick


def legend(card: Card, x: float, y: float, room: float) -> tuple[list[Markup], float]:
    """Marks and names in lines, and where what follows may begin."""
    drawn, at = list[Markup](), x
    for method in card.drawn:
        name = ink.fit(method, 14, min(room - 20, 260))
        wide = 20 + ink.wide(name, 14)
        if at > x and at + wide > x + room:
            at, y = x, y + 24
        drawn += [ink.mark(at + 6, y - 5, card.marks[method], 11), ink.text(at + 20, y, name, 14)]
        at += wide + 26
    return drawn, y + 16


def rows(card: Card, x: float, y: float, room: float) -> tuple[list[Markup], float]:
    """All rows of panels under each other, on one range of accuracies, and where what follows may begin."""
    every = [a for row in card.rows for a in row.accuracies]
    span, named, drawn = _span(every), len({row.student for row in card.rows}) > 1, list[Markup]()
    for row in card.rows:
        if named:
            drawn.append(ink.text(x, y + 14, ink.fit(row.student, 14, room), 14, fill=ink.MUTED))
            y += 24
        parts, y = _row(row, card, span, x, y, room)
        drawn += parts
        y += 14
    return drawn, y


def ticks(low: float, high: float) -> list[int]:
    """Round percentages within a range, six at most."""
    step = next((s for s in STEPS if (high - low) / s <= 6), STEPS[-1])
    return [t for t in range(math.ceil(low / step) * step, math.floor(high) + 1, step) if 0 <= t <= 100]


def _span(accuracies: Sequence[Accuracy]) -> tuple[float, float]:
    low, high = plot.accuracy_axis(accuracies)["range"]
    return low, high


def _row(
    row: Row, card: Card, span: tuple[float, float], x: float, y: float, room: float
) -> tuple[list[Markup], float]:
    slots = sum(len(panel.settings) for panel in row.panels)
    slot = min(WIDEST, (room - AXIS - GAP * (len(row.panels) - 1)) / slots)
    top, bottom, methods = y + HEAD, y + HEAD + HEIGHT, card.drawn
    drawn = [
        ink.text(x + AXIS - 10, _at(tick, span, top) + 4, f"{tick} %", 12, fill=ink.MUTED, at="end")
        for tick in ticks(*span)
    ]
    left, low = x + AXIS, 0
    for panel in row.panels:
        width = slot * len(panel.settings)
        drawn += _panel(panel, methods, card.marks, span, left, top, slot)
        for i, setting in enumerate(panel.settings):
            words = ink.wrap(wording.budget(setting.budget), 12, slot - 6, most=4)
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
    span: tuple[float, float],
    left: float,
    top: float,
    slot: float,
) -> list[Markup]:
    right, bottom = left + slot * len(panel.settings), top + HEIGHT
    drawn = [ink.text(left, top - 10, ink.fit(panel.protocol, 14, right - left, True), 14, bold=True)]
    drawn += [
        ink.box(left + i * slot, top, slot, HEIGHT, ink.WARN)
        for i, setting in enumerate(panel.settings)
        if setting in panel.unreadable
    ]
    drawn += [ink.line(left, y, right, y) for y in (_at(tick, span, top) for tick in ticks(*span))]
    drawn += [ink.line(left + i * slot, top, left + i * slot, bottom) for i in range(1, len(panel.settings))]
    drawn += _ceiling(panel.ceiling, span, left, right, top) if panel.ceiling else []
    step = min(26, 0.8 * slot / max(len(methods), 1))
    size = min(12, max(5, 0.9 * step))
    for k, method in enumerate(methods):
        for i, a in enumerate(panel.points[method]):
            if a:
                x = left + (i + 0.5) * slot + step * (k - (len(methods) - 1) / 2)
                drawn += _dot(a, panel.protocol, marks[method], span, x, top, size)
    return drawn


def _dot(
    a: Accuracy, protocol: str, mark: Mark, span: tuple[float, float], x: float, top: float, size: float
) -> list[Markup]:
    i = a.interval
    said = f"{a.method}, {protocol}, {wording.budget(a.setting.budget)}: {wording.accuracy(i)} %, n = {i.n}"
    bar = []
    if math.isfinite(i.lo):
        bar = [ink.line(x, _at(100 * i.lo, span, top), x, _at(100 * i.hi, span, top), mark.color, 1.8)]
    return [*bar, ink.mark(x, _at(100 * i.mean, span, top), mark, size, said)]


def _ceiling(a: Accuracy, span: tuple[float, float], left: float, right: float, top: float) -> list[Markup]:
    low, mean, high = (_at(100 * value, span, top) for value in (a.interval.lo, a.interval.mean, a.interval.hi))
    said = f"full data {wording.percent(a.interval.mean)} %"
    if ink.wide(said, 12) > right - left:
        said = ink.fit(wording.percent(a.interval.mean), 12, right - left)
    return [
        ink.box(left, high, right - left, low - high, ink.MUTED, 0.13),
        ink.line(left, mean, right, mean, ink.MUTED, 1.4, "6 4"),
        ink.text(right, max(high - 5, top + 10), said, 12, fill=ink.MUTED, at="end", clear=True),
    ]


def _at(percent: float, span: tuple[float, float], top: float) -> float:
    """Where a percentage stands: the range is drawn upwards."""
    low, high = span
    return top + HEIGHT * (high - percent) / (high - low)
