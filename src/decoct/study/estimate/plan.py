"""The expected cost of a study before it runs: its jobs, each with an estimate, and how they fill the workers."""

import heapq
import tempfile
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

from decoct.core import scratch
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress, silent
from decoct.core.owned import check_own, holds
from decoct.core.record import write_json
from decoct.core.spec import digest
from decoct.data.dataset import Dataset
from decoct.study.cell import hardware
from decoct.study.drive import Driver, abandon
from decoct.study.estimate.estimates import Estimate, Known, earlier, likeness, middle
from decoct.study.estimate.probe import probe
from decoct.study.expand import ExternalSet, expand
from decoct.study.external_sets import read_external
from decoct.study.jobs import ExternalJob, Job
from decoct.study.store.store import Store
from decoct.study.study import Study
from decoct.study.workers.executors import Inline, process_pool

PLAN, FORMAT = "plan.json", 1
PROBE = 120.0  # seconds for all probes, where nobody says how many
LEAST, MOST = 0.5, 8.0  # seconds of work that one probe may see
PATIENCE, BRISK = 300.0, 60.0  # seconds at least until a probe is given up; the same where somebody said how many
MEASURING = ("reference", "measure")  # kinds for which each worker works out once what depends on the real data alone
SUMS = ("seconds", "cpu_seconds", "overhead")


class Group(NamedTuple):
    """Jobs to do that are alike: their kind, one of them in words, their keys, and what each is expected to take."""

    kind: str
    example: str
    keys: tuple[str, ...]
    each: Estimate


@dataclass(frozen=True)
class Plan:
    """What a study is expected to cost."""

    study: Study
    data: Dataset
    outside: tuple[ExternalSet, ...]  # sets that the study brings along
    store: Store | None  # whose cells need not be made again
    workers: int  # jobs at once
    device: str  # where each computes
    known: Known  # what jobs like its own took
    troubles: Sequence[str]  # what was not read or could not be probed, and why

    @cached_property
    def jobs(self) -> dict[str, Job]:
        """All jobs by key, inputs first."""
        return {job.key: job for job in expand(self.study, self.data, self.outside)}

    @cached_property
    def todo(self) -> list[Job]:
        """Jobs that are not in the store, without sets that the user supplied, which no job makes."""
        todo = Driver(self.store, lambda _: Inline()).missing(self.jobs.values()) if self.store else self.jobs
        return [job for job in todo.values() if not isinstance(job, ExternalJob)]

    @cached_property
    def groups(self) -> list[Group]:
        """The jobs to do, in groups of similar ones; measures share equally the work that each worker does once."""
        alike, groups = dict[str, list[Job]](), list[Group]()
        for job in self.todo:
            alike.setdefault(likeness(job, self.jobs), []).append(job)
        measures = sum(len(own) for own in alike.values() if own[0].kind in MEASURING)
        share = min(self.workers, measures) / max(1, measures)
        told = [(took.once, took.cpu_once) for own in self.known.values() for took in own]
        once, cpu_once = max(told, default=(0.0, 0.0))
        for like, own in alike.items():
            each = middle(self.known.get(like, []))
            if own[0].kind in MEASURING and each.seconds is not None:
                whole = each.seconds + share * once, (each.cpu_seconds or 0.0) + share * cpu_once
                each = Estimate(each.source, *whole, each.overhead)
            groups.append(Group(own[0].kind, str(own[0]), tuple(job.key for job in own), each))
        return groups

    def probed(self, seconds: float | None = None, progress: Progress = silent) -> "Plan":
        """The same with a probe of one job of each group without an earlier result.

        Probes run in a process that may die or be ended: another one follows. What measures sets comes last, since the
        first of these works out for all others what they share.

        Args:
            seconds: after which no further probe begins. None to probe all, as briefly as may be after ``PROBE``.
            progress: called with (probes made, in all).
        """
        asked = [self.jobs[group.keys[0]] for group in self.groups if group.each.seconds is None]
        asked.sort(key=lambda job: job.kind in MEASURING)
        known, troubles, start, pool = dict(self.known), list(self.troubles), time.monotonic(), None
        limit, patience = (PROBE, PATIENCE) if seconds is None else (seconds, BRISK)
        cells = self.store.where if self.store else None
        with tempfile.TemporaryDirectory(prefix="decoct-plan-") as folder, ExitStack() as ending:
            for done, job in enumerate(asked):
                progress(done, len(asked))
                left = limit - (time.monotonic() - start)
                if left <= 0 and seconds is not None:
                    troubles.append(f"no time was left to probe {len(asked) - done} kinds of job, such as {job}")
                    break
                if pool is None:
                    pool = process_pool(1, self.study.threads)
                    ending.callback(abandon, pool)
                share, most = min(MOST, max(LEAST, left / (len(asked) - done))), max(patience, left)
                call = pool.submit(probe, folder, cells, job, self.jobs, self.device, share)
                try:
                    known[likeness(job, self.jobs)] = [call.result(most)]
                except DecoctError as error:
                    troubles.append(f"not probed: {job}: {error}")
                except (TimeoutError, BrokenExecutor) as error:
                    died = "its worker process died; it may need more memory than there is"
                    why = died if isinstance(error, BrokenExecutor) else f"it made no step in {most:.0f} s"
                    troubles.append(f"not probed: {job}: {why}")
                    abandon(pool)
                    pool = None
            progress(len(asked), len(asked))
        return replace(self, known=known, troubles=troubles)

    @cached_property
    def clock(self) -> float:
        """Seconds until the workers have done all jobs whose time is known."""
        seconds = {key: (g.each.seconds or 0.0) + (g.each.overhead or 0.0) for g in self.groups for key in g.keys}
        needs = {key: list(job.inputs.values()) for key, job in self.jobs.items() if key in seconds}
        return schedule(needs, seconds, self.workers)

    @property
    def unknown(self) -> int:
        """Jobs to do whose time is not known."""
        return sum(len(group.keys) for group in self.groups if group.each.seconds is None)

    @property
    def kinds(self) -> list[dict[str, Any]]:
        """By kind, in the order of the jobs: sums over those to do, as far as they are known, and what is not known."""
        rows = []
        for kind, jobs in Counter(job.kind for job in self.jobs.values()).items():
            own = [(len(group.keys), group.each) for group in self.groups if group.kind == kind]
            row: dict[str, Any] = {"name": kind, "jobs": jobs, "todo": sum(n for n, _ in own)}
            row |= {what: sum(n * (getattr(each, what) or 0.0) for n, each in own) for what in SUMS}
            row["unknown"] = sum(n for n, each in own if each.seconds is None)
            row["sources"] = sorted({each.source for _, each in own} - {""})
            rows.append(row)
        return rows

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps`` and for ``plan.json``: the report finds the jobs by their keys."""
        kinds = self.kinds
        return {
            "format": FORMAT,
            "study": self.study.name,
            "fits": digest(sorted(self.jobs)),
            "device": self.device,
            "hardware": hardware(self.device),
            "workers": self.workers,
            "jobs": len(self.jobs),
            **{what: sum(kind[what] for kind in kinds) for what in ("todo", "unknown", *SUMS)},
            "clock": self.clock,
            "kinds": kinds,
            "groups": [group._asdict() | {"each": group.each._asdict()} for group in self.groups],
            "troubles": list(self.troubles),
        }

    def write(self, out: Path) -> Path:
        """Write ``plan.json`` into a run's folder, in one step.

        Raises:
            UsageError: a file is there that decoct did not write.
        """
        check_own(out, (PLAN,), holds(out / PLAN, "groups"))
        out.mkdir(parents=True, exist_ok=True)
        scratch.replace(out / PLAN, lambda path: write_json(path, self.to_json()))
        return out / PLAN


def make_plan(
    study: Study,
    data: Dataset,
    *,
    store: Store | None = None,
    others: Sequence[Path] = (),
    workers: int = 1,
    device: str = "cpu",
) -> Plan:
    """A plan by earlier results alone: of cells in the store, and in the folders of other runs or stores.

    Raises:
        UsageError: an unknown net.
        DecoctError: a class is smaller than a budget.
    """
    roots = [store.root] if store else []
    roots += [other / "store" if (other / "store").is_dir() else other for other in others]
    known, troubles = earlier(dict.fromkeys(roots), data, device)
    outside = tuple(entry.planned for entry in read_external(study, data))
    return Plan(study, data, outside, store, workers, device, known, troubles)


def schedule(needs: Mapping[str, Sequence[str]], seconds: Mapping[str, float], workers: int) -> float:
    """Simulate a run: a worker that is free takes the job that has been ready for longest; seconds until the last ends.

    List scheduling (Graham, 1969) is within a factor of 2 − 1 / workers of the best order. ``needs`` are the jobs that
    must end before each starts; those that are no key of it are done.
    """
    graph = TopologicalSorter({job: [n for n in own if n in needs] for job, own in needs.items()})
    graph.prepare()
    ready, running, now, started = deque(graph.get_ready()), list[tuple[float, int, str]](), 0.0, 0
    while ready or running:
        while ready and len(running) < workers:
            job = ready.popleft()
            heapq.heappush(running, (now + seconds[job], started := started + 1, job))
        now, _, job = heapq.heappop(running)
        graph.done(job)
        ready.extend(graph.get_ready())
    return now
