"""What one can choose among: a method's set at a budget under a protocol, with what it gives and what it takes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from decoct.report.findings import price
from decoct.report.findings.accuracy import Accuracy, replicates
from decoct.report.findings.price import FULL as COLUMNS
from decoct.report.findings.price import Measure, Row
from decoct.report.findings.verdict import Setting
from decoct.report.frame import Frame
from decoct.report.manifest import CONTROL, FULL, SHARD, Manifest
from decoct.report.stats import Replicates


@dataclass(frozen=True)
class Candidate:
    """A method in a setting.

    Attributes:
        accuracy: of its students, with steps, images and bytes.
        runs: their accuracies by replicate.
        seconds: device or processor time of all that must be there before a student trains, mean over sets: the set,
            what it stands on, the protocol's teachers and stored labels, each in full. Training the student is not in
            it. NaN where unknown, or where the candidates were made on unlike machines.
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
    families = {label: method["family"] for label, method in frame.manifest.methods.items()}
    taken = _before_training(frame.manifest)
    rows: dict[tuple[str, Setting], list[Row]] = {}
    for row in frame.results.to_pylist():
        rows.setdefault((row["method"], Setting(row["protocol"], row["student"], row["budget"])), []).append(row)
    own = [a for a in accuracies if a.method != FULL and families[a.method] != CONTROL]
    here = {label for label, method in frame.manifest.methods.items() if "external" not in method}
    by = price.measure([row for a in own if a.method in here for row in taken.get((a.method, a.setting), ())])

    def seconds(a: Accuracy) -> float:
        times = [row[COLUMNS[by]] for row in taken.get((a.method, a.setting), ())] if by else []
        return fmean(times) if times and None not in times else math.nan

    return tuple(Candidate(a, replicates(rows[a.method, a.setting]), seconds(a)) for a in own), by


def _before_training(run: Manifest) -> Mapping[tuple[str, Setting], list[Row]]:
    """A row for each set that students of a method and setting trained on, as ``price.measure`` reads it."""
    found: dict[tuple[str, Setting], dict[str, Row]] = {}
    costs: dict[str, Row | None] = {}
    for job in run.finished("train"):
        condensed = run.by_key.get(job.inputs.get("condensed", ""))
        if condensed is None or job.labels["method"] == FULL:
            continue
        place = job.labels["method"], Setting(*(job.labels[name] for name in Setting._fields))
        if condensed.key in found.setdefault(place, {}):
            continue
        needs = [need for need in run.needs(job).values() if need.kind != SHARD]
        parts = [*(run.construction(condensed)[1:] if run.done(condensed) else ()), *needs]
        for part in parts:
            if part.key not in costs:
                known = run.done(part) and not run.external(part)
                costs[part.key] = run.cost(part).model_dump() if known else None
        found[place][condensed.key] = _sum([costs[part.key] for part in parts])
    return {place: list(by_set.values()) for place, by_set in found.items()}


def _sum(costs: Sequence[Row | None]) -> Row:
    """Of all parts; what is gone leaves the times unknown, not zero."""
    there = [cost for cost in costs if cost is not None]
    total = {
        column: sum(cost[column] for cost in there) if len(there) == len(costs) else None for column in COLUMNS.values()
    }
    machines = {key: " / ".join(sorted({cost[key] for cost in there})) for key in ("device", "hardware")}
    return {**total, **machines}
