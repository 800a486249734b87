"""The same summary for a terminal."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Setting
from decoct.report.read.manifest import FULL
from decoct.report.sections import accuracy
from decoct.report.summary import Summary

STYLES: Mapping[str, str] = {"better": "green", "worse": "red", "same": "cyan"}


def render(summary: Summary) -> RenderableType:
    """The run in short, at most twelve lines with the page's name."""
    return Group(*(Text(line, style="bold" if i == 1 else "") for i, line in enumerate(summary.brief.lines)))


def accuracies(summary: Summary) -> list[Table]:
    """A table of accuracies for each student."""
    return [_accuracy(summary, student) for student in dict.fromkeys(s.student for s in summary.settings)]


def titled(title: str, *heads: str) -> Table:
    """An empty table under its title, without lines."""
    return Table(*heads, title=Text(title), title_justify="left", box=None)


def _accuracy(summary: Summary, student: str) -> Table:
    protocols = list(dict.fromkeys(s.protocol for s in summary.settings if s.student == student))
    budgets = list(dict.fromkeys(s.budget for s in summary.settings if s.student == student))
    table = titled(f"{summary.run.name}: test accuracy of {student}, %, 95 % intervals", "")
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
            table.add_row(Text(f"  {accuracy.SAME_STEPS}"), *map(_text, beside))
    if summary.ceiling:
        full = (summary.ceiling.get((protocol, student)) for protocol in protocols)
        table.add_row(Text("full data", style="bold"), *map(_text, full))
    said = "† deterministic: one set; its intervals condition on it. " if summary.deterministic else ""
    table.caption, table.caption_justify = Text(f"{said}Colour: against the coresets, after Holm."), "left"
    return table


def _cell(summary: Summary, method: str, setting: Setting) -> Text:
    cell = _text(summary.accuracy(method, setting))
    if setting in summary.settings:
        word = summary.verdict(method, setting).against_coresets
        cell.stylize(STYLES.get(word or "", ""))
    return cell


def _text(a: Accuracy | None) -> Text:
    if a is None:
        return Text(wording.NONE)
    return Text(wording.accuracy(a.interval) + ("" if a.method == FULL or a.interval.n > 1 else " n = 1"))
