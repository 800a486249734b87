"""Beyond accuracy: how each method compares with random sets of the same size, and where two extractors disagree."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any, Literal, NamedTuple

from scipy.stats import kendalltau

from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.report.judged import Judged
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats import comparisons, intervals
from decoct.report.stats.intervals import ALPHA, Interval
from decoct.report.stats.welch import apart

Word = Literal["better", "worse", "more", "less", "open", ""]
FIRST = ("per_class", "pooled")  # the scope that represents a metric
SIGNS: dict[Word, str] = {"better": "▲", "worse": "▼", "more": "△", "less": "▽", "open": "?", "": ""}
ARROWS = {True: " ↑", False: " ↓", None: ""}
WIDE = 3.0  # z below which the axes are linear


class Name(NamedTuple):
    """Which metric was measured, in whose features, against what."""

    axis: str
    metric: str
    scope: str
    reference: str
    extractor: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Name":
        """The name of a row of ``Frame.metrics``."""
        return cls(*(row[part] for part in cls._fields))

    @property
    def what(self) -> tuple[str, str, str]:
        """The same in any extractor's features."""
        return self.metric, self.scope, self.reference

    def __str__(self) -> str:
        against = "" if self.reference == "none" else f", {self.reference}"
        return f"{self.metric.replace('_', ' ')} ({self.scope.replace('_', ' ')}{against})"


@dataclass(frozen=True)
class Random:
    """Random sets of the same size: their mean and deviation, the 95 % prediction interval of one more, how many."""

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
        higher_is_better: None for a fact that is neither good nor bad.
        lead: it represents its metric.
        interval: mean over the sets where it is defined, and their number, with a t interval over two or more of them;
            of one set its interval over images.
        over: what the interval is over: "sets", "images", or "" for none.
        classes: the fewest that a set's mean was taken over; None for pooled.
        random: None where there are no random sets, or it is not defined for them.
        z: (mean − random) in standard deviations of random sets; NaN where these are all alike.
        p: two-sided, of "no different from random", see ``comparisons.apart``; NaN where unknown.
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

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts; NaN where nothing is defined."""
        own = {part: getattr(self, part) for part in ("method", "budget", "higher_is_better", "z")}
        i, random = self.interval, asdict(self.random) if self.random else None
        own |= {"value": i.mean, "ci_over": self.over or None, "random": random, "word": self.word or None}
        return own | self.name._asdict() | i.to_json()


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
        """How far the two agree, in words."""
        a, b = self.extractors
        at = f"At {wording.budget(self.budget)}, {a} and {b}"
        open_ = self.pairs - self.alike - len(self.against)
        said = (
            f"{at} contradict each other in {len(self.against)} of {wording.count(self.pairs, 'comparison')} with "
            f"random, agree in {self.alike}, and leave {open_} open, where one or both find no difference"
        )
        for method, reading, better, worse in self.against:
            said += (
                f"; {method} is better than random in {reading} according to {better} and worse according to {worse}"
            )
        known = {reading: tau for reading, tau in self.taus.items() if math.isfinite(tau)}
        if known:
            low, high = min(known, key=lambda r: known[r]), max(known, key=lambda r: known[r])
            said += f". Kendall's τ of the order of the methods: {known[low]:.2f} in {low}"
            said += f" to {known[high]:.2f} in {high}" if low != high else ""
        return said.replace("-", wording.MINUS) if known else said


def standings(frame: Frame) -> tuple[Standing, ...]:
    """All readings of a run except costs, by budget, extractor and axis, in the order of the study's methods."""
    run = frame.manifest
    rows = (row for row in frame.metrics.to_pylist() if row["axis"] != "cost")  # which has a section of its own
    groups = grouped(rows, lambda row: (row["budget"], Name.of(row), row["method"]))
    names, methods = list(dict.fromkeys(n for _, n, _ in groups)), list(run.methods)
    extractors, axes = (list(dict.fromkeys(getattr(n, part) for n in names)) for part in ("extractor", "axis"))

    def place(key: tuple[str, Name, str]) -> tuple[Any, ...]:
        budget, n, method = key
        ranks = extractors.index(n.extractor), axes.index(n.axis), names.index(n), methods.index(method)
        return run.budget_order(budget), *ranks

    led = {n for (_, n, _), own in groups.items() if any(row["lead"] for row in own)}
    metrics = grouped((n for n in names if n in led), lambda n: (n.extractor, n.metric))
    chosen = {min(own, key=lambda n: FIRST.index(n.scope)) for own in metrics.values()}
    return tuple(_worded([_standing(*key, groups[key], key[1] in chosen) for key in sorted(groups, key=place)]))


def find(judged: Judged) -> tuple[Standing, ...]:
    """The readings of a run."""
    return standings(judged.frame)


def find_agreements(judged: Judged) -> tuple[Agreement, ...]:
    """How far each two extractors of a run agree."""
    return agreements(judged.found(find))


def agreements(standings: Sequence[Standing]) -> tuple[Agreement, ...]:
    """One for each budget and pair of extractors that read the same."""
    told = (s for s in standings if s.lead and s.higher_is_better is not None)
    agreed = []
    for budget, own in grouped(told, lambda s: s.budget).items():
        sides = {
            e: {(s.name.what, s.method): s for s in read}
            for e, read in grouped(own, lambda s: s.name.extractor).items()
        }
        for a, b in combinations(sides, 2):
            both = [(sides[a][key], sides[b][key]) for key in sides[a] if key in sides[b]]
            if both:
                agreed.append(_agreement(budget, (a, b), both))
    return tuple(agreed)


def sentences(standings: Sequence[Standing]) -> tuple[str, ...]:
    """One per method except random: by axis, in how many leading readings it is better or worse than random."""
    told = [s for s in standings if s.word and s.higher_is_better is not None]
    axes, lines = dict.fromkeys(s.name.axis for s in told), []
    for method, own in grouped(told, lambda s: s.method).items():
        parts = []
        for axis in axes:
            words = [s.word for s in own if s.name.axis == axis]
            better, worse = words.count("better"), words.count("worse")
            if words:
                rest = len(words) - better - worse
                parts.append(f"{axis} better in {better}, worse in {worse}, open in {rest}")
        lines.append(f"{method} against random, by number of readings: {'; '.join(parts)}")
    return tuple(lines)


def _agreement(budget: str, pair: tuple[str, str], both: Sequence[tuple[Standing, Standing]]) -> Agreement:
    compared = [(a, b) for a, b in both if a.method != REFERENCE and a.word and b.word]
    against = []
    for a, b in compared:
        if {a.word, b.word} == {"better", "worse"}:
            better, worse = (a, b) if a.word == "better" else (b, a)
            against.append((a.method, str(a.name), better.name.extractor, worse.name.extractor))
    taus = {}
    for own in grouped(both, lambda pair: pair[0].name.what).values():
        ends = [(a.interval.mean, b.interval.mean) for a, b in own]
        ends = [(x, y) for x, y in ends if math.isfinite(x) and math.isfinite(y)]
        if len(ends) > 2:
            taus[str(own[0][0].name)] = float(kendalltau(*zip(*ends, strict=True)).statistic)
    alike = sum(a.word == b.word and a.word in ("better", "worse") for a, b in compared)
    return Agreement(budget, pair, alike, tuple(against), len(compared), taus)


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
            p = apart(values, random.mean, random.sd, random.n)
    classes = min((row["classes"] for row in rows if row["classes"] is not None), default=None)
    return Standing(budget, method, name, first["higher_is_better"], lead, interval, over, classes, random, z, p)


def _worded(standings: Sequence[Standing]) -> Iterable[Standing]:
    family = [s for s in standings if s.lead and s.method != REFERENCE]
    adjusted = iter(comparisons.holm([s.p for s in family]))
    for s in standings:
        p = next(adjusted) if s.lead and s.method != REFERENCE else math.nan
        yield s if math.isnan(p) else replace(s, word=_word(s, p))


def _word(s: Standing, p: float) -> Word:
    assert s.random is not None
    within = s.over == "sets" and s.interval.lo <= s.random.mean <= s.interval.hi  # they may spread more than random
    if p >= ALPHA or within:
        return "open"
    above = s.interval.mean > s.random.mean
    if s.higher_is_better is None:
        return "more" if above else "less"
    return "better" if above == s.higher_is_better else "worse"
