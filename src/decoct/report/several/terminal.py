"""Leaderboard and comparison for a terminal."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from decoct.core.names import printable
from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.manifest import FULL
from decoct.report.several.change import Change
from decoct.report.several.compare import Compared, Trained, counted
from decoct.report.several.leaderboard import Board, Panel
from decoct.report.several.prices import Priced
from decoct.report.several.readings import Read
from decoct.report.stats import Interval
from decoct.report.terminal import STYLES


def shown(text: object, style: str = "") -> Text:
    """Text as it is: no markup, and nothing that would steer the terminal."""
    return Text(printable(str(text)), style=style)


def board(found: Board) -> RenderableType:
    """Accuracies and ranks for each protocol and student."""
    parts: list[RenderableType] = []
    for panel in found.panels:
        parts += [*_grids(found, panel), Text()]
        for own in (found.ranks[panel], found.over_data.get(panel)):
            parts += [shown(f"  {line}") for line in (own.sentences() if own else ())]
        parts.append(Text())
    if not found.panels:
        parts.append(Text("No student has been trained yet."))
    elif found.over_data:
        parts.append(Text("Budgets of one data set are no independent blocks; data sets are."))
    unfinished = [e for e in found.entries if e.trained < e.planned]
    parts += [
        shown(f"{e.run.name}: {e.planned - e.trained} of {e.planned} students missing", "yellow") for e in unfinished
    ]
    parts += [shown(line, "yellow") for line in found.unlike]
    return Group(*parts)


def comparison(found: Compared) -> RenderableType:
    """Settings that differ, then accuracies, readings and costs side by side."""
    parts: list[RenderableType] = []
    for side, tables in (("A", found.a), ("B", found.b)):
        run = tables.manifest
        planned = len(run.of_kind("train"))
        students = f"{tables.results.num_rows} of {planned} students trained"
        parts.append(shown(f"{side}  {run.folder}: {run.name}, {students}"))
    parts += [Text(), Text("What they were told differently", style="bold")]
    parts += [shown(f"  {line}") for line in found.settings or ("nothing",)]
    parts += [Text(), shown(f"{found.overall()}."), shown(f"{found.how()}.")]
    if found.trained:
        parts += [*_trained(found.trained), Text("Intervals are each comparison's own; words hold after Holm.")]
        if any(row.conditional for row in found.trained):
            parts.append(Text("† deterministic: one set a run; intervals and words are for those sets."))
    if found.read:
        parts += [Text(), *_read(found.read)]
    if found.priced:
        parts += [Text(), *_priced(found.priced)]
    parts += [shown(f"not compared: {line}", "yellow") for line in found.unlike]
    for side, number in found.alone.items():
        if number:
            parts.append(shown(f"{wording.count(number, 'result')} in {side} alone", "yellow"))
    return Group(*parts)


def _grids(found: Board, panel: Panel) -> Iterable[Table]:
    """A table a data set, as more would not fit side by side; methods in the order of their ranks."""
    blocks, ranks = found.panels[panel], list(found.ranks[panel].mean)
    full = found.full.get(panel, {})
    for data in dict.fromkeys(data for data, _ in blocks):
        own = {budget: accuracies for (of, budget), accuracies in blocks.items() if of == data}
        title = shown(f"{data}: test accuracy under {panel[0]} with {panel[1]}, %, 95 % intervals")
        table = _table(title, "", *map(wording.budget, own))
        there = [m for m in found.methods if any(m in accuracies for accuracies in own.values())]
        for method in sorted(there, key=lambda m: ranks.index(m) if m in ranks else len(ranks)):
            dagger = "†" if method in found.deterministic else ""
            table.add_row(shown(f"{method}{dagger}"), *(_cell(accuracies.get(method)) for accuracies in own.values()))
        if data in full:
            table.add_row(Text("full data"), _cell(full[data]))
        yield table


def _cell(a: Accuracy | None) -> Text:
    if a is None:
        return Text(wording.NONE)
    return Text(wording.accuracy(a.interval) + (f" n = {a.interval.n}" if a.method != FULL else ""))


def _trained(rows: Iterable[Trained]) -> Iterable[Table]:
    panels: dict[tuple[str, str], list[Trained]] = {}
    for row in rows:
        panels.setdefault((row.a.setting.protocol, row.a.setting.student), []).append(row)
    for (protocol, student), own in panels.items():
        title = shown(f"{protocol}, {student}: test accuracy, %")
        table = _table(title, "method", "budget", "A", "B", "B − A, points", "", "")
        for row in own:
            name = "full data" if row.a.method == FULL else row.a.method + "†" * row.conditional
            size = "" if row.a.ceiling else wording.budget(row.a.setting.budget)
            means = [wording.percent(x.interval.mean) for x in (row.a, row.b)]
            difference = ""
            if row.change:
                i = row.change.interval
                difference = f"{wording.points(i.mean)} {wording.bounds(i.lo, i.hi)}".rstrip()
            table.add_row(*map(shown, (name, size, *means, difference)), *_said(row.change, "same students"))
        yield table


def _read(rows: Iterable[Read]) -> Iterable[Table]:
    groups: dict[tuple[str, str], list[Read]] = {}
    for row in rows:
        groups.setdefault((row.a.budget, row.a.name.extractor), []).append(row)
    for (budget, extractor), own in groups.items():
        title = shown(f"{wording.budget(budget)}, leading readings in the features of {extractor}")
        table = _table(title, "reading", "method", "A", "B", "B − A", "", "")
        for row in own:
            values = [wording.reading(x.interval.mean) for x in (row.a, row.b)]
            difference = span(row.change.interval) if row.change else ""
            cells = (row.a.name.metric.replace("_", " "), row.a.method, *values, difference)
            plain = row.a.higher_is_better is None
            table.add_row(*map(shown, cells), *_said(row.change, "same sets", plain))
        yield table


def _said(c: Change | None, same: str, plain: bool = False) -> list[Text]:
    """Word and n of a change; no word for what can be neither better nor worse."""
    if c is None:
        return [Text(same, style="dim"), Text()]
    n = Text(counted(c), style="dim")
    return [Text(), n] if plain else [Text(c.word, style=STYLES[c.word]), n]


def _priced(rows: Iterable[Priced]) -> Iterable[Table]:
    budgets: dict[str, list[Priced]] = {}
    for row in rows:
        budgets.setdefault(row.budget, []).append(row)
    for budget, own in budgets.items():
        title = shown(f"{wording.budget(budget)}, cost of a set with what it stands on")
        table = _table(title, "cost", "method", "A", "B", "B / A", "")
        for what in dict.fromkeys(row.what for row in own):
            said = wording.size if what == "bytes" else wording.seconds
            for row in (row for row in own if row.what == what):
                ratio = "machines differ" if row.ratio is None else span(row.ratio)
                n = "" if row.ratio is None else f"n = {row.ratio.n}"
                cells = (what, row.method, said(row.a), said(row.b), ratio)
                table.add_row(*map(shown, cells), Text(n, style="dim"))
        yield table


def span(i: Interval) -> str:
    """A value with its interval, if it has one, in three digits."""
    return wording.reading(i.mean) + (f" [{wording.reading(i.lo)}, {wording.reading(i.hi)}]" if i.lo == i.lo else "")


def _table(title: Text, *heads: str) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for i, head in enumerate(heads):
        table.add_column(shown(head), justify="left" if i == 0 else "right", no_wrap=i > 1, overflow="fold")
    return table
