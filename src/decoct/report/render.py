"""The page of a run: its sections in their order."""

from decoct.report import wording
from decoct.report.frame import Frame
from decoct.report.manifest import CONTROL
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.page import document
from decoct.report.page.parts import fold
from decoct.report.page.planned import planned
from decoct.report.page.view import View
from decoct.report.sections import (
    accuracy,
    breakdown,
    claims,
    classes,
    controls,
    cost,
    differences,
    featuremap,
    pictures,
    provenance,
    published,
    ranks,
    recommend,
    robust,
    standing,
    transfer,
    verdict,
    weight,
)
from decoct.report.summary import Summary


def render(tables: Frame, found: Summary) -> str:
    """The page as text."""
    run = tables.manifest
    view = View(found.methods, found.deterministic, found.settings, found.accuracies)
    parts = [
        verdict.show(view, found.verdicts, found.worth, found.price, found.cautions, found.margin),
        claims.show(view, found.claims),
        recommend.show(view, found.advice),
        accuracy.show(view, found.gaps),
        breakdown.show(view, found.breakdown, found.untold),
        differences.show(view, found.verdicts, found.margin),
        differences.chance(view, found.verdicts),
        published.show(view, run),
        controls.show(view, found.controls),
        ranks.show(view, found.data),
        transfer.show(view, found.transfers),
        robust.show(view, found.scores),
        classes.show(view, tables),
        cost.show(view, tables),
        weight.show(view, run),
        featuremap.show(view, run),
        standing.show(view, found.standings, found.agreements, found.classes),
        pictures.show(view, run),
        provenance.teachers(run),
        provenance.recipes(view, run),
        provenance.methods(view, run),
        planned(found),
        provenance.provenance(run),
    ]
    return document(
        f"{found.name} · decoct", _header(tables, found), join(parts), _holes(tables, found.planned), view.filters()
    )


def _header(tables: Frame, found: Summary) -> Markup:
    data, families = tables.manifest.data, list(found.methods.values())
    beside = families.count(CONTROL)
    said = wording.count(len(families) - beside, "method")
    said += f" and {wording.count(beside, 'control')}" if beside else ""
    about = f"{data['images']['train']:,} training images in {len(data['class_names']):,} classes, {said}, "
    trained = tag("span", about, f"{found.trained:,} of {found.planned:,} students trained.")
    asked = "Which small training set of ", name(found.data), " should I use, and is distilling one worth it? "
    return join([tag("h1", name(found.name)), tag("p", *asked, trained, class_="lede")])


def _holes(tables: Frame, planned: int) -> Markup:
    """What failed and what is missing, at the top, where nobody can miss it."""
    holes, parts = tables.holes, list[Markup]()
    if holes:
        missing = wording.count(len(holes), "student")
        parts.append(tag("p", tag("b", "This report has holes. "), f"{missing} of {planned} planned have no result."))
    if tables.failures:
        failed = [tag("li", tag("b", name(job)), tag("pre", tag("bdi", message))) for job, message in tables.failures]
        parts.append(fold(wording.count(len(failed), "failed job"), tag("ul", *failed), opened=len(failed) <= 3))
    if holes:
        more = tag("li", f"and {len(holes) - 200} more") if len(holes) > 200 else ""
        parts.append(fold("Missing students", tag("ul", *(tag("li", name(job)) for job in holes[:200]), more)))
        parts.append(tag("p", "Run the study again with the same --out: only what is missing is done."))
    return tag("aside", *parts, class_="holes", role="status") if parts else Markup()
