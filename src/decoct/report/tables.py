"""The tables that a paper wants, written beside the page: accuracy, verdict, metrics, and accuracy by class."""

import csv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from decoct.core.scratch import replace
from decoct.report import wording
from decoct.report.accuracy import Setting
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import ALL, FULL, REFERENCE
from decoct.report.sections.classes import by_class
from decoct.report.sections.standing import Standing
from decoct.report.sections.verdict import correction
from decoct.report.stats.comparisons import Comparison
from decoct.report.summary import Summary
from decoct.report.typeset import Table, latex, markdown

FOLDER = "tables"
ARROWS = {True: " ↑", False: " ↓", None: ""}
DAGGER = "† deterministic: one set, intervals condition on it."


def write_tables(folder: Path, tables: Frame, summary: Summary) -> None:
    """Write ``tables/NAME.md`` and ``.tex``, and ``classes.csv``, each file whole or not at all; what a run has none of
    is not written, and taken away where an earlier report left it.
    """
    (folder / FOLDER).mkdir(exist_ok=True)
    for name, table in (("accuracy", accuracy(summary)), ("verdict", verdict(summary)), ("metrics", metrics(summary))):
        for ending, typeset in (("md", markdown), ("tex", latex)):
            path = folder / FOLDER / f"{name}.{ending}"
            if table:
                replace(path, partial(Path.write_text, data=typeset(table), encoding="utf-8"))
            else:
                path.unlink(missing_ok=True)
    path = folder / FOLDER / "classes.csv"
    if summary.accuracies:
        replace(path, partial(_write_classes, tables=tables))
    else:
        path.unlink(missing_ok=True)


def accuracy(summary: Summary) -> Table | None:
    """Budgets across, methods down by protocol and student, the full data last; None where nothing is trained."""
    if not summary.accuracies:
        return None
    found = {(a.method, a.setting): a.interval for a in summary.accuracies}

    def cell(label: str, setting: Setting) -> str:
        interval = found.get((label, setting._replace(budget=ALL) if label == FULL else setting))
        return f"{wording.accuracy(interval)} (n = {interval.n:,})" if interval else wording.NONE

    notes = [
        "Test accuracy in percent after the last step, with 95 % intervals.",
        "n counts condense-level replicates, over whose means the interval is; of the full data it counts test "
        "images, and the interval is Wilson's.",
        *_daggers(summary),
    ]
    ceiling = [FULL] if summary.ceiling else []
    return _by_panel(f"Test accuracy on {summary.data}", summary, [*summary.methods, *ceiling], cell, notes)


def verdict(summary: Summary) -> Table | None:
    """Every method against random and against every coreset; None where there is nothing to compare with."""

    def cell(label: str, setting: Setting) -> str:
        v = summary.verdict(label, setting)
        parts = [f"random: {_compared(v.random)}"] if v.random and v.random.n else []
        if v.against_coresets and len(v.coresets) > 1 and any(c.n for c in v.coresets.values()):
            parts.append(f"best coreset: {v.against_coresets}")
        return "; ".join(parts) or wording.NONE

    methods = [label for label in summary.methods if label != REFERENCE]
    if all(cell(label, setting) == wording.NONE for label in methods for setting in summary.settings):
        return None
    notes = [
        "Paired differences of test accuracy in points with 95 % intervals over condense-level replicates.",
        f"Equivalent: within {wording.margin(summary.margin)} by two one-sided tests. Undecided is not equal.",
        "Better than the best coreset: better than every one of them; worse: worse than at least one.",
        *(f"{said}." for said in (correction(summary.verdicts),) if said),
        *_daggers(summary),
    ]
    return _by_panel(f"Verdicts on {summary.data}", summary, methods, cell, notes)


def metrics(summary: Summary) -> Table | None:
    """The leading readings by budget, methods across; None where nothing was measured."""
    own = [s for s in summary.standings if s.lead]
    if not own:
        return None
    found = {(s.budget, s.name, s.method): s for s in own}
    rows = []
    for budget, name in dict.fromkeys((s.budget, s.name) for s in own):
        random = next((s.random for s in own if (s.budget, s.name) == (budget, name) and s.random), None)
        arrow = ARROWS[next(s.higher_is_better for s in own if s.name == name)]
        cells = [_reading(found.get((budget, name, label))) for label in summary.methods]
        last = f"{wording.reading(random.mean)} (n = {random.n})" if random else wording.NONE
        rows.append([f"{name}{arrow}", wording.budget(budget), name.extractor, *cells, last])
    head = ["reading", "budget", "features of", *(_marked(summary, m) for m in summary.methods), "random sets"]
    notes = [
        "Mean over a method's sets with a 95 % t interval, n of them; of one set, the interval is over images.",
        "Random sets have as many images of each class. Better, worse: than random, after Holm over the whole table.",
        *_daggers(summary),
    ]
    return Table(f"Metrics on {summary.data}", head, rows, notes)


def _by_panel(
    title: str, summary: Summary, methods: Sequence[str], cell: Callable[[str, Setting], str], notes: Sequence[str]
) -> Table:
    """Narrow enough for a page of paper: only the budgets stand side by side."""
    budgets = list(dict.fromkeys(s.budget for s in summary.settings))
    rows = [
        [_marked(summary, label), protocol, student, *(cell(label, Setting(protocol, student, b)) for b in budgets)]
        for protocol, student in dict.fromkeys(s[:2] for s in summary.settings)
        for label in methods
    ]
    return Table(title, ["method", "protocol", "student", *map(wording.budget, budgets)], rows, notes)


def _reading(s: Standing | None) -> str:
    if s is None or not s.interval.n:
        return wording.NONE
    bounds = f" [{wording.reading(s.interval.lo)}, {wording.reading(s.interval.hi)}]" if s.over else ""
    return f"{wording.reading(s.interval.mean)}{bounds} (n = {s.interval.n})" + (f", {s.word}" if s.word else "")


def _compared(c: Comparison) -> str:
    return f"{c.verdict} {wording.points(c.mean)} {wording.bounds(c.lo, c.hi)}".rstrip() + f" (n = {c.n})"


def _marked(summary: Summary, label: str) -> str:
    if label == FULL:
        return "full data"
    return f"{label}†" if label in summary.deterministic else label


def _daggers(summary: Summary) -> list[str]:
    return [DAGGER] if summary.deterministic else []


def _write_classes(path: Path, tables: Frame) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("method", "protocol", "student", "budget", "class", "accuracy", "lo", "hi", "n"))
        for each in by_class(tables):
            for name, *numbers in zip(tables.manifest.data["class_names"], each.mean, each.lo, each.hi, strict=True):
                shown = (f"{x:.6g}" if x == x else "" for x in numbers)
                writer.writerow((each.method, *each.setting, name, *shown, each.n))
