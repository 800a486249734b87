"""A section of a run's page: a file in the folder of its door, found by its name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from decoct.report.page.markup import Markup

if TYPE_CHECKING:  # what a section reads
    from decoct.report.summary import Summary


def _silent(summary: "Summary") -> str:
    return ""


def _nothing(summary: "Summary") -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Section:
    """A section's name, sentence and content; ``Summary.found`` caches what it computes from a run.

    Attributes:
        title: its heading.
        place: among the sections of its door, the smallest first.
        show: what stands under the heading; empty where a run has nothing to show, which leaves the section out.
        say: its finding in one sentence without the full stop, visible before the section is opened; or nothing.
        to_json: what it adds to ``decoct report --json``, by key.
    """

    title: str
    place: int
    show: Callable[["Summary"], Markup]
    say: Callable[["Summary"], str] = _silent
    to_json: Callable[["Summary"], Mapping[str, Any]] = _nothing
