"""What every set took to make, in time, memory and bytes, and accuracy over it."""

from collections.abc import Sequence
from statistics import fmean

from decoct.report import wording
from decoct.report.costs import FULL, Row, made_here, measure, whose
from decoct.report.grouped import grouped
from decoct.report.page import facets, plot
from decoct.report.page.markup import Markup, cells, columns, name, table, valued
from decoct.report.page.parts import content, note
from decoct.report.page.plot import Figure, Panel
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.frame import Frame
from decoct.report.sections.cost.multiples import time_cell


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
        numbers: list[object] = [time_cell(_mean(group, full), _mean(group, own)) for full, own in times.values()]
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
    return content(
        note(
            "Means over sets. Times cover the construction and everything it needs (teachers, features, statistics, "
            "traces, experts, a generator trained here), charged in full to every method that needs it. Small print: "
            "the construction alone, which is what one more set takes. ",
            "Device time is how long an accelerator was held; methods are compared by it where one was. "
            if held
            else "",
            "Wall time depends on what else was running; it is shown but not compared. ",
            "Energy is what the GPU or the processor drew for everything that ran on it; compare it only where jobs "
            "ran alone. "
            if counted
            else "",
            "Nothing was measured for an external set: what its author states stands in the last column and enters no "
            "comparison. "
            if any(row["stated"] is not None for row in every)
            else "",
            "A larger mark is a larger budget. ",
            f"Times are from {', '.join(hardware)}; compare them only between similar machines."
            if hardware
            else "Compare times only between similar machines.",
        ),
        view.charts(lambda panel: figure(view, frame, panel)),
        table(columns(*head), body),
    )


def figure(view: View, frame: Frame, panel: Panel) -> Figure:
    """Accuracy over construction seconds, teachers and features in full, on a log axis; wall time only if need be."""
    costs = frame.costs.to_pylist()
    by = measure(made_here(costs))
    column = FULL[by] if by else "total_seconds"
    known = grouped((row for row in costs if row[column] is not None), whose)
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
    title, seen = f"{by or 'wall time'} to make the set and all it needs", [x for t in traces for x in t["x"]]
    xaxis = plot.log_axis(title, seen, lambda v: f"{v:g} s")
    layout = plot.layout(330, xaxis, plot.accuracy_axis(view.accuracies))
    return {"data": traces, "layout": plot.with_ceiling(layout, view.ceiling.get(panel))}


def _in_order(view: View, frame: Frame) -> dict[tuple[str, str], list[Row]]:
    """The costs by method and budget, methods in the study's order and budgets by size."""
    rows, methods = grouped(frame.costs.to_pylist(), whose), list(view.methods)
    order = frame.manifest.budget_order
    return dict(sorted(rows.items(), key=lambda item: (methods.index(item[0][0]), order(item[0][1]))))


def _mean(rows: Sequence[Row], column: str) -> float | None:
    values = [row[column] for row in rows if row[column] is not None]
    return sum(values) / len(values) if values else None


SECTION = Section("Time, memory and bytes", 30, lambda s: show(s, s.frame))
