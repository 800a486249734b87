"""Across students: whether methods keep their order from one architecture to another."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from decoct.report import wording
from decoct.report.findings.verdict import Setting
from decoct.report.stats import intervals
from decoct.report.stats.intervals import Replicates

Runs = Mapping[tuple[str, Setting], Replicates]  # accuracies by method and setting


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
            return f"{where} fewer than two methods have a result with every student: nothing can be said of an order"
        methods = wording.count(len(self.ranks), "method")
        tau = [t for t in self.taus if math.isfinite(t)]
        said = [f"{where}, {answer(self.kept, len(self.turned), self.pairs)}"]
        said += [f"; {turn}" for turn in self.turned]
        if tau:
            over = f"{min(tau):.2f}" if len(tau) == 1 else f"{min(tau):.2f} to {max(tau):.2f} between two students"
            said.append(f". Kendall's τ of the means of {methods}: {over}".replace("-", wording.MINUS))
        return "".join(said)


def transfers(runs: Runs, settings: Sequence[Setting], methods: Sequence[str], floor: float) -> tuple[Transfer, ...]:
    """One for each protocol and budget that has several students.

    Args:
        runs: accuracies by method and setting.
        settings: of the study, in its order.
        methods: the same; the full data is none.
        floor: the smallest standard deviation to believe, see ``intervals.grid_floor``.
    """
    return tuple(
        _transfer(runs, protocol, budget, methods, students, floor)
        for protocol, budget in dict.fromkeys((s.protocol, s.budget) for s in settings)
        if len(students := [s.student for s in settings if (s.protocol, s.budget) == (protocol, budget)]) > 1
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
    return f"whether the order of methods is the same with every student is not settled: {counts}"


def overall(found: Sequence[Transfer]) -> str:
    """One sentence over all protocols and budgets; empty where there is one student."""
    pairs = sum(t.pairs for t in found)
    if not pairs:
        return ""
    said = answer(sum(t.kept for t in found), sum(len(t.turned) for t in found), pairs)
    return f"Over {wording.count(len(found), 'combination')} of protocol and budget, {said}"


def kendall(a: Sequence[float], b: Sequence[float]) -> float:
    """Kendall's τ-b (1945): concordant minus discordant pairs over √(pairs untied in a · pairs untied in b)."""
    signs = [(_sign(x - y), _sign(u - v)) for (x, u), (y, v) in combinations(zip(a, b, strict=True), 2)]
    untied = sum(s != 0 for s, _ in signs) * sum(t != 0 for _, t in signs)
    return sum(s * t for s, t in signs) / math.sqrt(untied) if untied else math.nan


def ranks(values: Sequence[float]) -> list[float]:
    """1 for the highest; ties share the mean of their ranks."""
    return [1 + sum(other > v for other in values) + (sum(other == v for other in values) - 1) / 2 for v in values]


def _transfer(
    runs: Runs, protocol: str, budget: str, methods: Sequence[str], students: Sequence[str], floor: float
) -> Transfer:
    by_student = {
        student: {m: own for m in methods if (own := runs.get((m, Setting(protocol, student, budget))))}
        for student in students
    }
    present = {student: found for student, found in by_student.items() if found}
    complete = [m for m in methods if present and all(m in found for found in present.values())]
    means = {s: [fmean(intervals.condense_means(found[m])) for m in complete] for s, found in present.items()}
    placed = list(zip(*map(ranks, means.values()), strict=True))
    values = list(zip(*means.values(), strict=True))
    kept, turned, pairs = 0, [], list(combinations(complete, 2)) if len(present) > 1 else []
    for a, b in pairs:
        signs = dict(_signs(present, a, b, floor))
        ahead, behind = ([s for s, sign in signs.items() if sign == side] for side in (1, -1))
        if ahead and behind:
            turned.append(Turn(a, ahead[0], b, behind[0]))
        kept += len(ahead) == len(present) or len(behind) == len(present)
    return Transfer(
        protocol,
        budget,
        students=tuple(present),
        ranks={m: fmean(own) for m, own in zip(complete, placed, strict=True)},
        spread={m: max(own) - min(own) for m, own in zip(complete, values, strict=True)},
        kept=kept,
        turned=tuple(turned),
        pairs=len(pairs),
        taus=tuple(kendall(a, b) for a, b in combinations(means.values(), 2)) if pairs else (),
    )


def _signs(present: Mapping[str, Mapping[str, Replicates]], a: str, b: str, floor: float) -> Iterator[tuple[str, int]]:
    """Sign of a − b with each student, where the 95 % interval excludes 0; else 0."""
    for student, found in present.items():
        interval = intervals.t_interval(intervals.paired(found[a], found[b]), floor=floor)
        yield student, int(interval.lo > 0) - int(interval.hi < 0)


def _sign(x: float) -> int:
    return (x > 0) - (x < 0)
