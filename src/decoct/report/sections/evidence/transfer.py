"""Across students: whether methods keep their order from one architecture to another."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import fmean

import numpy as np
from scipy.stats import kendalltau, rankdata

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Runs, Setting
from decoct.report.grouped import grouped
from decoct.report.judged import Judged
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, table, tag
from decoct.report.page.parts import accuracy_cell, content, fold, note
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.manifest import ALL, CONTROL, FULL
from decoct.report.sections.evidence.accuracy import SAME_STEPS
from decoct.report.stats import intervals
from decoct.report.stats.answers import Answers
from decoct.report.stats.crossed import crossed
from decoct.report.stats.intervals import Replicates


@dataclass(frozen=True)
class Turn:
    """Two methods of which each is ahead with one student: both 95 % intervals exclude 0."""

    method: str
    student: str
    rival: str
    other: str

    def __str__(self) -> str:
        return f"{self.method} is ahead of {self.rival} with {self.student} and behind with {self.other}"


@dataclass(frozen=True)
class Transfer:
    """The order of methods under one protocol and budget, over students.

    Attributes:
        protocol: its label.
        budget: such as "ipc=10".
        students: with a result of at least one method.
        ranks: mean over students of a method's rank by mean accuracy, 1 for the highest, ties shared; only methods
            that have a result with every student.
        spread: highest minus lowest mean accuracy over students, of the same methods.
        kept: pairs of methods whose difference has one sign and a 95 % interval without 0 with every student.
        turned: pairs that change sign between two students, with intervals without 0 on both sides.
        pairs: of methods, in all; the rest is open.
        taus: Kendall's τ-b between the methods' means, for each pair of students; NaN where all means are equal.
    """

    protocol: str
    budget: str
    students: tuple[str, ...]
    ranks: Mapping[str, float]
    spread: Mapping[str, float]
    kept: int
    turned: tuple[Turn, ...]
    pairs: int
    taus: tuple[float, ...]

    @property
    def open(self) -> int:
        """Pairs of methods of which neither is shown."""
        return self.pairs - self.kept - len(self.turned)

    def sentence(self) -> str:
        """Whether the order is the same, in words, with the counts behind it."""
        where = f"Under {self.protocol} at {wording.budget(self.budget)}"
        if not self.pairs:
            return f"{where}, fewer than two methods have a result with every student, so there is no order to compare"
        methods = wording.count(len(self.ranks), "method")
        tau = [t for t in self.taus if math.isfinite(t)]
        said = [f"{where}, {answer(self.kept, len(self.turned), self.pairs)}"]
        said += [f"; {turn}" for turn in self.turned]
        if tau:
            over = f"{min(tau):.2f}" if len(tau) == 1 else f"{min(tau):.2f} to {max(tau):.2f} between two students"
            said.append(f". Kendall's τ of the means of {methods}: {over}".replace("-", wording.MINUS))
        return "".join(said)


def transfers(
    runs: Runs, settings: Sequence[Setting], methods: Sequence[str], floor: float, answers: Answers | None = None
) -> tuple[Transfer, ...]:
    """One for each protocol and budget that has several students, over the methods that compete.

    Args:
        floor: the smallest standard deviation to believe, see ``intervals.grid_floor``.
        answers: of the students by test image; None where not known.
    """
    return tuple(
        _transfer(runs, own, methods, floor, answers)
        for (protocol, budget), own in grouped(settings, lambda s: (s.protocol, s.budget)).items()
        if len(own) > 1
    )


def answer(kept: int, turned: int, pairs: int) -> str:
    """Plain words for the counts; what is not shown is not called equal."""
    of = f"of {wording.count(pairs, 'pair')} of methods"
    rest = pairs - kept - turned
    counts = f"{of}, {turned} turned round, {kept} kept one sign, {rest} left open by an interval that includes 0"
    if turned:
        return f"the order of methods is not the same with every student: {counts}"
    if not rest:
        return f"the order of methods is the same with every student: {of}, all kept one sign, no interval includes 0"
    return f"whether the order of methods is the same with every student is open: {counts}"


def overall(transfers: Sequence[Transfer]) -> str:
    """One sentence over all protocols and budgets; empty where there is one student."""
    pairs = sum(t.pairs for t in transfers)
    if not pairs:
        return ""
    said = answer(sum(t.kept for t in transfers), sum(len(t.turned) for t in transfers), pairs)
    return f"Over {wording.count(len(transfers), 'combination')} of protocol and budget, {said}"


def _transfer(
    runs: Runs, settings: Sequence[Setting], methods: Sequence[str], floor: float, answers: Answers | None
) -> Transfer:
    by_setting = {s: {m: own for m in methods if (own := runs.get((m, s)))} for s in settings}
    present = {s: own for s, own in by_setting.items() if own}
    complete = [m for m in methods if present and all(m in own for own in present.values())]
    means = {s: [fmean(intervals.condense_means(own[m])) for m in complete] for s, own in present.items()}
    values = list(zip(*means.values(), strict=True))
    placed = rankdata(-np.array(values), axis=0).tolist() if values else []  # 1 for the highest, ties shared
    kept, turned, pairs = 0, [], list(combinations(complete, 2)) if len(present) > 1 else []
    for a, b in pairs:
        signs = dict(_signs(present, a, b, floor, answers))
        ahead, behind = ([s for s, sign in signs.items() if sign == side] for side in (1, -1))
        if ahead and behind:
            turned.append(Turn(a, ahead[0], b, behind[0]))
        kept += len(ahead) == len(present) or len(behind) == len(present)
    return Transfer(
        settings[0].protocol,
        settings[0].budget,
        students=tuple(s.student for s in present),
        ranks={m: fmean(own) for m, own in zip(complete, placed, strict=True)},
        spread={m: max(own) - min(own) for m, own in zip(complete, values, strict=True)},
        kept=kept,
        turned=tuple(turned),
        pairs=len(pairs),
        taus=tuple(float(kendalltau(*two).statistic) for two in combinations(means.values(), 2)) if pairs else (),
    )


def _signs(
    present: Mapping[Setting, Mapping[str, Replicates]], a: str, b: str, floor: float, answers: Answers | None
) -> Iterator[tuple[str, int]]:
    """Sign of a − b with each student, where the 95 % interval excludes 0; else 0."""
    for setting, own in present.items():
        tally = answers.difference(setting, a, b) if answers else None
        interval = crossed(intervals.common([(1, own[a]), (-1, own[b])]), tally, floor).interval
        yield setting.student, int(interval.lo > 0) - int(interval.hi < 0)


def show(view: View, transfers: Sequence[Transfer]) -> Markup:
    """One table for each protocol and budget; nothing where there is one student."""
    told = [t for t in transfers if t.ranks]
    if not told:
        return Markup()
    blocks = [
        fold(
            join([tag("b", facets.protocol(t.protocol)), " · ", facets.budget(t.budget)]),
            tag("p", f"{t.sentence()}."),
            _table(view, t),
            opened=not i,
        )
        for i, t in enumerate(told)
    ]
    about = note(
        "A pair of methods changes order if each is ahead with some student, and keeps it if one is ahead with every "
        "student, by 95 % paired t intervals that exclude 0, each at its own level. All other pairs are open, which "
        "does not mean equal. Rank: 1 is the highest mean, averaged over students. Spread: highest minus lowest mean "
        "over students, in points.",
        " Controls are left out." if CONTROL in view.methods.values() else "",
    )
    return content(about, *blocks)


def _table(view: View, t: Transfer) -> Markup:
    def row(first: object, label: str, own: Sequence[Accuracy | None]) -> list[Markup]:
        rank = f"{t.ranks[label]:.1f}" if label in t.ranks else wording.NONE
        spread = f"{100 * t.spread[label]:.1f}" if label in t.spread else wording.NONE
        return cells(first, *map(accuracy_cell, own), rank, spread)

    settings = [Setting(t.protocol, student, t.budget) for student in t.students]
    rows = [row(view.method(label), label, [view.accuracy(label, s) for s in settings]) for label in view.methods]
    ceiling = [view.accuracy(FULL, s._replace(budget=ALL)) for s in settings]
    for title, own in ((SAME_STEPS, list(map(view.same_steps, settings))), ("full data", ceiling)):
        rows += [row(title, FULL, own)] if any(own) else []
    return table(columns("method", *map(facets.student, t.students), "mean rank", "spread"), rows)


def find(judged: Judged) -> tuple[Transfer, ...]:
    """Whether the methods that compete keep their order, where it can be read."""
    contenders = [label for label, family in judged.frame.manifest.families.items() if family != CONTROL]
    inside = [s for s in judged.settings if s not in judged.outside]
    return transfers(judged.runs, inside, contenders, judged.frame.floor, judged.answers)


SECTION = Section(
    "Across students",
    90,
    lambda s: show(s, s.found(find)),
    lambda s: overall([t for t in s.found(find) if t.ranks]),
    lambda s: {"across_students": [asdict(t) | {"open": t.open, "text": t.sentence()} for t in s.found(find)]},
)
