"""The command that looks up published accuracies."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from decoct.cli.options import Json
from decoct.console import out, say


def published(
    method: Annotated[str | None, typer.Option(help="Such as rded or CV-DD.")] = None,
    data: Annotated[str | None, typer.Option(help="Such as imagenet1k or cifar100.")] = None,
    ipc: Annotated[int | None, typer.Option(min=1, help="Images of each class.")] = None,
    protocol: Annotated[str | None, typer.Option(help="A word of how students were trained.")] = None,
    json: Json = False,
) -> None:
    """List published accuracies with the source of each. They are of other recipes than decoct's protocols."""
    from decoct.report.published import CAUTION, read, select

    found = select(read(), method, data, ipc, protocol)
    if json:
        say([vars(row) for row in found])
        return
    out.print(listed(found))
    numbers = "1 number" if len(found) == 1 else f"{len(found)} numbers"
    out.print(f"{numbers}, in percent; each is of {CAUTION}", markup=False, soft_wrap=True)


def listed(rows: Sequence[Any]) -> Table:
    """A line a number."""
    table = Table(box=None, pad_edge=False)
    for head in ("method", "data"):
        table.add_column(head, no_wrap=True)
    for head in ("IPC", "%"):
        table.add_column(head, justify="right", no_wrap=True)
    for head in ("student", "protocol", "source"):
        table.add_column(head)
    for row in rows:
        error = "" if row.error is None else f" ± {row.error:g}"
        number = "" if row.ipc is None else f"{row.ipc}"
        words = (row.method, row.data, number, f"{row.accuracy:.1f}{error}", row.student, row.protocol, row.source)
        table.add_row(*words)
    return table
