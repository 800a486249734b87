"""What one can choose among, what it gives and takes, and which of many are not shown to be worse than the best."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from decoct.report.accuracy import Accuracy, Setting, by_setting, replicates
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import CONTROL, FULL, SHARD, Manifest
from decoct.report.sections import cost
from decoct.report.sections.cost import FULL as COLUMNS
from decoct.report.sections.cost import Measure, Row
from decoct.report.stats.intervals import ALPHA, Replicates


@dataclass(frozen=True)
class Candidate:
    """A method in a setting.

    Attributes:
        accuracy: of its students, with steps, images and bytes.
        runs: their accuracies by replicate.
        seconds: device or processor time of all that must be there before a student trains, mean over sets: the set,
            what it stands on, the protocol's teachers and stored labels, each in full. Training the student is not in
            it. Infinite where unknown, or where the candidates were made on unlike machines.
    """

    accuracy: Accuracy
    runs: Replicates
    seconds: float

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


def candidates(frame: Frame, accuracies: Sequence[Accuracy]) -> tuple[tuple[Candidate, ...], Measure | None]:
    """Every method and setting that has a student, and by what time they are compared; controls take no part.

    Returns:
        the candidates in the order of the accuracies, and the measure; None where times cannot be compared.
    """
    families = frame.manifest.families
    taken = _before_training(frame.manifest)
    rows = by_setting(frame.results.to_pylist())
    own = [a for a in accuracies if a.method != FULL and families[a.method] != CONTROL]
    here = {label for label, method in frame.manifest.methods.items() if "external" not in method}
    by = cost.measure([row for a in own if a.method in here for row in taken.get((a.method, a.setting), ())])

    def seconds(a: Accuracy) -> float:
        times = [row[COLUMNS[by]] for row in taken.get((a.method, a.setting), ())] if by else []
        return fmean(times) if times and None not in times else math.inf

    return tuple(Candidate(a, replicates(rows[a.method, a.setting]), seconds(a)) for a in own), by


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


def ahead(runs: Sequence[Replicates], floor: float = 0.0) -> NDArray[np.float64]:
    """One-sided p [K, K] of "j is no better than i", paired t over the condense-level means that both have.

    Args:
        runs: accuracies by (condense, train) replicate of each of K.
        floor: the smallest standard deviation to believe, see ``intervals.grid_floor``.

    Returns:
        NaN where two share fewer than two sets, and on the diagonal.
    """
    places = sorted({key for run in runs for key in run})
    sets = sorted({condense for condense, _ in places})
    x = np.array([[run.get(place, math.nan) for place in places] for run in runs]).reshape(len(runs), len(places))
    members = [[i for i, (condense, _) in enumerate(places) if condense == one] for one in sets]
    p = np.full((len(runs), len(runs)), math.nan)
    for i in range(len(runs) if places else 0):
        difference = x - x[i]
        means = np.stack([_mean(difference[:, own], 1) for own in members], 1)
        n = np.isfinite(means).sum(1)
        centre = _mean(means, 1)
        squares = np.where(np.isfinite(means), (means - centre[:, None]) ** 2, 0.0).sum(1)
        sd = np.maximum(np.sqrt(squares / np.maximum(n - 1, 1)), floor)
        certain = np.where(centre == 0, 0.5, np.where(centre > 0, 0.0, 1.0))  # with no spread at all the sign decides
        t = np.divide(centre * np.sqrt(n), sd, out=np.zeros_like(centre), where=sd > 0)
        own = np.where(sd > 0, stdtr(np.maximum(n - 1, 1), -t), certain)
        p[i] = np.where(n > 1, own, math.nan)
        p[i, i] = math.nan
    return p


def unbeaten(p: NDArray[np.float64], alpha: float = ALPHA) -> list[bool]:
    """A set that holds the truly best with probability 1 − α or more, whichever it is.

    i is left out if it is shown that some j is better: if p_ij < α / (K − 1), which is the first step of Holm (1979)
    over its K − 1 rivals. The truly best has only true hypotheses among its own, so that it is left out with
    probability α at most; no further correction over i is needed. That is comparison with the best by subset selection
    (Gupta, 1965; Hsu, 1996, chapter 4), with Holm in place of a multivariate t, since differences are paired and spread
    unequally.

    Args:
        p: [K, K], as ``ahead`` gives it; a NaN shows nothing and counts as a test made.
        alpha: chance to leave the best out.
    """
    rivals = max(len(p) - 1, 1)
    return [not bool((row[np.isfinite(row)] * rivals < alpha).any()) for row in p]


def _mean(x: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Mean of what is finite; NaN where nothing is."""
    there = np.isfinite(x)
    count: NDArray[np.int64] = there.sum(axis)
    mean: NDArray[np.float64] = np.full(count.shape, math.nan)
    np.divide(np.where(there, x, 0.0).sum(axis), count, out=mean, where=count > 0)
    return mean
