"""Label-robust and augmentation-robust scores: how much of an accuracy is due to the set, not to labels or crops.

    HLR = accuracy(full, hard) − accuracy(set, hard)              hard-label recovery, lower is better
    IOR = accuracy(set, any) − accuracy(random, any)              improvement over random
    LRS = normalised(½ · IOR − ½ · HLR)                           label-robust score
    ARS = normalised(½ · IOR augmented + ½ · IOR plain)           augmentation-robust score

Source:
    DD-Ranking (Li et al., 2025, arXiv:2505.13300). Its own code feeds percent into the exponential, so that its scores
    leave [0, 1]; accuracies here are fractions.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from typing import Any, Literal

import pyarrow as pa

from decoct.report import wording
from decoct.report.accuracy import Runs, Setting
from decoct.report.grouped import grouped
from decoct.report.judged import Judged
from decoct.report.page import facets
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.parts import content, fold, note, panelled, stacked
from decoct.report.page.plot import Panel
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.frame import BOOL, FLOAT, INT, STRING, Frame, schema
from decoct.report.read.manifest import REFERENCE, Manifest
from decoct.report.stats import intervals
from decoct.report.stats.answers import Answers
from decoct.report.stats.crossed import crossed
from decoct.report.stats.intervals import Interval

HALF = 0.5  # weight of improvement against recovery, and of the augmented against the plain gain
Name = Literal["HLR", "IOR", "LRS", "ARS"]
ARROWS: dict[Name, str] = {"HLR": "↓", "IOR": "↑", "LRS": "↑", "ARS": "↑"}
Column = tuple[Name, str | None, str | None, str | None]  # score, hard, protocol, plain

SCORES = schema(
    (STRING, "data method student budget score hard_protocol protocol plain_protocol"),
    (FLOAT, "value lo hi"),
    (INT, "n"),
    (BOOL, "conditional_on_set"),
)


@dataclass(frozen=True)
class Score:
    """One score of a method, with student and budget held fixed.

    Attributes:
        name: HLR, IOR, LRS or ARS.
        hard: protocol of hard labels behind HLR and LRS.
        protocol: the one behind IOR and LRS; the augmented one of ARS.
        plain: the protocol of ARS without augmentation.
        interval: over sets and test images, in accuracy for HLR and IOR. For LRS and ARS it is the one of
            the exponent, mapped through the exponential, so that it stays within the scores' range. It conditions on
            the one student of the full data.
    """

    name: Name
    method: str
    student: str
    budget: str
    hard: str | None
    protocol: str | None
    plain: str | None
    interval: Interval

    @property
    def column(self) -> Column:
        """What it is of, whatever the method."""
        return self.name, self.hard, self.protocol, self.plain


def normalised(x: float) -> float:
    """(exp(x) − e⁻¹) / (e − e⁻¹): 0 at −1, about .27 at 0, 1 at 1; NaN stays NaN."""
    return (math.exp(x) - math.exp(-1)) / (math.e - math.exp(-1))


def augmentation_pairs(protocols: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Labels of the protocols whose tables are equal but for ``augment``: the augmented one first."""

    def rest(table: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in table.items() if key != "augment"}

    plain = [label for label, table in protocols.items() if table.get("augment") is False]
    augmented = [label for label, table in protocols.items() if table.get("augment") is True]
    return [(a, p) for a in augmented for p in plain if rest(protocols[a]) == rest(protocols[p])]


@dataclass(frozen=True)
class Scorer:
    """Scores of the methods of a run.

    Attributes:
        hard: protocols whose students learn from hard labels.
        protocols: behind IOR and LRS: those of soft labels, or the hard ones where there are none.
        pairs: augmented and plain protocol.
        runs: accuracies by method and setting.
        ceilings: accuracy of the full data by protocol and student.
        floor: the smallest standard deviation of a difference to believe.
        answers: of the students by test image; None where not known.
    """

    hard: Sequence[str]
    protocols: Sequence[str]
    pairs: Sequence[tuple[str, str]]
    runs: Runs
    ceilings: Mapping[Panel, float]
    floor: float
    answers: Answers | None = None

    @classmethod
    def of(cls, frame: Frame, runs: Runs, ceilings: Mapping[Panel, float], answers: Answers | None = None) -> "Scorer":
        """The scorer of a run, whose jobs say which protocols have hard labels."""
        protocols = frame.manifest.protocols
        hard = [label for label in protocols if frame.manifest.labels(label) == "hard"]
        soft = [label for label in protocols if label not in hard]
        return cls(hard, soft or hard, augmentation_pairs(protocols), runs, ceilings, frame.floor, answers)

    def all(self, settings: Sequence[Setting], methods: Sequence[str]) -> tuple[Score, ...]:
        """Every score of the methods that rests on at least one replicate, by student, budget and method."""
        places = product(dict.fromkeys((s.student, s.budget) for s in settings), methods)
        every = chain.from_iterable(self.scores(method, *place) for place, method in places)
        return tuple(score for score in every if score.interval.n)

    def scores(self, method: str, student: str, budget: str) -> Iterator[Score]:
        """Every score that the method's students and those they are set against allow."""
        improves = method != REFERENCE  # random's own gain over random is 0 by definition, not by measurement

        def at(who: str, protocol: str) -> tuple[str, Setting]:
            return who, Setting(protocol, student, budget)

        def gain(protocol: str, weight: float) -> list[tuple[float, tuple[str, Setting]]]:
            return [(weight, at(method, protocol)), (-weight, at(REFERENCE, protocol))] if improves else []

        def score(name: Name, hard: str | None, protocol: str | None, plain: str | None, i: Interval) -> Score:
            return Score(name, method, student, budget, hard, protocol, plain, i)

        full = {hard: self.ceilings[hard, student] for hard in self.hard if (hard, student) in self.ceilings}
        for hard, top in full.items():
            yield score("HLR", hard, None, None, self.linear([(-1, at(method, hard))], top))
        for protocol in self.protocols if improves else ():
            yield score("IOR", None, protocol, None, self.linear(gain(protocol, 1)))
        for hard, top in full.items():
            for protocol in self.protocols:
                exponent = self.linear([*gain(protocol, HALF), (HALF, at(method, hard))], -HALF * top)
                yield score("LRS", hard, protocol, None, mapped(exponent))
        for augmented, plain in self.pairs if improves else ():
            exponent = self.linear([*gain(augmented, HALF), *gain(plain, HALF)])
            yield score("ARS", None, augmented, plain, mapped(exponent))

    def linear(self, terms: Sequence[tuple[float, tuple[str, Setting]]], constant: float = 0.0) -> Interval:
        """Interval of constant + Σ weight · accuracy over the replicates that all terms have, within [−1, 1]."""
        # Of one accuracy, counting whole test images alone leaves 1/√2 of what it leaves of a difference of two.
        floor = self.floor * math.sqrt(sum(weight**2 for weight, _ in terms) / 2)
        values = intervals.common([(weight, self.runs.get(who, {})) for weight, who in terms])
        tally = self.answers.combined([(weight, *who) for weight, who in terms]) if self.answers and values else None
        i = crossed(values, tally, floor).interval
        shifted = replace(i, mean=constant + i.mean, lo=constant + i.lo, hi=constant + i.hi)
        return intervals.clip(shifted, -1, 1)


def mapped(exponent: Interval) -> Interval:
    """The interval of a score from the one of its exponent: the map grows, so bounds stay bounds."""
    return Interval(normalised(exponent.mean), normalised(exponent.lo), normalised(exponent.hi), exponent.n)


def table(scores: Sequence[Score], run: Manifest) -> pa.Table:
    """The scores as a table; what is not defined is null."""
    rows = []
    for s in scores:
        ends = (x if math.isfinite(x) else None for x in (s.interval.mean, s.interval.lo, s.interval.hi))
        names = run.data["name"], s.method, s.student, s.budget, s.name, s.hard, s.protocol, s.plain
        values = *names, *ends, s.interval.n, s.method in run.deterministic
        rows.append(dict(zip(SCORES.names, values, strict=True)))
    return pa.Table.from_pylist(rows, schema=SCORES)


def show(view: View, scores: Sequence[Score]) -> Markup:
    """A table for each student and budget: methods down, scores across."""
    places = grouped(scores, lambda score: (score.student, score.budget))
    heads = [join([tag("b", facets.student(student)), " · ", facets.budget(budget)]) for student, budget in places]
    tables = (_table(view, own) for own in places.values())
    blocks = [fold(head, made, opened=not i) for i, (head, made) in enumerate(zip(heads, tables, strict=True))]
    return content(*_notes(view, scores), *blocks) if blocks else Markup()


def _notes(view: View, scores: Sequence[Score]) -> list[Markup]:
    """What the scores at hand are, and what their intervals rest on."""
    at_hand = {score.name for score in scores}
    lines = {
        "HLR": "HLR, hard-label recovery: how far a set is below the full data, both with hard labels, in points. ",
        "IOR": "IOR, improvement over random: what it gains over random of the same size with the same labels, in "
        "points. ",
        "LRS": "LRS, label-robust score, joins the two: (exp(½ · IOR − ½ · HLR) − 1/e) / (e − 1/e). ",
        "ARS": "ARS, augmentation-robust score, is the same of the gain over random with and without augmentation, "
        "half and half: 0.27 for a set that gains nothing. ",
    }
    spread = [a.interval.hi - a.interval.lo for a in view.ceiling.values() if math.isfinite(a.interval.lo)]
    wide = f", up to ±{100 * max(spread) / 2:.1f} points by Wilson's interval," if spread else ""
    mapped = " and ".join(score for score in ("LRS", "ARS") if score in at_hand)
    what = [
        "How much of an accuracy is due to the set itself, after DD-Ranking (Li et al., 2025). ",
        *(line for score, line in lines.items() if score in at_hand),
        "Accuracies enter as fractions, so that scores lie between 0 and 1; the authors' own code feeds percent and "
        "leaves that range. ↑ higher is better, ↓ lower is better.",
    ]
    rests = [
        f"95 % intervals{view.given} over sets, n of them, paired by number, and test images",
        f"; of {mapped} on the exponent, then mapped, so that they stay within the range. " if mapped else ". ",
        f"HLR and LRS condition on the one student of the full data: its own uncertainty{wide} shifts all "
        "methods alike and leaves their order. "
        if "HLR" in at_hand
        else "",
        "Random has no gain over itself. " if REFERENCE in view.methods else "",
        "† one set; intervals condition on it." if view.deterministic else "",
    ]
    return [note(*what), note(*rests)]


def _table(view: View, own: Sequence[Score]) -> Markup:
    placed = {(score.method, score.column): score for score in own}
    columns = sorted(dict.fromkeys(score.column for score in own), key=lambda column: list(ARROWS).index(column[0]))
    panels = [
        (join([tag("b", score), f" {ARROWS[score]}"]), list(map(_head, own)))
        for score, own in grouped(columns, lambda column: column[0]).items()
    ]
    there = [label for label in view.methods if any((label, c) in placed for c in columns)]
    return panelled(panels, ((view.method(m), [_cell(placed.get((m, c))) for c in columns]) for m in there))


def _head(column: Column) -> Markup:
    score, hard, protocol, plain = column
    if score == "LRS":
        shown = facets.protocol(protocol)
        return join([shown, tag("small", " with ", name(hard))]) if protocol != hard else shown
    if score == "ARS":
        return join([facets.protocol(protocol), tag("small", " and ", name(plain))])
    return facets.protocol(hard if score == "HLR" else protocol)


def _cell(score: Score | None) -> Markup:
    if score is None:
        return Markup(wording.NONE)
    i = score.interval
    if score.name in ("LRS", "ARS"):
        value, spread = f"{i.mean:.3f}", f"[{i.lo:.3f}, {i.hi:.3f}]" if math.isfinite(i.lo) else ""
    else:
        value, spread = wording.points(i.mean), wording.bounds(i.lo, i.hi)
    return stacked(tag("b", value), spread, f"n = {i.n}", sort=i.mean)


def find(judged: Judged) -> tuple[Score, ...]:
    """Every score of a run."""
    ceilings = {a.setting.panel: a.interval.mean for a in judged.accuracies if a.ceiling}
    scorer = Scorer.of(judged.frame, judged.runs, ceilings, judged.answers)
    return scorer.all(judged.settings, list(judged.frame.manifest.methods))


SECTION = Section(
    "Robust scores",
    100,
    lambda s: show(s, s.found(find)),
    to_json=lambda s: {"scores": table(s.found(find), s.run).to_pylist()},
)
