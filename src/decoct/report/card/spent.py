"""The cost of a set with everything it needs: a line for each method, or for each family where methods are many."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from decoct.report import wording
from decoct.report.costs import FULL, made_here, measure
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
    by = measure(rows)
    if by is None:
        return (), "Costs cannot be compared: the sets were made on different machines." if rows else ""
    taken: dict[str, tuple[float, float]] = {}
    for method, own in grouped(rows, lambda row: str(row["method"])).items():
        means = [fmean(row[FULL[by]] for row in here) for here in grouped(own, lambda row: row["budget"]).values()]
        taken[method] = min(means), max(means)
    order = sorted(taken, key=lambda m: (summary.methods[m] != "distillation", list(summary.methods).index(m)))
    lines = grouped(order, lambda m: (summary.methods[m], _span(*taken[m])))
    if len(lines) > MOST:
        families = grouped(order, lambda m: summary.methods[m]).values()
        return tuple(Spent(tuple(own), _span(*_ends([taken[m] for m in own]))) for own in families), ""
    return tuple(Spent(tuple(own), span) for (_, span), own in lines.items()), ""


def _ends(spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(low for low, _ in spans), max(high for _, high in spans)


def _span(low: float, high: float) -> str:
    """``9.0 to 17.0 s``; times under a millisecond are given as such."""
    a, b = ("under 1 ms" if x < 1e-3 else wording.seconds(x) for x in (low, high))
    same = a.split(" ")[1:] == b.split(" ")[1:] and a.count(" ") == 1
    return wording.span(a.partition(" ")[0] if same and a != b else a, b)
