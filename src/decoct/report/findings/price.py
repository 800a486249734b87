"""What distilling costs beside the coresets: multiples of device or processor time, where the machines were alike.

Wall time in a busy pool means little. What counts is the time for which an accelerator was held or, where none was,
processor time. Shared parts (teachers, features, traces) are charged in full on both sides; the multiple of the
construction alone, as if they were there already, stands beside.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from decoct.report import wording
from decoct.report.frame import Frame
from decoct.report.unpaired import Contrast, welch

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
    mean, lo, hi = (math.exp(x) for x in (logs.mean, logs.lo, logs.hi))
    return Contrast(mean, lo, hi, logs.n, logs.p_better, logs.p_worse)


def multiples(frame: Frame) -> tuple[Multiple, ...]:
    """Every distillation method over every coreset, random included, at each budget where both have a set made here."""
    families = {label: method["family"] for label, method in frame.manifest.methods.items()}
    rows: dict[tuple[str, str], list[Row]] = {}
    for row in made_here(frame.costs.to_pylist()):
        rows.setdefault((row["method"], row["budget"]), []).append(row)
    budgets = sorted({budget for _, budget in rows}, key=frame.manifest.budget_order)
    return tuple(
        _multiple(method, coreset, budget, rows[method, budget], rows[coreset, budget])
        for method in (m for m, family in families.items() if family == "distillation")
        for budget in budgets
        for coreset in (m for m, family in families.items() if family == "coreset")
        if (method, budget) in rows and (coreset, budget) in rows
    )


def sentences(frame: Frame, found: Sequence[Multiple]) -> tuple[str, ...]:
    """One for each distillation method, over its budgets; where times cannot be compared, what can be anywhere."""
    labels = [label for label, method in frame.manifest.methods.items() if method["family"] == "distillation"]
    costs, students = frame.costs.to_pylist(), frame.results.to_pylist()
    lines = []
    for label in labels:
        rows = [row for row in costs if row["method"] == label]
        if stated := dict.fromkeys(row["stated"] for row in rows if row["stated"] is not None):
            lines.append(f"{label} is external; what it took: {'; '.join(stated)}. It enters no multiple")
            continue
        said, alone = [], []
        for budget in sorted({row["budget"] for row in rows}, key=frame.manifest.budget_order):
            here = [row for row in rows if row["budget"] == budget]
            pairs = [m for m in found if (m.method, m.budget) == (label, budget)]
            seen = [row["images_seen"] for row in students if (row["method"], row["budget"]) == (label, budget)]
            said.append(f"{_taken(here)} at {wording.budget(budget)}{_beside(pairs)}{_anywhere(here, pairs, seen)}")
            alone += [wording.seconds(fmean(row[OWN[by]] for row in here))] if (by := measure(here)) else []
        if said:
            own = f". The construction alone: {', '.join(alone)}" if alone else ""
            missing = list(dict.fromkeys(row["not_counted"] for row in rows if row["not_counted"]))
            more = f". Not counted: {'; '.join(missing)}" if missing else ""
            lines.append(f"A set of {label} with all that it stands on takes {'; '.join(said)}{own}{more}")
    return tuple(lines)


def overall(found: Sequence[Multiple]) -> str:
    """One sentence over all methods and budgets."""
    known = [m for m in found if math.isfinite(m.full.mean)]
    if not found:
        return "This study made no set of a distillation method beside one of a coreset: costs cannot be compared"
    if not known:
        return f"Costs cannot be compared: {found[0].why or 'a time is 0'}"
    measures = " or ".join(dict.fromkeys(m.measure for m in known if m.measure))
    said = f"A distilled set takes {_span(known)}, in {measures} with teachers and features in full"
    own = [m for m in known if math.isfinite(m.marginal.mean)]
    said += f"; the construction alone {_span(own, marginal=True)}" if own else ""
    lost = len(found) - len(known)
    return f"{said}; {lost} of {wording.count(len(found), 'pair')} cannot be compared" if lost else said


def ends(found: Sequence[Multiple], marginal: bool = False) -> tuple[Multiple, Multiple]:
    """Over the dearest coreset, and over the cheapest, of one method and budget."""
    order = sorted(found, key=lambda m: (m.marginal if marginal else m.full).mean)
    return order[0], order[-1]


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


def _taken(rows: list[Row]) -> str:
    by = measure(rows)
    if by is None:
        return "a time that is not known, or not of one kind of machine"
    return f"{wording.seconds(fmean(row[FULL[by]] for row in rows))} of {by}"


def _beside(pairs: list[Multiple]) -> str:
    known = [m for m in pairs if math.isfinite(m.full.mean)]
    if not known:
        return ""
    dearest, cheapest = ends(known)
    said = f", {_times(dearest)}" + (", the dearest coreset" if dearest != cheapest else "")
    return said + (f", and {_times(cheapest)}, the cheapest" if dearest != cheapest else "")


def _times(m: Multiple) -> str:
    c = m.full
    if not math.isfinite(c.lo):
        return f"{wording.multiple(c.mean)} × {m.coreset} (one set each: no interval)"
    bounds = f"[{wording.multiple(c.lo)}, {wording.multiple(c.hi)}]"
    return f"{wording.multiple(c.mean)} × {m.coreset} {bounds} (sets: {c.n[0]} and {c.n[1]})"


def _anywhere(rows: list[Row], pairs: list[Multiple], seen: Sequence[int]) -> str:
    """Steps, bytes and images seen can be compared on any machine: they are said where times are not."""
    if pairs and all(m.measure for m in pairs):
        return ""
    weight = fmean(row["image_bytes"] + row["label_bytes"] for row in rows)
    said = [f"{fmean(row['steps'] for row in rows):,.0f} steps to make it, {wording.size(weight)}"]
    said += [f"students that see {max(seen):,} images at most"] if seen else []
    why = next((m.why for m in pairs if m.why), "")
    return f", {', '.join(said)}" + (f"; {why}: their times are not compared" if why else "")


def _span(known: Sequence[Multiple], marginal: bool = False) -> str:
    places = dict.fromkeys((m.method, m.budget) for m in known)
    each = [ends([m for m in known if (m.method, m.budget) == place], marginal) for place in places]
    dear, cheap = ([(e[i].marginal if marginal else e[i].full).mean for e in each] for i in (0, 1))
    said = f"{_range(dear)} times the dearest coreset of its size"
    return said if dear == cheap else f"{said} and {_range(cheap)} times the cheapest"


def _range(values: list[float]) -> str:
    low, high = wording.multiple(min(values)), wording.multiple(max(values))
    return low if low == high else f"{low} to {high}"
