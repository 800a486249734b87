"""Where the points come from: a random set under hard labels, what the labels add to it, what the images add to that.

    accuracy(method, protocol) = accuracy(random, hard)
                               + accuracy(random, protocol) − accuracy(random, hard)     labels
                               + accuracy(method, protocol) − accuracy(random, protocol)     images

All three are paired over the (condense, train) replicates that all of them have, so that they add up. A protocol may
train for other steps than the hard one: labels and steps then add together, and both are reported.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Runs, Setting
from decoct.report.grouped import grouped
from decoct.report.judged import Judged
from decoct.report.page import facets, plot
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import bullets, content, fold, note, stacked, title
from decoct.report.page.plot import GREY, Figure, Mark, Panel
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.manifest import REFERENCE, Manifest
from decoct.report.stats import intervals
from decoct.report.stats.answers import Answers
from decoct.report.stats.crossed import crossed
from decoct.report.stats.intervals import Interval

EMPTY = "rgba(0,0,0,0)"
Where = tuple[str, Setting]  # method and setting
PARTS = ("base", "labels", "images", "total", "labels_minus_images")


@dataclass(frozen=True)
class Work:
    """What a student did: optimiser steps, and images that went through it."""

    steps: int
    images_seen: int

    def __str__(self) -> str:
        return f"{self.steps:,} steps, {self.images_seen:,} images seen"


@dataclass(frozen=True)
class Breakdown:
    """The points of a method in a setting.

    Attributes:
        method: its label.
        setting: protocol, student, budget.
        hard: the protocol of hard labels that it starts from; the setting's own where that has hard labels.
        base: accuracy of a random set under it.
        labels: what the protocol adds to the random set; None where its labels are hard.
        images: what the method's images add to that.
        total: the method's accuracy over the same replicates.
        beyond: labels minus images; None where the labels are hard.
        before, beside, after: the work of a student of the random set under the hard protocol, of the random set under
            the setting's own, and of the method's set.
    """

    method: str
    setting: Setting
    hard: str
    base: Interval
    labels: Interval | None
    images: Interval
    total: Interval
    beyond: Interval | None
    before: Work
    beside: Work
    after: Work

    @property
    def same_work(self) -> bool:
        """Whether students under both protocols took as many steps and saw as many images."""
        return self.before == self.beside


def hard_protocol(run: Manifest) -> str | None:
    """The first protocol of hard labels; None where the study has none."""
    return next((label for label in run.protocols if run.labels(label) == "hard"), None)


def breakdowns(
    run: Manifest,
    runs: Runs,
    accuracies: Sequence[Accuracy],
    settings: Sequence[Setting],
    floor: float,
    answers: Answers | None = None,
) -> tuple[Breakdown, ...]:
    """One for each setting and each method but random that share a replicate with random, in the study's order."""
    first, work = hard_protocol(run), {(a.method, a.setting): Work(a.steps, a.images_seen) for a in accuracies}
    parts, shared = [], dict[tuple[Any, ...], tuple[Interval, Interval]]()  # random's own part is computed once
    for setting in settings:
        hard = setting.protocol if run.labels(setting.protocol) == "hard" else first
        if hard is None:
            continue
        start, beside = (REFERENCE, setting._replace(protocol=hard)), (REFERENCE, setting)
        for method in run.methods:
            own = (method, setting)
            common = sorted(set.intersection(*(set(runs.get(key, {})) for key in (start, beside, own))))
            if method == REFERENCE or not common:
                continue

            def part(*terms: tuple[float, Where], at: Sequence[tuple[int, int]] = common) -> Interval:
                return _interval(runs, terms, at, floor, answers)

            soft, where = hard != setting.protocol, (setting, tuple(common))
            if where not in shared:
                shared[where] = part((1, start)), part((1, beside), (-1, start))
            base, labels = shared[where]
            images, total = part((1, own), (-1, beside)), part((1, own))
            beyond = part((2, beside), (-1, start), (-1, own)) if soft else None
            points = base, labels if soft else None, images, total, beyond
            parts.append(Breakdown(method, setting, hard, *points, work[start], work[beside], work[own]))
    return tuple(parts)


def sentences(parts: Sequence[Breakdown]) -> tuple[str, ...]:
    """One for each protocol of soft labels and student, over methods and budgets."""
    return tuple(map(_sentence, grouped((b for b in parts if b.labels), lambda b: b.setting.panel).values()))


def overall(parts: Sequence[Breakdown]) -> str:
    """One sentence over everything, also where labels and images cannot be separated."""
    if not parts:
        return "Where the points come from cannot be said: that needs random sets and a protocol with hard labels"
    soft = [b for b in parts if b.labels]
    images = [b.images.mean for b in parts]
    added = f"a method's images add {_span(images)} points over random images under the same protocol"
    if not soft:
        return f"All protocols have hard labels, so only images can add: {added}"
    labels = [b.labels.mean for b in soft if b.labels]
    more = [b.beyond.mean > 0 for b in soft if b.beyond]
    sure = [b.beyond.lo > 0 for b in soft if b.beyond]
    of = f"{wording.count(len(more), 'combination')} (method × protocol × student × budget)"
    return (
        f"Soft labels add {_span(labels)} points to a random set; {added}; labels add more than images in "
        f"{sum(more) or 'none'} of {of}, in {sum(sure) or 'none'} with an interval above 0"
    )


def missing(run: Manifest, parts: Sequence[Breakdown], settings: Sequence[Setting]) -> Iterator[str]:
    """What cannot be broken down, and why."""
    if REFERENCE not in run.methods:
        yield "The study has no random selection, so nothing can be broken down"
        return
    if hard_protocol(run) is None:
        yield "The study has no protocol with hard labels: what labels add cannot be separated from what images add"
        return
    expected = len(settings) * (len(run.methods) - 1)
    if lost := expected - len(parts):
        yield f"{lost} of {expected} combinations share no replicate with random sets and are left out"


def to_json(parts: Sequence[Breakdown]) -> list[dict[str, Any]]:
    """Plain lists and dicts; NaN where nothing is defined."""
    rows = []
    for b in parts:
        intervals = zip(PARTS, (b.base, b.labels, b.images, b.total, b.beyond), strict=True)
        plain = {part: {"mean": i.mean} | i.to_json() if i else None for part, i in intervals}
        work = {part: asdict(getattr(b, part)) for part in ("before", "beside", "after")}
        rows.append({"method": b.method, **b.setting._asdict(), "hard_protocol": b.hard, **plain, "work": work})
    return rows


def _sentence(own: Sequence[Breakdown]) -> str:
    first = own[0]
    parts = []
    for budget, here in grouped(own, lambda b: b.setting.budget).items():
        fullest = max(here, key=lambda b: b.images.n)  # random's own numbers, over as many replicates as there are
        assert fullest.labels is not None
        low, high = (pick(here, key=lambda b: b.images.mean) for pick in (min, max))
        said = (
            f"at {wording.budget(budget)} a random set reaches {wording.percent(fullest.base.mean)} % under "
            f"{first.hard}, the labels add {_points(fullest.labels)}, images {_points(low.images, low.method)}"
        )
        parts.append(said + (f" to {_points(high.images, high.method)}" if high != low else ""))
    return f"Under {first.setting.protocol} with {first.setting.student}, {'; '.join(parts)}{_unlike(own)}"


def _unlike(own: Sequence[Breakdown]) -> str:
    """Where students of the two protocols did different work: the numbers furthest apart."""
    unlike = [b for b in own if not b.same_work]
    if not unlike:
        return ""
    most = max(unlike, key=lambda b: abs(math.log(max(b.beside.images_seen, 1) / max(b.before.images_seen, 1))))
    return (
        f". Part of what labels add is training: in {len(unlike)} of {len(own)} the work differs, at most "
        f"{most.beside} under {most.setting.protocol} against {most.before} under {most.hard}"
    )


def _interval(
    runs: Runs,
    terms: Sequence[tuple[float, Where]],
    at: Sequence[tuple[int, int]],
    floor: float,
    answers: Answers | None,
) -> Interval:
    # Of one accuracy, counting whole test images alone leaves 1/√2 of what it leaves of a difference of two.
    own = floor * math.sqrt(sum(weight**2 for weight, _ in terms) / 2)
    values = {key: sum(weight * runs[who][key] for weight, who in terms) for key in at}
    tally = answers.combined([(weight, *who) for weight, who in terms], at) if answers else None
    interval = crossed(values, tally, own).interval
    return intervals.clip(interval, 0, 1) if len(terms) == 1 else interval


def _points(i: Interval, whose: str = "") -> str:
    return f"{wording.difference(i)} ({f'{whose}, ' if whose else ''}n = {i.n})"


def _span(values: Sequence[float]) -> str:
    return wording.span(wording.points(min(values)), wording.points(max(values)))


def find(judged: Judged) -> tuple[Breakdown, ...]:
    """The parts of every accuracy that can be read."""
    own = judged
    return breakdowns(own.frame.manifest, own.runs, own.accuracies, _inside(own), own.frame.floor, own.answers)


def untold(judged: Judged) -> tuple[str, ...]:
    """What cannot be said; one sentence each."""
    return tuple(missing(judged.frame.manifest, judged.found(find), _inside(judged)))


def _inside(judged: Judged) -> list[Setting]:
    return [s for s in judged.settings if s not in judged.outside]


def show(view: View, parts: Sequence[Breakdown], untold: Sequence[str]) -> Markup:
    """The sentences, a figure for each protocol and student, and all numbers with steps and images seen."""
    if not view.methods:
        return Markup()
    panels = grouped(parts, lambda b: b.setting.panel)
    shown = next((b.setting.panel for b in parts if b.labels), next(iter(panels), None))
    about = note(
        "From the left: a random set under hard labels; what the protocol's labels add to it; what a method's images "
        "add to a random set under the same protocol. The three are paired over the replicates that they share, and "
        "add up to the method's accuracy. Bars carry the 95 % interval of what they add"
        f"{view.given}. A protocol's labels come with its loss, steps and augmentation, so steps and images seen are "
        "listed too. ",
        f"Under a protocol with hard labels, {REFERENCE} under the same labels is the start, and only images add.",
    )
    return content(
        bullets((*sentences(parts), *untold)),
        view.charts(lambda panel: figure(view, parts, panel)) if parts else "",
        *(fold(title(panel), _table(view, own), opened=panel == shown) for panel, own in panels.items()),
        about if parts else "",
    )


def figure(view: View, parts: Sequence[Breakdown], panel: Panel) -> Figure | None:
    """A waterfall for each budget: random under hard labels, then the labels, then each method's images."""
    own = [b for b in parts if b.setting.panel == panel]
    if not own:
        return None
    rows: list[tuple[str, str, dict[str, str], Figure]] = []
    for budget, here in grouped(own, lambda b: b.setting.budget).items():
        first = max(here, key=lambda b: b.images.n)  # random's own numbers, over as many replicates as there are
        rows.append((budget, f"{REFERENCE}, {first.hard}", {}, _base(first)))
        if first.labels:
            rows.append((budget, f"labels of {panel[0]}", {}, _labels(first, first.labels)))
        rows += [(budget, b.method, {"method": b.method}, _images(b, view.marks[b.method])) for b in here]
    xaxis = plot.axis((0, _end(parts)), title="test accuracy", ticksuffix=" %")
    layout, places = plot.rows(xaxis, [row[:3] for row in rows])
    traces = [
        trace | {"name": plot.label(name), "meta": {**of, "budget": budget}, "y": [y]}
        for (budget, name, of, trace), y in zip(rows, places, strict=True)
    ]
    return {"data": traces, "layout": layout}


def _end(parts: Sequence[Breakdown]) -> float:
    """The range of accuracy, the same in all panels, so that lengths can be compared across them."""
    images = [b.total.mean - b.images.mean + b.images.hi for b in parts]
    ends = [*images, *(x for b in parts for x in (b.base.mean, b.base.hi, b.total.mean))]
    return min(106 * max(x for x in ends if math.isfinite(x)), 102)


def _base(b: Breakdown) -> Figure:
    said = f"{REFERENCE} under {b.hard}", f"{wording.accuracy(b.base)} %, n = {b.base.n}", b.before
    return _bar(0.0, b.base, GREY, {"color": _faint(GREY)}, said)


def _labels(b: Breakdown, added: Interval) -> Figure:
    said = f"labels of {b.setting.protocol}", wording.difference(added, " points") + f", n = {added.n}", b.beside
    stripes = {"shape": "/", "fgcolor": GREY, "bgcolor": EMPTY, "size": 5}
    return _bar(b.base.mean, added, GREY, {"color": GREY, "pattern": stripes}, said)


def _images(b: Breakdown, mark: Mark) -> Figure:
    added = wording.difference(b.images, " points") + f", n = {b.images.n}"
    said = f"images of {b.method}", added, f"{wording.accuracy(b.total)} % in all, {b.after}"
    fill = {"color": _faint(mark.color) if mark.filled else EMPTY}
    return _bar(b.total.mean - b.images.mean, b.images, mark.color, fill, said)


def _bar(start: float, added: Interval, color: str, fill: Figure, said: Sequence[object]) -> Figure:
    return {
        "type": "bar",
        "orientation": "h",
        "width": 0.62,
        "base": 100 * start,
        "x": [100 * added.mean],
        "error_x": plot.bars(color, [added]),
        "marker": {**fill, "line": {"color": color, "width": 1.6}},
        "customdata": ["<br>".join(map(plot.label, said))],
        **plot.HOVER,
    }


def _faint(color: str) -> str:
    """The colour, thin enough for the interval to be seen on it."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},.4)"


def _table(view: View, own: Sequence[Breakdown]) -> Markup:
    soft = any(b.labels for b in own)
    rows = []
    for b in own:
        labels, beyond = ([_part(b.labels, b.beside)], [_part(b.beyond)]) if soft else ([], [])
        row = _accuracy(b.base, b.before), *labels, _part(b.images), _accuracy(b.total, b.after), *beyond
        rows.append(cells(view.method(b.method), facets.budget(b.setting.budget), *row))
    words = ["labels add", "images add", "accuracy", "labels minus images"] if soft else ["images add", "accuracy"]
    return table(columns("method", "budget", join([REFERENCE, " under ", name(own[0].hard)]), *words), rows)


def _accuracy(i: Interval, work: Work) -> Markup:
    return stacked(tag("b", wording.percent(i.mean)), *_small(i, work), sort=i.mean)


def _part(i: Interval | None, work: Work | None = None) -> Markup:
    if i is None:
        return Markup(wording.NONE)
    return stacked(valued(i.mean, wording.points(i.mean)), *_small(i, work))


def _small(i: Interval, work: Work | None) -> tuple[str, str]:
    done = f"{work.steps:,} steps, {work.images_seen:,} seen" if work else ""
    return f"{wording.bounds(i.lo, i.hi)} n = {i.n}".strip(), done


SECTION = Section(
    "Where the points come from",
    50,
    lambda s: show(s, s.found(find), s.found(untold)),
    lambda s: overall(s.found(find)) if s.methods else "",
    lambda s: {
        "breakdown": {
            "overall": overall(s.found(find)),
            "protocols": sentences(s.found(find)),
            "cannot_be_said": s.found(untold),
            "parts": to_json(s.found(find)),
        }
    },
)
