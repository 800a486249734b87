"""Runs of one study that differ only in their seed, pooled into one run whose replicates are independent.

The sets of a run may share a source of chance, such as a trained teacher. Counting them as independent makes intervals
too narrow: with one teacher per run for five sets, and two runs pooled as ten sets, a 95 % interval covers about 70 %.
So the run is then one replicate, its sets are its students, and students are averaged first.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa

from decoct.core.errors import UsageError
from decoct.core.spec import digest
from decoct.report.grouped import grouped
from decoct.report.read.frame import COSTS, METRICS, NAME, RESULTS, Frame, beside
from decoct.report.read.manifest import FULL, Job, Manifest

OWN = ("seed", "name")  # fields of a study in which pooled runs may differ
NUMBERS = ("condense_replicate", "train_replicate")
SETS, READ = ("condense", "train"), ("condense", "measure")  # jobs that accuracies, and readings, depend on


@dataclass(frozen=True)
class Pooled:
    """How runs are pooled.

    Attributes:
        runs: their manifests.
        shared: kinds of what was drawn once for several sets of a run; then replicates count by run.
        n: replicates that have a student.
    """

    runs: tuple[Manifest, ...]
    shared: tuple[str, ...]
    n: int

    @property
    def seeds(self) -> tuple[Any, ...]:
        """The runs' seeds."""
        return tuple(run.study.get("seed") for run in self.runs)

    def sentence(self) -> str:
        """How many runs, and how replicates count; without its full stop."""
        if self.shared:
            shared = " and ".join(map(_plural, self.shared))
            why = f"each run counts as one replicate, because its sets share the same {shared}"
        elif self.runs[0].teachers_vary:
            why = "every set has its own teacher"
        else:
            why = "every set counts, because the sets of a run share nothing that was drawn for that run"
        return f"{len(self.runs)} runs that differ only in their seed are pooled; {why}: n = {self.n}"

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        folders, by = [str(run.folder) for run in self.runs], "run" if self.shared else "set"
        return {"runs": folders, "seeds": self.seeds, "count_by": by, "n": self.n, "text": f"{self.sentence()}."}


def alike(runs: Sequence[Manifest]) -> bool:
    """Whether runs are of the same data and of studies that differ in their seed, and their name, alone."""
    return len({_study(run) for run in runs}) == 1


def groups(frames: Sequence[Frame]) -> list[list[Frame]]:
    """The runs that are pooled, each group in the order given; most groups are one run.

    Raises:
        UsageError: a run is named twice, or one study with one seed.
    """
    for a, b in combinations([frame.manifest for frame in frames], 2):
        if a.folder.resolve() == b.folder.resolve():
            raise UsageError(f"{b.folder} is the same run twice: name each once")
        if alike([a, b]) and a.study.get("seed") == b.study.get("seed"):
            raise UsageError(
                f"{a.folder} and {b.folder} are one study with one seed, {a.study.get('seed')}: name each once\n"
                f"`decoct compare {a.folder} {b.folder}` says what changed between them"
            )
    return list(grouped(frames, lambda frame: _study(frame.manifest)).values())


def pool(frames: Sequence[Frame], folder: Path | None = None) -> Frame:
    """The tables of all runs as those of one, replicates numbered anew.

    Where the sets of a run share something that was trained from its seed, the run is the condense replicate and the
    students of its sets are its train replicates; its readings are averaged. Else every set is a replicate. What has
    the same key in several runs is one cell, and a deterministic set that nothing drawn is behind is one set still.

    Args:
        frames: of ``groups``; one alone comes back as it is.
        folder: of the pooled run; default: the first run's.
    """
    if len(frames) == 1 and folder is None:
        return frames[0]
    runs = tuple(frame.manifest for frame in frames)
    shared = _shared(runs, SETS)
    sets, students = (1 + max((j.labels.get(name, 0) for j in _jobs(runs)), default=0) for name in NUMBERS)
    number = _Numbers(sets, students, bool(shared), _brought(runs[0]))
    jobs: dict[str, Job] = {}
    for r, run in enumerate(runs):
        for job in run.jobs:
            jobs.setdefault(job.key, replace(job, labels=number.labels(r, job.labels)))
    methods = _methods(runs)
    fixed = {label for label, about in methods.items() if not about["stochastic"]}
    results = _results(frames, jobs)
    n = len({row["condense_replicate"] for row in results if row["method"] != FULL})
    messages = {key: message for run in reversed(runs) for key, message in run.messages.items()}
    manifest = replace(
        runs[0],
        folder=folder or runs[0].folder,
        decoct=", ".join(dict.fromkeys(run.decoct for run in runs)),
        methods=methods,
        jobs=tuple(jobs.values()),
        messages=messages,
        ended=all(run.ended for run in runs),
        pooled=Pooled(runs, shared, n),
    )
    trained = {row["key"] for row in results}
    failed = (job for job in manifest.jobs if job.key in messages and not manifest.done(job))
    metrics = _metrics(frames, number, fixed, bool(_shared(runs, READ)))
    return Frame(
        manifest=manifest,
        results=pa.Table.from_pylist(results, schema=RESULTS),
        metrics=pa.Table.from_pylist(metrics, schema=METRICS),
        costs=pa.Table.from_pylist(_costs(frames, number, fixed), schema=COSTS),
        holes=tuple(job for job in manifest.of_kind("train") if job.key not in trained),
        failures=tuple((job, messages[job.key]) for job in failed),
        per_class={key: shares for frame in frames for key, shares in frame.per_class.items()},
    )


@dataclass(frozen=True)
class _Numbers:
    """Replicates of several runs: sets and students of each in one run, and whether the run is the replicate.

    Several external sets of one method are the same in every run, and no run adds another.
    """

    sets: int
    students: int
    by_run: bool
    brought: frozenset[str] = frozenset()

    def labels(self, run: int, labels: Mapping[str, Any]) -> dict[str, Any]:
        """Those of a job of a run, with its number in the pool."""
        condense, train = (labels.get(name) for name in NUMBERS)
        if condense is None:
            return dict(labels)
        number = self.set(run, condense, labels.get("method"))
        if train is None:
            return {**labels, "condense_replicate": number}
        if labels.get("method") in self.brought:
            return {**labels, "train_replicate": run * self.students + train}
        numbers = (run, condense * self.students + train) if self.by_run else (number, train)
        return {**labels, **dict(zip(NUMBERS, numbers, strict=True))}

    def set(self, run: int, condense: int, method: str | None) -> int:
        """The number of a set among those of all runs."""
        return condense if method in self.brought else run * self.sets + condense


def _study(run: Manifest) -> str:
    study = {key: value for key, value in run.study.items() if key not in OWN}
    config = {label: about["config"] for label, about in run.methods.items()}
    return digest([run.data["digest"], study, config])


def _jobs(runs: Iterable[Manifest]) -> Iterable[Job]:
    return (job for run in runs for job in run.jobs)


def _shared(runs: Sequence[Manifest], kinds: Collection[str]) -> tuple[str, ...]:
    """Kinds of jobs drawn once for several replicates of a run that depend on no other such job."""
    found: dict[str, None] = {}
    for run in runs:
        behind: dict[int, set[str]] = {}
        for job in run.jobs:
            if job.kind in kinds and job.labels.get("method") != FULL:
                drawn = (key for key, need in run.needs(job).items() if need.drawn)
                behind.setdefault(job.labels["condense_replicate"], set()).update(drawn)
        sets = Counter(key for keys in behind.values() for key in keys)
        several = {key for key, number in sets.items() if number > 1}
        first = (job for job in run.jobs if job.key in several and not several & set(job.inputs.values()))
        found |= dict.fromkeys(job.kind for job in first)
    return tuple(found)


def _methods(runs: Sequence[Manifest]) -> dict[str, dict[str, Any]]:
    """The first run's methods, with a set for each run where a method's sets depend on something drawn for that run."""
    sets = [(run, job) for run in runs for job in run.of_kind("condense")]
    several = {job.labels["method"] for run, job in sets if any(need.drawn for need in run.needs(job).values())}
    first = runs[0].methods
    return {label: about | {"stochastic": about["stochastic"] or label in several} for label, about in first.items()}


def _brought(run: Manifest) -> frozenset[str]:
    """Methods that have several external sets."""
    return frozenset(label for label, about in run.methods.items() if "external" in about and about["stochastic"])


def _results(frames: Sequence[Frame], jobs: Mapping[str, Job]) -> list[dict[str, Any]]:
    """A row for each key: equal keys are one student."""
    rows = {row["key"]: row for frame in reversed(frames) for row in frame.results.to_pylist()}
    order = (job.key for job in jobs.values() if job.key in rows)
    return [rows[key] | {name: jobs[key].labels[name] for name in NUMBERS} for key in order]


def _costs(frames: Sequence[Frame], number: _Numbers, fixed: Collection[str]) -> list[dict[str, Any]]:
    """Each run's own rows; of a set that all runs have, the first."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for r, frame in enumerate(frames):
        for row in frame.costs.to_pylist():
            at = None if row["method"] in fixed else number.set(r, row["condense_replicate"], row["method"])
            rows.setdefault((row["method"], row["budget"], at), row | {"condense_replicate": at or 0})
    return list(rows.values())


def _metrics(frames: Sequence[Frame], number: _Numbers, fixed: Collection[str], by_run: bool) -> list[dict[str, Any]]:
    """A row for each reading of a set, or their mean over each run's sets, or over all of a set that all runs have.

    Random sets lie elsewhere in each run's features, so that a reading stands beside the mean of all runs' random sets,
    with their variance within a run.
    """
    numbered: list[dict[str, Any]] = []
    for r, frame in enumerate(frames):
        for row in frame.metrics.to_pylist():
            own = number.set(r, row["condense_replicate"], row["method"])
            at = 0 if row["method"] in fixed else r if by_run and row["method"] not in number.brought else own
            numbered.append(row | {"condense_replicate": at, "run": r})
    random = {
        place: _together(list({row["run"]: row for row in own}.values()))
        for place, own in grouped((row for row in numbered if row["random"] is not None), _place).items()
    }
    sets = grouped(numbered, lambda row: (row["method"], row["condense_replicate"], *_place(row)))
    rows = []
    for readings in sets.values():
        row = readings[0] | {name: _mean(readings, name) for name in ("value", "lo", "hi")}
        reading = tuple(row[name] for name in NAME)
        known = random.get(_place(row))
        rows.append(beside(row, {reading: known} if known else {}))
    return rows


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (row["budget"], *(row[name] for name in NAME))


def _together(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What random sets of several runs give, from one row of each."""
    sds = [row["random_sd"] for row in rows if row["random_sd"] is not None]
    known = {name: _mean(rows, f"random_{name}") for name in ("lo", "hi")}
    known |= {"mean": _mean(rows, "random"), "sd": fmean(sd**2 for sd in sds) ** 0.5 if sds else None}
    return known | {"n": sum(row["random_n"] or 0 for row in rows)}


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return fmean(values) if values else None


def _plural(kind: str) -> str:
    return kind if kind.endswith("s") else f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
