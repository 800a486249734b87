"""How sure it is: both intervals of every difference to random, what it varies by, and what would have been found."""

import math
from collections.abc import Callable, Sequence

from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.report.manifest import REFERENCE
from decoct.report.nested import Components
from decoct.report.page.markup import Markup, cells, columns, name, table, tag, valued
from decoct.report.page.parts import chip, difference, fold, note, place, section, stacked
from decoct.report.page.view import View
from decoct.report.sections.verdict import Verdict
from decoct.report.stats import Comparison

SPREADS: dict[str, Callable[[Components], float | None]] = {
    "sets": lambda c: c.condense,
    "students": lambda c: c.train,
    "sets and students": lambda c: c.together,
    "other test images": lambda c: c.images,
}


def show(view: View, verdicts: Sequence[Verdict]) -> Markup:
    """A table for each setting; nothing where no method has two replicates in common with random."""
    told = grouped((v for v in verdicts if v.random and v.random.n > 1), lambda v: v.setting)
    blocks = [fold(place(s), _table(view, told[s]), opened=s == next(iter(told))) for s in view.settings if s in told]
    if not blocks:
        return Markup()
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


def _table(view: View, verdicts: Sequence[Verdict]) -> Markup:
    spreads = {k: read for k, read in SPREADS.items() if any(v.components and read(v.components) for v in verdicts)}
    rows = []
    for v in verdicts:
        assert v.random is not None
        own = [_points(read(v.components) if v.components else None) for read in spreads.values()]
        ends = chip(v.random.verdict), difference(v.random), _images(v.random)
        rows.append(cells(view.method(v.method), *ends, *own, _points(v.random.detectable)))
    named = (f"spread, {what}" for what in spreads)
    return table(columns("method", "", "over sets and students", "over test images", *named, "found at 80 %"), rows)


def _images(c: Comparison) -> Markup:
    i = c.over_images
    if i is None:
        return Markup(wording.NONE)
    ends = tag("small", f"{wording.bounds(i.lo, i.hi)}, {i.n:,} images")
    return stacked(ends, "on these test images only" if c.on_these_images else "", sort=i.lo)


def _points(sd: float | None) -> Markup:
    known = sd is not None and math.isfinite(sd)
    return valued(sd, name(f"{100 * sd:.2f}") if known and sd is not None else wording.NONE)
