"""How sure it is: both intervals of every difference to random, what it varies by, and what would have been found."""

import math
from collections.abc import Callable

from decoct.report import wording
from decoct.report.findings.verdict import Setting, Verdict
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import chip, difference, method, note, section, title
from decoct.report.page.style import Mark
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.nested import Components
from decoct.report.summary import Summary

SPREADS: dict[str, Callable[[Components], float | None]] = {
    "sets": lambda c: c.condense,
    "students": lambda c: c.train,
    "sets and students": lambda c: c.together,
    "other test images": lambda c: c.images,
}


def chance(summary: Summary, marks: dict[str, Mark]) -> Markup:
    """A table for each setting; nothing where no method has two replicates in common with random."""
    told = [v for v in summary.verdicts if v.random is not None and v.random.n > 1]
    if not told:
        return Markup()
    settings = [s for s in summary.settings if any(v.setting == s for v in told)]
    blocks = [_block([v for v in told if v.setting == s], s, summary, marks, shown=s == settings[0]) for s in settings]
    return section(
        "chance",
        "How sure is it?",
        note(
            f"Differences to {REFERENCE} in points. The first interval asks whether new sets and new students would "
            "give the same on these test images; the second, whether these sets and students would give the same on "
            "other test images. Neither answers the other's question. Spread: standard deviations of a single "
            "difference between sets, between students of one set, and what as many other test images would add. "
            "Found at 80 %: the smallest true difference that as many replicates with this spread would find in four "
            "of five studies, were it the only comparison. Each interval is at its own level, words hold after Holm."
        ),
        *blocks,
    )


def _block(found: list[Verdict], setting: Setting, summary: Summary, marks: dict[str, Mark], shown: bool) -> Markup:
    spreads = {
        words: read for words, read in SPREADS.items() if any(v.components and read(v.components) for v in found)
    }
    rows = []
    for v in found:
        assert v.random is not None
        own = [_points(read(v.components) if v.components else None) for read in spreads.values()]
        least = _points(v.random.detectable)
        word = chip(v.random.verdict)
        rows.append(cells(method(summary, marks, v.method), word, difference(v.random), _images(v.random), *own, least))
    head = columns(
        "method", "", "over sets and students", "over test images", *(f"spread, {t}" for t in spreads), "found at 80 %"
    )
    heading = join([title((setting.protocol, setting.student)), " · ", facets.budget(setting.budget)])
    return tag("details", tag("summary", heading), table(head, rows), open=shown and "open")


def _images(c: Comparison) -> Markup:
    i = c.over_images
    if i is None:
        return Markup(wording.NONE)
    only = tag("small", "on these test images only") if c.on_these_images else ""
    ends = tag("small", f"{wording.bounds(i.lo, i.hi)}, {i.n:,} images")
    return tag("span", ends, only, class_="number stacked", data_value=i.lo)


def _points(sd: float | None) -> Markup:
    known = sd is not None and math.isfinite(sd)
    return valued(sd, name(f"{100 * sd:.2f}") if known and sd is not None else wording.NONE)
