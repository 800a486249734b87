"""The first half of the page: verdict, accuracy, paired differences."""

import math
from collections.abc import Iterable

from decoct.report import wording
from decoct.report.findings import controls, same_steps
from decoct.report.findings.verdict import Setting, Verdict, correction
from decoct.report.page import facets, figures
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag
from decoct.report.page.parts import (
    accuracy_cell,
    charts,
    chip,
    comparison_cell,
    difference,
    first,
    grid,
    method,
    methods,
    note,
    section,
    title,
)
from decoct.report.page.style import Mark
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import FULL, REFERENCE
from decoct.report.stats import nested
from decoct.report.stats.comparisons import Comparison
from decoct.report.summary import Summary


def verdict(summary: Summary, marks: dict[str, Mark]) -> Markup:
    """The answer, what it rests on, and a word for every method and setting."""
    worth, heads = summary.worth, methods(summary, marks)
    answer = [
        tag("p", "Is distilling worth it here?", class_="eyebrow"),
        tag("p", worth.answer, class_="answer"),
        tag("p", worth.because, class_="because"),
        *(note(f"{said}.") for said in (correction(summary.verdicts),) if said),
        tag("ul", *(tag("li", f"{line}.") for line in (*worth.methods, *summary.price))) if worth.methods else "",
        *(tag("p", f"{line}.", class_="caution") for line in summary.cautions),
    ]
    blocks: list[object] = [tag("div", *answer, class_="card")]
    if any(v.random for v in summary.verdicts):
        others = {m: head for m, head in heads.items() if m != REFERENCE}
        against = grid(summary, others, lambda m, s: comparison_cell(summary.verdict(m, s).random))
        blocks += [tag("h3", "Against random of the same size"), against]
    if any(len(v.coresets) > 1 for v in summary.verdicts):
        against = grid(summary, heads, lambda m, s: _coreset_cell(summary.verdict(m, s)))
        blocks += [tag("h3", "Against the best coreset, random included"), against]
    lines = [tag("li", s) for v in summary.verdicts for s in _said(v)]
    if lines:
        blocks.append(tag("details", tag("summary", "Every verdict as a sentence"), tag("ul", *lines)))
    blocks.append(note(*_reading(summary)))
    return section("verdict", "Verdict", *blocks)


def accuracy(summary: Summary, marks: dict[str, Mark]) -> Markup:
    """Dots with intervals by protocol and budget, the same as a table, and the ceiling."""
    if not summary.accuracies:
        return section("accuracy", "Accuracy", note("No student has been trained yet."))
    beside = any(map(summary.same_steps, summary.settings))
    last = [[tag("th", same_steps.NAME, scope="row"), *_beside(summary)]] if beside else []
    last += [[tag("th", "full data", scope="row"), *_ceiling_cells(summary)]] if summary.ceiling else []
    return section(
        "accuracy",
        "Accuracy",
        note(
            "Test accuracy in percent with 95 % intervals. Every student is evaluated once, after its last step; "
            "the best epoch is never looked for. The dashed line is the ceiling: the same student on all training "
            "images. ",
            "The dotted one is the same student on all training images for exactly as many steps as the sets of that "
            "budget."
            if beside
            else "",
        ),
        facets.method_keys(summary, marks),
        charts(summary, lambda panel: figures.accuracy(summary, marks, panel)),
        grid(summary, methods(summary, marks), lambda m, s: accuracy_cell(summary.accuracy(m, s)), last),
        note(
            "n counts condense-level replicates, the unit of inference: students of one set are averaged first, and "
            f"the interval is over those means, by {nested.HOW}. The full data's is Wilson's, over test images."
        ),
        *_gaps(summary),
        _daggers(summary),
    )


def differences(summary: Summary, marks: dict[str, Mark]) -> Markup:
    """Differences to random as a figure, and to every coreset as tables."""
    if not any(c.n for v in summary.verdicts for c in v.coresets.values()):
        return Markup()
    drawn = charts(summary, lambda panel: figures.differences(summary, marks, panel))
    tables: list[Markup] = []
    for setting in summary.settings:
        heading = join([title((setting.protocol, setting.student)), " · ", facets.budget(setting.budget)])
        tables.append(
            tag("details", tag("summary", heading), _pairs(summary, marks, setting), open=not tables and "open")
        )
    return section(
        "differences",
        "Paired differences",
        note(
            "In percentage points, with 95 % intervals. Students of one replicate share initial weights and batch "
            "order, so that methods differ by their sets alone. "
            f"The band is the margin of ±{wording.margin(summary.margin)}."
        ),
        drawn,
        tag("h3", "Row minus column, against every coreset"),
        *tables,
    )


def against_controls(summary: Summary, marks: dict[str, Mark]) -> Markup:
    """Every method against its control, in words and as a table; nothing in a study without controls."""
    if not summary.controls:
        return Markup()
    beside = {c.method: c.control for c in summary.controls}
    found = {(c.method, c.setting): c.comparison for c in summary.controls}
    heads = {
        label: join([method(summary, marks, label), tag("small", " over ", name(control), _dagger(summary, control))])
        for label, control in beside.items()
    }
    lines = controls.sentences(summary.controls)
    each = [f"{_where(s)}: {wording.comparison(m, beside[m], c)}." for (m, s), c in found.items()]
    return section(
        "controls",
        "Controls",
        tag("p", f"{controls.overall(summary.controls)}."),
        tag("ul", *(tag("li", f"{line}.") for line in lines)) if len(lines) > 1 else "",
        grid(summary, heads, lambda m, s: comparison_cell(found[m, s])),
        tag(
            "details", tag("summary", "Every comparison as a sentence"), tag("ul", *(tag("li", line) for line in each))
        ),
        note(
            "Method minus control, in percentage points with 95 % intervals, paired over condense-level replicates. A "
            "study names the control: most often the method itself without its optimisation or its ranking, and so "
            "the images that it starts from or chooses among. Labels, protocol and student are the same, so that the "
            "difference is what optimising, or ranking, adds to those images. Words hold after Holm over all of these "
            "comparisons.",
            " † see above." if summary.deterministic & {*beside, *beside.values()} else "",
        ),
    )


def holes(frame: Frame, summary: Summary) -> Markup:
    """What failed and what is missing, at the top, where nobody can miss it."""
    if not frame.holes and not frame.failures:
        return Markup()
    missing = wording.count(len(frame.holes), "student")
    parts: list[object] = []
    if frame.holes:
        parts.append(
            tag("p", tag("b", "This report has holes. "), f"{missing} of {summary.planned} planned have no result.")
        )
    if frame.failures:
        failed = [tag("li", tag("b", name(job)), tag("pre", tag("bdi", message))) for job, message in frame.failures]
        heading = tag("summary", wording.count(len(failed), "failed job"))
        parts.append(tag("details", heading, tag("ul", *failed), open="open" if len(failed) <= 3 else None))
    if frame.holes:
        listed = [tag("li", name(job)) for job in frame.holes[:200]]
        more = tag("li", f"and {len(frame.holes) - 200} more") if len(frame.holes) > 200 else ""
        parts.append(tag("details", tag("summary", "Missing students"), tag("ul", *listed, more)))
        parts.append(tag("p", "Run the study again with the same --out: only what is missing is done."))
    return tag("aside", *parts, class_="holes", role="status")


def _coreset_cell(v: Verdict) -> Markup:
    if v.against_coresets is None or all(c.n == 0 for c in v.coresets.values()):
        return Markup(wording.NONE)
    rest = ""
    if v.against_coresets == "worse":
        rest = "than " + ", ".join(n for n, c in v.coresets.items() if c.verdict == "worse")
    elif v.needed:
        rest = f"≈ {v.needed} replicates"
    return join([chip(v.against_coresets), tag("small", rest, class_="number names") if rest else ""])


def _gaps(summary: Summary) -> list[Markup]:
    lines = [f"{line}." for line in same_steps.sentences(summary.gaps)]
    if not lines:
        return []
    about = note(
        "Those differences condition on the one student of the full data and on the test images; picking the highest "
        "mean of several flatters the sets a little."
    )
    each = tag("details", tag("summary", "By protocol and student"), tag("ul", *(tag("li", line) for line in lines)))
    return [tag("p", f"{same_steps.overall(summary.gaps)}."), each if len(lines) > 1 else Markup(), about]


def _beside(summary: Summary) -> Iterable[Markup]:
    for setting in summary.settings:
        yield tag("td", accuracy_cell(summary.same_steps(setting)), class_=first(setting, summary))


def _ceiling_cells(summary: Summary) -> Iterable[Markup]:
    found = {(a.setting.protocol, a.setting.student): a for a in summary.ceiling}
    for panel, own in figures.panels(summary).items():
        a = found.get(panel)
        said = Markup(wording.NONE)
        if a:
            images = tag("small", f"{wording.bounds(a.interval.lo, a.interval.hi)} over {a.interval.n:,} test images")
            said = tag("span", tag("b", wording.percent(a.interval.mean)), " ", images, class_="number")
        yield tag("td", said, colspan=len(own), class_="first")


def _pairs(summary: Summary, marks: dict[str, Mark], setting: Setting) -> Markup:
    against = [m for m, family in summary.methods.items() if family == "coreset" or m == REFERENCE]
    rows = []
    for label in summary.methods:
        found = summary.verdict(label, setting).coresets
        rows.append(
            cells(
                method(summary, marks, label),
                *(join([difference(found[m]), _word(found[m])]) if m in found else Markup() for m in against),
            )
        )
    head = columns("method")
    head[0] += [tag("th", method(summary, marks, m), scope="col") for m in against]
    return table(head, rows)


def _word(c: Comparison) -> Markup:
    return chip(c.verdict) if c.n else Markup()


def _dagger(summary: Summary, label: str) -> Markup:
    return tag("sup", "†") if label in summary.deterministic else Markup()


def _said(v: Verdict) -> list[str]:
    return [f"{_where(v.setting)}: {line}." for line in v.sentences()]


def _where(setting: Setting) -> str:
    return f"{setting.protocol}, {setting.student}, {wording.budget(setting.budget)}"


def _reading(summary: Summary) -> list[object]:
    counts = [a.interval.n for a in summary.accuracies if a.method != FULL and not math.isnan(a.interval.mean)]
    used = (
        f"{min(counts)}"
        if counts and min(counts) == max(counts)
        else f"{min(counts)} to {max(counts)}"
        if counts
        else "no"
    )
    return [
        f"From paired differences over {used} condense-level replicates, by {nested.HOW}. ",
        tag("b", "better"),
        " and ",
        tag("b", "worse"),
        ": shown after Holm; the 95 % interval beside it is at its own level. ",
        tag("b", "equivalent"),
        f": two one-sided tests place the difference within ±{wording.margin(summary.margin)}, even if it is certain. ",
        tag("b", "undecided"),
        ": neither, with the replicates that would decide it at 80 % power, were the observed difference and spread "
        "the true ones. Better than the best coreset means better than every coreset; worse means worse than at least "
        "one. No coreset is picked as the best and tested on the same numbers.",
        " † see below." if summary.deterministic else "",
    ]


def _daggers(summary: Summary) -> Markup:
    own = [m for m in summary.methods if m in summary.deterministic]
    if not own:
        return Markup()
    return note(
        "† ",
        join((name(m) for m in own), ", "),
        ": deterministic. One set was made and trained for every replicate's student; intervals condition on that set "
        "and say nothing about other draws of the training data.",
    )
