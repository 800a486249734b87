"""The five doors of a run's page, closed at first, and the sections behind each: the files of its folder."""

import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from decoct.report import brief, wording
from decoct.report.page.section import Section
from decoct.report.read.manifest import CONTROL
from decoct.report.sections.beyond._random import ahead
from decoct.report.sections.beyond.coverage import overall_coverage
from decoct.report.sections.cost import multiples

if TYPE_CHECKING:  # which adds what sections say to its own
    from decoct.report.summary import Summary


@dataclass(frozen=True)
class Door:
    """One of the five.

    Attributes:
        key: its folder in ``sections/``, and its address on the page.
        title: its heading.
        question: what is asked behind it.
        say: the answer in one sentence, without the full stop.
    """

    key: str
    title: str
    question: str
    say: Callable[["Summary"], str]


def _made(summary: "Summary") -> str:
    data, families = summary.run.data, list(summary.methods.values())
    beside = families.count(CONTROL)
    said = wording.count(len(families) - beside, "method")
    said += f" and {wording.count(beside, 'control')}" if beside else ""
    return (
        f"{data['images']['train']:,} training images in {len(data['class_names']):,} classes, {said}, "
        f"{summary.trained:,} of {summary.planned:,} students trained"
    )


def _covers(summary: "Summary") -> str:
    """Of distilled sets beside coresets; without a reading of those, which methods are ahead of random."""
    return (
        overall_coverage(summary.claims.coverages)
        if summary.claims.coverages
        else ahead(summary) or "No set has been measured, so that nothing is known of coverage"
    )


def _cost(summary: "Summary") -> str:
    """Multiples of what coresets cost; without a pair of the two, what each set cost."""
    said = multiples.overall(summary.claims.multiples)
    return said if summary.claims.multiples else brief.spent(summary) or said


DOORS = (
    Door("evidence", "Evidence", "How sure is the answer?", lambda s: s.brief.because.removesuffix(".")),
    Door("beyond", "Beyond accuracy", "Which sets cover the data?", _covers),
    Door("cost", "Cost", "What did the sets cost?", _cost),
    Door(
        "pictures", "Pictures", "What do the sets look like?", lambda s: "The first set of every method, class by class"
    ),
    Door("made", "How it was made", "What was run, and how is it run again?", _made),
)


@cache
def sections(door: str) -> dict[str, Section]:
    """The sections behind a door by name, in their order; files that begin with an underscore are not sections."""
    package = import_module(f"decoct.report.sections.{door}")
    names = [module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")]
    found = {name: import_module(f"{package.__name__}.{name}") for name in names}
    made = {name: module.SECTION for name, module in found.items() if hasattr(module, "SECTION")}
    return dict(sorted(made.items(), key=lambda item: item[1].place))


def every() -> Iterator[Section]:
    """All sections of a page."""
    return (section for door in DOORS for section in sections(door.key).values())
