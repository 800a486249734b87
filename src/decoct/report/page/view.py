"""The data that all sections of a run's page use, and how they name, colour and lay them out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Setting, same_steps
from decoct.report.grouped import grouped
from decoct.report.page import facets
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.parts import chart, panelled, title
from decoct.report.page.plot import Figure, Mark, Panel, marks

FACETS: dict[str, Callable[[str], str]] = {"budget": wording.budget, "protocol": str, "student": str}


@dataclass(frozen=True)
class View:
    """The methods, settings and accuracies of a run, as its page shows them.

    Attributes:
        methods: label to family, in study order.
        deterministic: methods that have one set in this run; a dagger marks them.
        settings: in order of protocol, student, budget.
        accuracies: of methods and of the full data.
        given: the condition of intervals, " given these teachers" where all sets share them; empty without one.
    """

    methods: Mapping[str, str]
    deterministic: frozenset[str]
    settings: tuple[Setting, ...]
    accuracies: tuple[Accuracy, ...]
    given: str = field(default="", kw_only=True)

    @cached_property
    def marks(self) -> dict[str, Mark]:
        """Colour and shape by method."""
        return marks(self.methods)

    @cached_property
    def panels(self) -> dict[Panel, list[Setting]]:
        """Settings by protocol and student: a figure, or a group of columns, for each."""
        return grouped(self.settings, lambda setting: setting.panel)

    @cached_property
    def ceiling(self) -> dict[Panel, Accuracy]:
        """Accuracy of the full data for as long as the protocol says, by protocol and student."""
        return {a.setting.panel: a for a in self.accuracies if a.ceiling}

    @cached_property
    def _by_place(self) -> dict[tuple[str, Setting], Accuracy]:
        return {(a.method, a.setting): a for a in self.accuracies}

    def accuracy(self, method: str, setting: Setting) -> Accuracy | None:
        """The accuracy of a method in a setting, if any of its students was trained."""
        return self._by_place.get((method, setting))

    def same_steps(self, setting: Setting) -> Accuracy | None:
        """The full data's accuracy after as many steps as the setting's sets took, where that is not the ceiling's."""
        full = same_steps(self.accuracies, setting)
        return None if full is None or full.ceiling else full

    def method(self, label: str) -> Markup:
        """A method's mark and name; a dagger where its intervals condition on one set."""
        mark = self.marks[label].svg() if label in self.marks else Markup()
        return tag("span", mark, name(label), self.dagger(label), data_method=label)

    def dagger(self, label: str) -> Markup:
        """The sign of a method that has one set in this run."""
        return tag("sup", "†") if label in self.deterministic else Markup()

    def keys(self) -> Markup:
        """The methods' buttons, which are the legend of the figures too."""
        return facets.keys("method", self._named())

    def filters(self) -> Markup:
        """The page's filter of methods, budgets, protocols and students."""
        values = {facet: dict.fromkeys(getattr(setting, facet) for setting in self.settings) for facet in FACETS}
        said = {facet: [(value, name(FACETS[facet](value))) for value in own] for facet, own in values.items()}
        return facets.filters({"method": self._named(), **said})

    def charts(self, draw: Callable[[Panel], Figure | None]) -> Markup:
        """One figure per protocol and student, side by side where there is room."""
        return tag("div", *(chart(draw(panel), title(panel)) for panel in self.panels), class_="charts")

    def grid(self, rows: Iterable[tuple[object, Sequence[object]]], last: Sequence[Sequence[Markup]] = ()) -> Markup:
        """Rows with a cell for each setting, under protocol and student, then budget."""
        panels = [(title(panel), [facets.budget(s.budget) for s in own]) for panel, own in self.panels.items()]
        return panelled(panels, rows, last)

    def _named(self) -> list[tuple[str, Markup]]:
        return [(label, join([self.marks[label].svg(), name(label)])) for label in self.methods]
