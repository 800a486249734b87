"""All readings of all metrics, and where two extractors disagree."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from decoct.report import standing
from decoct.report.grouped import grouped
from decoct.report.page import facets
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.parts import content, fold, note
from decoct.report.page.section import Section
from decoct.report.sections.beyond._readings import readings_table
from decoct.report.standing import Standing

if TYPE_CHECKING:
    from decoct.report.summary import Summary


def show(summary: "Summary") -> Markup:
    """A table for each budget and extractor; nothing where nothing was read."""
    own = summary.found(standing.find)
    if not own and not summary.run.of_kind("measure"):  # nothing was asked for
        return Markup()
    if not own:
        return note("No set has been measured, so nothing can be said about coverage or quality.")
    every = [
        fold(join([tag("b", facets.budget(budget)), " · features of ", name(extractor)]), readings_table(summary, read))
        for (budget, extractor), read in grouped(own, lambda s: (s.budget, s.name.extractor)).items()
    ]
    agreed = (f"{a.sentence()}." for a in summary.found(standing.find_agreements))
    return content(
        *(tag("p", line) for line in (*agreed, *_lacking(own))),
        note(*_about(own, len(summary.run.data["class_names"]))),
        *every,
    )


def _lacking(standings: Sequence[Standing]) -> Iterator[str]:
    """What features in files say nothing of: methods whose sets have images of their own, and came without features."""
    known: dict[str, set[str]] = {}
    for s in standings:
        known.setdefault(s.name.extractor, set()).add(s.method)
    for extractor in (each for each in known if each.startswith("npy:")):
        if without := sorted(set.union(*known.values()) - known[extractor]):
            yield f"{extractor} has no features of the images of {', '.join(without)}: no reading by it."


def _about(standings: Sequence[Standing], classes: int) -> list[object]:
    sizes = [s.random.n for s in standings if s.random]
    sets = f"{max(sizes)} random subsets" if sizes else "no random subsets"
    few = any(s.classes is not None and s.classes < classes for s in standings)
    return [
        "Each value is the mean over a method's sets with a 95 % t interval; for a single set, the interval is over "
        "its images and the held-out ones. The last column is what ",
        sets,
        " of the same size per class give: their mean, and the range into which 95 of 100 more would fall. z counts "
        "their standard deviations from that mean. ",
        tag("b", "▲ better"),
        " and ",
        tag("b", "▼ worse"),
        " than random (△ more, ▽ less, where neither is better) hold by Student's t after Holm's correction over all "
        "leading readings, budgets and methods. ? is open, which does not mean equal. References are held-out images "
        "(val) where there is a choice. An arrow points to what is better. A dash: not defined for a set of that size. "
        "In the figures z is turned so that up is better, and logarithmic beyond ±3. Diversity alone rewards noise: "
        "read it together with quality.",
        " Means per class are over the classes that a set has images of." if few else "",
    ]


def _json(summary: "Summary") -> dict[str, Any]:
    own = summary.found(standing.find)
    return {
        "metrics": [s.to_json() for s in own if s.lead],
        "beside_random": standing.sentences(own),
        "extractors": [f"{a.sentence()}." for a in summary.found(standing.find_agreements)],
    }


SECTION = Section("All readings", 50, show, to_json=_json)
