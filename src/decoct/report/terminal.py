"""A run's tables for a terminal, which may be narrow: columns that do not fit side by side go below."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from decoct.core.names import printable
from decoct.report import wording
from decoct.report.accuracy import Setting
from decoct.report.grouped import grouped
from decoct.report.read.manifest import ALL, FULL
from decoct.report.summary import Summary
from decoct.report.write import metrics

Panel = tuple[str, str]  # protocol and student
GAP = 2  # blanks between two columns


def accuracies(summary: Summary, width: int) -> Iterator[RenderableType]:
    """Test accuracy with its interval by protocol, student and method, budgets across; nothing before the first one."""
    ceiling = [FULL] if summary.ceiling else []

    def cell(label: str, setting: Setting) -> str:
        a = summary.accuracy(label, setting._replace(budget=ALL) if label == FULL else setting)
        return wording.accuracy(a.interval) if a else wording.NONE

    if summary.accuracies:
        daggers = {label: f"{label}†" for label in summary.deterministic}
        title = f"Test accuracy, %, with 95 % intervals{'; † one set' if daggers else ''}"
        methods = {label: daggers.get(label, label) for label in summary.methods}
        methods |= dict.fromkeys(ceiling, "full data")
        budgets = list(dict.fromkeys(s.budget for s in summary.settings))
        yield from by_panel(title, summary.panels, budgets, methods, cell, width)


def everything(summary: Summary, width: int) -> Iterator[RenderableType]:
    """Verdicts by setting, readings, what failed, and where the numbers are weak."""
    for setting, own in grouped(summary.verdicts, lambda v: v.setting).items():
        yield Text()
        yield _text(str(setting), "bold")
        yield from (_text(f"  {line}.") for v in own for line in v.sentences())
    if readings := metrics(summary):
        yield Text()
        yield from narrow(readings.title, readings.head, readings.rows, width, keys=3)
        yield from map(_text, readings.notes)
    yield from (_text(f"failed: {message}", "red") for message in summary.failures)
    yield from (_text(f"{caution}.", "yellow") for caution in summary.cautions)


def by_panel(
    title: str,
    panels: Iterable[Panel],
    budgets: Sequence[str],
    methods: Mapping[str, str],
    cell: Callable[[str, Setting], str],
    width: int,
) -> Iterator[RenderableType]:
    """Methods below their protocol, as many budgets side by side as fit; of one budget, the protocols side by side.

    Args:
        title: above all.
        panels: what the rows are grouped by.
        budgets: of the columns.
        methods: what each is called in its row, by label.
        cell: the text for a method in a setting; a row with nothing but ``NONE`` is left out.
        width: of the terminal, in characters.
    """
    panels = list(panels)
    students = {student for _, student in panels}

    def told(settings: Sequence[Setting]) -> list[list[str]]:
        rows = [[f"  {name}", *(cell(m, setting) for setting in settings)] for m, name in methods.items()]
        return [row for row in rows if {*row[1:]} != {wording.NONE}]

    if len(budgets) == len(students) == 1 < len(panels):
        head, rows = [wording.budget(*budgets), *(p for p, _ in panels)], told([Setting(*p, *budgets) for p in panels])
    else:
        head, rows = ["", *map(wording.budget, budgets)], []
        for panel in panels:
            own = told([Setting(*panel, budget) for budget in budgets])
            rows += [[panel[0] if len(students) == 1 else ", ".join(panel)], *own] if own else []
    yield from narrow(title, head, rows, width)


def narrow(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], width: int, keys: int = 1
) -> Iterator[RenderableType]:
    """A table as one or several, each with the ``keys``, and as many other columns as fit; one cell is a heading."""
    sizes = [max(len(row[i]) for row in [head, *rows] if i < len(row)) + GAP for i in range(len(head))]
    yield _text(title)  # not of the table, which may be narrower
    at = keys
    while at < len(head):
        end = at + 1
        while end < len(head) and sum(sizes[:keys]) + sum(sizes[at : end + 1]) - GAP <= width:
            end += 1
        table = Table(box=None, pad_edge=False)
        for i, name in enumerate([*head[:keys], *head[at:end]]):
            table.add_column(_text(name), justify="right" if i >= keys else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_text(cell, "" if row[1:] else "bold") for cell in [*row[:keys], *row[at:end]]))
        yield table
        at = end


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style)
