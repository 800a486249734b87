"""The same summary for a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from decoct.report import wording
from decoct.report.findings import controls, same_steps, standing, transfer
from decoct.report.findings.accuracy import Accuracy
from decoct.report.findings.verdict import Setting
from decoct.report.manifest import FULL
from decoct.report.stats import Word
from decoct.report.summary import Summary

STYLES: dict[Word, str] = {"better": "green", "worse": "red", "equivalent": "cyan", "undecided": "dim"}


def render(summary: Summary) -> RenderableType:
    """Accuracy by budget, method and protocol, then the verdict."""
    students = dict.fromkeys(s.student for s in summary.settings)
    parts: list[RenderableType] = [_accuracy(summary, student) for student in students]
    parts += [
        Text(),
        Text(f"Is distilling worth it here? {summary.worth.answer}.", style="bold"),
        Text(summary.worth.because),
    ]
    parts += [Text(f"  {line}") for line in (*summary.worth.methods, *summary.price)]
    beside = dict.fromkeys((controls.overall(summary.controls), *controls.sentences(summary.controls)))
    beside |= dict.fromkeys((*standing.sentences(summary.standings), *(a.sentence() for a in summary.agreements)))
    across = (same_steps.overall(summary.gaps), transfer.overall(summary.transfers))
    parts += [Text(f"  {line}") for line in (*beside, *across) if line]
    parts += [Text(f"  {line}", style="yellow") for line in summary.cautions]
    if summary.trained < summary.planned:
        missing = summary.planned - summary.trained
        parts.append(Text(f"{wording.count(missing, 'student')} of {summary.planned} missing", style="yellow"))
    parts += [Text(f"failed: {failure}", style="red") for failure in summary.failures]
    return Group(*parts)


def _accuracy(summary: Summary, student: str) -> Table:
    protocols = list(dict.fromkeys(s.protocol for s in summary.settings if s.student == student))
    budgets = list(dict.fromkeys(s.budget for s in summary.settings if s.student == student))
    table = Table(
        title=Text(f"{summary.name}: test accuracy of {student}, %, 95 % intervals"), title_justify="left", box=None
    )
    table.add_column("")
    for protocol in protocols:
        table.add_column(Text(protocol), justify="right")
    for budget in budgets:
        table.add_row(Text(wording.budget(budget), style="bold"))
        for method in summary.methods:
            dagger = "†" if method in summary.deterministic else ""
            row = [_cell(summary, method, Setting(protocol, student, budget)) for protocol in protocols]
            table.add_row(Text(f"  {method}{dagger}"), *row)
        beside = [summary.same_steps(Setting(protocol, student, budget)) for protocol in protocols]
        if any(beside):
            table.add_row(Text(f"  {same_steps.NAME}"), *map(_text, beside))
    if summary.ceiling:
        found = {a.setting.protocol: a for a in summary.ceiling if a.setting.student == student}
        table.add_row(Text("full data", style="bold"), *(_text(found.get(protocol)) for protocol in protocols))
    if summary.deterministic:
        table.caption = Text("† deterministic: one set; its intervals condition on it. Colour: against the coresets.")
        table.caption_justify = "left"
    return table


def _cell(summary: Summary, method: str, setting: Setting) -> Text:
    cell = _text(summary.accuracy(method, setting))
    if setting in summary.settings:
        word = summary.verdict(method, setting).against_coresets
        cell.stylize(STYLES[word] if word else "")
    return cell


def _text(a: Accuracy | None) -> Text:
    if a is None:
        return Text(wording.NONE)
    return Text(wording.accuracy(a.interval) + ("" if a.method == FULL or a.interval.n > 1 else " n = 1"))
