"""Average ranks of methods over blocks: over budgets as a description, over data sets with a test of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.grouped import grouped
from decoct.report.page import plot
from decoct.report.page.markup import Markup, tag
from decoct.report.page.parts import bullets, chart, content, note, title
from decoct.report.page.plot import GREY, Figure, Mark, Panel
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.manifest import CONTROL
from decoct.report.stats.intervals import ALPHA

Block = tuple[str, str]  # data set, budget
Rows = Mapping[Block, Sequence[float]]  # ranks of the methods by block
DATA = "data set"  # the one kind of block that is independent, and is tested
FEWEST = 3  # of them that a test is made on
EXACT = {2: 40, 3: 20, 4: 8, 5: 4}  # most blocks on which so many methods are tested exactly, in 0.1 s or less
LANE = 0.45  # height of a bar that joins methods, in rows
READING = (
    "In each block, methods are ranked by mean accuracy: 1 is the highest, and ties share a rank. Dots are mean ranks. "
    "Ranks ignore intervals: a near tie counts as much as a wide gap. "
)
ONE_DATA_SET = (
    "Budgets of one data set share its images and teachers, so they are not independent blocks: these ranks only "
    "describe, and no test is made on them. Ranks over several data sets come from decoct report RUN RUN …. "
)
TINY = 1e-9  # what rounding alone makes of sums of ranks


@dataclass(frozen=True)
class Ranks:
    """Methods ranked in each block and averaged, 1 for the highest accuracy, ties shared.

    Attributes:
        mean: average rank by method, the best first.
        blocks: that count: every method has a result there.
        incomplete: blocks that do not count, since a method has none.
        absent: methods that are not ranked, since a data set has no result of them.
        what: a block, in a word: budget, block, or ``DATA``.
        p: of "all methods rank alike", see ``friedman``; NaN where no test can be made, and of blocks
            that are not independent.
        critical: difference of average ranks from which on two methods are distinguished (Nemenyi); NaN without a test,
            and of two methods, whose test is the whole answer.
        groups: maximal runs of neighbours that are not distinguished, each of two methods or more.
    """

    mean: Mapping[str, float]
    blocks: tuple[Block, ...]
    incomplete: int
    absent: tuple[str, ...]
    what: str
    p: float
    critical: float
    groups: tuple[tuple[str, ...], ...]

    @property
    def tested(self) -> bool:
        """Whether there were blocks enough for a test."""
        return math.isfinite(self.p)

    def sentences(self) -> list[str]:
        """The ranks, what a test says of them, and what was left out."""
        if not self.mean:
            return [f"No {self.what} has a result of two methods or more: nothing can be ranked"]
        listed = ", ".join(f"{method} {rank:.2f}" for method, rank in self.mean.items())
        blocks = wording.count(len(self.blocks), self.what)
        said = [f"Average ranks over {blocks}, 1 is best: {listed}", *([self._test()] if self.what == DATA else [])]
        if self.incomplete:
            said.append(f"Not counted: {wording.count(self.incomplete, self.what)} where a method has no result yet")
        if self.absent:
            said.append(f"Not ranked, because results are missing: {', '.join(self.absent)}")
        return said

    def _test(self) -> str:
        if len(self.blocks) < FEWEST:
            return f"Too few for a test of ranks, which needs {FEWEST}"
        if not self.tested:
            return "All methods are tied everywhere: there is nothing to test"
        exact = exactly(len(self.mean), len(self.blocks))
        test = "sign test" if len(self.mean) == 2 else f"Friedman, {'exact' if exact else 'Iman and Davenport'}"
        p = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"
        if self.p >= ALPHA:
            return f"The ranks do not distinguish the methods ({test}, {p})"
        if len(self.mean) == 2:
            return f"The ranks distinguish the two methods ({test}, {p})"
        joined = "; ".join(wording.joined(group) for group in self.groups)
        rest = f"not distinguished: {joined}" if joined else "every method is distinguished from every other"
        return (
            f"The methods do not all rank alike ({test}, {p}); "
            f"ranks that differ by {self.critical:.2f} or more are distinguished (Nemenyi); {rest}"
        )


def ranked(accuracies: Mapping[Block, Mapping[str, float]], methods: Sequence[str], what: str = "budget") -> Ranks:
    """Rank methods over blocks, each for itself.

    Args:
        accuracies: mean accuracy by block and method; what has no result is absent.
        methods: those that compete, in the study's order.
        what: a block, in a word.
    """
    common, rows = _placed(accuracies, methods)
    return _reduced(rows, common, len(accuracies) - len(rows), methods, what)


def over_data(accuracies: Mapping[Block, Mapping[str, float]], methods: Sequence[str]) -> Ranks:
    """The same with data sets as blocks: a method's ranks at the budgets of a data set are averaged, then ranked.

    Budgets of one data set share its images and teachers, so they are not independent; data sets are.
    """
    common, placed = _placed(accuracies, methods)
    means = {
        (data, ""): [fmean(column) for column in zip(*(placed[block] for block in blocks), strict=True)]
        for data, blocks in grouped(placed, lambda block: block[0]).items()
    }
    rows = {block: scipy_stats.rankdata(own).tolist() for block, own in means.items()}
    return _reduced(rows, common, len({data for data, _ in accuracies}) - len(rows), methods, DATA)


def over_budgets(accuracies: Sequence[Accuracy], methods: Sequence[str], data: str) -> dict[Panel, Ranks]:
    """One run's ranks by protocol and student, over its budgets; none where one budget alone is there.

    Args:
        accuracies: of the run.
        methods: those that compete; the full data and controls do not.
        data: name of the data set.
    """
    competing = (a for a in accuracies if a.method in methods)
    by_panel = {}
    for panel, own in grouped(competing, lambda a: a.setting.panel).items():
        blocks = {
            (data, budget): {a.method: a.interval.mean for a in here}
            for budget, here in grouped(own, lambda a: a.setting.budget).items()
        }
        if len(blocks) > 1 and (average := ranked(blocks, methods)).mean:
            by_panel[panel] = average
    return by_panel


def friedman(rows: Sequence[Sequence[float]]) -> float:
    """p of "all methods rank alike": Friedman's test (1937), ties allowed.

    Exact for up to five methods on few blocks, by every order of the ranks within each block: F is far too sure there,
    and rejects in 19 of 100 studies of three equal methods on three blocks. For two methods it is the sign test.
    Beyond that F = (N − 1) χ² / (N (k − 1) − χ²) with k − 1 and (k − 1)(N − 1) degrees of freedom (Iman and Davenport,
    1980; Demšar, 2006), and never below 1 / k!^(N − 1), the chance that all blocks agree.

    Args:
        rows: [N, k] ranks of each block.

    Returns:
        NaN where all is tied.
    """
    n, k = len(rows), len(rows[0])
    centre = n * (k + 1) / 2
    squares = sum((sum(column) - centre) ** 2 for column in zip(*rows, strict=True))
    spread = sum(rank**2 for row in rows for rank in row) - n * k * (k + 1) ** 2 / 4
    if spread < TINY:
        return math.nan
    if exactly(k, n):
        sums, weights = _dealt(rows)
        return float(weights[((sums - centre) ** 2).sum(1) > squares - TINY].sum())
    chi = (k - 1) * squares / spread
    rest = n * (k - 1) - chi
    tail = float(scipy_stats.f.sf((n - 1) * chi / rest, k - 1, (k - 1) * (n - 1))) if rest > TINY else 0.0
    return max(tail, float(math.factorial(k)) ** (1 - n))


def exactly(methods: int, blocks: int) -> bool:
    """Whether Friedman's test is made exactly: there are few enough ways to deal the ranks out."""
    return blocks <= EXACT.get(methods, 0)


def nemenyi(methods: int, blocks: int, level: float = 1 - ALPHA) -> float:
    """Critical difference of average ranks, q √(k (k + 1) / 6 N) with q of the studentised range (Nemenyi, 1963)."""
    q = float(scipy_stats.studentized_range.ppf(level, methods, math.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * blocks))


def joined(methods: Sequence[str], alike: Callable[[str, str], bool]) -> tuple[tuple[str, ...], ...]:
    """Maximal runs of methods, in order of rank, whose first and last are alike; a run inside another is none."""
    runs, reached = [], 0
    for first in range(len(methods)):
        last = max(i for i in range(first, len(methods)) if alike(methods[first], methods[i]))
        if last > max(first, reached):
            runs.append(tuple(methods[first : last + 1]))
            reached = last
    return tuple(runs)


def _dealt(rows: Sequence[Sequence[float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of ranks [M, k], each in rising order, and how likely they are if every order of a block is: methods are
    interchangeable then, so that sums which are permutations of one another are one."""
    sums: NDArray[np.float64] = np.zeros((1, len(rows[0])))
    weights: NDArray[np.float64] = np.ones(1)
    for row in rows:
        orders = np.array(list(permutations(row)))
        dealt = np.sort((sums[:, None] + orders).reshape(-1, len(row)), axis=1)
        sums, where = np.unique(dealt, axis=0, return_inverse=True)
        shares = np.repeat(weights / len(orders), len(orders))
        weights = np.bincount(where.ravel(), shares).astype(np.float64)
    return sums, weights


def _placed(accuracies: Mapping[Block, Mapping[str, float]], methods: Sequence[str]) -> tuple[list[str], Rows]:
    """Methods with a result on every data set, and their ranks in the blocks where all of them have one."""
    there = [{m for block in own for m in accuracies[block]} for own in grouped(accuracies, lambda b: b[0]).values()]
    common = [m for m in methods if there and all(m in own for own in there)]
    complete = [block for block, own in accuracies.items() if all(m in own for m in common)]
    return common, {b: scipy_stats.rankdata([-accuracies[b][m] for m in common]).tolist() for b in complete}


def _reduced(rows: Rows, common: Sequence[str], incomplete: int, methods: Sequence[str], what: str) -> Ranks:
    absent = tuple(m for m in methods if m not in common)
    if len(common) < 2 or not rows:
        return Ranks({}, (), incomplete + len(rows), absent, what, math.nan, math.nan, ())
    means = {m: fmean(column) for m, column in zip(common, zip(*rows.values(), strict=True), strict=True)}
    means = dict(sorted(means.items(), key=lambda item: item[1]))
    k, n = len(means), len(rows)
    p = friedman(list(rows.values())) if what == DATA and n >= FEWEST else math.nan
    critical = nemenyi(k, n) if math.isfinite(p) and k > 2 else math.nan

    def alike(a: str, b: str) -> bool:
        return not p < ALPHA or (k > 2 and abs(means[a] - means[b]) < critical)

    groups = joined(list(means), alike) if math.isfinite(p) else ()
    return Ranks(means, tuple(rows), incomplete, absent, what, p, critical, groups)


def show(view: View, data: str) -> Markup:
    """A run's ranks over its budgets; empty where it has one budget or one method."""
    methods = [label for label, family in view.methods.items() if family != CONTROL]
    by_panel = over_budgets(view.accuracies, methods, data)
    shown = diagrams(by_panel, view.marks), note(READING, ONE_DATA_SET)
    return content(*shown) if by_panel else Markup()


def diagrams(by_panel: Mapping[Panel, Ranks], marks: dict[str, Mark]) -> Markup:
    """A figure and its sentences for each protocol and student, side by side where there is room."""
    return tag("div", *(_panel(panel, own, marks) for panel, own in by_panel.items()), class_="charts")


def diagram(own: Ranks, marks: dict[str, Mark]) -> Figure | None:
    """Average ranks as dots, the best on top, under bars that join methods that are not distinguished."""
    if not own.mean:
        return None
    methods, last = list(own.mean), len(own.mean) - 1
    scaled = math.isfinite(own.critical)
    top = -1 - LANE * (len(own.groups) + scaled) if own.tested else -0.5
    traces = [_bar(own, group, -1 - LANE * i) for i, group in enumerate(own.groups)]
    if scaled:
        said = f"critical difference {own.critical:.2f} (Nemenyi)"
        traces.append(_line([1, 1 + own.critical], [top + LANE / 2] * 2, GREY, 2, said, "dot"))
    for row, method in enumerate(methods):
        mark, rank = marks[method], own.mean[method]
        said = f"<b>{plot.label(method)}</b><br>average rank {rank:.2f} over {wording.count(len(own.blocks), own.what)}"
        if own.tested:  # else there is no bar to reach
            stem = _line([rank, rank], [top + LANE * scaled, row], mark.color, 1, "")
            traces.append(stem | {"meta": {"method": method}})
        traces.append(plot.trace("markers", method, [rank], [row], {"method": method}, [said], marker=mark.marker))
    rows = list(enumerate(map(plot.label, methods)))
    yaxis = plot.axis((last + 0.6, top - 0.2), rows, showgrid=False, zeroline=False, automargin=True)
    span, ticks = (0.8, 1.2 + max(last, own.critical if scaled else 0)), list(range(1, last + 2))
    xaxis = plot.axis(span, title="average rank, 1 is best", zeroline=False, tickvals=ticks)
    layout = plot.layout(int(24 * (last + 1.8 - top)) + 70, xaxis, yaxis)
    if scaled:
        spot = {"xref": "x", "x": 1 + own.critical / 2, "xanchor": "center", "y": top + LANE / 2, "yanchor": "bottom"}
        layout["annotations"] = [{**spot, "showarrow": False, "text": f"CD {own.critical:.2f}", "name": "note"}]
    return {"data": traces, "layout": plot.slots(layout, "y", ((i, {"method": m}) for i, m in enumerate(methods)), 24)}


def _panel(panel: Panel, own: Ranks, marks: dict[str, Mark]) -> Markup:
    if not own.mean:
        return Markup()
    return tag(
        "div", chart(diagram(own, marks), title(panel)), bullets(own.sentences()), style="min-width:0"
    )  # as narrow as a phone


def _bar(own: Ranks, group: tuple[str, ...], height: float) -> Figure:
    """From the best to the worst of a group, a little longer, so that it shows where their ranks are the same."""
    ends = [own.mean[group[0]] - 0.06, own.mean[group[-1]] + 0.06]
    return _line(ends, [height, height], GREY, 5, f"not distinguished: {', '.join(map(plot.label, group))}")


def _line(x: list[float], y: list[float], color: str, width: float, said: str, dash: str = "solid") -> Figure:
    hover = {**plot.HOVER, "customdata": [said] * 2} if said else {"hoverinfo": "skip"}
    line = {"color": color, "width": width, "dash": dash}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": line, **hover}


def say(view: View, data: str) -> str:
    """Which method ranks best under each protocol and student; empty where nothing is ranked."""
    methods = [label for label, family in view.methods.items() if family != CONTROL]
    best = {
        panel: next(iter(own.mean)) for panel, own in over_budgets(view.accuracies, methods, data).items() if own.mean
    }
    parts = (f"{', '.join(p for p, _ in panels)}: {m}" for m, panels in grouped(best, lambda p: best[p]).items())
    return f"Best mean rank over the budgets: {'; '.join(parts)}" if best else ""


SECTION = Section("Average ranks", 80, lambda s: show(s, s.run.data["name"]), lambda s: say(s, s.run.data["name"]))
