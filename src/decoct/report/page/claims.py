"""The section of the four claims: question, answer, every method, and the multiples and contrasts behind them."""

import math

from decoct.report import wording
from decoct.report.findings.claims import Claim
from decoct.report.findings.coverage import Coverage
from decoct.report.findings.price import Multiple
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import block, chip, method, note, section
from decoct.report.page.style import Mark
from decoct.report.stats.comparisons import Contrast, Word
from decoct.report.summary import Summary

CHIPS: dict[str, Word] = {"better": "better", "worse": "worse", "open": "undecided"}
ABOUT = {
    "random": "Paired differences under the same protocol, student and budget. Better and worse: the words of the "
    "verdict, after Holm. The intervals are each at their own level; "
    "those of the smallest and the largest are of what was picked, and do not allow for that.",
    "coresets": "Better than every coreset: better than each, random included (intersection-union), after Holm over "
    "methods and settings. Worse: than at least one, after Holm over all comparisons of two methods.",
    "cost": "Device time is how long an accelerator was held; where none was, it is processor time: wall time in a "
    "busy pool means little. Geometric means over sets, with 95 % intervals from Welch's t on the logs; a single set "
    "stands as it was timed, and two single ones have no interval. What sets share, such as a teacher, was timed once "
    "and is charged in full on both sides. Small: the construction alone, as if all else were there already. A dash: "
    "unlike machines, or a time that is not known.",
    "coverage": "Coverage of the held-out images (val), beside its expectation where that was read: a coreset's images "
    "are among train. Welch's t over sets. Where a method is deterministic its one set stands as it is, and contrasts "
    "condition on it; all condition on the held-out images. Better than every coreset is intersection-union, then "
    "Holm; worse than at least one is Holm over all contrasts, one-sided at 2.5 % each. z: beside random sets.",
}


def claims(summary: Summary, marks: dict[str, Mark]) -> Markup:
    """One block for each question; nothing but the answer where there is nothing to say of a method."""
    tables = {"cost": _cost(summary, marks), "coverage": _coverage(summary, marks)}
    blocks = [_block(claim, tables.get(claim.key, Markup())) for claim in summary.claims.all]
    return section("claims", "Four questions", *blocks)


def _block(claim: Claim, behind: Markup) -> Markup:
    lines = tag("ul", *(tag("li", f"{line}.") for line in claim.methods))
    more = tag("details", tag("summary", "Method by method"), lines, behind, note(ABOUT[claim.key]))
    return block(tag("h3", claim.question), tag("p", f"{claim.answer}."), more if claim.methods else "")


def _cost(summary: Summary, marks: dict[str, Mark]) -> Markup:
    found = {(m.method, m.budget, m.coreset): m for m in summary.claims.multiples}
    coresets = list(dict.fromkeys(m.coreset for m in found.values()))
    places = list(dict.fromkeys((m.method, m.budget) for m in found.values()))
    if not places:
        return Markup()
    body = []
    for label, budget in places:
        first = next(m for m in found.values() if (m.method, m.budget) == (label, budget))
        taken = valued(first.seconds, wording.seconds(first.seconds))
        alone = tag("small", f"{wording.seconds(first.own)} alone")
        row = [_multiple(found.get((label, budget, coreset))) for coreset in coresets]
        head = method(summary, marks, label)
        body.append(cells(head, facets.budget(budget), tag("span", taken, alone, class_="number stacked"), *row))
    top = columns("method", "budget", "time")
    top[0] += [tag("th", "× ", method(summary, marks, coreset), scope="col") for coreset in coresets]
    return table(top, body)


def _multiple(m: Multiple | None) -> Markup:
    if m is None or not math.isfinite(m.full.mean):
        return tag("span", wording.NONE, title=m.why or None) if m else Markup(wording.NONE)
    alone = f"{wording.multiple(m.marginal.mean)} {_ends(m.marginal)} alone".replace("  ", " ")
    parts = [tag("b", wording.multiple(m.full.mean)), tag("small", _ends(m.full) or "no interval")]
    parts += [tag("small", f"sets: {m.full.n[0]} and {m.full.n[1]}")]
    parts += [tag("small", alone)] if math.isfinite(m.marginal.mean) else []
    return tag("span", *parts, class_="number stacked", data_value=m.full.mean)


def _ends(c: Contrast) -> str:
    return f"[{wording.multiple(c.lo)}, {wording.multiple(c.hi)}]" if math.isfinite(c.lo) else ""


def _coverage(summary: Summary, marks: dict[str, Mark]) -> Markup:
    found = summary.claims.coverages
    coresets = list(dict.fromkeys(other for c in found for other in c.contrasts))
    if not found:
        return Markup()
    body = []
    for c in found:
        row = [_contrast(c, coreset) for coreset in coresets]
        z = f"z {c.z:+.1f}".replace("-", wording.MINUS) if math.isfinite(c.z) else ""
        beside = [tag("small", part) for part in (c.beside, z) if part]
        mean = tag("span", valued(c.mean, wording.reading(c.mean)), *beside, class_="number stacked")
        word = join([chip(CHIPS[c.word]), _behind(c)])
        body.append(cells(method(summary, marks, c.method), facets.budget(c.budget), _read(c), mean, word, *row))
    top = columns("method", "budget", "features of", "covers", "against every coreset")
    top[0] += [tag("th", "over ", method(summary, marks, coreset), scope="col") for coreset in coresets]
    return table(top, body)


def _read(c: Coverage) -> Markup:
    metric = f"{c.name.metric.replace('_', ' ')}, {c.name.scope.replace('_', ' ')}"
    return tag("span", name(c.name.extractor), tag("small", metric), class_="stacked")


def _behind(c: Coverage) -> Markup:
    return tag("small", f"than {', '.join(c.behind)}", class_="number names") if c.behind else Markup()


def _contrast(c: Coverage, coreset: str) -> Markup:
    x = c.contrasts.get(coreset)
    if x is None or not math.isfinite(x.mean):
        return Markup(wording.NONE)
    small = [f"[{x.lo:+.2f}, {x.hi:+.2f}]"] if math.isfinite(x.lo) else ["no interval"]
    small += [f"sets: {x.n[0]} and {x.n[1]}"]
    shown = [tag("small", part.replace("-", wording.MINUS)) for part in small]
    value = f"{x.mean:+.2f}".replace("-", wording.MINUS)
    return tag("span", value, *shown, class_="number stacked", data_value=x.mean)
