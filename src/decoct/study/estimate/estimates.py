"""Estimates of a job's cost from similar jobs: cells of earlier runs, and probes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from decoct.core.record import CELL, MEASURED, Cost, read_cost, read_json
from decoct.core.spec import digest
from decoct.data.dataset import Dataset
from decoct.study.cell import hardware
from decoct.study.jobs import Job

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


class Estimate(NamedTuple):
    """What a job took, or is expected to take, in seconds; None where that is unknown.

    Attributes:
        source: "earlier" for results of a run, "probe", or "" for none.
        seconds, cpu_seconds: of work, on the clock and of its processors.
        overhead: around the work: inputs are read, a student is evaluated, the cell is written.
        once, cpu_once: of what its process works out for all jobs that follow it, which is not in the others.
    """

    source: str = ""
    seconds: float | None = None
    cpu_seconds: float | None = None
    overhead: float | None = None
    once: float = 0.0
    cpu_once: float = 0.0

    @classmethod
    def of(cls, cost: Cost, source: str) -> "Estimate":
        """From a job that ran to its end."""
        own = cost.seconds - cost.once, cost.cpu_seconds - cost.cpu_once, cost.around
        return cls(source, *own, cost.once, cost.cpu_once)


Known = dict[str, list[Estimate]]  # what jobs took, by their likeness


def likeness(job: Job, jobs: Mapping[str, Job]) -> str:
    """A digest shared by jobs that take equally long: only seeds, folds, or the method of their set differ.

    ``jobs`` are others by key, with the set that the job reads.
    """
    said = {name: value for name, value in job.keyed.items() if name not in ("seed", "classes", "fold")}
    roles = sorted({"shard" if role.startswith("shard:") else role for role in job.inputs})
    source = jobs.get(job.inputs.get("condensed", ""))
    size = source.keyed.get("budget") if source else None
    first, last = job.keyed.get("numbers", (0, 0))
    return digest([job.kind, said, roles, size, len(job.keyed.get("classes") or ()), last - first])


def middle(known: Sequence[Estimate]) -> Estimate:
    """The median of what jobs that are alike took; unknown where there are none."""
    rows: Any = [took[1:] for took in known]
    return Estimate(known[0].source, *np.median(rows, axis=0).tolist()) if known else Estimate()


def earlier(roots: Iterable[Path], data: Dataset, device: str) -> tuple[Known, list[str]]:
    """Costs of cells that the same hardware made from the same data, and why other cells give no estimate."""
    jobs, known, damaged, elsewhere = dict[str, Job](), Known(), list[Path](), 0
    for folder in (file.parent for root in roots for file in sorted(root.glob(f"[a-z]*/??/*/{CELL}"))):
        try:
            jobs[folder.name] = job = Job.model_construct(**read_json(folder / CELL))  # of a set before its students
            if "external" in job.keyed:
                continue  # nobody knows what it took
            cost = read_cost(folder / MEASURED)
            if (cost.hardware, cost.device.partition(":")[0]) != (hardware(device), device.partition(":")[0]):
                elsewhere += 1
            elif job.keyed["data"] == data.digest:
                known.setdefault(likeness(job, jobs), []).append(Estimate.of(cost, "earlier"))
        except UNREADABLE:
            damaged.append(folder)
    said = [f"{elsewhere} results are from other hardware and say nothing about this one"] if elsewhere else []
    if damaged:
        mend = f"`decoct verify --repair {damaged[0].parents[2]}` removes what is"
        said.append(f"not read, since damaged: {len(damaged)} cells, such as {damaged[0]}; {mend}")
    return known, said
