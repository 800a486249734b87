"""How far a running study is and when it will be done, read from its folder alone, without asking the run."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from time import monotonic
from typing import Any, NamedTuple

from decoct.core.errors import DecoctError
from decoct.core.record import MEASURED
from decoct.core.scratch import SILENT, abandoned, written
from decoct.report.read.manifest import RUN, SHARD, Job, Manifest

RECENT, PAUSE = (
    600.0,
    10.0,
)  # seconds: over which concurrency is measured, and that a live run may pause between two jobs
# Labels that make a job neither longer nor shorter.
REPLICATES = ("condense_replicate", "train_replicate", "teacher_replicate", "shard")
SHARE = 10.0  # the next look waits this many times as long as the last one took, so as not to slow the run

Done = tuple[Job, float, float]  # a job, when it was done, and the seconds of its work: 0 where nobody measured them


class Progress(NamedTuple):
    """A run at one moment.

    Attributes:
        folder, name: of the run, and of its study.
        state: waiting for ``run.json``; running; idle, with work left and nobody at it on this machine; failed, at the
            end of a run with failures; done.
        done, planned: numbers of jobs; ``kinds`` has both by kind.
        at_work: jobs in the making, and the seconds since their process touched them.
        failures: message of each job that failed.
        trained: number of students, which says whether a verdict may have changed.
        remaining_seconds: until what can be foreseen is done; None unless the run is running.
        remaining_unknown: kinds of jobs that are left and of which none has finished, so they cannot be foreseen.
    """

    folder: str
    state: str
    name: str = ""
    done: int = 0
    planned: int = 0
    kinds: Mapping[str, tuple[int, int]] = {}
    at_work: Mapping[str, float] = {}
    failures: Mapping[str, str] = {}
    trained: int = 0
    remaining_seconds: float | None = None
    remaining_unknown: tuple[str, ...] = ()


class Watcher:
    """Looks at a run repeatedly; its folder need not exist yet, and each cell, which never changes, is read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamp: tuple[int, ...] = ()
        self._done: dict[str, Done] = {}

    def look(self, now: float) -> Progress:
        """The run at ``now``, seconds since the epoch.

        Raises:
            DecoctError: ``run.json`` is damaged, or another version of decoct wrote it.
        """
        try:
            status = (self.folder / RUN).stat()
        except OSError:
            return Progress(str(self.folder), "waiting")
        if self._stamp != (stamp := (status.st_ino, status.st_mtime_ns, status.st_size)):  # it was replaced
            self._run, self._stamp = Manifest.read(self.folder), stamp
        run = self._run
        run.cells.refresh()
        unseen = [job for job in run.jobs if job.key not in self._done]
        run.cells.prefetch([(job.kind, job.key) for job in unseen], lambda name: name == MEASURED)
        for job in filter(run.done, unseen):
            self._done[job.key] = job, 0.0, 0.0
            with suppress(OSError, DecoctError):  # nobody measured an external set
                self._done[job.key] = job, run.file(job, MEASURED).stat().st_mtime, run.cost(job).seconds
        done = [self._done[job.key] for job in run.jobs if job.key in self._done]
        pending = [job for job in run.jobs if job.key not in self._done]
        wanted = {key for job in pending for key in job.inputs.values()}
        # A set that exists needs its shards no more, and nobody makes them.
        pending = [job for job in pending if job.kind != SHARD or job.key in wanted]
        finished = Counter(job.kind for job, _, _ in done)
        planned = finished + Counter(job.kind for job in pending)
        kinds = {job.kind: (finished[job.kind], planned[job.kind]) for job in run.jobs if planned[job.kind]}
        at_work = {}  # by writers that seem to live
        for folder in run.cells.root.glob(".tmp-*"):
            if (key := written(folder.name)) in run.by_key and not abandoned(folder, SILENT, now):
                with suppress(OSError):  # it became a cell meanwhile
                    at_work[str(run.by_key[key])] = max(0.0, now - folder.stat().st_mtime)
        failures = {str(job): run.messages[job.key] for job in pending if job.key in run.messages}
        active = at_work or any(abs(now - at) <= PAUSE for _, at, _ in done)
        ended = failures and run.ended and not at_work
        state = "done" if not pending else "failed" if ended else "running" if active else "idle"
        seconds, unknown = remaining(done, pending, at_work.values(), now)
        counts = len(done), planned.total(), kinds, at_work, failures, finished["train"]
        return Progress(str(self.folder), state, run.name, *counts, seconds if state == "running" else None, unknown)


def remaining(
    done: list[Done], pending: Iterable[Job], ages: Collection[float], now: float
) -> tuple[float | None, tuple[str, ...]]:
    """Seconds until jobs are done, each as long as the finished ones of its kind that share most labels with it.

    Where several groups of equal labels do, it is the mean over the groups: a method of many jobs counts as one of few.
    Concurrency is that of the last ten minutes or, if no two jobs finished in them, the number of jobs at work, whose
    ``ages`` are given. What is not known yet is None, and kinds without a finished job are named.
    """
    alike: dict[str, dict[frozenset[Any], list[float]]] = {}
    for job, _, seconds in done:
        if seconds:
            alike.setdefault(job.kind, {}).setdefault(_traits(job), []).append(seconds)
    left = Counter((job.kind, _traits(job)) for job in pending)
    work = 0.0
    for (kind, traits), number in left.items():
        nearest = max((len(traits & other) for other in alike.get(kind, ())), default=0)
        means = [fmean(took) for other, took in alike.get(kind, {}).items() if len(traits & other) == nearest]
        work += number * fmean(means or [0.0])
    unknown = tuple(dict.fromkeys(kind for kind, _ in left if kind not in alike))
    recent = [(at, seconds) for _, at, seconds in done if 0 <= now - at <= RECENT]  # none of a clock that went back
    at_once = float(max(len(ages), 1))
    if len(recent) >= 2:
        span = max(now - min(at - seconds for at, seconds in recent), 1e-3)
        at_once = (sum(seconds for _, seconds in recent) + sum(ages)) / span or at_once
    return work / at_once if any(kind in alike for kind, _ in left) else None, unknown


def seldom(ask: Callable[[], Any]) -> Callable[[], Any]:
    """What ``ask`` last said, or None if it failed; it is asked again after ten times as long as that took."""
    after, said = 0.0, None

    def answer() -> Any:
        nonlocal after, said
        if (start := monotonic()) >= after:
            said = None
            with suppress(DecoctError, OSError):  # a run must not fail because nobody can say how long it takes
                said = ask()
            after = monotonic() + SHARE * (monotonic() - start)
        return said

    return answer


def _traits(job: Job) -> frozenset[tuple[str, str]]:
    return frozenset((name, str(value)) for name, value in job.labels.items() if name not in REPLICATES)
