"""Published numbers beside a run's own, for the terminal and for ``--json``."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.manifest import Manifest
from decoct.report.published.table import CAUTION, beside


def side_by_side(run: Manifest, accuracies: Sequence[Accuracy]) -> RenderableType:
    """A table for each method and IPC: the run's own accuracies, then what was published."""
    found, parts = beside(run, accuracies), list[RenderableType]()
    for one in found:
        budget = wording.budget(one.own[0].setting.budget)
        table = Table(title=Text(f"{one.label} at {budget}"), title_justify="left", box=None, pad_edge=False)
        table.add_column("%", justify="right", no_wrap=True)
        for head in ("student", "protocol", "source"):
            table.add_column(head)
        for a in one.own:
            table.add_row(*map(Text, (wording.accuracy(a.interval), a.setting.student, a.setting.protocol, "this run")))
        for row in one.published:
            table.add_row(*map(Text, (f"{row.accuracy:.1f}", row.student, row.protocol, row.source)), style="dim")
        parts.append(table)
    if not parts:
        return Text(f"nothing is published here for these methods on {run.data['name']} at these budgets")
    return Group(*parts, Text(f"What was published is of {CAUTION}."))


def to_json(run: Manifest, accuracies: Sequence[Accuracy]) -> list[dict[str, Any]]:
    """Plain lists and dicts; accuracies of the run are fractions, published ones percent."""
    return [
        {
            "method": one.label,
            "own": [{**a.setting._asdict(), "accuracy": a.interval.mean, "n": a.interval.n} for a in one.own],
            "published": [row.to_json() | {"of_another_recipe": True} for row in one.published],
        }
        for one in beside(run, accuracies)
    ]
