"""Leaderboard and comparison for a terminal."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from decoct.core.names import printable
from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.grouped import grouped
from decoct.report.page.plot import Panel
from decoct.report.several.compare import COSTS, Compared, Row
from decoct.report.several.leaderboard import Board

STYLES = {"better": "green", "worse": "red", "same": "cyan"}


def shown(text: object, style: str = "") -> Text:
    """Plain text: no markup and no control sequences."""
    return Text(printable(str(text)), style=style)


def board(leaders: Board, everything: bool = False) -> RenderableType:
    """The verdicts, over all and for each data set; with ``everything``, accuracies and ranks behind them."""
    parts: list[RenderableType] = []
    if not leaders.panels:
        parts.append(Text("No student has been trained yet."))
    parts.append(shown(f"{leaders.together.first()}.", "bold"))
    parts += [shown(f"{line}.") for line in leaders.together.sentences()]
    parts += [shown(f"{line}.", "yellow") for line in leaders.together.dependent]
    unfinished = [e for e in leaders.entries if e.trained < e.planned]
    parts += [
        shown(f"{e.run.name}: {e.planned - e.trained} of {e.planned} students missing", "yellow") for e in unfinished
    ]
    parts += [shown(line, "yellow") for line in leaders.unlike]
    parts += [shown(f"{line}.") for line in leaders.pooled]
    for panel in leaders.panels if everything else ():
        parts += [Text(), *_grids(leaders, panel), Text()]
        for own in (leaders.ranks[panel], leaders.over_data.get(panel)):
            parts += [shown(f"  {line}") for line in (own.sentences() if own else ())]
    return Group(*parts)


def comparison(compared: Compared) -> RenderableType:
    """Settings that differ, then accuracies, readings and costs side by side."""
    parts: list[RenderableType] = []
    for side, tables in (("A", compared.a), ("B", compared.b)):
        run = tables.manifest
        planned = len(run.of_kind("train"))
        students = f"{tables.results.num_rows} of {planned} students trained"
        parts.append(shown(f"{side}  {run.folder}: {run.name}, {students}"))
    parts += [Text(), Text("Settings that differ", style="bold")]
    parts += [shown(f"  {line}") for line in compared.settings or ("nothing",)]
    parts += [Text(), shown(f"{compared.overall()}."), shown(f"{compared.how()}.")]
    if compared.trained:
        parts += _tables(compared.trained, ("method", "budget", "A", "B", "B − A, points", "", ""))
        parts.append(Text("Intervals are each comparison's own; words hold after Holm."))
        if any(row.facts["conditional_on_set"] for row in compared.trained):
            parts.append(Text("† deterministic: one set per run; intervals and words are for those sets."))
    if compared.read:
        parts += [Text(), *_tables(compared.read, ("reading", "method", "A", "B", "B − A", "", ""))]
    if compared.priced:
        priced = sorted(compared.priced, key=lambda row: list(COSTS).index(row.cells[0]))
        parts += [Text(), *_tables(priced, ("cost", "method", "A", "B", "B / A", ""))]
    parts += [shown(f"not compared: {line}", "yellow") for line in compared.unlike]
    for side, number in compared.alone.items():
        if number:
            parts.append(shown(f"{wording.count(number, 'result')} only in {side}", "yellow"))
    return Group(*parts)


def _grids(leaders: Board, panel: Panel) -> Iterable[Table]:
    """One table per data set, since more would not fit side by side; methods in the order of their ranks."""
    blocks, ranks = leaders.panels[panel], list(leaders.ranks[panel].mean)
    full = leaders.full.get(panel, {})
    for data in dict.fromkeys(data for data, _ in blocks):
        own = {budget: accuracies for (of, budget), accuracies in blocks.items() if of == data}
        title = shown(f"{data}: test accuracy under {panel[0]} with {panel[1]}, %, 95 % intervals")
        table = _table(title, "", *map(wording.budget, own))
        there = [m for m in leaders.methods if any(m in accuracies for accuracies in own.values())]
        for method in sorted(there, key=lambda m: ranks.index(m) if m in ranks else len(ranks)):
            dagger = "†" if method in leaders.deterministic else ""
            table.add_row(shown(f"{method}{dagger}"), *(_cell(accuracies.get(method)) for accuracies in own.values()))
        if data in full:
            table.add_row(Text("full data"), _cell(full[data]))
        yield table


def _cell(a: Accuracy | None) -> Text:
    if a is None:
        return Text(wording.NONE)
    return Text(wording.accuracy(a.interval) + (f" n = {a.interval.n}" if a.interval.by != "wilson" else ""))


def _tables(rows: Iterable[Row], heads: tuple[str, ...]) -> Iterable[Table]:
    """A table for each title."""
    for title, own in grouped(rows, lambda row: row.title).items():
        table = _table(shown(title), *heads)
        for row in own:
            table.add_row(*map(shown, row.cells), *(Text(text, style=STYLES.get(text, "dim")) for text in row.end))
        yield table


def _table(title: Text, *heads: str) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for i, head in enumerate(heads):
        table.add_column(shown(head), justify="left" if i == 0 else "right", no_wrap=i > 1, overflow="fold")
    return table
