"""Many probes, one after the other, in a process of their own that may die or be ended."""

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from decoct.core.kinds import Progress, silent
from decoct.run.jobs import Job
from decoct.run.planning.probe import Sample, brief, probe
from decoct.run.planning.roofline import Gpu
from decoct.run.workers.executors import process_pool

Call = tuple[Any, ...]  # a function and its arguments

LEAST, MOST = 0.5, 8.0  # seconds of work that one probe may see
PATIENCE = 300.0  # seconds at least until a probe is given up: it may have to find what it keeps for later jobs
BRISK = 60.0  # the same where somebody said how long all probes may take


@dataclass(frozen=True)
class Asked:
    """A probe to make.

    Attributes:
        job: to probe.
        around: only what stands around its work is asked for: how long that takes is known.
    """

    job: Job
    around: bool = False


def probing(
    asked: Iterable[Asked],
    jobs: Mapping[str, Job],
    *,
    store: str | None,
    device: str,
    threads: int,
    limit: float,
    more: Callable[[Sequence[Sample]], float] = lambda found: 0.0,
    patience: float = PATIENCE,
    gpu: Gpu | None = None,
    progress: Progress = silent,
) -> list[Sample]:
    """Make probes until the time is up; those that come first are made first.

    Args:
        asked: what to probe.
        jobs: all of the study by key.
        store: the study's own, whose cells are used where they are.
        device: where to compute.
        threads: of a job.
        limit: seconds for all of them; the one that is under way then still ends.
        more: seconds for all of them instead, if that is more, by what was found when the limit is reached.
        patience: seconds, or what is left if that is more, after which one is given up.
        gpu: whose seconds are counted instead of this machine's, by its roofline.
        progress: called with (probes made, in all).

    Returns:
        What was found, by probe; one that was not made says so.
    """
    todo, found, started, extended = list(asked), list[Sample](), time.monotonic(), False
    with tempfile.TemporaryDirectory(prefix="decoct-plan-") as scratch:
        worker = _Worker(threads, None if gpu else _warming(scratch, store, jobs, device))
        try:
            for done, one in enumerate(todo):
                progress(done, len(todo))
                spent = time.monotonic() - started
                if spent >= limit and not extended:
                    limit, extended = max(limit, more(found)), True
                left = limit - spent
                if left <= 0:
                    found.append(Sample(one.job.key, trouble="there was no time left to probe it"))
                    continue
                share = 0.0 if gpu else min(MOST, max(LEAST, left / (len(todo) - done)))  # a count has no noise
                behind = _behind(one.job, jobs)
                call: Call = (probe, scratch, store, one.job, behind, device, share, gpu)
                if one.around:
                    call = (brief, scratch, store, one.job, behind, device, gpu)
                found.append(worker.ask(one.job, call, max(patience, left)))
            progress(len(todo), len(todo))
        finally:
            worker.end()
    return found


def _warming(scratch: str, store: str | None, jobs: Mapping[str, Job], device: str) -> Call | None:
    """A first call of a worker, whose result nobody reads: the first training of a process takes seconds more."""
    students = [job for job in jobs.values() if job.kind == "train"]
    first = min(students, key=lambda job: len(job.inputs), default=None)
    return (brief, scratch, store, first, _behind(first, jobs), device) if first else None


class _Worker:
    """A process that probes; another one follows where it died or had to be ended.

    Args:
        threads: that it computes with.
        warming: a call that each such process begins with.
    """

    def __init__(self, threads: int, warming: Call | None) -> None:
        self.threads, self.warming = threads, warming
        self.pool: ProcessPoolExecutor | None = None

    def ask(self, job: Job, call: Call, patience: float) -> Sample:
        """What one call finds, or why it finds nothing."""
        try:
            if self.pool is None:
                self.pool = process_pool(1, self.threads)
                if self.warming is not None:
                    self.pool.submit(*self.warming).result(patience)
            found: Sample = self.pool.submit(*call).result(patience)
            return found
        except TimeoutError:
            self.end()
            return Sample(job.key, trouble=f"it made no step in {patience:.0f} s")
        except BrokenExecutor:
            self.end()
            return Sample(job.key, trouble="its worker process died; it may need more memory than there is")

    def end(self) -> None:
        """End the process, whatever it does."""
        if self.pool is not None:
            processes = list((getattr(self.pool, "_processes", None) or {}).values())
            self.pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.kill()
                process.join()
            self.pool = None


def _behind(job: Job, jobs: Mapping[str, Job]) -> dict[str, Job]:
    """The jobs that a job stands on, by key, so that no more than those travel."""
    found: dict[str, Job] = {}
    todo = list(job.inputs.values())
    while todo:
        key = todo.pop()
        if key not in found:
            found[key] = jobs[key]
            todo += jobs[key].inputs.values()
    return found
