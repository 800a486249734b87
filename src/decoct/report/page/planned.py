"""Plan and actual: a small section, where the run was planned."""

from decoct.report import wording
from decoct.report.page.markup import Markup, cells, columns, table, tag, valued
from decoct.report.page.parts import note, section
from decoct.report.sections.planned import Compared
from decoct.report.summary import Summary


def planned(summary: Summary) -> Markup:
    """Seconds expected and taken, by kind of job."""
    found = summary.planned_cost
    if found is None:
        return Markup()
    rows = [_row(kind) for kind in found.kinds]
    rows += [_row(found.total)] if len(found.kinds) > 1 else []
    head = columns("jobs of kind", "jobs", "planned", "taken", "times", "processors planned", "taken", "times")
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


def _row(kind: Compared) -> list[Markup]:
    return cells(
        kind.kind,
        f"{kind.jobs:,}",
        valued(kind.expected, wording.seconds(kind.expected)),
        valued(kind.taken, wording.seconds(kind.taken)),
        valued(kind.ratio, wording.multiple(kind.ratio)),
        valued(kind.cpu_expected, wording.seconds(kind.cpu_expected)),
        valued(kind.cpu_taken, wording.seconds(kind.cpu_taken)),
        valued(kind.cpu_ratio, wording.multiple(kind.cpu_ratio)),
    )
