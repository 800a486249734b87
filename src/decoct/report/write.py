"""Write a run's report: its tables, those that a paper wants as Markdown and LaTeX, and its page."""

import csv
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from decoct.core.scratch import replace
from decoct.core.sheets import quoted
from decoct.report import standing, wording
from decoct.report.accuracy import Setting
from decoct.report.read import frame
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import ALL, CONTROL, FULL, REFERENCE
from decoct.report.render import render
from decoct.report.sections.evidence import controls as controlled
from decoct.report.sections.evidence import robust
from decoct.report.sections.evidence.classes import by_class
from decoct.report.standing import ARROWS, Standing
from decoct.report.stats.comparisons import Comparison
from decoct.report.summary import Summary, summarise
from decoct.report.typeset import Table, latex, markdown
from decoct.report.verdict import Verdict, correction

FOLDER = "tables"
NEED_NOT = "it need not be shown to be better than the rest"
DAGGER = "† deterministic: one set, intervals condition on it."


def write_report(folder: Path) -> Summary:
    """Write a run's tables and its page, each in one step, whether or not the run is finished.

    Args:
        folder: what ``decoct run --out`` made.

    Returns:
        The numbers, for the terminal and for ``--json``.

    Raises:
        DecoctError: not a run, or a damaged one.
    """
    return write_frame(folder, frame.read(folder))


def write_frame(folder: Path, tables: Frame) -> Summary:
    """Write the tables and the page of a run, or of runs that are pooled, into ``folder``, which is there."""
    summary = summarise(tables)
    parts = {name: getattr(summary.frame, name) for name in ("results", "metrics", "costs")}
    for name, table in (parts | {"scores": robust.table(summary.found(robust.find), summary.run)}).items():
        frame.write(folder, name, table, csv=name in ("results", "scores"))
    write_tables(folder, summary)
    replace(summary.page, partial(Path.write_text, data=render(summary), encoding="utf-8"))
    return summary


def write_tables(folder: Path, summary: Summary) -> None:
    """Write ``tables/NAME.md`` and ``.tex``, and ``classes.csv``, each file whole or not at all.

    A table without rows is not written, and is removed where an earlier report left it.
    """
    (folder / FOLDER).mkdir(exist_ok=True)
    for made in (accuracy, ranking, verdict, controls, metrics):
        name, table = made.__name__, made(summary)
        for ending, typeset in (("md", markdown), ("tex", latex)):
            path = folder / FOLDER / f"{name}.{ending}"
            if table:
                replace(path, partial(Path.write_text, data=typeset(table), encoding="utf-8"))
            else:
                path.unlink(missing_ok=True)
    path = folder / FOLDER / "classes.csv"
    if summary.accuracies:
        replace(path, partial(_write_classes, tables=summary.frame))
    else:
        path.unlink(missing_ok=True)


def accuracy(summary: Summary) -> Table | None:
    """Budgets across, methods down by protocol and student, the full data last; None where nothing is trained."""
    if not summary.accuracies:
        return None

    def cell(label: str, setting: Setting) -> str:
        a = summary.accuracy(label, setting._replace(budget=ALL) if label == FULL else setting)
        return f"{wording.accuracy(a.interval)} (n = {a.interval.n:,})" if a else wording.NONE

    contenders = [label for label, family in summary.methods.items() if family != CONTROL]
    readable = {s for s in summary.settings if s not in {u.setting for u in summary.unreadable}}

    def best(setting: Setting) -> list[str]:
        means = {m: a.interval.mean for m in contenders if (a := summary.accuracy(m, setting))}
        return _best(means, wording.percent) if setting in readable else []

    notes = [
        f"Test accuracy in percent after the last step, with 95 % intervals{summary.given}.",
        "Bold: the highest mean for a protocol, student and budget"
        f"{' that can be read' if summary.unreadable else ''}, full data and controls aside, and equal numbers; "
        f"{NEED_NOT}.",
        "n counts condense-level replicates, over whose means the interval is; of the full data, where it has fewer "
        "than three, it counts test images, and the interval is Wilson's.",
        *_daggers(summary),
    ]
    ceiling = [FULL] if summary.ceiling else []
    title = f"Test accuracy on {summary.run.data['name']}"
    return _by_panel("accuracy", title, summary, [*summary.methods, *ceiling], cell, notes, best)


def ranking(summary: Summary) -> Table | None:
    """Methods by accuracy in each setting, beside random and the best coreset; None where nothing is trained.

    What all settings share, such as the student, stands in the title and not in every row.
    """
    if not (summary.accuracies and summary.settings):  # only the full data may be there so far
        return None
    words = {s: (s.protocol, s.student, wording.budget(s.budget)) for s in summary.settings}
    columns = list(zip(("protocol", "student", "budget"), zip(*words.values(), strict=True), strict=True))
    several = [place for place, (_, own) in enumerate(columns) if len(set(own)) > 1]
    rows = []
    for setting, own in words.items():
        known = [a for label in summary.methods if (a := summary.accuracy(label, setting))]
        last = [a for a in (summary.accuracy(FULL, setting._replace(budget=ALL)),) if a]
        for a in sorted(known, key=lambda a: -a.interval.mean) + last:
            beside = _beside(summary.verdict(a.method, setting)) if a.method != FULL else ["", ""]
            said = f"{wording.accuracy(a.interval)} (n = {a.interval.n:,})"
            rows.append([_marked(summary, a.method), *(own[place] for place in several), said, *beside])
    shared = [own[0] for place, (_, own) in enumerate(columns) if place not in several]
    notes = [
        f"Test accuracy in percent and paired differences in points, with 95 % intervals{summary.given}.",
        *(f"{said}." for said in (correction(summary.verdicts),) if said),
        "Better than the best coreset: better than every one of them; worse: worse than at least one.",
        *_daggers(summary),
    ]
    title = ", ".join([f"Methods by accuracy on {summary.run.data['name']}", *shared])
    places = [columns[place][0] for place in several]
    head = ["method", *places, "accuracy", f"against {REFERENCE}", "against the best coreset"]
    return Table("ranking", title, head, rows, notes, len(head))


def _beside(v: Verdict) -> list[str]:
    """Against random, and the word against the best coreset, where there are several."""
    return [f"{wording.difference(v.random)}, {v.random.verdict}" if v.random and v.random.n else "", _best_coreset(v)]


def _best_coreset(v: Verdict) -> str:
    """The word against the best coreset; empty where there is one coreset alone, or no pair."""
    return v.against_coresets or "" if len(v.coresets) > 1 and any(c.n for c in v.coresets.values()) else ""


def verdict(summary: Summary) -> Table | None:
    """Every method against random and against every coreset; None where there is nothing to compare with."""

    def cell(label: str, setting: Setting) -> str:
        v = summary.verdict(label, setting)
        parts = [f"random: {_compared(v.random)}"] if v.random and v.random.n else []
        parts += [f"best coreset: {word}"] if (word := _best_coreset(v)) else []
        return "; ".join(parts) or wording.NONE

    methods = [label for label in summary.methods if label != REFERENCE]
    if all(cell(label, setting) == wording.NONE for label in methods for setting in summary.settings):
        return None
    notes = [
        f"Paired differences of test accuracy in points with 95 % intervals over sets and test images{summary.given}.",
        f"Same: within {wording.margins(summary.margins.values())} by two one-sided tests. Open is not equal.",
        "Better than the best coreset: better than every one of them; worse: worse than at least one.",
        *(f"{said}." for said in (correction(summary.verdicts),) if said),
        *_daggers(summary),
    ]
    return _by_panel("verdict", f"Verdicts on {summary.run.data['name']}", summary, methods, cell, notes)


def controls(summary: Summary) -> Table | None:
    """What each method adds to its control, protocols across; None where no method has one."""
    placed = {(c.method, c.setting): c.comparison for c in summary.found(controlled.find)}
    protocols = list(dict.fromkeys(setting.protocol for _, setting in placed))
    rest = dict.fromkeys((setting.student, setting.budget) for setting in summary.settings)
    rows = []
    for label, control in summary.frame.manifest.controls.items():
        for student, budget in rest:
            own = [placed.get((label, Setting(protocol, student, budget))) for protocol in protocols]
            cells = [_compared(c) if c and c.n else wording.NONE for c in own]
            if any(cell != wording.NONE for cell in cells):
                pair = f"{_marked(summary, label)} − {_marked(summary, control)}"
                rows.append([pair, student, wording.budget(budget), *cells])
    notes = [
        f"Paired differences of test accuracy in points with 95 % intervals over sets and test images{summary.given}.",
        f"Words hold after Holm over these {len(placed)} comparisons; leans: alone, not after it.",
        *_daggers(summary),
    ]
    title = f"Methods and their controls on {summary.run.data['name']}"
    head = ["method − control", "student", "budget", *protocols]
    return Table("controls", title, head, rows, notes, len(head)) if rows else None


def metrics(summary: Summary) -> Table | None:
    """The leading readings by budget, methods across; None where nothing was measured."""
    own = [s for s in summary.found(standing.find) if s.lead]
    if not own:
        return None
    placed = {(s.budget, s.name, s.method): s for s in own}
    contenders = [label for label, family in summary.methods.items() if family != CONTROL]
    rows, bold, first = list[list[str]](), set[tuple[int, int]](), 3  # column of the first method
    for budget, name in dict.fromkeys((s.budget, s.name) for s in own):
        random = next((s.random for s in own if (s.budget, s.name) == (budget, name) and s.random), None)
        higher = next(s.higher_is_better for s in own if s.name == name)
        means = {m: s.interval.mean for m in contenders if (s := placed.get((budget, name, m))) and s.interval.n}
        if higher is not None:
            best = _best(means if higher else {m: -mean for m, mean in means.items()}, wording.reading)
            bold |= {(len(rows), first + i) for i, label in enumerate(summary.methods) if label in best}
        cells = [_reading(placed.get((budget, name, label))) for label in summary.methods]
        if set(cells) == {wording.NONE}:  # such as spreads of one image of each class
            continue
        last = f"{wording.reading(random.mean)} (n = {random.n})" if random else wording.NONE
        rows.append([f"{name}{ARROWS[higher]}", wording.budget(budget), name.extractor, *cells, last])
    head = ["reading", "budget", "features of", *(_marked(summary, m) for m in summary.methods), "random sets"]
    notes = [
        "Mean over a method's sets with a 95 % t interval, n of them; of one set, the interval is over images.",
        "Random sets have as many images of each class. Better, worse: than random, after Holm over the whole table.",
        f"Bold: the best mean of a row, and equal numbers; {NEED_NOT}.",
        *_daggers(summary),
    ]
    return Table("metrics", f"Metrics on {summary.run.data['name']}", head, rows, notes, first, bold)


def _by_panel(
    name: str,
    title: str,
    summary: Summary,
    methods: Sequence[str],
    cell: Callable[[str, Setting], str],
    notes: Sequence[str],
    best: Callable[[Setting], Collection[str]] | None = None,
) -> Table:
    """Narrow enough for a page of paper: only the budgets stand side by side, numbers where one can be the best."""
    budgets = list(dict.fromkeys(s.budget for s in summary.settings))
    places = [(panel, label) for panel in summary.panels for label in methods]
    rows = [
        [_marked(summary, label), *panel, *(cell(label, Setting(*panel, b)) for b in budgets)]
        for panel, label in places
    ]
    bold = {
        (row, 3 + column)
        for row, (panel, label) in enumerate(places)
        for column, budget in enumerate(budgets)
        if best and label in best(Setting(*panel, budget))
    }
    head = ["method", "protocol", "student", *map(wording.budget, budgets)]
    return Table(name, title, head, rows, notes, 3 if best else len(head), bold)


def _best(values: Mapping[str, float], shown: Callable[[float], str]) -> list[str]:
    """The highest of several values, and those written alike."""
    known = {label: value for label, value in values.items() if math.isfinite(value)}
    highest = shown(max(known.values(), default=math.nan))
    return [label for label, value in known.items() if shown(value) == highest] if len(known) > 1 else []


def _reading(s: Standing | None) -> str:
    if s is None or not s.interval.n:
        return wording.NONE
    bounds = f" [{wording.reading(s.interval.lo)}, {wording.reading(s.interval.hi)}]" if s.over else ""
    return f"{wording.reading(s.interval.mean)}{bounds} (n = {s.interval.n})" + (f", {s.word}" if s.word else "")


def _compared(c: Comparison) -> str:
    return f"{c.verdict} {wording.difference(c)} (n = {c.n})"


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
                writer.writerow((*map(quoted, (each.method, *each.setting, name)), *shown, each.n))
