"""Beyond accuracy: where each method stands beside random sets of the same size, and where two extractors disagree."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal, NamedTuple

from decoct.report import wording
from decoct.report.findings.transfer import kendall
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats import comparisons, intervals
from decoct.report.stats.intervals import ALPHA, Interval

Word = Literal["better", "worse", "more", "less", "like random", ""]
FIRST = ("per_class", "pooled")  # the scope that stands for a metric


class Name(NamedTuple):
    """What was read, in whose features, against what."""

    axis: str
    metric: str
    scope: str
    reference: str
    extractor: str

    @property
    def what(self) -> tuple[str, str, str]:
        """The same in any extractor's features."""
        return self.metric, self.scope, self.reference

    def __str__(self) -> str:
        against = "" if self.reference == "none" else f", {self.reference}"
        return f"{self.metric.replace('_', ' ')} ({self.scope.replace('_', ' ')}{against})"


@dataclass(frozen=True)
class Random:
    """Random sets of the same size.

    Attributes:
        mean: of them.
        sd: of them.
        lo, hi: 95 % prediction interval of one more.
        n: how many.
    """

    mean: float
    sd: float
    lo: float
    hi: float
    n: int


@dataclass(frozen=True)
class Standing:
    """One reading of one method at one budget.

    Attributes:
        budget: such as "ipc=10".
        method: its label.
        name: of the reading.
        higher_is_better: None for a fact that is no virtue.
        lead: it stands for its metric.
        interval: mean over the sets where it is defined, and their number, with a t interval over two or more of them;
            of one set its interval over images.
        over: what the interval is over: "sets", "images", or "" for none.
        classes: the fewest that a set's mean was taken over; None for pooled.
        random: None where there are no random sets, or it is not defined for them.
        z: (mean − random) in standard deviations of random sets; NaN where these are all alike.
        p: two-sided, of "no other than random", see ``comparisons.apart``; NaN where unknown.
        word: after Holm over all leading readings of the run, and with the mean of random outside of the interval over
            sets, if there is one; empty for the others, for random itself and where p is unknown.
    """

    budget: str
    method: str
    name: Name
    higher_is_better: bool | None
    lead: bool
    interval: Interval
    over: Literal["sets", "images", ""]
    classes: int | None
    random: Random | None
    z: float
    p: float
    word: Word = ""

    @property
    def towards(self) -> float:
        """z with its sign turned where lower is better."""
        return -self.z if self.higher_is_better is False else self.z


@dataclass(frozen=True)
class Agreement:
    """Two extractors side by side at one budget, over the leading readings that have a direction.

    Attributes:
        budget: such as "ipc=10".
        extractors: the two.
        alike: comparisons with random in which both say better, or both worse.
        against: (method, reading, extractor that says better, extractor that says worse).
        pairs: comparisons in all; the rest is open in one or in both.
        taus: Kendall's τ-b of the methods' means by reading, where there are three methods or more.
    """

    budget: str
    extractors: tuple[str, str]
    alike: int
    against: tuple[tuple[str, str, str, str], ...]
    pairs: int
    taus: Mapping[str, float]

    def sentence(self) -> str:
        """What the two say of each other, in words."""
        a, b = self.extractors
        at = f"At {wording.budget(self.budget)}, {a} and {b}"
        open_ = self.pairs - self.alike - len(self.against)
        said = (
            f"{at} contradict each other in {len(self.against)} of {wording.count(self.pairs, 'comparison')} with "
            f"random, agree in {self.alike}, and leave {open_} open, where one or both cannot tell a set from random"
        )
        for method, reading, better, worse in self.against:
            said += f"; {method} is better than random in {reading} to {better} and worse to {worse}"
        known = {reading: tau for reading, tau in self.taus.items() if math.isfinite(tau)}
        if known:
            low, high = min(known, key=lambda r: known[r]), max(known, key=lambda r: known[r])
            said += f". Kendall's τ of the order of the methods: {known[low]:.2f} in {low}"
            said += f" to {known[high]:.2f} in {high}" if low != high else ""
        return said.replace("-", wording.MINUS) if known else said


def standings(frame: Frame) -> tuple[Standing, ...]:
    """All readings of a run but costs, by budget, extractor and axis, in the order of the study's methods."""
    run, groups = frame.manifest, dict[tuple[str, Name, str], list[dict[str, Any]]]()
    for row in frame.metrics.to_pylist():
        if row["axis"] == "cost":  # which has a table of its own, and no random sets
            continue
        name = Name(row["axis"], row["metric"], row["scope"], row["reference"], row["extractor"])
        groups.setdefault((row["budget"], name, row["method"]), []).append(row)
    axes, methods = list(dict.fromkeys(name.axis for _, name, _ in groups)), list(run.methods)
    order = {name: place for place, name in enumerate(dict.fromkeys(name for _, name, _ in groups))}
    extractors = list(dict.fromkeys(name.extractor for name in order))

    def place(key: tuple[str, Name, str]) -> tuple[Any, ...]:
        budget, name, method = key
        ranks = extractors.index(name.extractor), axes.index(name.axis), order[name], methods.index(method)
        return run.budget_order(budget), *ranks

    chosen = _chosen(order, {name for (_, name, _), rows in groups.items() if any(row["lead"] for row in rows)})
    found = [_standing(*key, groups[key], key[1] in chosen) for key in sorted(groups, key=place)]
    return tuple(_worded(found))


def agreements(found: Sequence[Standing]) -> tuple[Agreement, ...]:
    """One for each budget and pair of extractors that read the same."""
    told = [s for s in found if s.lead and s.higher_is_better is not None]
    agreed = []
    for budget in dict.fromkeys(s.budget for s in told):
        own = [s for s in told if s.budget == budget]
        for pair in combinations(dict.fromkeys(s.name.extractor for s in own), 2):
            sides = [{(s.name.what, s.method): s for s in own if s.name.extractor == e} for e in pair]
            both = [(sides[0][key], sides[1][key]) for key in sides[0] if key in sides[1]]
            if both:
                agreed.append(_agreement(budget, pair, both))
    return tuple(agreed)


def sentences(found: Sequence[Standing]) -> tuple[str, ...]:
    """One for each method but random: by axis, in how many leading readings it is better or worse than random."""
    told = [s for s in found if s.word and s.higher_is_better is not None]
    lines = []
    for method in dict.fromkeys(s.method for s in told):
        parts = []
        for axis in dict.fromkeys(s.name.axis for s in told):
            own = [s.word for s in told if (s.method, s.name.axis) == (method, axis)]
            better, worse = own.count("better"), own.count("worse")
            if own:
                rest = len(own) - better - worse
                parts.append(f"{axis} better in {better}, worse in {worse}, not told from it in {rest}")
        lines.append(f"{method} beside random, counting readings: {'; '.join(parts)}")
    return tuple(lines)


def _agreement(budget: str, pair: tuple[str, str], both: Sequence[tuple[Standing, Standing]]) -> Agreement:
    compared = [(a, b) for a, b in both if a.method != REFERENCE and a.word and b.word]
    against = []
    for a, b in compared:
        if {a.word, b.word} == {"better", "worse"}:
            better, worse = (a, b) if a.word == "better" else (b, a)
            against.append((a.method, str(a.name), better.name.extractor, worse.name.extractor))
    taus = {}
    for what in dict.fromkeys(a.name.what for a, _ in both):
        ends = [(a.interval.mean, b.interval.mean) for a, b in both if a.name.what == what]
        ends = [(x, y) for x, y in ends if math.isfinite(x) and math.isfinite(y)]
        if len(ends) > 2:
            name = next(str(a.name) for a, _ in both if a.name.what == what)
            taus[name] = kendall([x for x, _ in ends], [y for _, y in ends])
    alike = sum(a.word == b.word and a.word in ("better", "worse") for a, b in compared)
    return Agreement(budget, pair, alike, tuple(against), len(compared), taus)


def _chosen(order: Iterable[Name], leading: set[Name]) -> set[Name]:
    """Of each leading value the scope that comes first."""
    best: dict[tuple[str, str], Name] = {}
    for name in order:
        key = name.extractor, name.metric
        if name in leading and (key not in best or FIRST.index(name.scope) < FIRST.index(best[key].scope)):
            best[key] = name
    return set(best.values())


def _standing(budget: str, name: Name, method: str, rows: list[dict[str, Any]], lead: bool) -> Standing:
    first, values = rows[0], [row["value"] for row in rows if row["value"] is not None]
    interval = intervals.t_interval(values)
    over: Literal["sets", "images", ""] = "sets" if len(values) > 1 else ""
    if len(values) == 1 and first["lo"] is not None:
        interval, over = Interval(values[0], first["lo"], first["hi"], 1), "images"
    random, z, p = None, math.nan, math.nan
    if first["random"] is not None and first["random_sd"] is not None:
        random = Random(*(first[key] for key in ("random", "random_sd", "random_lo", "random_hi", "random_n")))
        if values:
            alike = all(row["z"] is None for row in rows)
            z = math.nan if alike else (interval.mean - random.mean) / random.sd
            p = comparisons.apart(values, random.mean, random.sd, random.n)
    classes = [row["classes"] for row in rows if row["classes"] is not None]
    return Standing(
        budget=budget,
        method=method,
        name=name,
        higher_is_better=first["higher_is_better"],
        lead=lead,
        interval=interval,
        over=over,
        classes=min(classes, default=None),
        random=random,
        z=z,
        p=p,
    )


def _worded(found: Sequence[Standing]) -> Iterable[Standing]:
    family = [s for s in found if s.lead and s.method != REFERENCE]
    adjusted = iter(comparisons.holm([s.p for s in family]))
    for s in found:
        p = next(adjusted) if s.lead and s.method != REFERENCE else math.nan
        yield s if math.isnan(p) else replace(s, word=_word(s, p))


def _word(s: Standing, p: float) -> Word:
    assert s.random is not None
    within = s.over == "sets" and s.interval.lo <= s.random.mean <= s.interval.hi  # they may spread more than random
    if p >= ALPHA or within:
        return "like random"
    above = s.interval.mean > s.random.mean
    if s.higher_is_better is None:
        return "more" if above else "less"
    return "better" if above == s.higher_is_better else "worse"
