"""Plan and actual: a small section, where the run was planned."""

from decoct.report import wording
from decoct.report.page.markup import Markup, cells, columns, table, tag, valued
from decoct.report.page.parts import note, section
from decoct.report.sections.planned import Compared
from decoct.report.summary import Summary


def planned(summary: Summary) -> Markup:
    """Seconds expected and taken, by kind of job."""
    if (found := summary.planned_cost) is None:
        return Markup()
    head = columns("jobs of kind", "jobs", "planned", "taken", "times", "processors planned", "taken", "times")
    rows = []
    for kind in (*found.kinds, found.total) if len(found.kinds) > 1 else found.kinds:
        times = [kind.expected, kind.taken, kind.ratio, kind.cpu_expected, kind.cpu_taken, kind.cpu_ratio]
        words = (wording.seconds, wording.seconds, wording.multiple) * 2
        shown = (valued(value, word(value)) for value, word in zip(times, words, strict=True))
        rows.append(cells(kind.kind, f"{kind.jobs:,}", *shown))
    return section(
        "plan",
        "Plan and actual",
        tag("p", f"{found.sentence()}."),
        tag("details", tag("summary", "By kind of job"), table(head, rows)),
        note(
            "Of the jobs that were to do when the run was planned. Seconds are of the work itself, without reading its "
            "inputs and writing its cell. Other work on the machine makes them longer, processor seconds less so."
        ),
    )
