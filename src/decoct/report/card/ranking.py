"""The accuracies of a study of one setting as SVG: a line for each method, the best first, and the ceiling across."""

import math
from collections.abc import Callable

from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.card import ink
from decoct.report.card.chart import said, span, stamps, ticks
from decoct.report.card.content import Card, tick
from decoct.report.page.markup import Markup

STEP, HEAD, FOOT = 23, 18, 24  # pixels: of a line, above the lines, and below them for the ticks
NAME, WORD, NUMBER, BOUNDS = 280, 80, 76, 96  # pixels of columns: names at most, families, and behind the plot


def lines(card: Card, x: float, y: float, room: float) -> tuple[list[Markup], float]:
    """Names, marks with intervals, and numbers, and where what follows may begin."""
    (row,) = card.rows
    (panel,) = row.panels
    where = f"{panel.protocol}, {tick(panel.settings[0].budget)}"
    kinds = card.kinds
    name = min(NAME, max(ink.wide(where, 14, True), *(20 + ink.wide(a.method, 14) for a in card.ranked)))
    left = x + name + 20 + WORD * any(kinds.values())
    right, top, bottom = x + room - NUMBER - BOUNDS, y + HEAD, y + HEAD + STEP * len(card.ranked)
    low, high = span(row.accuracies)

    def at(fraction: float) -> float:
        return left + (right - left) * (100 * fraction - low) / (high - low)

    drawn = [stamps(card), ink.text(x, top - 10, ink.fit(where, 14, name, True), 14, bold=True)]
    drawn += [ink.box(left, top, right - left, bottom - top, ink.WARN)] if panel.unreadable else []
    for value in ticks(low, high):
        drawn.append(ink.line(at(value / 100), top, at(value / 100), bottom))
        drawn.append(ink.text(at(value / 100), bottom + 17, f"{value} %", 12, fill=ink.MUTED, at="middle"))
    drawn += _ceiling(panel.ceiling, at, left, top, bottom) if panel.ceiling else []
    for k, a in enumerate(card.ranked):
        middle = top + STEP * (k + 0.5)
        drawn += [
            ink.mark(x + 6, middle, card.marks[a.method], 11),
            ink.text(x + 20, middle + 5, ink.fit(a.method, 14, name - 20, tail=4), 14),
            ink.text(x + name + 14, middle + 5, kinds[a.method], 12, fill=ink.MUTED),
            *_point(card, a, at, middle),
            ink.text(x + room - BOUNDS, middle + 5, f"{wording.percent(a.interval.mean)} %", 14, bold=True, at="end"),
            ink.text(x + room, middle + 5, wording.bounds(a.interval.lo, a.interval.hi), 12, fill=ink.MUTED, at="end"),
        ]
    return drawn, bottom + FOOT


def _point(card: Card, a: Accuracy, at: Callable[[float], float], y: float) -> list[Markup]:
    drawn = [ink.stamped(f"m{card.drawn.index(a.method)}", at(a.interval.mean), y, 11, said(a))]
    if math.isfinite(a.interval.lo):
        drawn.insert(0, ink.line(at(a.interval.lo), y, at(a.interval.hi), y, card.marks[a.method].color, 1.8))
    return drawn


def _ceiling(a: Accuracy, at: Callable[[float], float], left: float, top: float, bottom: float) -> list[Markup]:
    low, mean, high = map(at, (a.interval.lo, a.interval.mean, a.interval.hi))
    words = f"full data {wording.percent(a.interval.mean)} %"
    return [
        ink.box(low, top, high - low, bottom - top, ink.MUTED, 0.13),
        ink.line(mean, top, mean, bottom, ink.MUTED, 1.4, "6 4"),
        ink.text(max(high, left + ink.wide(words, 12)), top - 10, words, 12, fill=ink.MUTED, at="end"),
    ]
