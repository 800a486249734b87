"""Label-robust and augmentation-robust scores: what of a set's accuracy is the set's, not the labels' or the crops'.

Source:
    DD-Ranking (Li et al., 2025, arXiv:2505.13300). Its own code feeds percent into the exponential, so that its scores
    leave [0, 1]; accuracies here are fractions.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from decoct.report.findings.verdict import Setting
from decoct.report.read.manifest import REFERENCE, Manifest
from decoct.report.stats import intervals
from decoct.report.stats.intervals import Interval, Replicates

HALF = 0.5  # weight of improvement against recovery (w), and of the augmented against the plain gain (γ)
Name = Literal["HLR", "IOR", "LRS", "ARS"]

SCORES = pa.schema(
    [(name, pa.string()) for name in ("data", "method", "student", "budget", "score")]
    + [(name, pa.string()) for name in ("hard_protocol", "protocol", "plain_protocol")]
    + [("value", pa.float64()), ("lo", pa.float64()), ("hi", pa.float64())]
    + [("n", pa.int64()), ("conditional_on_set", pa.bool_())]
)


@dataclass(frozen=True)
class Score:
    """One score of a method, with student and budget held fixed.

    Attributes:
        name: HLR, IOR, LRS or ARS.
        hard: protocol of hard labels behind HLR and LRS.
        protocol: the one behind IOR and LRS; the augmented one of ARS.
        plain: the protocol of ARS without augmentation.
        interval: a t interval over condense replicates, in accuracy for HLR and IOR. For LRS and ARS it is the one of
            the exponent, mapped through the exponential, so that it stays within the scores' range. It conditions on
            the one student of the full data and on the test images.
    """

    name: Name
    method: str
    student: str
    budget: str
    hard: str | None
    protocol: str | None
    plain: str | None
    interval: Interval


def hlr(full: float, condensed: float) -> float:
    """Hard-label recovery: acc(full, hard) − acc(set, hard), fractions; lower is better."""
    return full - condensed


def ior(condensed: float, random: float) -> float:
    """Improvement over random: acc(set, any) − acc(random, any), fractions; higher is better."""
    return condensed - random


def lrs(hlr: float, ior: float, w: float = HALF) -> float:
    """Label-robust score: (exp(w·IOR − (1 − w)·HLR) − e⁻¹) / (e − e⁻¹); higher is better, between 0 and 1."""
    return normalised(w * ior - (1 - w) * hlr)


def ars(augmented: float, plain: float, gamma: float = HALF) -> float:
    """Augmentation-robust score of the gains over random with and without augmentation; higher is better."""
    return normalised(gamma * augmented + (1 - gamma) * plain)


def normalised(x: float) -> float:
    """(exp(x) − e⁻¹) / (e − e⁻¹): 0 at −1, about .27 at 0, 1 at 1; NaN stays NaN."""
    return (math.exp(x) - math.exp(-1)) / (math.e - math.exp(-1))


def augmentation_pairs(protocols: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Labels of the protocols whose tables are equal but for ``augment``: the augmented one first."""

    def rest(table: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in table.items() if key != "augment"}

    plain = [label for label, table in protocols.items() if table.get("augment") is False]
    augmented = [label for label, table in protocols.items() if table.get("augment") is True]
    return [(a, p) for a in augmented for p in plain if rest(protocols[a]) == rest(protocols[p])]


@dataclass(frozen=True)
class Scorer:
    """Scores of the methods of a run.

    Attributes:
        hard: protocols whose students learn from hard labels.
        protocols: behind IOR and LRS: those of soft labels, or the hard ones where there are none.
        pairs: augmented and plain protocol.
        runs: accuracies by method and setting.
        ceilings: accuracy of the full data by protocol and student.
        test_images: how many there are, for the smallest deviation to believe.
    """

    hard: Sequence[str]
    protocols: Sequence[str]
    pairs: Sequence[tuple[str, str]]
    runs: Mapping[tuple[str, Setting], Replicates]
    ceilings: Mapping[tuple[str, str], float]
    test_images: int

    @classmethod
    def of(
        cls,
        run: Manifest,
        runs: Mapping[tuple[str, Setting], Replicates],
        ceilings: Mapping[tuple[str, str], float],
        test_images: int,
    ) -> "Scorer":
        """The scorer of a run, whose jobs say which protocols have hard labels."""
        hard = [label for label in run.protocols if run.labels(label) == "hard"]
        soft = [label for label in run.protocols if label not in hard]
        return cls(hard, soft or hard, augmentation_pairs(run.protocols), runs, ceilings, test_images)

    def all(self, settings: Sequence[Setting], methods: Sequence[str]) -> tuple[Score, ...]:
        """Every score of the methods that rests on at least one replicate, by student, budget and method."""
        places = dict.fromkeys((s.budget, s.student) for s in settings)
        return tuple(
            score
            for budget, student in places
            for method in methods
            for score in self.scores(method, student, budget)
            if score.interval.n
        )

    def scores(self, method: str, student: str, budget: str) -> Iterator[Score]:
        """Every score that the method's students and those they are set against allow."""
        improves = method != REFERENCE  # random's own gain over random is 0 by definition, not by measurement

        def at(who: str, protocol: str) -> Replicates:
            return self.runs.get((who, Setting(protocol, student, budget)), {})

        def score(name: Name, hard: str | None, protocol: str | None, plain: str | None, i: Interval) -> Score:
            return Score(name, method, student, budget, hard, protocol, plain, i)

        for hard in self.hard:
            if (full := self.ceilings.get((hard, student))) is not None:
                yield score("HLR", hard, None, None, self.linear([(-1, at(method, hard))], full))
        for protocol in self.protocols if improves else ():
            gain = [(1.0, at(method, protocol)), (-1.0, at(REFERENCE, protocol))]
            yield score("IOR", None, protocol, None, self.linear(gain))
        for hard in self.hard:
            if (full := self.ceilings.get((hard, student))) is None:
                continue
            recovery = [(1 - HALF, at(method, hard))]
            for protocol in self.protocols:
                gain = [(HALF, at(method, protocol)), (-HALF, at(REFERENCE, protocol))] if improves else []
                exponent = self.linear([*gain, *recovery], -(1 - HALF) * full)
                yield score("LRS", hard, protocol, None, mapped(exponent))
        for augmented, plain in self.pairs if improves else ():
            gain = [(HALF, at(method, augmented)), (-HALF, at(REFERENCE, augmented))]
            gain += [(1 - HALF, at(method, plain)), (HALF - 1, at(REFERENCE, plain))]
            yield score("ARS", None, augmented, plain, mapped(self.linear(gain)))

    def linear(self, terms: Sequence[tuple[float, Replicates]], constant: float = 0.0) -> Interval:
        """t interval of constant + Σ weight · accuracy over the replicates that all terms have, within [−1, 1]."""
        # Of one accuracy, counting whole test images alone leaves 1/√2 of what it leaves of a difference of two.
        floor = intervals.grid_floor(self.test_images) * math.sqrt(sum(weight**2 for weight, _ in terms) / 2)
        return intervals.clip(
            intervals.t_interval([constant + x for x in intervals.combined(terms)], floor=floor), -1, 1
        )


def mapped(exponent: Interval) -> Interval:
    """The interval of a score from the one of its exponent: the map grows, so bounds stay bounds."""
    return Interval(normalised(exponent.mean), normalised(exponent.lo), normalised(exponent.hi), exponent.n)


def table(scores: Sequence[Score], data: str, deterministic: frozenset[str]) -> pa.Table:
    """The scores as a table; what is not defined is null."""
    return pa.Table.from_pylist([_row(score, data, score.method in deterministic) for score in scores], schema=SCORES)


def _row(score: Score, data: str, conditional: bool) -> dict[str, Any]:
    i = score.interval
    ends = {key: x if math.isfinite(x) else None for key, x in (("value", i.mean), ("lo", i.lo), ("hi", i.hi))}
    names = {"method": score.method, "student": score.student, "budget": score.budget, "score": score.name}
    behind = {"hard_protocol": score.hard, "protocol": score.protocol, "plain_protocol": score.plain}
    return {"data": data, **names, **behind, **ends, "n": i.n, "conditional_on_set": conditional}
