"""The candidates for a recommendation: their accuracy, their cost, and which may still be the best."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

import numpy as np

from decoct.report import costs
from decoct.report.accuracy import Accuracy, Setting
from decoct.report.costs import Measure, Row
from decoct.report.grouped import grouped
from decoct.report.judged import Judged
from decoct.report.read.manifest import CONTROL, FULL, SHARD, Manifest
from decoct.report.stats import moderated
from decoct.report.stats.answers import Answers, Correct
from decoct.report.stats.comparisons import Comparison, compare
from decoct.report.stats.crossed import Crossed, crossed
from decoct.report.stats.estimate import Estimate
from decoct.report.stats.intervals import ALPHA, Replicates, common
from decoct.report.stats.pairwise import Pairs, Place, pairwise


@dataclass(frozen=True)
class Candidate:
    """A method in a setting.

    Attributes:
        accuracy: of its students, with steps, images and bytes.
        runs: their accuracies by replicate.
        seconds: device or processor time of everything needed before a student trains, mean over sets: the set, what it
            is made from, the protocol's teachers and stored labels, each in full, without the student's training.
            Infinite where unknown, or where the candidates were made on different machines.
        crossed: the accuracy over sets and test images.
        estimate: the same with an error that borrows from the student's other candidates, see ``moderated``.
        fixed: one set whatever the seed.
    """

    accuracy: Accuracy
    runs: Replicates
    seconds: float
    crossed: Crossed
    estimate: Estimate
    fixed: bool = False

    @property
    def mean(self) -> float:
        """Of its accuracy."""
        return self.accuracy.interval.mean

    @property
    def images(self) -> float:
        """Of the set; infinite where unknown, so that no limit holds it."""
        return math.inf if self.accuracy.images is None else float(self.accuracy.images)

    @property
    def bytes(self) -> float:
        """Of images and labels; infinite where unknown."""
        return math.inf if self.accuracy.total_bytes is None else float(self.accuracy.total_bytes)

    def __str__(self) -> str:
        return f"{self.accuracy.method} under {self.accuracy.setting.protocol}"


@dataclass(frozen=True)
class Pool:
    """What a run has to choose among.

    Attributes:
        judged: the run.
        candidates: by student, in the order of the accuracies.
        measure: by what time they are compared; None where it cannot be.
    """

    judged: Judged
    candidates: Mapping[str, tuple[Candidate, ...]]
    measure: Measure | None

    def pairs(self, student: str) -> Pairs:
        """The difference of each two candidates of a student."""
        own, answers = self.candidates[student], self.judged.answers
        results = [answers.keys[c.accuracy.method, c.accuracy.setting] for c in own]
        load = partial(_load, answers, results)
        return pairwise([c.runs for c in own], load, self.judged.frame.floor).borrowed([c.fixed for c in own])

    def difference(self, a: Candidate, b: Candidate, margin: float) -> Comparison:
        """a − b by itself, paired by replicate and by test image."""
        terms = [(weight, c.accuracy.method, c.accuracy.setting) for weight, c in ((1, a), (-1, b))]
        values = common([(1, a.runs), (-1, b.runs)])
        return compare(crossed(values, self.judged.answers.combined(terms), self.judged.frame.floor), margin)


def pool(judged: Judged) -> Pool:
    """Every method and setting that has a student and can be read; controls and a paper's own protocol take no part.

    A student without such a setting has an empty entry.
    """
    run, answers = judged.frame.manifest, judged.answers
    taken = _before_training(run)
    competing = [a for a in judged.accuracies if a.method != FULL and run.families[a.method] != CONTROL]
    own = [a for a in competing if a.setting not in judged.outside]
    here = {label for label, method in run.methods.items() if "external" not in method}
    by = costs.measure([row for a in own if a.method in here for row in taken.get((a.method, a.setting), ())])
    floor = judged.frame.floor / math.sqrt(2)  # one set's own accuracy moves by half the variance of a difference

    def candidate(a: Accuracy) -> Candidate:
        place = a.method, a.setting
        times = [row[costs.FULL[by]] for row in taken.get(place, ())] if by else []
        seconds = fmean(times) if times and None not in times else math.inf
        error = crossed(judged.runs[place], answers.accuracy(*place), floor)
        return Candidate(a, judged.runs[place], seconds, error, error.estimate(), a.method in run.deterministic)

    by_student = grouped(map(candidate, own), lambda c: c.accuracy.setting.student)
    students = dict.fromkeys(a.setting.student for a in competing)
    return Pool(judged, {student: borrowed(by_student.get(student, ())) for student in students}, by)


def borrowed(own: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The candidates with errors that borrow from each other, single-set candidates among themselves."""
    priors = {
        fixed: moderated.prior([c.crossed.sets for c in alike], [c.crossed.n - 1.0 for c in alike])
        for fixed, alike in grouped((c for c in own if c.crossed.n > 1), lambda c: c.fixed).items()
    }
    return tuple(replace(c, estimate=c.crossed.estimate(priors.get(c.fixed, moderated.NONE))) for c in own)


def _before_training(run: Manifest) -> Mapping[tuple[str, Setting], list[Row]]:
    """A row for each set that students of a method and setting trained on, as ``costs.measure`` reads it."""
    sets: dict[tuple[str, Setting], dict[str, Row]] = {}
    spent: dict[str, Row | None] = {}
    for job in (job for job in run.finished("train") if job.labels["method"] != FULL):
        condensed = run.by_key.get(job.inputs.get("condensed", ""))
        place = job.labels["method"], Setting.of(job.labels)
        if condensed is None or condensed.key in sets.setdefault(place, {}):
            continue
        needs = [need for need in run.needs(job).values() if need.kind != SHARD]
        parts = [*(run.construction(condensed)[1:] if run.done(condensed) else ()), *needs]
        for part in parts:
            if part.key not in spent:
                known = run.done(part) and not run.external(part)
                spent[part.key] = run.cost(part).model_dump() if known else None
        sets[place][condensed.key] = _sum([spent[part.key] for part in parts])
    return {place: list(by_set.values()) for place, by_set in sets.items()}


def _sum(parts: Sequence[Row | None]) -> Row:
    """The cost of all parts; a missing part makes the times unknown, not zero."""
    there = [part for part in parts if part is not None]
    whole = len(there) == len(parts)
    total = {column: sum(part[column] for part in there) if whole else None for column in costs.FULL.values()}
    machines = {key: " / ".join(sorted({part[key] for part in there})) for key in ("device", "hardware")}
    return {**total, **machines}


def unbeaten(pairs: Pairs, among: Sequence[int], alpha: float = ALPHA) -> list[bool]:
    """A subset that contains the truly best with probability 1 − α or more, whichever that is.

    i is left out if some j is shown to be better at level α / (K − 1), the first step of Holm (1979) over its K − 1
    rivals. All hypotheses about the truly best are true, so it is left out with probability α at most; no further
    correction over i is needed. This is comparison with the best by subset selection (Gupta, 1965; Hsu, 1996,
    chapter 4), with Holm in place of a multivariate t, since differences are paired and spread unequally.

    Args:
        pairs: all differences of two.
        among: indices of the K in question.
        alpha: chance to leave the best out.
    """
    better = pairs.better(alpha / max(len(among) - 1, 1))[np.ix_(among, among)]
    return [not row.any() for row in better]


def _load(answers: Answers, results: Sequence[Mapping[Place, str]], i: int, at: Place) -> Correct | None:
    return answers.load(results[i][at])
