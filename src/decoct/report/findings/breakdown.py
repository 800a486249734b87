"""Where the points come from: a random set under hard labels, what the labels add to it, what the images add to that.

    accuracy(method, protocol) = accuracy(random, hard)
                               + accuracy(random, protocol) − accuracy(random, hard)     labels
                               + accuracy(method, protocol) − accuracy(random, protocol)     images

All three are paired over the (condense, train) replicates that all of them have, so that they add up. A protocol may
take other steps than the hard one: what it adds is then of labels and steps together, and both are said.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from decoct.report import wording
from decoct.report.findings.accuracy import Accuracy
from decoct.report.findings.verdict import Setting
from decoct.report.read.manifest import REFERENCE, Manifest
from decoct.report.stats import intervals, nested
from decoct.report.stats.intervals import Interval, Replicates


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
    runs: Mapping[tuple[str, Setting], Replicates],
    accuracies: Sequence[Accuracy],
    settings: Sequence[Setting],
    floor: float,
) -> tuple[Breakdown, ...]:
    """One for each setting and each method but random that share a replicate with random, in the study's order."""
    first, work = hard_protocol(run), {(a.method, a.setting): Work(a.steps, a.images_seen) for a in accuracies}
    found, shared = [], dict[tuple[Any, ...], tuple[Interval, Interval]]()  # what is random's alone is reckoned once
    for setting in settings:
        hard = setting.protocol if run.labels(setting.protocol) == "hard" else first
        if hard is None:
            continue
        start, beside = (REFERENCE, setting._replace(protocol=hard)), (REFERENCE, setting)
        for method in run.methods:
            own = (method, setting)
            if method == REFERENCE or not (common := _common([runs.get(key, {}) for key in (start, beside, own)])):
                continue
            a, b, c = ({key: runs[who][key] for key in common} for who in (start, beside, own))
            soft, where = hard != setting.protocol, (setting, tuple(common))
            if where not in shared:
                shared[where] = _interval([(1, a)], floor), _interval([(1, b), (-1, a)], floor)
            found.append(
                Breakdown(
                    method=method,
                    setting=setting,
                    hard=hard,
                    base=shared[where][0],
                    labels=shared[where][1] if soft else None,
                    images=_interval([(1, c), (-1, b)], floor),
                    total=_interval([(1, c)], floor),
                    beyond=_interval([(2, b), (-1, a), (-1, c)], floor) if soft else None,
                    before=work[start],
                    beside=work[beside],
                    after=work[own],
                )
            )
    return tuple(found)


def sentences(found: Sequence[Breakdown]) -> tuple[str, ...]:
    """One for each protocol of soft labels and student, over methods and budgets."""
    panels = dict.fromkeys(b.setting[:2] for b in found if b.labels)
    return tuple(_sentence([b for b in found if b.setting[:2] == panel and b.labels]) for panel in panels)


def overall(found: Sequence[Breakdown]) -> str:
    """One sentence over everything; what cannot be told apart is said."""
    if not found:
        return "Where the points come from cannot be said: it takes a random set and hard labels beside each protocol"
    soft = [b for b in found if b.labels]
    images = [b.images.mean for b in found]
    added = f"the images of a set {_span(images)} points to a random set under the same protocol"
    if not soft:
        return f"All protocols have hard labels, so that only images can add: {added}"
    labels = [b.labels.mean for b in soft if b.labels]
    more = [b.beyond.mean > 0 for b in soft if b.beyond]
    sure = [b.beyond.lo > 0 for b in soft if b.beyond]
    of = f"{wording.count(len(more), 'combination')} (method × protocol × student × budget)"
    said = (
        f"Soft labels add {_span(labels)} points to a random set, {added}; labels add more than images in "
        f"{sum(more) or 'none'} of {of}, in {sum(sure) or 'none'} with an interval above 0"
    )
    return said + _unlike(soft)


def missing(run: Manifest, found: Sequence[Breakdown], settings: Sequence[Setting]) -> Iterator[str]:
    """What cannot be broken down, and why."""
    if REFERENCE not in run.methods:
        yield "The study has no random selection, so that nothing can be broken down"
        return
    if hard_protocol(run) is None:
        yield "The study has no protocol of hard labels, so that what labels add cannot be told from what images add"
        return
    expected = len(settings) * (len(run.methods) - 1)
    if lost := expected - len(found):
        yield f"{lost} of {expected} combinations share no replicate with random sets and are left out"


def to_json(found: Sequence[Breakdown]) -> list[dict[str, Any]]:
    """Plain lists and dicts; NaN where nothing is defined."""
    return [
        {
            "method": b.method,
            **b.setting._asdict(),
            "hard_protocol": b.hard,
            **{part: _plain(getattr(b, part)) for part in ("base", "labels", "images", "total")},
            "labels_minus_images": _plain(b.beyond),
            "work": {part: asdict(getattr(b, part)) for part in ("before", "beside", "after")},
        }
        for b in found
    ]


def _sentence(own: Sequence[Breakdown]) -> str:
    first = own[0]
    parts = []
    for budget in dict.fromkeys(b.setting.budget for b in own):
        here = [b for b in own if b.setting.budget == budget]
        fullest = max(here, key=lambda b: b.images.n)  # random's own numbers, over as many replicates as there are
        assert fullest.labels is not None
        low, high = (pick(here, key=lambda b: b.images.mean) for pick in (min, max))
        said = (
            f"at {wording.budget(budget)} a random set has {wording.percent(fullest.base.mean)} % under {first.hard}, "
            f"the labels add {_points(fullest.labels)}, images {_points(low.images, low.method)}"
        )
        parts.append(said + (f" to {_points(high.images, high.method)}" if high != low else ""))
    unlike = "" if all(b.same_work for b in own) else _unlike(own)
    return f"Under {first.setting.protocol}, {first.setting.student}, {'; '.join(parts)}{unlike}"


def _unlike(own: Sequence[Breakdown]) -> str:
    """Where students of the two protocols did not do the same work, the numbers furthest apart."""
    unlike = [b for b in own if not b.same_work]
    if not unlike:
        steps, seen = ([getattr(b.before, name) for b in own] for name in ("steps", "images_seen"))
        work = f"{_many(steps)} steps, {_many(seen)} images seen"
        return f". Students take the same steps and see as many images under both protocols: {work}"
    most = max(unlike, key=lambda b: abs(math.log(max(b.beside.images_seen, 1) / max(b.before.images_seen, 1))))
    return (
        f". Part of what labels add is training: in {len(unlike)} of {len(own)} the work is not the same, at most "
        f"{most.beside} under {most.setting.protocol} beside {most.before} under {most.hard}"
    )


def _common(runs: Sequence[Replicates]) -> list[tuple[int, int]]:
    return sorted(set.intersection(*map(set, runs)))


def _interval(terms: Sequence[tuple[float, Replicates]], floor: float) -> Interval:
    # Of one accuracy, counting whole test images alone leaves 1/√2 of what it leaves of a difference of two.
    own = floor * math.sqrt(sum(weight**2 for weight, _ in terms) / 2)
    interval = nested.interval(intervals.common(terms), own)
    return intervals.clip(interval, 0, 1) if len(terms) == 1 else interval


def _points(i: Interval, whose: str = "") -> str:
    said = f"{wording.points(i.mean)} {wording.bounds(i.lo, i.hi)}".rstrip()
    return f"{said} ({f'{whose}, ' if whose else ''}n = {i.n})"


def _span(values: Sequence[float]) -> str:
    low, high = wording.points(min(values)), wording.points(max(values))
    return low if low == high else f"{low} to {high}"


def _many(values: Sequence[int]) -> str:
    return " to ".join(f"{x:,}" for x in sorted({min(values), max(values)}))


def _plain(i: Interval | None) -> dict[str, Any] | None:
    return None if i is None else {"mean": i.mean, "ci95": [i.lo, i.hi], "n": i.n}
