"""The cost of a set with everything it needs: a line for each method, or for each family where methods are many."""

from dataclasses import dataclass

from decoct.report.costs import made_here, shared
from decoct.report.costs import taken as costs_of
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
    lines = shared({m: taken[m] for m in order}, summary.methods, MOST)
    return tuple(Spent(tuple(own), said) for _, own, said in lines), ""
