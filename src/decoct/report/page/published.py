"""The section that lays published numbers beside a run's own: of the same method, data and IPC, by other recipes."""

from decoct.report import wording
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, name, table, valued
from decoct.report.page.parts import method, note, section
from decoct.report.page.style import Mark
from decoct.report.published import Published, beside
from decoct.report.read.frame import Frame
from decoct.report.summary import Summary


def published(frame: Frame, summary: Summary, marks: dict[str, Mark]) -> Markup:
    """A row for each published number; nothing where none is of this data, these methods and these budgets."""
    body = []
    for found in beside(frame.manifest, summary.accuracies):
        here = "; ".join(
            f"{wording.accuracy(a.interval)} ({a.setting.protocol}, {a.setting.student})" for a in found.own
        )
        budget = found.own[0].setting.budget
        for row in found.published:
            accuracy = valued(row.accuracy, _percent(row))
            first = (method(summary, marks, found.label), facets.budget(budget), accuracy)
            body.append(cells(*first, name(recipe(row)), name(row.source), name(here)))
    if not body:
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
        table(head, body, "prose"),
    )


def recipe(row: Published) -> str:
    """What the source says of student, resolution, protocol and labels."""
    size = f"{row.resolution} px" if row.resolution else ""
    return ", ".join(filter(None, (row.student, size, row.protocol, row.labels))) or wording.NONE


def _percent(row: Published) -> str:
    return f"{row.accuracy:.1f}" + (f" ± {row.error:g}" if row.error is not None else "")
