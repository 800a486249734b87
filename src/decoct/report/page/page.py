"""One self-contained HTML page of a run: no network, light and dark, for phone, screen and paper."""

import string
from functools import cache
from importlib.resources import files

from decoct.report import wording
from decoct.report.page import (
    architectures,
    beyond,
    breakdown,
    chance,
    claims,
    classes,
    evidence,
    facets,
    featuremap,
    planned,
    provenance,
    published,
    ranks,
    recommend,
    scorecard,
    sections,
    utility,
)
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.style import marks
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import CONTROL
from decoct.report.summary import Summary


def render(tables: Frame, summary: Summary) -> str:
    """The page as text."""
    drawn = marks(summary.methods)
    parts = [
        sections.verdict(summary, drawn),
        claims.claims(summary, drawn),
        recommend.recommend(summary, drawn),
        sections.accuracy(summary, drawn),
        breakdown.breakdown(summary, drawn),
        sections.differences(summary, drawn),
        chance.chance(summary, drawn),
        published.published(tables, summary, drawn),
        sections.against_controls(summary, drawn),
        ranks.ranks(tables, summary, drawn),
        architectures.architectures(summary, drawn),
        scorecard.scorecard(summary, drawn),
        classes.classes(tables, summary, drawn),
        evidence.cost(tables, summary, drawn),
        utility.rate(tables, summary, drawn),
        featuremap.feature_map(tables, summary, drawn),
        beyond.beyond(summary, drawn),
        evidence.pictures(tables, summary, drawn),
        evidence.teachers(tables),
        provenance.recipes(tables, summary),
        provenance.methods(tables, summary, drawn),
        planned.planned(summary),
        provenance.provenance(tables),
    ]
    filters, holes = facets.filters(summary, drawn), sections.holes(tables, summary)
    return document(f"{summary.name} · decoct", _header(tables, summary), join(parts), holes, filters)


def document(title: str, header: Markup, main: Markup, holes: Markup, filters: Markup) -> str:
    """A whole page of ready parts, with the style, the script and the library that draws."""
    template = string.Template(_asset("page.html"))
    return template.substitute(
        title=tag("title", title),
        style=_asset("page.css"),
        header=header,
        holes=holes,
        filters=filters,
        main=main,
        plotly=_plotly(),
        script=_script(),
    )


def _header(tables: Frame, summary: Summary) -> Markup:
    data, families = tables.manifest.data, list(summary.methods.values())
    beside = families.count(CONTROL)
    said = wording.count(len(families) - beside, "method")
    said += f" and {wording.count(beside, 'control')}" if beside else ""
    about = f"{data['images']['train']:,} training images in {len(data['class_names']):,} classes, {said}, "
    return join(
        [
            tag("h1", name(summary.name)),
            tag(
                "p",
                "Which small training set of ",
                name(summary.data),
                " should I use, and is distilling one worth it? ",
                tag("span", about, f"{summary.trained:,} of {summary.planned:,} students trained."),
                class_="lede",
            ),
        ]
    )


def _asset(file: str) -> str:
    return files("decoct.report.page").joinpath(file).read_text("utf-8")


def _script() -> str:
    """The page's own script: its parts one after the other, in a scope of their own."""
    parts = (_asset(f"script/{part}.js") for part in ("filters", "typeset", "tables", "figures", "page"))
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();"


@cache
def _plotly() -> str:
    """The library that draws, 5 MB, so that the page needs no network."""
    from plotly.offline import get_plotlyjs  # late: everything else works without

    return str(get_plotlyjs()).replace("</script", "<\\/script")
