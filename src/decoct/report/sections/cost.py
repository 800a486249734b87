"""What sets cost: beside each other, and as multiples of device or processor time, where the machines were alike.

Wall time in a busy pool means little. What counts is the time for which an accelerator was held or, where none was,
processor time. Shared parts (teachers, features, traces) are charged in full on both sides; the multiple of the
construction alone, as if they were there already, stands beside.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal

from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.report.page import facets, plot
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import note, section, stacked
from decoct.report.page.plot import Figure, Panel
from decoct.report.page.view import View
from decoct.report.read.frame import Frame
from decoct.report.stats.welch import Contrast, welch

Measure = Literal["device time", "processor time"]
Row = Mapping[str, Any]  # of ``Frame.costs``
FULL: dict[Measure, str] = {"device time": "device_seconds", "processor time": "cpu_seconds"}
OWN: dict[Measure, str] = {"device time": "own_device_seconds", "processor time": "own_cpu_seconds"}
SECOND, TENTH = 1.0, 0.1  # what a timer may be off by: clocks and machines give such differences by chance
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
        seconds: mean of the method's sets, all that they stand on included; NaN if unknown.
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


def measure(rows: Sequence[Row]) -> Measure | None:
    """By what the sets can be compared: their machines must be alike; an accelerator is held by all of them or none."""
    if not rows or len({(row["device"], row["hardware"]) for row in rows}) > 1:
        return None
    if any(row[column] is None for row in rows for column in FULL.values()):
        return None
    held = {row["device_seconds"] > 0 for row in rows}
    return None if len(held) > 1 else "device time" if held.pop() else "processor time"


def ties(seconds: Sequence[float]) -> list[bool]:
    """Which cost no more than the least and a second, or a tenth of it: a timer does not order them."""
    least = min(seconds, default=math.inf)
    return [x <= max(least + SECOND, least * (1 + TENTH)) for x in seconds]


def made_here(rows: Sequence[Row]) -> list[Row]:
    """Those of sets whose cost was measured: what the author of an external one states is no measurement."""
    return [row for row in rows if row.get("stated") is None]


def ratio(a: Sequence[float], b: Sequence[float]) -> Contrast:
    """Geometric mean of a over that of b; a single value stands as it was measured. NaN where a time is 0."""
    if not (a and b and min(*a, *b) > 0):
        return NOTHING
    logs = welch([math.log(x) for x in a], [math.log(x) for x in b], known=(True, True))
    return replace(logs, mean=math.exp(logs.mean), lo=math.exp(logs.lo), hi=math.exp(logs.hi))


def multiples(frame: Frame) -> tuple[Multiple, ...]:
    """Every distillation method over every coreset, random included, at each budget where both have a set made here."""
    families = frame.manifest.families
    rows = grouped(made_here(frame.costs.to_pylist()), _place)
    budgets = sorted({budget for _, budget in rows}, key=frame.manifest.budget_order)
    return tuple(
        _multiple(method, coreset, budget, rows[method, budget], rows[coreset, budget])
        for method in (m for m, family in families.items() if family == "distillation")
        for budget in budgets
        for coreset in (m for m, family in families.items() if family == "coreset")
        if (method, budget) in rows and (coreset, budget) in rows
    )


def sentences(frame: Frame, multiples: Sequence[Multiple]) -> tuple[str, ...]:
    """One for each distillation method, over its budgets; where times cannot be compared, what can be anywhere."""
    order = frame.manifest.budget_order
    students, over = grouped(frame.results.to_pylist(), _place), grouped(multiples, lambda m: (m.method, m.budget))
    costs = grouped(frame.costs.to_pylist(), lambda row: row["method"])
    lines = []
    for label in (label for label, family in frame.manifest.families.items() if family == "distillation"):
        rows = costs.get(label, [])
        if stated := dict.fromkeys(row["stated"] for row in rows if row["stated"] is not None):
            lines.append(f"{label} is external; what it took: {'; '.join(stated)}. It enters no multiple")
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
            lines.append(f"A set of {label} with all that it stands on takes {'; '.join(said)}{own}{more}")
    return tuple(lines)


def overall(multiples: Sequence[Multiple]) -> str:
    """One sentence over all methods and budgets."""
    known = [m for m in multiples if math.isfinite(m.full.mean)]
    if not multiples:
        return "This study made no set of a distillation method beside one of a coreset: costs cannot be compared"
    if not known:
        return f"Costs cannot be compared: {multiples[0].why or 'a time is 0'}"
    measures = " or ".join(dict.fromkeys(m.measure for m in known if m.measure))
    said = f"A distilled set takes {_span(known, 'full')}, in {measures} with teachers and features in full"
    own = [m for m in known if math.isfinite(m.marginal.mean)]
    said += f"; the construction alone {_span(own, 'marginal')}" if own else ""
    lost = len(multiples) - len(known)
    return f"{said}; {lost} of {wording.count(len(multiples), 'pair')} cannot be compared" if lost else said


def uncounted(frame: Frame) -> str:
    """What distilled sets stand on and no time counts, such as pretraining; empty where all is counted."""
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
        return f"what a set of {method} or of {coreset} took is not known in full"
    machines = [" + ".join(sorted({f"{row['hardware']} ({row['device']})" for row in own})) for own in (a, b)]
    if len({(row["device"], row["hardware"]) for row in rows}) > 1:
        return f"sets of {method} and {coreset} were made on unlike machines ({machines[0]}; {machines[1]})"
    return f"an accelerator was held for some sets of {method} and {coreset} and not for others"


def _place(row: Row) -> tuple[str, str]:
    return row["method"], row["budget"]


def _taken(rows: list[Row]) -> str:
    by = measure(rows)
    if by is None:
        return "a time that is not known, or not of one kind of machine"
    return f"{wording.seconds(fmean(row[FULL[by]] for row in rows))} of {by}"


def _beside(pairs: list[Multiple]) -> str:
    known = [m for m in pairs if math.isfinite(m.full.mean)]
    if not known:
        return ""
    costliest, cheapest = (pick(known, key=lambda m: m.full.mean) for pick in (min, max))
    if costliest == cheapest:
        return f", {_times(costliest)}"
    return f", {_times(costliest)}, the costliest coreset, and {_times(cheapest)}, the cheapest"


def _times(m: Multiple) -> str:
    c = m.full
    if not math.isfinite(c.lo):
        return f"{wording.multiple(c.mean)} × {m.coreset} (one set each: no interval)"
    return f"{wording.multiple(c.mean)} × {m.coreset} {_bounds(c)} (sets: {c.n[0]} and {c.n[1]})"


def _bounds(c: Contrast) -> str:
    return f"[{wording.multiple(c.lo)}, {wording.multiple(c.hi)}]" if math.isfinite(c.lo) else ""


def _anywhere(rows: list[Row], pairs: list[Multiple], seen: Sequence[int]) -> str:
    """Steps, bytes and images seen can be compared on any machine: they are said where times are not."""
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
    costliest, cheapest = (wording.span(*map(wording.multiple, (min(own), max(own)))) for own in ends)
    said = f"{costliest} times the costliest coreset of its size"
    return said if ends[0] == ends[1] else f"{said} and {cheapest} times the cheapest"


def multiples_table(view: View, multiples: Sequence[Multiple]) -> Markup:
    """Every multiple of time, for the question of cost; nothing where there are none."""
    if not multiples:
        return Markup()
    coresets = list(dict.fromkeys(m.coreset for m in multiples))
    rows = []
    for (label, budget), own in grouped(multiples, lambda m: (m.method, m.budget)).items():
        over = {m.coreset: m for m in own}
        row = (_multiple_cell(over.get(coreset)) for coreset in coresets)
        rows.append(cells(view.method(label), facets.budget(budget), _time(own[0].seconds, own[0].own), *row))
    times = (join(["× ", view.method(coreset)]) for coreset in coresets)
    return table(columns("method", "budget", "time", *times), rows)


def _multiple_cell(m: Multiple | None) -> Markup:
    if m is None or not math.isfinite(m.full.mean):
        return tag("span", wording.NONE, title=m.why or None) if m else Markup(wording.NONE)
    alone = f"{wording.multiple(m.marginal.mean)} {_bounds(m.marginal)} alone".replace("  ", " ")
    sets = f"sets: {m.full.n[0]} and {m.full.n[1]}"
    rest = _bounds(m.full) or "no interval", sets, alone if math.isfinite(m.marginal.mean) else ""
    return stacked(tag("b", wording.multiple(m.full.mean)), *rest, sort=m.full.mean)


def _time(full: float | None, own: float | None) -> Markup:
    return stacked(valued(full, wording.seconds(full)), f"{wording.seconds(own)} alone")


def show(view: View, frame: Frame) -> Markup:
    """What every set took to make, and accuracy over it."""
    rows = _in_order(view, frame)
    if not rows:
        return Markup()
    every = [row for group in rows.values() for row in group]
    hardware = sorted({row["hardware"] for row in every if row["hardware"]})
    held, counted = any(row["device_seconds"] for row in every), any(row["energy"] is not None for row in every)
    times = {"device time": ("device_seconds", "own_device_seconds")} if held else {}
    times |= {"processor time": ("cpu_seconds", "own_cpu_seconds"), "wall time": ("total_seconds", "seconds")}
    stored = {"image bytes": "image_bytes", "label bytes": "label_bytes", "bytes per class": "bytes_per_class"}
    energy = ["energy (J)"] if counted else []
    head = ("method", "budget", "images", *times, *energy, "peak memory", "steps", *stored, "not counted")
    body = []
    for (label, budget), group in rows.items():
        numbers: list[object] = [_time(_mean(group, full), _mean(group, own)) for full, own in times.values()]
        if counted:
            drawn = _mean(group, "energy")
            numbers.append(wording.NONE if drawn is None else f"{drawn:,.1f}")
        most = max((row["peak_memory"] for row in group if row["peak_memory"] is not None), default=None)
        memory = valued(most, wording.size(most))
        sizes = [valued(mean := _mean(group, c), wording.size(mean)) for c in stored.values()]
        excluded = "; ".join(dict.fromkeys(row["not_counted"] for row in group if row["not_counted"]))
        if stated := dict.fromkeys(row["stated"] for row in group if row["stated"] is not None):
            excluded = f"{excluded}: {'; '.join(stated)}"
        steps = wording.NONE if group[0]["steps"] is None else f"{group[0]['steps']:,}"
        first = (view.method(label), facets.budget(budget), f"{group[0]['images']:,}")
        body.append(cells(*first, *numbers, memory, steps, *sizes, name(excluded or wording.NONE)))
    return section(
        "cost",
        "Cost",
        note(
            "Means over sets. Times are of the construction and of all that it stands on (teachers, features, "
            "statistics, traces, experts, a generator that was trained here), charged in full to every method that "
            "needs them; small, the construction alone, which is what one more set takes when the rest is there "
            "already. ",
            "Device time is how long an accelerator was held, and what methods are compared by where one was. "
            if held
            else "",
            "Wall time depends on what else ran at the same time: it is shown, and not compared. ",
            "Energy is what the GPU or the processor drew meanwhile, for all that ran on it: compare it where jobs ran "
            "alone. "
            if counted
            else "",
            "Of an external set nothing was measured: what its author states of it, if anything, stands "
            "in the last column and enters no comparison. "
            if any(row["stated"] is not None for row in every)
            else "",
            "A larger mark is a larger budget. ",
            f"Times are from {', '.join(hardware)}; compare them only between like machines."
            if hardware
            else "Compare times only between like machines.",
        ),
        view.charts(lambda panel: figure(view, frame, panel)),
        table(columns(*head), body),
    )


def figure(view: View, frame: Frame, panel: Panel) -> Figure:
    """Accuracy over construction seconds, teachers and features in full, on a log axis; wall time only if need be."""
    costs = frame.costs.to_pylist()
    by = measure(made_here(costs))
    column = FULL[by] if by else "total_seconds"
    known = grouped((row for row in costs if row[column] is not None), _place)
    seconds = {place: fmean(row[column] for row in rows) for place, rows in known.items()}
    order = [s.budget for s in view.panels[panel]]
    traces: list[Figure] = []
    for method in view.methods:
        timed = [s for s in view.panels[panel] if (method, s.budget) in seconds]
        # A log axis has no zero; the clock has no less than 1 ms.
        drawn = [(max(seconds[method, s.budget], 1e-3), a) for s in timed if (a := view.accuracy(method, s))]
        notes = [f"{wording.budget(a.setting.budget)} · {wording.seconds(x)}" for x, a in drawn]
        dots = plot.dots(view.marks[method], method, [x for x, _ in drawn], [a for _, a in drawn], notes)
        traces.append(plot.joined(dots, order))
    title, seen = f"{by or 'wall time'} to make the set, its needs included", [x for t in traces for x in t["x"]]
    xaxis = plot.log_axis(title, seen, lambda v: f"{v:g} s")
    layout = plot.layout(330, xaxis, plot.accuracy_axis(view.accuracies))
    return {"data": traces, "layout": plot.with_ceiling(layout, view.ceiling.get(panel))}


def _in_order(view: View, frame: Frame) -> dict[tuple[str, str], list[Row]]:
    """The costs by method and budget, methods in the study's order and budgets by size."""
    rows, methods = grouped(frame.costs.to_pylist(), _place), list(view.methods)
    order = frame.manifest.budget_order
    return dict(sorted(rows.items(), key=lambda item: (methods.index(item[0][0]), order(item[0][1]))))


def _mean(rows: Sequence[Row], column: str) -> float | None:
    values = [row[column] for row in rows if row[column] is not None]
    return sum(values) / len(values) if values else None
