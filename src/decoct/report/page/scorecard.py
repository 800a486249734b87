"""The section of the label-robust and augmentation-robust scores."""

import math

from decoct.report import wording
from decoct.report.findings.robust import Name, Score
from decoct.report.page import facets
from decoct.report.page.markup import Markup, join, name, table, tag
from decoct.report.page.parts import method, note, section
from decoct.report.page.style import Mark
from decoct.report.read.manifest import REFERENCE
from decoct.report.summary import Summary

Column = tuple[Name, str | None, str | None, str | None]  # score, hard, protocol, plain
ARROWS: dict[Name, str] = {"HLR": "↓", "IOR": "↑", "LRS": "↑", "ARS": "↑"}


def scorecard(summary: Summary, marks: dict[str, Mark]) -> Markup:
    """A table for each student and budget: methods down, scores across."""
    blocks: list[Markup] = []
    for student, budget in dict.fromkeys((score.student, score.budget) for score in summary.scores):
        own = [score for score in summary.scores if (score.student, score.budget) == (student, budget)]
        heading = join([tag("b", facets.student(student)), " · ", facets.budget(budget)])
        opened = "open" if not blocks else None
        blocks.append(tag("details", tag("summary", heading), _table(own, summary, marks), open=opened))
    if not blocks:
        return Markup()
    return section("scores", "Robust scores", *_notes(summary), *blocks)


def _notes(summary: Summary) -> list[Markup]:
    """What the scores at hand are, and what their intervals rest on."""
    at_hand = {score.name for score in summary.scores}
    lines = {
        "HLR": "HLR, hard-label recovery: what a set lacks of the full data where both have hard labels, in points. ",
        "IOR": "IOR, improvement over random: what it gains over random of the same size with the same labels, in "
        "points. ",
        "LRS": "LRS, label-robust score, joins the two: (exp(½ · IOR − ½ · HLR) − 1/e) / (e − 1/e). ",
        "ARS": "ARS, augmentation-robust score, is the same of the gain over random with and without augmentation, "
        "half and half: 0.27 for a set that gains nothing. ",
    }
    spread = [a.interval.hi - a.interval.lo for a in summary.ceiling if math.isfinite(a.interval.lo)]
    wide = f", up to ±{100 * max(spread) / 2:.1f} points by Wilson's interval," if spread else ""
    mapped = " and ".join(score for score in ("LRS", "ARS") if score in at_hand)
    what = [
        "What of an accuracy is the set's own, after DD-Ranking (Li et al., 2025). ",
        *(line for score, line in lines.items() if score in at_hand),
        "Accuracies enter as fractions, so that scores lie between 0 and 1; the authors' own code feeds percent and "
        "leaves that range. ↑ higher is better, ↓ lower is better.",
    ]
    rests = [
        "95 % t intervals over condense-level replicates, n of them, paired by number",
        f"; of {mapped} on the exponent, then mapped, so that they stay within the range. " if mapped else ". ",
        "They condition on the test images. ",
        f"HLR and LRS condition on the one student of the full data too: its own uncertainty{wide} shifts all "
        "methods alike and leaves their order. "
        if "HLR" in at_hand
        else "",
        "Random has no gain over itself. " if REFERENCE in summary.methods else "",
        "† one set; intervals condition on it." if summary.deterministic else "",
    ]
    return [note(*what), note(*rests)]


def _table(own: list[Score], summary: Summary, marks: dict[str, Mark]) -> Markup:
    columns: list[Column] = sorted(dict.fromkeys(map(_column, own)), key=lambda column: list(ARROWS).index(column[0]))
    groups = {score: [c for c in columns if c[0] == score] for score in dict.fromkeys(c[0] for c in columns)}
    top = [tag("th", "method", rowspan=2, scope="col")]
    top += [
        tag("th", tag("b", score), f" {ARROWS[score]}", colspan=len(group), scope="colgroup", class_="first")
        for score, group in groups.items()
    ]
    under = [tag("th", _head(c), scope="col", class_=_first(c, groups)) for c in columns]
    found = {(score.method, _column(score)): score for score in own}
    rows = [
        [
            tag("th", method(summary, marks, label), scope="row"),
            *(tag("td", _cell(found.get((label, c))), class_=_first(c, groups)) for c in columns),
        ]
        for label in summary.methods
        if any((label, c) in found for c in columns)
    ]
    return table([top, under], rows, class_="grid")


def _column(score: Score) -> Column:
    return score.name, score.hard, score.protocol, score.plain


def _first(column: Column, groups: dict[Name, list[Column]]) -> str | None:
    return "first" if groups[column[0]][0] == column else None


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
    small = join(tag("small", part) for part in (spread, f"n = {i.n}") if part)
    return tag("span", tag("b", value), small, class_="number stacked", data_value=i.mean)
