"""The page's filter, and the names that it knows: of methods, budgets, protocols and students.

A row, column, figure or block is hidden when a name in its heading is filtered out. A section only has to write the
names with these functions.
"""

from collections.abc import Iterable, Mapping, Sequence

from decoct.report import wording
from decoct.report.page.markup import Markup, tag

Values = Sequence[tuple[str, Markup]]  # of a facet, and how they are shown


def budget(text: str) -> Markup:
    """A budget in words."""
    return tag("bdi", wording.budget(text), data_budget=text)


def protocol(label: object) -> Markup:
    """A protocol's name."""
    return tag("bdi", label, data_protocol=label)


def student(label: object) -> Markup:
    """A student's name."""
    return tag("bdi", label, data_student=label)


def filters(facets: Mapping[str, Values]) -> Markup:
    """Buttons that hide what they name on the whole page; empty where there is no choice."""
    groups = [
        tag(
            "div",
            tag("span", f"{facet}s", id=f"filter-{facet}"),
            keys(facet, values),
            class_="facet",
            role="group",
            aria_labelledby=f"filter-{facet}",
        )
        for facet, values in facets.items()
        if len(values) > 1
    ]
    if not groups:
        return Markup()
    about = tag("p", "Hides rows, columns, figures and marks. Numbers and sentences stay those of the whole study.")
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
