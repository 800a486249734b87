"""The section of recommendations: what to use for how many images, bytes or seconds."""

from decoct.report import wording
from decoct.report.findings.candidates import Candidate
from decoct.report.findings.recommend import Choice, Recommendation, stretches
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, table, tag
from decoct.report.page.parts import accuracy_cell, block, method, note, section
from decoct.report.page.style import Mark
from decoct.report.summary import Summary

NAMED = 3  # of those that stay, in a cell


def recommend(summary: Summary, marks: dict[str, Mark]) -> Markup:
    """A table for each student over the study's sizes and a few round numbers of bytes and seconds."""
    students = dict.fromkeys(choice.student for r in summary.advice for choice in r.choices)
    blocks = [_table(summary, marks, student, len(students) > 1) for student in students]
    if not blocks:
        return Markup()
    measure = next((r.measure for r in summary.advice), None)
    time = (
        f"Time is {measure} of all that must be there before a student trains: the set, what it stands on, the "
        "protocol's teachers and stored labels, each in full; training the student is not in it. "
        if measure
        else "The sets were made on unlike machines, or a time is not known: nothing is said for seconds. "
    )
    ties = "within a second or a tenth of the least time" if measure else "of one size"
    about = note(
        "Any method under any protocol at any budget that fits. The highest mean of many is luck in part, so it is "
        "not picked and then tested: what is left out is what something else within the limit is shown to beat (paired "
        "t, Holm over its rivals, 5 %). The truly best one stays in with 95 % whichever it is. Of those that stay, the "
        f"{'cheapest' if measure else 'smallest'} is recommended, and of several {ties} the highest mean: not shown "
        "to be worse, which is not the same as "
        "equal. With few replicates little is shown, and the cheapest may lie far below the highest mean: both stand "
        "here. ",
        time,
        "Bytes are images and stored labels; the weights of online teachers are not in them. For another limit: "
        'decoct report DIR --for "100 images".',
    )
    return section("recommend", "What to use", *blocks, about)


def _table(summary: Summary, marks: dict[str, Mark], student: str, named: bool) -> Markup:
    rows = [_row(summary, marks, *stretch) for stretch in stretches(summary.advice, student)]
    head = columns(
        "at most", "take", "protocol", "budget", "accuracy", "takes", "highest mean", "not shown to be worse"
    )
    heading = tag("h3", facets.student(student)) if named else ""
    said = [r.of(choice) for r, _, choice in stretches(summary.advice, student)]
    listed = tag("ul", *(tag("li", f"{line}.") for line in said))
    sentences = tag("details", tag("summary", "Every recommendation as a sentence"), listed)
    return block(heading, table(head, rows), sentences)


def _row(
    summary: Summary, marks: dict[str, Mark], first: Recommendation, last: Recommendation, choice: Choice
) -> list[Markup]:
    upto = f"{first.limit}" if first is last else f"{first.limit} to {last.limit}"
    if choice.pick is None:
        return [tag("th", upto, scope="row"), tag("td", f"nothing: {choice.why}", colspan=7, class_="names")]
    a = choice.pick.accuracy
    takes = [tag("small", part) for part in first.takes(choice.pick).split(", ")]
    steps = tag("small", f"{a.steps:,} steps, {a.images_seen:,} images seen")
    return cells(
        upto,
        method(summary, marks, a.method),
        facets.protocol(a.setting.protocol),
        facets.budget(a.setting.budget),
        accuracy_cell(a),
        tag("span", *takes, steps, class_="number stacked"),
        _highest(choice),
        _kept(choice),
    )


def _highest(choice: Choice) -> Markup:
    top = choice.highest
    if top is None or top == choice.pick:
        return Markup("the same" if top else wording.NONE)
    named = tag("small", tag("bdi", f"{top} at {wording.budget(top.accuracy.setting.budget)}"), class_="names")
    return tag("span", accuracy_cell(top.accuracy), named, class_="number stacked")


def _kept(choice: Choice) -> Markup:
    others = [k for k in choice.kept if k not in (choice.pick, choice.highest)]
    lines = [tag("small", _said(k), class_="names") for k in others[:NAMED]]
    lines += [tag("small", f"and {len(others) - NAMED} more, named below")] if len(others) > NAMED else []
    return tag("span", f"{len(choice.kept)} of {choice.considered}", *lines, class_="number stacked")


def _said(candidate: Candidate) -> Markup:
    budget = wording.budget(candidate.accuracy.setting.budget)
    mean = f" {wording.percent(candidate.accuracy.interval.mean)} %"
    return join([tag("bdi", f"{candidate} at {budget}"), mean])
