"""Published numbers beside a run's own: of the same method, data and IPC, by other recipes."""

from decoct.report import wording
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, name, table, valued
from decoct.report.page.parts import note, section
from decoct.report.page.view import View
from decoct.report.published import Published, beside
from decoct.report.read.manifest import Manifest


def show(view: View, run: Manifest) -> Markup:
    """A row for each published number; nothing where none is of this data, these methods and these budgets."""
    rows = []
    for one in beside(run, view.accuracies):
        own = (f"{wording.accuracy(a.interval)} ({a.setting.protocol}, {a.setting.student})" for a in one.own)
        first, here = (view.method(one.label), facets.budget(one.own[0].setting.budget)), name("; ".join(own))
        for row in one.published:
            said = f"{row.accuracy:.1f}" + (f" ± {row.error:g}" if row.error is not None else "")
            rows.append(cells(*first, valued(row.accuracy, said), name(recipe(row)), name(row.source), here))
    if not rows:
        return Markup()
    head = columns("method", "budget", "published (%)", "student and recipe there", "source", "here (%)")
    return section(
        "published",
        "Published numbers",
        note(
            "Of the same method, data and IPC, and of another recipe: another student, other epochs, other labels, and "
            "most often the best epoch on the test set, where here the last one counts. They say what others found; no "
            "verdict of this page rests on them."
        ),
        table(head, rows, "prose"),
    )


def recipe(row: Published) -> str:
    """What the source says of student, resolution, protocol and labels."""
    size = f"{row.resolution} px" if row.resolution else ""
    return ", ".join(filter(None, (row.student, size, row.protocol, row.labels))) or wording.NONE
