"""What a study will cost before it runs: its jobs, each with an estimate, and how they fill the workers."""

import heapq
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

import decoct
from decoct.core import scratch
from decoct.core.errors import DecoctError, UsageError
from decoct.core.kinds import Progress, silent
from decoct.core.owned import check_own, holds
from decoct.core.record import write_json
from decoct.core.spec import digest
from decoct.data.dataset import Dataset, load_data
from decoct.run.cell import hardware
from decoct.run.drive import Driver
from decoct.run.expand import ExternalSet, expand
from decoct.run.external_sets import read_external
from decoct.run.jobs import ExternalJob, Job
from decoct.run.planning.estimates import Estimate, Estimates, Known, Likeness, earlier, likeness
from decoct.run.planning.probe import behind_of, end_pool, probe
from decoct.run.planning.proposals import Takes
from decoct.run.storage.store import Store
from decoct.run.study import Study
from decoct.run.workers.executors import Inline, process_pool

PLAN, FORMAT = "plan.json", 1
PROBE, SHARE = 120.0, 0.05  # seconds of probes, and as much of the work that is planned, if that is more
LEAST, MOST = 0.5, 8.0  # seconds of work that one probe may see
PATIENCE = 300.0  # seconds at least until a probe is given up: it may have to find what it keeps for later jobs
BRISK = 60.0  # the same where somebody said how long all probes may take
LATE = {"reference": 1, "measure": 2}  # kinds that are probed after the others
LEVELS = ("sure", "fair", "rough", "unknown")


class Group(NamedTuple):
    """Jobs to do that are alike: their kind, one of them in words, their keys, and what each is expected to take."""

    kind: str
    example: str
    keys: tuple[str, ...]
    each: Estimate


@dataclass(frozen=True)
class Plan:
    """What a study is expected to cost.

    Attributes:
        study: what is planned.
        data: that it is on.
        outside: the sets that it brings along.
        store: whose cells need not be made again.
        workers: jobs at once.
        device: where each computes.
        known: what jobs like its own took.
        troubles: what was not read or could not be probed, and why.
    """

    study: Study
    data: Dataset
    outside: tuple[ExternalSet, ...]
    store: Store | None
    workers: int
    device: str
    known: list[Known]
    troubles: list[str]

    @cached_property
    def jobs(self) -> dict[str, Job]:
        """All jobs by key, inputs first."""
        return {job.key: job for job in expand(self.study, self.data, self.outside)}

    @cached_property
    def todo(self) -> list[Job]:
        """Those that are not in the store, without what the user brought, which nothing makes."""
        jobs = list(self.jobs.values())
        missing = Driver(self.store, lambda _: Inline()).missing(jobs).values() if self.store else jobs
        return [job for job in missing if not isinstance(job, ExternalJob)]

    @cached_property
    def likes(self) -> dict[str, Likeness]:
        """What each job is like, by key; those that differ in their seeds are looked at once."""
        seen, likes = dict[Any, Likeness](), dict[str, Likeness]()
        for key, job in self.jobs.items():
            labels = [(name, value) for name, value in job.labels.items() if not name.endswith("_replicate")]
            alike = (job.kind, *sorted(labels), *sorted(job.inputs))
            likes[key] = seen.get(alike) or seen.setdefault(alike, likeness(job, self.jobs.get, self.data))
        return likes

    def grouped(self) -> tuple[Group, ...]:
        """The jobs to do, those that are alike together, by what is known now."""
        groups, estimates = dict[Likeness, list[Job]](), Estimates(self.known)
        for job in self.todo:
            groups.setdefault(self.likes[job.key], []).append(job)
        return tuple(
            Group(like.kind, str(own[0]), tuple(job.key for job in own), estimates.of(like))
            for like, own in groups.items()
        )

    groups = cached_property(grouped)

    def asked(self) -> list[Job]:
        """One job to probe of each group that no result tells of.

        Of each work the largest amount comes first, in the order of the jobs: the others can be scaled from it, should
        the time not suffice. Of those, what measures sets comes last: the first one in a process works out for all
        others what hangs on the real data alone.
        """
        works: dict[str, list[Job]] = {}
        for job in (self.jobs[group.keys[0]] for group in self.grouped() if group.each.sure in ("rough", "unknown")):
            works.setdefault(self.likes[job.key].work, []).append(job)
        rounds = [sorted(own, key=lambda job: -(self.likes[job.key].amount or 0.0)) for own in works.values()]
        first = sorted((own[0] for own in rounds), key=lambda job: LATE.get(job.kind, 0))
        return first + [job for own in rounds for job in own[1:]]

    def probe(self, seconds: float | None = None, progress: Progress = silent) -> None:
        """Probe jobs until the time is up, in a process that may die or be ended: another one follows.

        Args:
            seconds: for all probes. None for ``PROBE`` and, if that does not suffice, ``SHARE`` of the work that they
                find; a probe may then take five minutes before it is given up.
            progress: called with (probes made, in all).
        """
        asked, start, pool = self.asked(), time.monotonic(), None
        limit, patience = (PROBE, PATIENCE) if seconds is None else (seconds, BRISK)
        with tempfile.TemporaryDirectory(prefix="decoct-plan-") as folder, ExitStack() as ending:
            for done, job in enumerate(asked):
                progress(done, len(asked))
                spent = time.monotonic() - start
                if spent >= limit and seconds is None:
                    limit = max(limit, SHARE * sum(len(g.keys) * (g.each.seconds or 0.0) for g in self.grouped()))
                if spent >= limit:
                    self.troubles.append(f"no time was left to probe {len(asked) - done} sorts of job, such as {job}")
                    break
                share = min(MOST, max(LEAST, (limit - spent) / (len(asked) - done)))
                most = max(patience, limit - spent)
                if pool is None:
                    pool = process_pool(1, self.study.threads)
                    ending.callback(end_pool, pool)
                own, behind = self.store.where if self.store else None, behind_of(job, self.jobs)
                call = pool.submit(probe, folder, own, job, self.likes[job.key], behind, self.device, share)
                try:
                    self.known.append(call.result(most))
                except DecoctError as error:
                    self.troubles.append(f"not probed: {job}: {error}")
                except (TimeoutError, BrokenExecutor) as error:
                    died = "its worker process died; it may need more memory than there is"
                    why = died if isinstance(error, BrokenExecutor) else f"it made no step in {most:.0f} s"
                    self.troubles.append(f"not probed: {job}: {why}")
                    end_pool(pool)
                    pool = None
            progress(len(asked), len(asked))

    @property
    def once(self) -> dict[str, Any] | None:
        """What each worker works out once, said of the first kind of jobs to do that need it; None if there is none."""
        once, kinds = Estimates(self.known).once
        needing = [group for group in self.groups if group.kind in kinds]
        workers = min(self.workers, sum(len(group.keys) for group in needing))
        return {"kind": needing[0].kind, "workers": workers, **once._asdict()} if needing else None

    @property
    def clock(self) -> tuple[float, float]:
        """Seconds on the clock, and of the longest chain of jobs, of those whose time is known."""
        seconds = {key: (g.each.seconds or 0.0) + (g.each.overhead or 0.0) for g in self.groups for key in g.keys}
        needs = {key: list(job.inputs.values()) for key, job in self.jobs.items() if key in seconds}
        clock, chain = schedule(needs, seconds, self.workers)
        once = self.once["seconds"] if self.once else 0.0  # all workers are busy with it at the same time
        return clock + once, chain + once

    @property
    def kinds(self) -> list[dict[str, Any]]:
        """By kind, in the order of the jobs: sums over those to do, as far as they are known, and what is not known."""
        rows, once = [], self.once
        for kind, jobs in Counter(job.kind for job in self.jobs.values()).items():
            own = [(len(group.keys), group.each) for group in self.groups if group.kind == kind]
            todo, sources = sum(n for n, _ in own), {each.source for _, each in own} - {"none"}
            row: dict[str, Any] = {"name": kind, "jobs": jobs, "done": jobs - todo, "todo": todo}
            for what in ("seconds", "cpu_seconds", "overhead", "bytes"):
                row[what] = float(sum(n * (getattr(each, what) or 0.0) for n, each in own))
                row[what] += once["workers"] * once.get(what, 0.0) if once and once["kind"] == kind else 0.0
            row["peak"] = max((each.peak for _, each in own if each.peak), default=None)
            row["unknown"] = sum(n for n, each in own if each.seconds is None)
            row["unsized"] = sum(n for n, each in own if each.bytes is None)
            row["source"] = "both" if len(sources) > 1 else next(iter(sources), "none" if own else "")
            timed = [each.sure for _, each in own if each.seconds is not None]
            row["sure"] = max(timed, key=LEVELS.index, default="unknown" if own else "")
            rows.append(row)
        return rows

    @property
    def takes(self) -> Takes:
        """What it takes, as far as that is known."""
        unknown = sum(len(group.keys) for group in self.groups if group.each.seconds is None)
        return Takes(self.clock[0], len(self.todo) - unknown, unknown)

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps`` and for ``plan.json``: the report finds the jobs by their keys."""
        kinds, (clock, critical) = self.kinds, self.clock
        sums = ("todo", "unknown", "seconds", "cpu_seconds", "overhead", "bytes")
        return {
            "format": FORMAT,
            "decoct": decoct.__version__,
            "study": self.study.name,
            "fits": digest(sorted(self.jobs)),
            "device": self.device,
            "hardware": hardware(self.device),
            "workers": self.workers,
            "jobs": len(self.jobs),
            **{what: sum(kind[what] for kind in kinds) for what in sums},
            "peak": max((kind["peak"] for kind in kinds if kind["peak"]), default=None),
            "clock": clock,
            "critical": critical,
            "kinds": kinds,
            "groups": [group._asdict() | {"each": group.each._asdict()} for group in self.groups],
            "once": self.once,
            "troubles": self.troubles,
        }

    def write(self, out: Path) -> Path:
        """Write ``plan.json`` into a run's folder, in one step."""
        check_out(out)
        out.mkdir(parents=True, exist_ok=True)
        scratch.replace(out / PLAN, lambda path: write_json(path, self.to_json()))
        return out / PLAN


def check_out(out: Path) -> None:
    """See that a plan can be written into a folder.

    Raises:
        UsageError: a ``plan.json`` is there that decoct did not write.
    """
    check_own(out, (PLAN,), holds(out / PLAN, "groups"))


def make_plan(
    study: Study,
    *,
    store: Store | None = None,
    others: Sequence[Path] = (),
    workers: int = 1,
    device: str = "cpu",
    probe_for: float | None = 0.0,
    on_data: Callable[[Dataset], None] = lambda data: None,
    reading: Progress = silent,
    probed: Progress = silent,
) -> Plan:
    """Say what a study will cost; nothing is written but a temporary folder of probes.

    Args:
        study, store, workers, device: as of a ``Plan``; the store's cells also say what their like takes.
        others: folders of other runs or stores whose cells say the same.
        probe_for: seconds for probes of what no earlier result tells; 0 for none. None as ``Plan.probe`` says.
        on_data: called once with the data set.
        reading, probed: progress of reading the data, and of the probes.

    Raises:
        UsageError: an unknown net, or no such folder.
        DecoctError: the data cannot be read, or a class is smaller than a budget.
    """
    data = load_data(study.data, plugins=study.plugins, progress=reading)
    on_data(data)
    external = tuple(entry.planned for entry in read_external(study, data))
    made, roots = Plan(study, data, external, store, workers, device, [], []), [store.root] if store else []
    for other in others:
        if not other.is_dir():
            raise UsageError(f"--from {other}: no such folder; name one that 'decoct run' made, or a store")
        roots.append(other / "store" if (other / "store").is_dir() else other)
    for root in dict.fromkeys(roots):
        known, unread = earlier(root, data, device, hardware(device), study.plugins)
        made.known.extend(known)
        made.troubles.extend(unread)
    if probe_for is None or probe_for > 0:
        made.probe(probe_for, probed)
    made.troubles.extend(_training(made.todo))
    return made


def schedule(needs: Mapping[str, Sequence[str]], seconds: Mapping[str, float], workers: int) -> tuple[float, float]:
    """Simulate a run: a worker that is free takes the job that has been ready for longest.

    List scheduling (Graham, 1969) is within a factor of 2 − 1 / workers of the best order. ``needs`` are the jobs that
    must end before each starts; those that are no key of it are done.

    Returns:
        Seconds until the last job ends, and of the longest chain of jobs that wait for each other: no number of workers
        is faster.
    """
    graph = TopologicalSorter({job: [n for n in own if n in needs] for job, own in needs.items()})
    graph.prepare()
    ready, running, chain = deque(graph.get_ready()), list[tuple[float, int, str]](), dict[str, float]()
    now, started = 0.0, 0
    while ready or running:
        while ready and len(running) < workers:
            job = ready.popleft()
            heapq.heappush(running, (now + seconds[job], started := started + 1, job))
        now, _, job = heapq.heappop(running)
        chain[job] = seconds[job] + max((chain[n] for n in needs[job] if n in needs), default=0.0)
        graph.done(job)
        ready.extend(graph.get_ready())
    return now, max(chain.values(), default=0.0)


def _training(todo: Sequence[Job]) -> list[str]:
    """A word about teachers that will be trained where others are loaded, which may be forgotten or misspelt."""
    teachers = [job for job in todo if job.kind == "teacher"]
    trained = [str(job.labels["net"]) for job in teachers if not any(map(job.config.get, ("pretrained", "checkpoint")))]
    said = f"{', '.join(trained)} will be trained, while other teachers are loaded: to load "
    said += f"{'them' if trained[1:] else 'it'} too, add {{net = …, pretrained = true}} or a checkpoint to teachers"
    return [said] if 0 < len(trained) < len(teachers) else []
