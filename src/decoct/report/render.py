"""The page of a run: its sections in their order."""

from decoct.report import published, wording
from decoct.report.advice import recommend
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.parts import document, fold
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import CONTROL
from decoct.report.sections import (
    accuracy,
    breakdown,
    claims,
    classes,
    controls,
    cost,
    differences,
    failures,
    featuremap,
    pictures,
    planned,
    provenance,
    ranks,
    readable,
    robust,
    standing,
    transfer,
    verdict,
    weight,
)
from decoct.report.summary import Summary


def render(summary: Summary) -> str:
    """The page as text."""
    view, tables, run = summary, summary.frame, summary.run
    margin = wording.margins(summary.margins.values())
    lines = [line for line in summary.brief.lines if summary.brief.answer not in line]
    asked = summary.brief.question, summary.brief.answer
    parts = [
        verdict.show(view, summary.verdicts, asked, lines, summary.cautions, margin),
        readable.show(view, summary.unreadable),
        failures.show(view, summary.failed.bent, summary.failed.filled, summary.failed.stuck),
        claims.show(view, summary.claims),
        recommend.show(view, summary.advice),
        accuracy.show(view, summary.gaps),
        breakdown.show(view, summary.breakdown, summary.untold),
        differences.show(view, summary.verdicts, summary.margins),
        differences.chance(view, summary.verdicts),
        published.show(view, run),
        controls.show(view, summary.controls),
        ranks.show(view, run.data["name"]),
        transfer.show(view, summary.transfers),
        robust.show(view, summary.scores),
        classes.show(view, tables),
        cost.show(view, tables),
        weight.show(view, run),
        featuremap.show(view, run),
        standing.show(view, summary.standings, summary.agreements, len(run.data["class_names"])),
        pictures.show(view, run),
        provenance.teachers(run),
        provenance.recipes(view, run),
        provenance.methods(view, run),
        planned.show(summary.planned_cost),
        provenance.provenance(run),
    ]
    holes = _holes(tables, summary.planned)
    return document(f"{run.name} · decoct", _header(summary), join(parts), holes, view.filters())


def _header(summary: Summary) -> Markup:
    data, families = summary.run.data, list(summary.methods.values())
    beside = families.count(CONTROL)
    said = wording.count(len(families) - beside, "method")
    said += f" and {wording.count(beside, 'control')}" if beside else ""
    about = f"{data['images']['train']:,} training images in {len(data['class_names']):,} classes, {said}, "
    trained = tag("span", about, f"{summary.trained:,} of {summary.planned:,} students trained.")
    asked = "Which small training set of ", name(data["name"]), " should I use, and is distilling one worth it? "
    pooled = tag("p", f"{summary.run.pooled.sentence()}.") if summary.run.pooled else ""
    return join([tag("h1", name(summary.run.name)), tag("p", *asked, trained, class_="lede"), pooled])


def _holes(tables: Frame, students: int) -> Markup:
    """What failed and what is missing, at the top, where nobody can miss it."""
    holes, parts = tables.holes, list[Markup]()
    if holes:
        missing = wording.count(len(holes), "student")
        parts.append(tag("p", tag("b", "This report has holes. "), f"{missing} of {students} planned have no result."))
    if tables.failures:
        failed = [tag("li", tag("b", name(job)), tag("pre", tag("bdi", message))) for job, message in tables.failures]
        parts.append(fold(wording.count(len(failed), "failed job"), tag("ul", *failed), opened=len(failed) <= 3))
    if holes:
        more = tag("li", f"and {len(holes) - 200} more") if len(holes) > 200 else ""
        parts.append(fold("Missing students", tag("ul", *(tag("li", name(job)) for job in holes[:200]), more)))
        parts.append(tag("p", "Run the study again with the same --out: only what is missing is done."))
    return tag("aside", *parts, class_="holes", role="status") if parts else Markup()
