"""The same summary for a terminal."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Setting
from decoct.report.read.manifest import CONTROL, FULL
from decoct.report.sections import accuracy, breakdown, controls, ranks, transfer
from decoct.report.sections.candidates import Candidate
from decoct.report.sections.recommend import stretches
from decoct.report.sections.verdict import correction
from decoct.report.summary import Summary

STYLES: Mapping[str, str] = {"better": "green", "worse": "red", "same": "cyan"}


def render(summary: Summary) -> RenderableType:
    """Accuracy by budget, method and protocol, then the verdict, the four claims, and what to take for how much."""
    parts: list[RenderableType] = [*accuracies(summary)]
    parts += [
        Text(),
        Text(f"Is distilling worth it here? {summary.worth.answer}.", style="bold"),
        Text(summary.worth.because),
    ]
    parts += [Text(f"{said}.", style="dim") for said in (correction(summary.verdicts),) if said]
    parts += [Text(f"  {claim.question} {claim.answer}.") for claim in summary.claims.all]
    parts += [Text(f"  Where do the points come from? {breakdown.overall(summary.breakdown)}.")]
    beside = dict.fromkeys((controls.overall(summary.controls), *controls.sentences(summary.controls)))
    across = (accuracy.overall(summary.gaps), transfer.overall(summary.transfers), _ranks(summary))
    parts += [Text(f"  {line}") for line in (*beside, *across) if line]
    parts += [Text(f"  {line}", style="yellow") for line in summary.cautions]
    if summary.trained < summary.planned:
        missing = summary.planned - summary.trained
        parts.append(Text(f"{wording.count(missing, 'student')} of {summary.planned} missing", style="yellow"))
    parts += [Text(f"failed: {failure}", style="red") for failure in summary.failures]
    parts += [Text(f"{summary.planned_cost.sentence()}.", style="dim")] if summary.planned_cost else []
    students = dict.fromkeys(s.student for s in summary.settings)
    parts += [table for student in students if (table := _advice(summary, student))]
    return Group(*parts)


def accuracies(summary: Summary) -> list[Table]:
    """A table of accuracies for each student."""
    return [_accuracy(summary, student) for student in dict.fromkeys(s.student for s in summary.settings)]


def titled(title: str, *heads: str) -> Table:
    """An empty table under its title, without lines."""
    return Table(*heads, title=Text(title), title_justify="left", box=None)


def _ranks(summary: Summary) -> str:
    competing = [method for method, family in summary.methods.items() if family != CONTROL]
    return ranks.sentence(ranks.over_budgets(summary.accuracies, competing, summary.run.data["name"]))


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


def _advice(summary: Summary, student: str) -> Table | None:
    """What to take for how many images, bytes or seconds, where anything can be recommended."""
    rows = [(a, b, c) for a, b, c in stretches(summary.advice, student) if c.pick]
    if not rows:
        return None
    title = f"What to take with {student}: the cheapest of those that none is shown to beat, beside the highest mean"
    table = titled(title, "at most", "cheapest", "%", "of", "highest mean", "%")
    for first, last, choice in rows:
        assert choice.pick is not None and choice.highest is not None
        upto = f"{first.limit}" if first is last else f"{first.limit} to {last.limit}"
        kept = f"{len(choice.kept)} of {choice.considered}"
        table.add_row(*map(Text, (upto, *_named(choice.pick), kept, *_named(choice.highest))))
    return table


def _named(candidate: Candidate) -> tuple[str, str]:
    a = candidate.accuracy
    return f"{candidate} at {wording.budget(a.setting.budget)}", wording.accuracy(a.interval)


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
