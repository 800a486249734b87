"""The section across students: methods by students, and whether the order holds from one to another."""

from decoct.report import wording
from decoct.report.findings.accuracy import Accuracy
from decoct.report.findings.same_steps import NAME
from decoct.report.findings.transfer import Transfer, overall
from decoct.report.findings.verdict import Setting
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, table, tag
from decoct.report.page.parts import accuracy_cell, method, note, section
from decoct.report.page.style import Mark
from decoct.report.read.manifest import ALL, CONTROL, FULL
from decoct.report.summary import Summary


def architectures(summary: Summary, marks: dict[str, Mark]) -> Markup:
    """One table for each protocol and budget; nothing where there is one student."""
    found = [t for t in summary.transfers if t.ranks]
    if not found:
        return Markup()
    blocks = []
    for i, t in enumerate(found):
        heading = join([tag("b", facets.protocol(t.protocol)), " · ", facets.budget(t.budget)])
        said = tag("p", f"{t.sentence()}.")
        blocks.append(
            tag("details", tag("summary", heading), said, _table(t, summary, marks), open=None if i else "open")
        )
    whole = overall(found)
    about = note(
        "A pair of methods turned round if each is ahead with some student, and kept one sign if one is ahead with "
        "every student, by 95 % paired t intervals that exclude 0, each at its own level. All other pairs are left "
        "open: an order that is not shown is not an equal one. Rank: 1 is the highest mean, averaged over students. "
        "Spread: highest minus lowest mean over students, in points. Both carry the noise of the means.",
        " Controls take no part in the order." if CONTROL in summary.methods.values() else "",
    )
    return section("students", "Across students", tag("p", f"{whole}.") if whole else "", about, *blocks)


def _table(t: Transfer, summary: Summary, marks: dict[str, Mark]) -> Markup:
    def row(first: object, label: str, found: list[Accuracy | None]) -> list[Markup]:
        rank = f"{t.ranks[label]:.1f}" if label in t.ranks else wording.NONE
        spread = f"{100 * t.spread[label]:.1f}" if label in t.spread else wording.NONE
        return cells(first, *map(accuracy_cell, found), rank, spread)

    rows = [
        row(
            method(summary, marks, label),
            label,
            [summary.accuracy(label, Setting(t.protocol, student, t.budget)) for student in t.students],
        )
        for label in summary.methods
    ]
    beside = [summary.same_steps(Setting(t.protocol, student, t.budget)) for student in t.students]
    ceiling = [summary.accuracy(FULL, Setting(t.protocol, student, ALL)) for student in t.students]
    rows += [row(title, FULL, found) for title, found in ((NAME, beside), ("full data", ceiling)) if any(found)]
    head = columns("method")
    head[0] += [tag("th", facets.student(student), scope="col") for student in t.students]
    head[0] += [tag("th", word, scope="col") for word in ("mean rank", "spread")]
    return table(head, rows)
