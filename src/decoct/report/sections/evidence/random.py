"""Does a distilled set beat random of the same size? Every method against random."""

from typing import TYPE_CHECKING

from decoct.report import coresets, wording
from decoct.report.page.markup import Markup, tag
from decoct.report.page.parts import bullets, comparison_cell, content, fold, note
from decoct.report.page.section import Section
from decoct.report.read.manifest import REFERENCE

if TYPE_CHECKING:
    from decoct.report.summary import Summary

ABOUT = (
    "Differences are paired and share protocol, student and budget. Not better by more than the margin is a "
    "one-sided statement, corrected (Holm) over the methods and settings of one protocol. Each interval is at its own "
    "level; those of the smallest and largest difference do not allow for having been picked."
)


def show(summary: "Summary") -> Markup:
    """A word for every method and setting, then each method's range."""
    rows = [(label, [summary.verdict(label, s).random for s in summary.settings]) for label in summary.methods]
    others = [(summary.method(m), list(map(comparison_cell, own))) for m, own in rows if m != REFERENCE]
    lines = summary.claims.of("random").methods
    if not any(c for _, own in rows for c in own):
        return note(ABOUT) if lines else Markup()
    return content(
        summary.grid(others),
        fold("Method by method", bullets(lines), note(ABOUT)) if lines else note(ABOUT),
        _words(summary),
    )


def _words(summary: "Summary") -> Markup:
    margin = wording.margins(summary.margins.values())
    return note(
        tag("b", "better"),
        ", ",
        tag("b", "worse"),
        " and ",
        tag("b", "same"),
        f" (within {margin}) hold after Holm's correction over all comparisons of two methods. ",
        tag("b", "leans"),
        " holds for this comparison alone. ",
        tag("b", "open"),
        " is neither, and does not mean equal.",
        " † One set; its intervals condition on it." if summary.deterministic else "",
    )


def _say(summary: "Summary") -> str:
    """The counts of distilled sets, or of coresets where nothing is distilled."""
    if "distillation" in summary.methods.values():
        return summary.claims.of("random").answer
    return coresets.against_random(summary.verdicts)


SECTION = Section("Against random", 10, show, _say)
