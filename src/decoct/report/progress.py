"""How far a running study is, read from its folder alone: nothing is locked, written or asked of the run."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from decoct.core.errors import DecoctError
from decoct.core.record import MEASURED, read_cost
from decoct.core.scratch import SILENT, abandoned, written
from decoct.report.read.manifest import RUN, SHARD, Job, Manifest

State = Literal["waiting", "running", "idle", "failed", "done"]
RECENT = 600.0  # seconds of the past that the rate is taken over
PAUSE = 10.0  # seconds after a job without another one in which a run is still thought to go on
REPLICATES = ("condense_replicate", "train_replicate", "shard")  # labels that make a job neither longer nor shorter


@dataclass(frozen=True)
class Kind:
    """Jobs of one kind.

    Attributes:
        name: such as "train".
        done, planned: jobs.
        seconds: mean of the work of one that is done; None where none is known.
        remaining: seconds of work of those that are left, were they as long as the finished jobs most like them; None
            where no job of the kind has finished.
    """

    name: str
    done: int
    planned: int
    seconds: float | None
    remaining: float | None


@dataclass(frozen=True)
class Progress:
    """A run at one moment.

    Attributes:
        folder: of the run.
        name: of the study; empty while there is no ``run.json``.
        state: waiting for ``run.json``; running; idle, with work left and nobody at it on this machine; failed, at the
            end of a run with failures; done.
        kinds: in the order of the plan.
        at_work: for each cell in the making, the seconds since its process last touched it.
        doing: what those are, where the run planned them; the longest untouched first.
        left_over: cells in the making whose process is not on this machine, or no more.
        ready: jobs whose inputs are there, by kind; those at work are among them.
        half_way: jobs with a checkpoint, and how many seconds ago it was written.
        per_minute: jobs that finished a minute, over the last ten minutes; None below two.
        at_once: seconds of work that were done a second over the same time; None where unknown.
        failures: jobs that failed, each with its message.
        trained: keys of trained students, which say whether a verdict may have changed.
    """

    folder: Path
    name: str
    state: State
    kinds: tuple[Kind, ...] = ()
    at_work: tuple[float, ...] = ()
    doing: tuple[str, ...] = ()
    left_over: int = 0
    ready: Mapping[str, int] | None = None
    half_way: tuple[tuple[str, float], ...] = ()
    per_minute: float | None = None
    at_once: float | None = None
    failures: tuple[tuple[str, str], ...] = ()
    trained: frozenset[str] = frozenset()

    @property
    def done(self) -> int:
        """Jobs that are done."""
        return sum(kind.done for kind in self.kinds)

    @property
    def planned(self) -> int:
        """Jobs in all."""
        return sum(kind.planned for kind in self.kinds)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Kinds with work left of which none has finished, so that their time is not known."""
        return tuple(kind.name for kind in self.kinds if kind.done < kind.planned and kind.remaining is None)

    @property
    def remaining(self) -> float | None:
        """Seconds until what can be foreseen is done; None where nothing can."""
        known = [kind.remaining for kind in self.kinds if kind.remaining is not None]
        if self.state != "running" or not known:
            return None
        return sum(known) / (self.at_once or max(len(self.at_work), 1))

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        kinds = [{**vars(kind)} for kind in self.kinds]
        return {
            "folder": str(self.folder),
            "name": self.name,
            "state": self.state,
            "done": self.done,
            "planned": self.planned,
            "kinds": kinds,
            "at_work": len(self.at_work),
            "doing": list(self.doing),
            "ready": dict(self.ready or {}),
            "half_way": [job for job, _ in self.half_way],
            "jobs_per_minute": self.per_minute,
            "remaining_seconds": self.remaining,
            "remaining_unknown": list(self.unknown),
            "failures": [f"{job}: {message}" for job, message in self.failures],
        }


@dataclass(frozen=True)
class Finished:
    """A job that is done: when, and the seconds of its work, if it says so."""

    at: float
    seconds: float | None


class Watcher:
    """Looks at a run again and again; what is done stays done, so that each cell is read once.

    Args:
        folder: of the run, which need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamp: tuple[int, ...] = ()
        self._run: Manifest | None = None
        self._finished: dict[str, Finished] = {}

    def look(self, now: float) -> Progress:
        """The run at ``now``, seconds since the epoch.

        Raises:
            DecoctError: ``run.json`` is damaged, or another version of decoct wrote it.
        """
        run = self._manifest()
        if run is None:
            return Progress(self.folder, "", "waiting")
        run.cells.refresh()
        unseen = [(job.kind, job.key) for job in run.jobs if job.key not in self._finished]
        run.cells.prefetch(unseen, lambda name: name == MEASURED)
        pending = [job for job in run.jobs if not self._done(run, job)]
        wanted = {key for job in pending for key in job.inputs.values()}
        # A set that is there needs its shards no more, and nobody makes them.
        pending = [job for job in pending if job.kind != SHARD or job.key in wanted]
        done = [job for job in run.jobs if job.key in self._finished]
        making, left_over = _scratch(run.cells.root, now)
        at_work = tuple(age for age, _ in making)
        failures = tuple((str(job), run.messages[job.key]) for job in pending if job.key in run.messages)
        between = any(now - self._finished[job.key].at <= PAUSE for job in done)
        failed = failures and run.ended and not at_work
        state: State = "failed" if failed else "running" if at_work or between else "idle"
        rate, at_once = self._rate(done, at_work, now)
        return Progress(
            self.folder,
            run.name,
            state if pending else "done",
            self._kinds(run, done, pending),
            at_work,
            tuple(str(run.by_key[key]) for _, key in making if key in run.by_key),
            left_over,
            Counter(job.kind for job in pending if not set(job.inputs.values()) & {p.key for p in pending}),
            tuple(_half_way(run, pending, now)),
            rate,
            at_once,
            failures,
            frozenset(job.key for job in done if job.kind == "train"),
        )

    def _manifest(self) -> Manifest | None:
        """``run.json``, read anew where it was replaced."""
        try:
            status = (self.folder / RUN).stat()
        except OSError:
            return None
        stamp = status.st_ino, status.st_mtime_ns, status.st_size
        if stamp != self._stamp:
            self._run, self._stamp = Manifest.read(self.folder), stamp
        return self._run

    def _done(self, run: Manifest, job: Job) -> bool:
        """Whether a job is done; if it is new, when it was and how long it took is kept."""
        if job.key not in self._finished:
            if not run.done(job):
                return False
            self._finished[job.key] = _finished(run, job)
        return True

    def _kinds(self, run: Manifest, done: list[Job], pending: list[Job]) -> tuple[Kind, ...]:
        order = dict.fromkeys(job.kind for job in run.jobs)
        found = []
        for kind in order:
            own, left = ([job for job in jobs if job.kind == kind] for jobs in (done, pending))
            took = [(job, seconds) for job in own if (seconds := self._finished[job.key].seconds) is not None]
            mean = fmean(seconds for _, seconds in took) if took else None
            if own or left:
                found.append(Kind(kind, len(own), len(own) + len(left), mean, _foreseen(took, left)))
        return tuple(found)

    def _rate(self, done: Iterable[Job], at_work: Iterable[float], now: float) -> tuple[float | None, float | None]:
        recent = [each for job in done if now - (each := self._finished[job.key]).at <= RECENT]
        if len(recent) < 2:
            return None, None
        span = max(now - min(each.at - (each.seconds or 0.0) for each in recent), 1e-3)
        work = sum(each.seconds or 0.0 for each in recent) + sum(at_work)
        return 60 * len(recent) / span, work / span if work > 0 else None


def _foreseen(took: list[tuple[Job, float]], left: list[Job]) -> float | None:
    """Seconds of work that is left, each job as long as the finished ones that share most labels with it.

    Where several groups of equal labels do, it is the mean over the groups: a method of many jobs counts as one of few.
    """
    if not left or not took:
        return None if left else 0.0
    alike: dict[frozenset[tuple[str, str]], list[float]] = {}
    for job, seconds in took:
        alike.setdefault(_traits(job), []).append(seconds)
    means = {traits: fmean(values) for traits, values in alike.items()}
    total = 0.0
    for traits, number in Counter(map(_traits, left)).items():
        nearest = max(len(traits & other) for other in means)
        total += number * fmean(mean for other, mean in means.items() if len(traits & other) == nearest)
    return total


def _traits(job: Job) -> frozenset[tuple[str, str]]:
    return frozenset((name, str(value)) for name, value in job.labels.items() if name not in REPLICATES)


def _finished(run: Manifest, job: Job) -> Finished:
    """What is not known, as of a set that was brought along, is left out."""
    try:
        file = run.cells.file(job.kind, job.key, MEASURED)
        return Finished(file.stat().st_mtime, read_cost(file).seconds)
    except (OSError, ValueError, DecoctError):
        return Finished(0.0, None)


def _scratch(store: Path, now: float) -> tuple[list[tuple[float, str]], int]:
    """Cells in the making, by writers that seem to live: seconds since each was touched, key; and how many others."""
    making, others = [], 0
    try:
        folders = [entry for entry in os.scandir(store) if entry.name.startswith(".tmp-")]
    except OSError:
        return [], 0
    for entry in folders:
        try:
            age = max(0.0, now - entry.stat().st_mtime)
        except OSError:
            continue  # it became a cell meanwhile
        key = written(entry.name)
        if key is None or abandoned(Path(entry.path), SILENT):
            others += 1
        else:
            making.append((age, key))
    return sorted(making, reverse=True), others


def _half_way(run: Manifest, pending: Iterable[Job], now: float) -> Iterable[tuple[str, float]]:
    """Jobs that left a checkpoint, in a file or in a folder of their own."""
    folder = run.cells.root / "unfinished"
    if not folder.is_dir():
        return
    for job in pending:
        for path in (folder / job.kind / f"{job.key}.safetensors", folder / job.kind / job.key):
            try:
                yield str(job), max(0.0, now - path.stat().st_mtime)
            except OSError:
                continue
