"""Accuracy of every method and of the full data: trained to the end, and for exactly as many steps as a set."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Setting, same_steps
from decoct.report.grouped import grouped
from decoct.report.judged import Judged
from decoct.report.page import plot
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.parts import accuracy_cell, bullets, content, fold, note
from decoct.report.page.plot import GREY, Figure, Panel
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.manifest import FULL
from decoct.report.stats.intervals import Interval

SAME_STEPS = "full data, same steps (RS2)"  # Okanovic et al., 2023, arXiv:2305.18424: without replacement


@dataclass(frozen=True)
class Gap:
    """How far the best set of a setting falls short of the full data after the same number of steps.

    Attributes:
        setting: protocol, student, budget.
        method: the one whose mean is highest.
        interval: full data minus the set's mean, a fraction. It conditions on the students of the full data where they
            are fewer than three; else both intervals are in it, as if they shared no test images: a little too wide.
            Picking the highest mean flatters the set a little.
    """

    setting: Setting
    method: str
    interval: Interval


def gaps(accuracies: Sequence[Accuracy], settings: Sequence[Setting]) -> tuple[Gap, ...]:
    """One gap for each setting that has a set and the full data at the same number of steps."""
    sets = grouped((a for a in accuracies if a.method != FULL), lambda a: a.setting)
    short = []
    for setting in settings:
        full = same_steps(accuracies, setting)
        if full and setting in sets:
            best = max(sets[setting], key=lambda a: a.interval.mean)
            top, i = full.interval.mean, best.interval
            own = full.interval
            up, down = (0.0, 0.0) if own.by == "wilson" else (own.hi - top, top - own.lo)
            lo, hi = top - i.mean - math.hypot(i.hi - i.mean, down), top - i.mean + math.hypot(i.mean - i.lo, up)
            short.append(Gap(setting, best.method, Interval(top - i.mean, lo, hi, i.n)))
    return tuple(short)


def sentences(gaps: Sequence[Gap]) -> tuple[str, ...]:
    """One sentence for each protocol and student, over its budgets."""
    return tuple(
        f"Under {protocol} with {student}, the set with the highest mean, against the full data after as many steps, "
        + "; ".join(map(_said, own))
        for (protocol, student), own in grouped(gaps, lambda gap: gap.setting.panel).items()
    )


def overall(gaps: Sequence[Gap]) -> str:
    """One sentence over all settings: the only one, or the counts; empty where there is nothing to say."""
    lines = sentences(gaps)
    if len(lines) < 2:
        return "".join(lines)
    means = [gap.interval.mean for gap in gaps]
    short, sure = sum(mean > 0 for mean in means), sum(gap.interval.lo > 0 for gap in gaps)
    return (
        f"The set with the highest mean falls short of the full data after as many steps in {short} of {len(gaps)} "
        f"settings, in {sure} with an interval above 0; it falls {_short(min(means))} to {_short(max(means))} points "
        "short"
    )


def _short(mean: float) -> str:
    """Points without their plus, which *short* says already."""
    return wording.points(mean).removeprefix("+")


def _said(gap: Gap) -> str:
    i, where = gap.interval, f"at {wording.budget(gap.setting.budget)} ({gap.method}, n = {gap.interval.n})"
    if i.mean >= 0:
        return f"falls {wording.percent(i.mean)} points short {wording.bounds(i.lo, i.hi)} {where}".replace("  ", " ")
    return f"lies {wording.percent(-i.mean)} points above {wording.bounds(-i.hi, -i.lo)} {where}".replace("  ", " ")


def find(judged: Judged) -> tuple[Gap, ...]:
    """The gaps of the settings that can be read."""
    return gaps(judged.accuracies, [s for s in judged.settings if s not in judged.outside])


def show(view: View, gaps: Sequence[Gap]) -> Markup:
    """Dots with intervals by protocol and budget, the same as a table, and the ceiling."""
    if not view.accuracies:
        return content(note("No student has been trained yet."))
    beside = [view.same_steps(setting) for setting in view.settings]
    rows: list[tuple[object, list[Markup]]] = [
        (view.method(label), [accuracy_cell(view.accuracy(label, s)) for s in view.settings]) for label in view.methods
    ]
    rows += [(SAME_STEPS, list(map(accuracy_cell, beside)))] if any(beside) else []
    last = [[tag("th", "full data", scope="row"), *_ceiling_cells(view)]] if view.ceiling else []
    return content(
        note(
            f"Test accuracy in percent with 95 % intervals{view.given}. Every student is evaluated once, after its "
            "last step, never at its best epoch. Dashed: the same student on all training images. ",
            "Dotted: the same student on all training images for as many steps as the sets of that budget, which is "
            "repeated random sampling without replacement (RS2)."
            if any(beside)
            else "",
        ),
        view.keys(),
        view.charts(lambda panel: figure(view, panel)),
        view.grid(rows, last),
        note(
            "n counts sets, the unit of inference: students of one set are averaged first. Intervals are Student's t "
            "over sets and test images; for fewer than three students of the full data, Wilson's over test images."
        ),
        *_gaps(gaps),
        _daggers(view),
    )


def figure(view: View, panel: Panel) -> Figure:
    """Dot and 95 % interval of every method, by budget; the ceiling and the full data after as many steps as lines."""
    settings, methods = view.panels[panel], list(view.methods)
    step = min(0.15, 0.7 / max(len(methods), 1))
    traces = []
    for i, method in enumerate(methods):
        there = [(at, a) for at, setting in enumerate(settings) if (a := view.accuracy(method, setting))]
        x = [at + step * (i - (len(methods) - 1) / 2) for at, _ in there]
        traces.append(plot.dots(view.marks[method], method, x, [a for _, a in there]))
    traces += [_line(at, setting.budget, a) for at, setting in enumerate(settings) if (a := view.same_steps(setting))]
    ticks = [(i, plot.label(wording.budget(s.budget))) for i, s in enumerate(settings)]
    upwards = [0, -45]  # a label that leaves the figure on the right is not drawn
    xaxis = plot.axis((-0.5, len(settings) - 0.5), ticks, showgrid=False, zeroline=False, autotickangles=upwards)
    layout = plot.layout(330, xaxis, plot.accuracy_axis(view.accuracies))
    layout["shapes"] = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": i + 0.5, "x1": i + 0.5, "y0": 0, "y1": 1, "name": "grid"}
        for i in range(len(settings) - 1)
    ]
    layout = plot.slots(layout, "x", ((i, {"budget": s.budget}) for i, s in enumerate(settings)))
    return {"data": traces, "layout": plot.with_ceiling(layout, view.ceiling.get(panel))}


def _line(at: int, budget: str, a: Accuracy) -> Figure:
    """A dotted line across a budget, each for itself, since their sets may take different steps."""
    said = f"<b>{SAME_STEPS}</b> · {plot.label(wording.budget(budget))}<br>{plot.said(a)}"
    x, y = [at - 0.42, at, at + 0.42], [100 * a.interval.mean] * 3
    look = {"name": SAME_STEPS, "line": {"color": GREY, "width": 2, "dash": "dot"}}
    # at the line's left end, beside the methods' own
    look["error_y"] = plot.bars(GREY, [a.interval, *[Interval(a.interval.mean, math.nan, math.nan, 0)] * 2])
    return plot.trace("lines", SAME_STEPS, x, y, {"budget": budget}, [said] * 3) | look


def _gaps(gaps: Sequence[Gap]) -> list[Markup]:
    lines = sentences(gaps)
    if not lines:
        return []
    about = note(
        "Where fewer than three students are of the full data, these differences condition on them and on the test "
        "images; picking the highest mean favours the sets slightly."
    )
    each = fold("Against the full data after as many steps", bullets(lines)) if len(lines) > 1 else Markup()
    return [each, about]


def _ceiling_cells(view: View) -> Iterator[Markup]:
    for panel, own in view.panels.items():
        said = Markup(wording.NONE)
        if a := view.ceiling.get(panel):
            over = f"over {a.interval.n:,} test images" if a.interval.by == "wilson" else f"n = {a.interval.n}"
            images = tag("small", f"{wording.bounds(a.interval.lo, a.interval.hi)} {over}")
            said = tag("span", tag("b", wording.percent(a.interval.mean)), " ", images, class_="number")
        yield tag("td", said, colspan=len(own), class_="first")


def _daggers(view: View) -> Markup:
    own = [label for label in view.methods if label in view.deterministic]
    said = (
        ": deterministic. One set was made and trained for every replicate's student; intervals condition on that set "
        "and do not cover other teachers or other draws of the training data."
    )
    return note("† ", join(map(name, own), ", "), said) if own else Markup()


SECTION = Section(
    "Accuracy",
    30,
    lambda s: show(s, s.found(find)),
    lambda s: overall(s.found(find)),
    lambda s: {"same_steps": sentences(s.found(find))},
)
