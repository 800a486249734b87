"""Write a run's report: its tables, and the page that shows them."""

from functools import partial
from pathlib import Path

from decoct.core.scratch import replace
from decoct.report.read import frame
from decoct.report.render import render
from decoct.report.sections import robust
from decoct.report.summary import Summary, summarise
from decoct.report.tables import write_tables

PAGE = "report.html"


def write_report(folder: Path) -> Summary:
    """Write a run's tables and its page, each in one step, whether or not the run is finished.

    Args:
        folder: what ``decoct run --out`` made.

    Returns:
        The numbers, for the terminal and for ``--json``.

    Raises:
        DecoctError: not a run, or a damaged one.
    """
    tables = frame.read(folder)
    summary = summarise(tables, folder / PAGE)
    tables.write_tables(folder)
    scores = robust.table(summary.scores, summary.data, summary.deterministic)
    frame.write(folder, "scores", scores, csv=True)
    write_tables(folder, tables, summary)
    replace(summary.page, partial(Path.write_text, data=render(tables, summary), encoding="utf-8"))
    return summary
