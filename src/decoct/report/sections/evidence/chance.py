"""How sure the differences from random are: what they vary by, and which differences the study can detect."""

import math
from collections.abc import Callable, Sequence
from statistics import median

from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.report.page.markup import Markup, cells, columns, name, table, tag, valued
from decoct.report.page.parts import chip, content, difference, fold, note, place, stacked
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats.components import Components
from decoct.report.stats.intervals import Interval
from decoct.report.verdict import Verdict

SPREADS: dict[str, Callable[[Components], float | None]] = {
    "sets": lambda c: c.condense,
    "students": lambda c: c.train,
    "sets and students": lambda c: c.together,
    "other test images": lambda c: c.images,
}


def show(view: View, verdicts: Sequence[Verdict]) -> Markup:
    """A table for each setting; nothing where no method has two replicates in common with random."""
    told = grouped((v for v in verdicts if v.random and v.random.n > 1), lambda v: v.setting)
    blocks = [fold(place(s), _spreads(view, told[s]), opened=s == next(iter(told))) for s in view.settings if s in told]
    if not blocks:
        return Markup()
    return content(
        note(
            f"Differences from {REFERENCE} in points, with the interval{view.given} over sets and test images and its "
            "two parts: other sets on these test images, and these sets on other test images. Spread: standard "
            "deviations of one difference between sets, between students of one set, and from other test images. Found "
            "at 80 %: the smallest true difference that as many sets with this spread find in four of five studies, "
            "after Holm's correction. Ahead: how often a set gives more than a random one, as the share of pairs here "
            "with Wilson's interval. Each interval is at its own level."
        ),
        *blocks,
    )


def _spreads(view: View, verdicts: Sequence[Verdict]) -> Markup:
    spreads = {k: read for k, read in SPREADS.items() if any(v.components and read(v.components) for v in verdicts)}
    rows = []
    for v in verdicts:
        assert v.random is not None
        own = [_points(read(v.components) if v.components else None) for read in spreads.values()]
        ends = chip(v.random.verdict), difference(v.random), _part(v.random.over_sets), _part(v.random.over_images)
        rows.append(cells(view.method(v.method), *ends, *own, _points(v.random.detectable), _ahead(v.ahead)))
    named = (f"spread, {what}" for what in spreads)
    parts = "over both", "over sets", "over test images"
    return table(columns("method", "verdict", *parts, *named, "found at 80 %", "ahead, %"), rows)


def _part(i: Interval | None) -> Markup:
    if i is None or not math.isfinite(i.lo):
        return Markup(wording.NONE)
    return stacked(tag("small", f"{wording.bounds(i.lo, i.hi)}, n = {i.n:,}"), sort=i.lo)


def _ahead(i: Interval | None) -> Markup:
    if i is None:
        return Markup(wording.NONE)
    return stacked(f"{100 * i.mean:.0f}", f"[{100 * i.lo:.0f}, {100 * i.hi:.0f}], n = {i.n}", sort=i.mean)


def _points(sd: float | None) -> Markup:
    known = sd is not None and math.isfinite(sd)
    return valued(sd, name(f"{100 * sd:.2f}") if known and sd is not None else wording.NONE)


def say(verdicts: Sequence[Verdict]) -> str:
    """Which difference from random the study can detect; empty where no spread is known."""
    seen = [v.random.detectable for v in verdicts if v.random and math.isfinite(v.random.detectable)]
    if not seen:
        return ""
    points = f"{100 * median(seen):.2g} points"
    return f"Four of five such studies would find a difference from {REFERENCE} of {points} (median)"


SECTION = Section("How sure is it?", 60, lambda s: show(s, s.verdicts), lambda s: say(s.verdicts))
