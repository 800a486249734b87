"""What to use within a number of images, bytes or seconds."""

from collections.abc import Sequence
from dataclasses import replace

from decoct.report import wording
from decoct.report.advice.recommend import LISTED, Choice, Recommendation, named, stretches
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, table, tag
from decoct.report.page.parts import accuracy_cell, block, bullets, content, difference, fold, note, stacked
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.stats.crossed import FEWEST

NO_BREAK = "\u00a0"  # a blank at which no line ends


def show(view: View, advice: Sequence[Recommendation]) -> Markup:
    """A table for each student over the study's sizes and a few round numbers of bytes and seconds."""
    students = dict.fromkeys(choice.student for r in advice for choice in r.choices)
    blocks = [_table(view, advice, student, len(students) > 1) for student in students]
    if not blocks:
        return Markup()
    measure = next((r.measure for r in advice), None)
    time = (
        f"Time is {measure} of everything needed before a student trains: the set, what it is made from, the "
        "protocol's teachers and stored labels. "
        if measure
        else "The sets were made on different machines, or a time is unknown, so there is no advice by seconds. "
    )
    about = note(
        f"Take: the highest mean of all methods, protocols and budgets that fit; its interval{view.given} is corrected "
        "for the pick. Cheaper: the cheapest within the margin of that mean; times within a second or a tenth are "
        "ties, which the set with fewer images wins; the difference is not corrected. May still be best: what nothing "
        "within the limit is shown to beat; the truly best one is among these with 95 % confidence. ",
        time,
        "Bytes are images and stored labels, without the weights of teachers. For another limit: "
        'decoct report DIR --for "100 images".',
    )
    return content(*blocks, about)


def _table(view: View, advice: Sequence[Recommendation], student: str, named: bool) -> Markup:
    same = stretches(advice, student)
    near = "cheaper, within the margin"
    head = columns("at most", "take", "protocol", "budget", "accuracy", "takes", near, "may still be best")
    heading = tag("h4", facets.student(student)) if named else ""
    sentences = fold("Every recommendation as a sentence", bullets(r.of(choice) for _, r, choice in same))
    return block(heading, table(head, [_row(view, *stretch) for stretch in same]), sentences)


def _row(view: View, first: Recommendation, last: Recommendation, choice: Choice) -> list[Markup]:
    upto = f"{first.limit}" if first is last else f"{first.limit} to {last.limit}"
    if choice.pick is None or choice.interval is None:
        return [tag("th", upto, scope="row"), tag("td", f"nothing: {choice.why}", colspan=7, class_="names")]
    a = choice.pick.accuracy
    takes = [tag("small", part) for part in first.takes(choice.pick).split(", ")]
    return cells(
        upto,
        view.method(a.method),
        facets.protocol(a.setting.protocol),
        facets.budget(a.setting.budget),
        accuracy_cell(replace(a, interval=choice.interval)),
        stacked(join(takes), f"{a.steps:,} steps, {a.images_seen:,} images seen"),
        _cheaper(first, choice),
        _kept(choice),
    )


def _cheaper(r: Recommendation, choice: Choice) -> Markup:
    c = choice.cheaper
    if c is None or choice.difference is None:
        return Markup(wording.NONE)
    first = tag("small", tag("bdi", named(c)), f", {wording.percent(c.mean)}{NO_BREAK}%", class_="names")
    takes = [tag("small", part) for part in r.takes(c).split(", ")]
    return stacked(join([first, difference(choice.difference), *takes]))


def _kept(choice: Choice) -> Markup:
    if not choice.sure:
        return stacked("uncertain", f"it takes {FEWEST} sets")
    others = [k for k in choice.kept if k not in (choice.pick, choice.cheaper)]
    lines = [
        tag("small", tag("bdi", named(k)), f", {wording.percent(k.mean)}{NO_BREAK}%", class_="names")
        for k in others[:LISTED]
    ]
    more = f"and {len(others) - LISTED} more, named below" if len(others) > LISTED else ""
    return stacked(join([f"{len(choice.kept)} of {len(choice.within)}", *lines]), more)


SECTION = Section("What to use", 40, lambda s: show(s, s.advice))
