"""Names that the page's filter knows: of methods, budgets, protocols and students; and the filter itself.

A row, column, figure or block is hidden when a name in its heading is filtered out. So a section need only write the
names with these functions.
"""

from collections.abc import Iterable

from decoct.report import wording
from decoct.report.page.markup import Markup, join, tag
from decoct.report.page.style import Mark
from decoct.report.summary import Summary

Facet = tuple[str, list[tuple[str, Markup]]]  # what it is called, and (value, how it is shown)


def budget(text: str) -> Markup:
    """A budget in words."""
    return tag("bdi", wording.budget(text), data_budget=text)


def protocol(label: object) -> Markup:
    """A protocol's name."""
    return tag("bdi", label, data_protocol=label)


def student(label: object) -> Markup:
    """A student's name."""
    return tag("bdi", label, data_student=label)


def filters(summary: Summary, marks: dict[str, Mark]) -> Markup:
    """Buttons that hide what they name, all over the page; nothing where there is no choice."""
    shown = [facet for facet in _facets(summary, marks) if len(facet[1]) > 1]
    if not shown:
        return Markup()
    groups = [
        tag(
            "div",
            tag("span", f"{facet}s", id=f"filter-{facet}"),
            keys(facet, values),
            class_="facet",
            role="group",
            aria_labelledby=f"filter-{facet}",
        )
        for facet, values in shown
    ]
    about = tag("p", "Hides rows, columns, figures and marks. Nothing is computed anew: words stay those of all.")
    reset = tag("button", "Show everything", type="button", data_reset="", hidden="hidden")
    line = tag("summary", "Filter ", tag("small", "everything is shown", aria_live="polite", class_="state"))
    return tag("details", line, *groups, about, reset, class_="filters")


def keys(facet: str, values: Iterable[tuple[str, Markup]]) -> Markup:
    """A button for each value, which is pressed while the value is shown."""
    buttons = (
        tag("button", shown, type="button", data_facet=facet, data_value=value, aria_pressed="true")
        for value, shown in values
    )
    return tag("div", *buttons, class_="keys")


def method_keys(summary: Summary, marks: dict[str, Mark]) -> Markup:
    """The methods' buttons, which are the legend of the figures too."""
    return keys("method", _methods(summary, marks))


def _methods(summary: Summary, marks: dict[str, Mark]) -> list[tuple[str, Markup]]:
    return [(m, join([marks[m].svg(), tag("bdi", m)])) for m in summary.methods]


def _facets(summary: Summary, marks: dict[str, Mark]) -> Iterable[Facet]:
    yield "method", _methods(summary, marks)
    for facet, wording_ in (("budget", wording.budget), ("protocol", str), ("student", str)):
        values = dict.fromkeys(getattr(setting, facet) for setting in summary.settings)
        yield facet, [(value, tag("bdi", wording_(value))) for value in values]
