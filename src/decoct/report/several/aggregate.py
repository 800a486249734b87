"""All sets of several runs at once: interquartile means with stratified bootstrap intervals, and performance profiles.

Source:
    Agarwal et al., 2021, "Deep reinforcement learning at the edge of the statistical precipice" (arXiv:2108.13264).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.report.judged import Judged
from decoct.report.page import plot
from decoct.report.page.markup import Markup, cells, columns, table
from decoct.report.page.parts import block, chart, title
from decoct.report.page.plot import Figure, Panel
from decoct.report.page.view import View
from decoct.report.sections.evidence.ranks import Block
from decoct.report.stats import intervals
from decoct.report.stats.intervals import ALPHA, Interval

FEWEST, FEWEST_SETS = 3, 3  # blocks, and sets of every method in each
RESAMPLES = 2000
OF_FULL, PLAIN = "accuracy over that of the full data", "accuracy"
Scores = Sequence[Sequence[float]]  # of one method: by block, then by set


@dataclass(frozen=True)
class Aggregate:
    """Methods over blocks under one protocol with one student.

    Attributes:
        what: a score is.
        blocks: data set and budget; every method has ``FEWEST_SETS`` sets or more in each.
        scores: of every set, by method, then in the order of the blocks.
        means: interquartile mean with its interval, by method, the best first; n counts all sets.
    """

    what: str
    blocks: tuple[Block, ...]
    scores: Mapping[str, Scores]
    means: Mapping[str, Interval]

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts."""
        means = {method: {"iqm": i.mean, **i.to_json()} for method, i in self.means.items()}
        return {"score": self.what, "blocks": self.blocks, "methods": means}


def aggregates(runs: Sequence[tuple[str, Judged]], methods: Sequence[str]) -> dict[Panel, Aggregate]:
    """By protocol and student, where there are enough blocks.

    Args:
        runs: each with what its data set is called.
        methods: those that compete; one that a data set lacks is left out.
    """
    sets: dict[Panel, dict[Block, dict[str, list[float]]]] = {}
    full = {(d, a.setting.panel): a.interval.mean for d, own in runs for a in own.accuracies if a.ceiling}
    for data, own in runs:
        for (method, setting), values in own.runs.items():
            if method in methods and setting not in own.outside:
                there = sets.setdefault(setting.panel, {}).setdefault((data, setting.budget), {})
                there[method] = intervals.condense_means(values)
    found = {panel: _aggregate(panel, blocks, methods, full) for panel, blocks in sets.items()}
    return {panel: one for panel, one in found.items() if one}


def interquartile(scores: Scores) -> float:
    """Mean of the middle half of all scores, each block counting alike; at the edges a score counts in part."""
    values, weights = _flat(scores)
    return float(_trimmed(values[None], weights)[0])


def bootstrapped(scores: Scores, level: float = 1 - ALPHA) -> Interval:
    """The interquartile mean with its percentile interval, sets drawn anew within each block."""
    rng = np.random.default_rng(0)
    drawn = [np.asarray(own)[rng.integers(len(own), size=(RESAMPLES, len(own)))] for own in scores]
    _, weights = _flat(scores)
    lo, hi = np.quantile(_trimmed(np.concatenate(drawn, 1), weights), [(1 - level) / 2, (1 + level) / 2])
    return Interval(interquartile(scores), float(lo), float(hi), len(weights))


def profile(scores: Scores, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of sets with a score above each of some thresholds, each block counting alike: [thresholds]."""
    return np.asarray(np.mean([(np.asarray(own)[:, None] > at).mean(0) for own in scores], axis=0))


def _aggregate(
    panel: Panel,
    blocks: Mapping[Block, Mapping[str, Sequence[float]]],
    methods: Sequence[str],
    full: Mapping[tuple[str, Panel], float],
) -> Aggregate | None:
    data = grouped(blocks, lambda b: b[0])
    common = [m for m in methods if all(any(m in blocks[b] for b in own) for own in data.values())]
    whole = [b for b in blocks if all(len(blocks[b].get(m, ())) >= FEWEST_SETS for m in common)]
    if not common or len(whole) < FEWEST:
        return None
    ceilings = {d: full.get((d, panel), 0.0) for d in dict.fromkeys(b[0] for b in whole)}
    known = all(ceilings.values())
    unit = ceilings if known else dict.fromkeys(ceilings, 1.0)
    scores = {m: [[x / unit[b[0]] for x in blocks[b][m]] for b in whole] for m in common}
    means = sorted(((m, bootstrapped(own)) for m, own in scores.items()), key=lambda pair: -pair[1].mean)
    return Aggregate(OF_FULL if known else PLAIN, tuple(whole), scores, dict(means))


def _flat(scores: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All scores, and their weights, which sum to 1."""
    weights = np.concatenate([np.full(len(own), 1 / len(own) / len(scores)) for own in scores])
    return np.concatenate([np.asarray(own, dtype=np.float64) for own in scores]), weights


def _trimmed(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over what weights leave between the quartiles, of each row [rows, N]."""
    order = np.argsort(values, axis=1, kind="stable")
    upto = np.cumsum(weights[order], axis=1)
    inside = np.clip(upto, 0.25, 0.75) - np.clip(upto - weights[order], 0.25, 0.75)
    return np.asarray((np.take_along_axis(values, order, 1) * inside).sum(1) / inside.sum(1))


def show(view: View, by_panel: Mapping[Panel, Aggregate]) -> Markup:
    """A table and a figure for each protocol and student; empty without one."""
    parts = []
    for panel, own in by_panel.items():
        rows = [
            cells(view.method(m), f"{wording.accuracy(i)}", f"{i.n} sets in {len(own.blocks)} blocks")
            for m, i in own.means.items()
        ]
        head = columns("method", f"interquartile mean of {own.what}, %", "over")
        parts.append(block(chart(figure(view, own), title(panel)), table(head, rows)))
    return Markup("".join(parts))


def figure(view: View, own: Aggregate) -> Figure:
    """Performance profiles: for each score the share of a method's sets that lie above it."""
    every = sorted({x for scores in own.scores.values() for block in scores for x in block})
    pad = 0.03 * (every[-1] - every[0]) or 0.01
    at = np.array([every[0] - pad, *every, every[-1] + pad])
    traces = []
    for method, scores in own.scores.items():
        shares = 100 * profile(scores, at)
        line = {"color": view.marks[method].color, "shape": "hv", "width": 1.6}
        who, of = plot.label(method), {"method": method}
        said = [f"{who}<br>{y:.0f} % of sets above {100 * x:.1f}" for x, y in zip(at, shares, strict=True)]
        traces.append(plot.trace("lines", method, (100 * at).tolist(), shares.tolist(), of, said, line=line))
    xaxis = plot.axis((100 * at[0], 100 * at[-1]), title=f"{own.what}, %", zeroline=False)
    yaxis = plot.axis((-3, 103), title="share of sets above, %", zeroline=False, automargin=True)
    return {"data": traces, "layout": plot.layout(320, xaxis, yaxis)}
