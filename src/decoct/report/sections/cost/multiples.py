"""At what multiple of a coreset's cost is a distilled set made? In device or processor time, on similar machines.

Wall time in a busy pool means little. What counts is the time for which an accelerator was held or, where none was,
processor time. Shared parts (teachers, features, traces) are charged in full on both sides; the multiple of the
construction alone, as if the shared parts existed already, is given too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from decoct.report import wording
from decoct.report.costs import FULL, OWN, Measure, Row, made_here, measure, whose
from decoct.report.grouped import grouped
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, table, tag, valued
from decoct.report.page.parts import bullets, content, fold, note, stacked
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.frame import Frame
from decoct.report.stats.welch import Contrast, welch

if TYPE_CHECKING:
    from decoct.report.summary import Summary


ABOUT = (
    "Device time is how long an accelerator was held, or processor time where none was; wall time in a busy pool "
    "means little. The table shows ratios of geometric means over sets with 95 % intervals from Welch's t on the "
    "logs; one set on each side gives no interval. What sets share, such as a teacher, was timed once and is "
    "charged in full on both sides. Small print: the construction alone, as if everything else were there "
    "already. A dash: different machines, or an unknown time."
)
NOTHING = Contrast(math.nan, math.nan, math.nan, (0, 0), math.nan, math.nan)


@dataclass(frozen=True)
class Multiple:
    """Cost of a distillation method over that of a coreset at one budget.

    Attributes:
        method: its label.
        coreset: label of the other.
        budget: such as "ipc=10".
        measure: of time; None where the two cannot be compared.
        why: they cannot; empty where they can.
        seconds: mean of the method's sets, with everything they need; NaN if unknown.
        own: the same of the construction alone.
        full: ratio of geometric means over sets, all included, with a 95 % interval from Welch's t on the logs. What
            several sets share was measured once, and the interval conditions on it, as on a coreset's single set.
        marginal: the same of the construction alone.
    """

    method: str
    coreset: str
    budget: str
    measure: Measure | None
    why: str
    seconds: float
    own: float
    full: Contrast
    marginal: Contrast


def ratio(a: Sequence[float], b: Sequence[float]) -> Contrast:
    """Geometric mean of a over that of b; a single value stands as it was measured. NaN where a time is 0."""
    if not (a and b and min(*a, *b) > 0):
        return NOTHING
    logs = welch([math.log(x) for x in a], [math.log(x) for x in b], known=(True, True))
    return replace(logs, mean=math.exp(logs.mean), lo=math.exp(logs.lo), hi=math.exp(logs.hi))


def multiples(frame: Frame) -> tuple[Multiple, ...]:
    """Every distillation method over every coreset, random included, at each budget where both have a set made here."""
    families = frame.manifest.families
    rows = grouped(made_here(frame.costs.to_pylist()), whose)
    budgets = sorted({budget for _, budget in rows}, key=frame.manifest.budget_order)
    return tuple(
        _multiple(method, coreset, budget, rows[method, budget], rows[coreset, budget])
        for method in (m for m, family in families.items() if family == "distillation")
        for budget in budgets
        for coreset in (m for m, family in families.items() if family == "coreset")
        if (method, budget) in rows and (coreset, budget) in rows
    )


def sentences(frame: Frame, multiples: Sequence[Multiple]) -> tuple[str, ...]:
    """One per distillation method, over its budgets; steps and bytes where times cannot be compared."""
    order = frame.manifest.budget_order
    students, over = grouped(frame.results.to_pylist(), whose), grouped(multiples, lambda m: (m.method, m.budget))
    costs = grouped(frame.costs.to_pylist(), lambda row: row["method"])
    lines = []
    for label in (label for label, family in frame.manifest.families.items() if family == "distillation"):
        rows = costs.get(label, [])
        if stated := dict.fromkeys(row["stated"] for row in rows if row["stated"] is not None):
            lines.append(f"{label} is external; its stated cost: {'; '.join(stated)}. It enters no multiple")
            continue
        said, alone = [], []
        for budget, here in sorted(grouped(rows, lambda row: row["budget"]).items(), key=lambda item: order(item[0])):
            pairs = over.get((label, budget), [])
            seen = [row["images_seen"] for row in students.get((label, budget), ())]
            said.append(f"{_taken(here)} at {wording.budget(budget)}{_beside(pairs)}{_anywhere(here, pairs, seen)}")
            alone += [wording.seconds(fmean(row[OWN[by]] for row in here))] if (by := measure(here)) else []
        if said:
            own = f". The construction alone: {', '.join(alone)}" if alone else ""
            missing = list(dict.fromkeys(row["not_counted"] for row in rows if row["not_counted"]))
            more = f". Not counted: {'; '.join(missing)}" if missing else ""
            lines.append(f"A set of {label}, with everything it needs, takes {'; '.join(said)}{own}{more}")
    return tuple(lines)


def overall(multiples: Sequence[Multiple]) -> str:
    """One sentence over all methods and budgets."""
    known = [m for m in multiples if math.isfinite(m.full.mean)]
    if not multiples:
        return "This study did not make both distilled sets and coresets, so costs cannot be compared"
    if not known:
        return f"Costs cannot be compared: {multiples[0].why or 'a time is 0'}"
    measures = " or ".join(dict.fromkeys(m.measure for m in known if m.measure))
    said = f"A distilled set takes {_span(known, 'full')}, in {measures}, teachers and features included"
    own = [m for m in known if math.isfinite(m.marginal.mean)]
    said += f"; its construction alone takes {_span(own, 'marginal')}" if own else ""
    lost = len(multiples) - len(known)
    return f"{said}; {lost} of {wording.count(len(multiples), 'pair')} cannot be compared" if lost else said


def uncounted(frame: Frame) -> str:
    """What distilled sets need but no time counts, such as pretraining; empty where all is counted."""
    families = frame.manifest.families
    rows = [row for row in made_here(frame.costs.to_pylist()) if families.get(row["method"]) == "distillation"]
    named = dict.fromkeys((said, row["method"]) for row in rows for said in (row["not_counted"] or "").split("; "))
    told = (
        f"{said} ({', '.join(method for _, method in own)})"
        for said, own in grouped(named, lambda pair: pair[0]).items()
        if said
    )
    return f"Not counted: {listed}" if (listed := "; ".join(told)) else ""


def _multiple(method: str, coreset: str, budget: str, a: list[Row], b: list[Row]) -> Multiple:
    by = measure([*a, *b])
    alone = by or measure(a)  # the method's own time can be said without another's
    seconds, own = (fmean(row[columns[alone]] for row in a) if alone else math.nan for columns in (FULL, OWN))
    if by is None:
        return Multiple(method, coreset, budget, None, _why(method, coreset, a, b), seconds, own, NOTHING, NOTHING)
    full, marginal = (
        ratio([row[columns[by]] for row in a], [row[columns[by]] for row in b]) for columns in (FULL, OWN)
    )
    return Multiple(method, coreset, budget, by, "", seconds, own, full, marginal)


def _why(method: str, coreset: str, a: list[Row], b: list[Row]) -> str:
    rows = [*a, *b]
    if any(row[column] is None for row in rows for column in FULL.values()):
        return f"the time of a set of {method} or of {coreset} is not fully known"
    machines = [" + ".join(sorted({f"{row['hardware']} ({row['device']})" for row in own})) for own in (a, b)]
    if len({(row["device"], row["hardware"]) for row in rows}) > 1:
        return f"sets of {method} and {coreset} were made on different machines ({machines[0]}; {machines[1]})"
    return f"an accelerator was held for some sets of {method} and {coreset} and not for others"


def _taken(rows: list[Row]) -> str:
    by = measure(rows)
    if by is None:
        return "a time that is unknown, or from different kinds of machine"
    return f"{wording.seconds(fmean(row[FULL[by]] for row in rows))} of {by}"


def _beside(pairs: list[Multiple]) -> str:
    known = [m for m in pairs if math.isfinite(m.full.mean)]
    if not known:
        return ""
    most, least = (pick(known, key=lambda m: m.full.mean) for pick in (min, max))
    if most == least:
        return f", {_times(most)}"
    return f", {_times(most)}, the most expensive coreset, and {_times(least)}, the cheapest"


def _times(m: Multiple) -> str:
    c = m.full
    if not math.isfinite(c.lo):
        return f"{wording.multiple(c.mean)} × {m.coreset} (one set each: no interval)"
    return f"{wording.multiple(c.mean)} × {m.coreset} {_bounds(c)} (sets: {c.n[0]} and {c.n[1]})"


def _bounds(c: Contrast) -> str:
    return f"[{wording.multiple(c.lo)}, {wording.multiple(c.hi)}]" if math.isfinite(c.lo) else ""


def _anywhere(rows: list[Row], pairs: list[Multiple], seen: Sequence[int]) -> str:
    """Steps, bytes and images seen, which can be compared on any machine; given where times cannot."""
    if pairs and all(m.measure for m in pairs):
        return ""
    weight = fmean(row["image_bytes"] + row["label_bytes"] for row in rows)
    said = [f"{fmean(row['steps'] for row in rows):,.0f} steps to make it, {wording.size(weight)}"]
    said += [f"students that see {max(seen):,} images at most"] if seen else []
    why = next((m.why for m in pairs if m.why), "")
    return f", {', '.join(said)}" + (f"; {why}: their times are not compared" if why else "")


def _span(known: Sequence[Multiple], part: Literal["full", "marginal"]) -> str:
    groups = grouped(known, lambda m: (m.method, m.budget)).values()
    ends = [[pick(getattr(m, part).mean for m in own) for own in groups] for pick in (min, max)]
    most, least = (wording.span(*map(wording.multiple, (min(own), max(own)))) for own in ends)
    said = f"{most} times as long as the most expensive coreset of its size"
    return said if ends[0] == ends[1] else f"{said} and {least} times as long as the cheapest"


def multiples_table(view: View, multiples: Sequence[Multiple]) -> Markup:
    """Every multiple of time; nothing where there are none."""
    if not multiples:
        return Markup()
    coresets = list(dict.fromkeys(m.coreset for m in multiples))
    rows = []
    for (label, budget), own in grouped(multiples, lambda m: (m.method, m.budget)).items():
        over = {m.coreset: m for m in own}
        row = (_multiple_cell(over.get(coreset)) for coreset in coresets)
        rows.append(cells(view.method(label), facets.budget(budget), time_cell(own[0].seconds, own[0].own), *row))
    times = (join(["× ", view.method(coreset)]) for coreset in coresets)
    return table(columns("method", "budget", "time", *times), rows)


def show(summary: "Summary") -> Markup:
    """Every distillation method over every coreset, and each method's range; nothing where there is no such pair."""
    claim = summary.claims.of("cost")
    return content(
        multiples_table(summary, summary.claims.multiples),
        fold("Method by method", bullets(claim.methods), note(ABOUT)) if claim.methods else "",
    )


def _multiple_cell(m: Multiple | None) -> Markup:
    if m is None or not math.isfinite(m.full.mean):
        return tag("span", wording.NONE, title=m.why or None) if m else Markup(wording.NONE)
    alone = f"{wording.multiple(m.marginal.mean)} {_bounds(m.marginal)} alone".replace("  ", " ")
    sets = f"sets: {m.full.n[0]} and {m.full.n[1]}"
    rest = _bounds(m.full) or "no interval", sets, alone if math.isfinite(m.marginal.mean) else ""
    return stacked(tag("b", wording.multiple(m.full.mean)), *rest, sort=m.full.mean)


def time_cell(full: float | None, own: float | None) -> Markup:
    """Seconds with everything that a set needs, over those of its construction alone."""
    return stacked(valued(full, wording.seconds(full)), f"{wording.seconds(own)} alone")


SECTION = Section("Distilled sets against coresets", 10, show, lambda s: uncounted(s.frame))
