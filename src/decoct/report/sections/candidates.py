"""What one can choose among, what it gives and takes, and which of many may still be the best."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from decoct.report.accuracy import Accuracy, Setting, by_setting, keys, replicates
from decoct.report.grouped import grouped
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import CONTROL, FULL, SHARD, Manifest
from decoct.report.sections import cost
from decoct.report.sections.cost import FULL as COLUMNS
from decoct.report.sections.cost import Measure, Row
from decoct.report.stats import moderated, pairwise
from decoct.report.stats.answers import Answers
from decoct.report.stats.comparisons import Comparison, compare
from decoct.report.stats.crossed import Crossed, crossed
from decoct.report.stats.estimate import Estimate
from decoct.report.stats.intervals import ALPHA, Replicates, common


@dataclass(frozen=True)
class Candidate:
    """A method in a setting.

    Attributes:
        accuracy: of its students, with steps, images and bytes.
        runs: their accuracies by replicate.
        seconds: device or processor time of all that must be there before a student trains, mean over sets: the set,
            what it stands on, the protocol's teachers and stored labels, each in full. Training the student is not in
            it. Infinite where unknown, or where the candidates were made on unlike machines.
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
        candidates: by student, in the order of the accuracies.
        measure: by what time they are compared; None where it cannot be.
        answers: of all students by test image.
        floor: the smallest standard deviation of a difference to believe.
    """

    candidates: Mapping[str, tuple[Candidate, ...]]
    measure: Measure | None
    answers: Answers
    floor: float

    def ahead(self, student: str) -> NDArray[np.float64]:
        """One-sided p of "the column is no better than the row" among a student's candidates."""
        own = self.candidates[student]
        results = [self.answers.keys[c.accuracy.method, c.accuracy.setting] for c in own]
        pairs = pairwise.pairwise([c.runs for c in own], lambda i, at: self.answers.load(results[i][at]), self.floor)
        return pairs.ahead([c.fixed for c in own])

    def difference(self, a: Candidate, b: Candidate, margin: float) -> Comparison:
        """a − b by itself, paired by replicate and by test image."""
        terms = [(weight, c.accuracy.method, c.accuracy.setting) for weight, c in ((1, a), (-1, b))]
        values = common([(1, a.runs), (-1, b.runs)])
        return compare(crossed(values, self.answers.combined(terms), self.floor), margin)


def pool(frame: Frame, accuracies: Sequence[Accuracy], outside: Collection[Setting] = ()) -> Pool:
    """Every method and setting that has a student; controls take no part.

    Args:
        frame: the tables of the run.
        accuracies: of all methods and settings.
        outside: settings that take no part either. Their students have an entry all the same, which may be empty.
    """
    families, fixed, floor = frame.manifest.families, frame.manifest.deterministic, frame.floor
    taken = _before_training(frame.manifest)
    rows = by_setting(frame.results.to_pylist())
    answers = Answers({place: keys(group) for place, group in rows.items()}, frame.correct)
    competing = [a for a in accuracies if a.method != FULL and families[a.method] != CONTROL]
    own = [a for a in competing if a.setting not in outside]
    here = {label for label, method in frame.manifest.methods.items() if "external" not in method}
    by = cost.measure([row for a in own if a.method in here for row in taken.get((a.method, a.setting), ())])

    def candidate(a: Accuracy) -> Candidate:
        times = [row[COLUMNS[by]] for row in taken.get((a.method, a.setting), ())] if by else []
        seconds = fmean(times) if times and None not in times else math.inf
        runs = replicates(rows[a.method, a.setting])
        # One set's own accuracy moves on the grid by half the variance of a difference.
        error = crossed(runs, answers.accuracy(a.method, a.setting), floor / math.sqrt(2))
        return Candidate(a, runs, seconds, error, error.estimate(), a.method in fixed)

    by_student = grouped(map(candidate, own), lambda c: c.accuracy.setting.student)
    students = dict.fromkeys(a.setting.student for a in competing)
    return Pool({student: borrowed(by_student.get(student, ())) for student in students}, by, answers, floor)


def borrowed(own: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The candidates with errors that borrow from each other, those of one set from those of one set."""
    priors = {
        fixed: moderated.prior([c.crossed.sets for c in alike], [c.crossed.n - 1.0 for c in alike])
        for fixed, alike in grouped((c for c in own if c.crossed.n > 1), lambda c: c.fixed).items()
    }
    return tuple(replace(c, estimate=c.crossed.estimate(priors.get(c.fixed, moderated.NONE))) for c in own)


def _before_training(run: Manifest) -> Mapping[tuple[str, Setting], list[Row]]:
    """A row for each set that students of a method and setting trained on, as ``cost.measure`` reads it."""
    sets: dict[tuple[str, Setting], dict[str, Row]] = {}
    costs: dict[str, Row | None] = {}
    for job in (job for job in run.finished("train") if job.labels["method"] != FULL):
        condensed = run.by_key.get(job.inputs.get("condensed", ""))
        place = job.labels["method"], Setting.of(job.labels)
        if condensed is None or condensed.key in sets.setdefault(place, {}):
            continue
        needs = [need for need in run.needs(job).values() if need.kind != SHARD]
        parts = [*(run.construction(condensed)[1:] if run.done(condensed) else ()), *needs]
        for part in parts:
            if part.key not in costs:
                known = run.done(part) and not run.external(part)
                costs[part.key] = run.cost(part).model_dump() if known else None
        sets[place][condensed.key] = _sum([costs[part.key] for part in parts])
    return {place: list(by_set.values()) for place, by_set in sets.items()}


def _sum(costs: Sequence[Row | None]) -> Row:
    """Of all parts; what is gone leaves the times unknown, not zero."""
    there = [part for part in costs if part is not None]
    whole = len(there) == len(costs)
    total = {column: sum(part[column] for part in there) if whole else None for column in COLUMNS.values()}
    machines = {key: " / ".join(sorted({part[key] for part in there})) for key in ("device", "hardware")}
    return {**total, **machines}


def unbeaten(p: NDArray[np.float64], alpha: float = ALPHA) -> list[bool]:
    """A set that holds the truly best with probability 1 − α or more, whichever it is.

    i is left out if it is shown that some j is better: if p_ij < α / (K − 1), which is the first step of Holm (1979)
    over its K − 1 rivals. The truly best has only true hypotheses among its own, so that it is left out with
    probability α at most; no further correction over i is needed. That is comparison with the best by subset selection
    (Gupta, 1965; Hsu, 1996, chapter 4), with Holm in place of a multivariate t, since differences are paired and spread
    unequally.

    Args:
        p: [K, K], as ``Pairs.ahead`` gives it; a NaN shows nothing and counts as a test made.
        alpha: chance to leave the best out.
    """
    rivals = max(len(p) - 1, 1)
    return [not bool((row[np.isfinite(row)] * rivals < alpha).any()) for row in p]
