"""The cost of a set with everything it needs: a line for each method, or for each family where methods are many."""

from collections.abc import Sequence
from dataclasses import dataclass

from decoct.report.costs import made_here, span
from decoct.report.costs import taken as costs_of
from decoct.report.grouped import grouped
from decoct.report.read.manifest import CONTROL
from decoct.report.summary import Summary

MOST = 5  # lines


@dataclass(frozen=True)
class Spent:
    """The cost of a set of some methods, as a span over budgets."""

    methods: tuple[str, ...]
    span: str


def costs(summary: Summary) -> tuple[tuple[Spent, ...], str]:
    """The cost of a set with everything it needs, equal times on one line; or why that is not given."""
    rows = [row for row in made_here(summary.frame.costs.to_pylist()) if summary.methods[row["method"]] != CONTROL]
    if not (taken := costs_of(rows)):
        return (), "Costs cannot be compared: the sets were made on different machines." if rows else ""
    order = sorted(taken, key=lambda m: (summary.methods[m] != "distillation", list(summary.methods).index(m)))
    lines = grouped(order, lambda m: (summary.methods[m], span(*taken[m])))
    if len(lines) > MOST:
        families = grouped(order, lambda m: summary.methods[m]).values()
        return tuple(Spent(tuple(own), span(*_ends([taken[m] for m in own]))) for own in families), ""
    return tuple(Spent(tuple(own), said) for (_, said), own in lines.items()), ""


def _ends(spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(low for low, _ in spans), max(high for _, high in spans)
