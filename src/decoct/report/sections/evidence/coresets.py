"""Is any distilled set better than the best coreset? Every method against every coreset."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from decoct.report import wording
from decoct.report.conclusion import ours
from decoct.report.page.markup import Markup, cells, columns, join, table, tag
from decoct.report.page.parts import block, bullets, chip, content, difference, fold, note, place
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats.comparisons import Comparison
from decoct.report.verdict import Verdict, correction, spell

if TYPE_CHECKING:
    from decoct.report.summary import Summary

ABOUT = (
    "Better than the best coreset means better than every coreset, random included; worse means worse than at "
    "least one. No coreset is picked as the best and then tested on the same numbers. Not better by more than the "
    "margin: the smallest p over the coresets times their number; for all methods and settings together, the "
    "largest of these (intersection-union). The number of sets beside an open word would decide it in four of "
    "five studies, if the means and spreads seen here were the true ones."
)


def show(summary: "Summary") -> Markup:
    """A word for every method and setting, the ranges by method, and every pair."""
    own = {label: [summary.verdict(label, s) for s in summary.settings] for label in summary.methods}
    lines, said = summary.claims.of("coresets").methods, correction(summary.verdicts)
    every = [f"{v.setting}: {line}" for v in summary.verdicts for line in v.sentences()]
    pairs = any(c.n for v in summary.verdicts for c in v.coresets.values())
    return content(
        summary.grid((summary.method(m), list(map(_cell, row))) for m, row in own.items())
        if any(len(v.coresets) > 1 for v in summary.verdicts)
        else "",
        fold("Method by method", bullets(lines)) if lines else "",
        fold("Row minus column, against every coreset", *_pairs(summary)) if pairs else "",
        fold("Every verdict as a sentence", bullets(every)) if every else "",
        note(ABOUT, f" {said}." if said else "", f" This holds for {ours(summary.methods)}.") if pairs else "",
    )


def _cell(v: Verdict) -> Markup:
    if v.against_coresets is None or all(c.n == 0 for c in v.coresets.values()):
        return Markup(wording.NONE)
    rest = ""
    if v.against_coresets == "worse":
        rest = "than " + ", ".join(n for n, c in v.coresets.items() if c.verdict == "worse")
    elif v.needed:
        rest = f"≈ {v.needed} sets"
    return join([chip(v.against_coresets), tag("small", rest, class_="number names") if rest else ""])


def _pairs(summary: "Summary") -> list[Markup]:
    placed = [(s, [v for v in summary.verdicts if v.setting == s]) for s in summary.settings]
    return [block(tag("h4", place(s)), _table(summary, own)) for s, own in placed]


def _table(view: View, verdicts: Sequence[Verdict]) -> Markup:
    against = [label for label, family in view.methods.items() if family == "coreset" or label == REFERENCE]
    rows = [cells(view.method(v.method), *(_both(v.coresets.get(label)) for label in against)) for v in verdicts]
    return table(columns("method", *map(view.method, against)), rows)


def _both(c: Comparison | None) -> Markup:
    return join([difference(c), chip(c.verdict) if c.n else ""]) if c else Markup()


def _say(summary: "Summary") -> str:
    own = [v for v in summary.verdicts if v.family == "distillation" and v.coresets and not v.outside]
    return f"Distilled sets against the best coreset: {spell([v.against_coresets for v in own])}" if own else ""


SECTION = Section("Against the best coreset", 20, show, _say)
