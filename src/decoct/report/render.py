"""The page of a run: the card, what is wrong with the run if anything is, and five doors."""

from decoct.report import readable, wording
from decoct.report.card import html
from decoct.report.card.content import card
from decoct.report.doors import DOORS, Door, sections
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.parts import bullets, document, fold
from decoct.report.page.section import Section
from decoct.report.read.frame import Frame
from decoct.report.summary import Summary

LISTED = 200  # missing students that are named


def render(summary: Summary) -> str:
    """The page as text."""
    doors = (_door(summary, door) for door in DOORS)
    above = join([_holes(summary.frame, summary.planned), html.show(summary, card(summary)), _doubts(summary)])
    return document(f"{summary.run.name} · decoct", _header(summary), join(doors), above, summary.filters())


def _header(summary: Summary) -> Markup:
    pooled = tag("p", f"{summary.run.pooled.sentence()}.") if summary.run.pooled else ""
    return join([tag("h1", name(summary.run.name)), pooled])


def _door(summary: Summary, door: Door) -> Markup:
    shown = {key: (section, section.show(summary)) for key, section in sections(door.key).items()}
    made = [_section(summary, key, section, body) for key, (section, body) in shown.items() if body]
    if not made:
        return Markup()
    heading = tag("summary", tag("h2", door.title), tag("span", door.question, class_="question"))
    said = door.say(summary)
    return tag("details", heading, tag("p", f"{said}.", class_="said"), *made, class_="door", id=door.key)


def _section(summary: Summary, key: str, section: Section, body: Markup) -> Markup:
    said = section.say(summary)
    heading = tag("summary", tag("h3", section.title), tag("p", f"{said}.") if said else "")
    return tag("section", tag("details", heading, body, class_="section"), id=key)


def _holes(tables: Frame, students: int) -> Markup:
    """What failed and what is missing, where nobody can miss it."""
    holes, parts = tables.holes, list[Markup]()
    if holes:
        missing = wording.count(len(holes), "student")
        parts.append(tag("p", tag("b", "This report has holes. "), f"{missing} of {students} planned have no result."))
    if tables.failures:
        failed = [tag("li", tag("b", name(job)), tag("pre", tag("bdi", message))) for job, message in tables.failures]
        parts.append(fold(wording.count(len(failed), "failed job"), tag("ul", *failed), opened=len(failed) <= 3))
    if holes:
        more = tag("li", f"and {len(holes) - LISTED} more") if len(holes) > LISTED else ""
        parts.append(fold("Missing students", tag("ul", *(tag("li", name(job)) for job in holes[:LISTED]), more)))
        parts.append(tag("p", "Run the study again with the same --out: only what is missing is done."))
    return tag("aside", *parts, class_="holes", role="status") if parts else Markup()


def _doubts(summary: Summary) -> Markup:
    """Settings that cannot be read, students that failed, and where the numbers are weak."""
    said = readable.left_out(summary.unreadable, summary.settings), *summary.failed.sentences(), *summary.cautions
    lines = bullets(filter(None, said))
    return tag("aside", lines, class_="holes", role="status") if lines else Markup()
