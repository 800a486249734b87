"""Accuracy at equal cost: every distilled set against the largest coresets that its time would have allowed.

The time is that of making a set, with teachers and features in full (``cost.measure``). Of each coreset the largest set
that the study has and that takes no longer is compared: it is picked by its cost, never by its accuracy.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from decoct.report import wording
from decoct.report.accuracy import Setting
from decoct.report.costs import FULL, Row, made_here, measure, ties
from decoct.report.grouped import grouped
from decoct.report.judged import Judged
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import chip, content, difference, note, place, stacked
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.stats import comparisons, intervals
from decoct.report.stats.comparisons import Comparison, Word
from decoct.report.stats.crossed import crossed


@dataclass(frozen=True)
class Equal:
    """A distilled set minus the largest set of one coreset that takes no longer to make.

    Attributes:
        method, coreset: labels.
        setting: of the distilled set; the coreset's has the same protocol and student.
        budget: of the coreset.
        seconds: mean of the distilled sets, and of the coreset's, teachers and features in full.
        images: of a distilled set, and of the coreset's.
        comparison: with its word after Holm over all comparisons of this kind.
    """

    method: str
    coreset: str
    setting: Setting
    budget: str
    seconds: tuple[float, float]
    images: tuple[int, int]
    comparison: Comparison

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN where nothing is defined."""
        c, own = self.comparison, ("method", "coreset", "seconds", "images")
        return {
            **{each: getattr(self, each) for each in own},
            **self.setting._asdict(),
            "coreset_budget": self.budget,
            "verdict": c.verdict,
            "difference": c.mean,
            **{name: getattr(c, name) for name in ("family", "margin")},
            **c.interval.to_json(),
        }


def equal_costs(judged: Judged) -> tuple[Equal, ...]:
    """One for each distilled method, setting and coreset, where times can be compared and a set is cheap enough."""
    frame, run = judged.frame, judged.frame.manifest
    rows = grouped(made_here(frame.costs.to_pylist()), lambda row: (row["method"], row["budget"]))
    trained = grouped(judged.runs, lambda key: (key[0], key[1].panel))
    found = []
    for v in (v for v in judged.verdicts if v.family == "distillation" and not v.outside):
        own = rows.get((v.method, v.setting.budget), [])
        for coreset in (label for label, family in run.families.items() if family == "coreset"):
            there = [s for _, s in trained.get((coreset, v.setting.panel), []) if s not in judged.outside]
            affordable = {s.budget: sides for s in there if (sides := _within(own, rows.get((coreset, s.budget), [])))}
            if affordable and (v.method, v.setting) in judged.runs:
                budget = max(affordable, key=run.budget_order)
                seconds, images = affordable[budget]
                terms = [(1, v.method, v.setting), (-1, coreset, v.setting._replace(budget=budget))]
                values = intervals.common([(weight, judged.runs[method, s]) for weight, method, s in terms])
                c = crossed(values, judged.answers.combined(terms), frame.floor)
                made = comparisons.compare(c, judged.margins[v.setting])
                found.append(Equal(v.method, coreset, v.setting, budget, seconds, images, made))
    kinds = [len({e.method, e.coreset} & run.deterministic) for e in found]
    words = comparisons.corrected([e.comparison for e in found], kinds)
    return tuple(replace(e, comparison=c) for e, c in zip(found, words, strict=True))


def _within(own: Sequence[Row], other: Sequence[Row]) -> tuple[tuple[float, float], tuple[int, int]] | None:
    """Mean seconds and images of both where the other takes no longer, or ties; None where it does, or who knows."""
    by = measure([*own, *other]) if own and other else None
    if by is None:
        return None
    a, b = (fmean(row[FULL[by]] for row in rows) for rows in (own, other))
    return ((a, b), (own[0]["images"], other[0]["images"])) if ties([a, b])[1] else None


def words(equal: Sequence[Equal]) -> dict[tuple[str, Setting], Word]:
    """The word of each distilled set over every coreset at equal cost."""
    groups = grouped(equal, lambda e: (e.method, e.setting))
    return {key: comparisons.against_all([e.comparison for e in own]) for key, own in groups.items()}


def overall(equal: Sequence[Equal]) -> str:
    """One sentence over all methods and settings; empty where nothing can be compared."""
    if not any(e.comparison.n for e in equal):
        return ""
    said = _counts(list(words(equal).values()))
    return (
        f"At equal cost, against the largest coresets that the same time allows, distilled sets are {said}, after Holm"
    )


def sentences(equal: Sequence[Equal]) -> tuple[str, ...]:
    """One for each distilled method, with the smallest and the largest difference."""
    lines, told = [], words(equal)
    for method, own in grouped(equal, lambda e: e.method).items():
        known = [e for e in own if e.comparison.n]
        if known:
            ends = dict.fromkeys(pick(known, key=lambda e: e.comparison.mean) for pick in (min, max))
            said = _counts([word for (m, _), word in told.items() if m == method])
            lines.append(f"{method} at equal cost: {said}; {' to '.join(map(_said, ends))}")
    return tuple(lines)


def _counts(every: Sequence[Word]) -> str:
    better, worse = (every.count(word) or "none" for word in ("better", "worse"))
    number = wording.count(len(every), "setting")
    return f"better than every coreset in {better} of {number} and worse than at least one in {worse}"


def _said(e: Equal) -> str:
    a, b = (f"{n:,}" for n in e.images)
    return f"{wording.difference(e.comparison, ' points')} against {e.coreset} ({e.setting}: {b} images for {a})"


def equal_table(view: View, equal: Sequence[Equal]) -> Markup:
    """Every comparison, for the question of cost; nothing where there are none."""
    if not equal:
        return Markup()
    coresets = list(dict.fromkeys(e.coreset for e in equal))
    told, rows = words(equal), []
    for (method, setting), own in grouped(equal, lambda e: (e.method, e.setting)).items():
        over = {e.coreset: e for e in own}
        seconds, where = own[0].seconds[0], stacked(tag("span", place(setting)), f"{own[0].images[0]:,} images")
        first = view.method(method), where, valued(seconds, wording.seconds(seconds))
        rows.append(cells(*first, chip(told[method, setting]), *(_cell(over.get(coreset)) for coreset in coresets)))
    beside = (join(["to ", view.method(coreset)]) for coreset in coresets)
    return table(columns("method", "setting", "time", "at equal cost", *beside), rows)


def _cell(e: Equal | None) -> Markup:
    if e is None:
        return Markup(wording.NONE)
    where = f"{wording.budget(e.budget)}, {wording.seconds(e.seconds[1])}"
    number = e.comparison.mean if math.isfinite(e.comparison.mean) else None
    return tag("span", difference(e.comparison), tag("small", name(where)), class_="stacked", data_value=number)


ABOUT = (
    "Each distilled set is compared with the largest set of each coreset that takes no longer to make, teachers and "
    "features in full; up to a second or a tenth more counts as no longer. That set is picked by its cost, never "
    "by its accuracy. Words hold after Holm's correction over all of these comparisons."
)
SECTION = Section(
    "At equal cost",
    20,
    lambda s: content(table_ := equal_table(s, s.claims.equal), note(ABOUT) if table_ else ""),
    lambda s: overall(s.claims.equal),
)
