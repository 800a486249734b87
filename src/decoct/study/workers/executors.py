"""Executors of jobs: this process, a pool of workers, or Ray. None changes any result or key."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.context import BaseContext
from multiprocessing.queues import SimpleQueue
from typing import Any, Literal, get_args

from decoct.core.errors import UsageError
from decoct.core.spec import suggest
from decoct.data.reading.parallel import follow_parent, track, variables
from decoct.study.jobs import Job, kinds
from decoct.study.memory import MALLOC, keep_memory
from decoct.study.store.store import Store

On = Literal["inline", "pool", "ray"]
AHEAD = 4  # jobs handed to a Ray of the run's own for each that computes: the next one is there when one ends
HANDED_OUT = 1000  # jobs that wait at a cluster which may grow: enough for it to see what it is short of
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Inline(Executor):
    """Runs each call at once, in the caller's thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """A future that is already done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def process_pool(workers: int, threads: int = 1, gpus: Sequence[str] = ()) -> ProcessPoolExecutor:
    """So many fresh processes with ``threads`` each, told to OpenMP before torch starts; they die with their parent.

    Each takes one of ``gpus``, as ``CUDA_VISIBLE_DEVICES`` names them, and sees no other. Where there are more workers,
    several share one. A worker that dies breaks its pool, and the next pool has all of them again.
    """
    track()  # now: it would unblock Ctrl-C where Pool has it blocked
    context = multiprocessing.get_context("spawn")
    queue = None
    if gpus:
        queue = context.SimpleQueue()
        for worker in range(workers):
            queue.put(gpus[worker % len(gpus)])
    return Pool(workers, context, queue, environment(threads))


class Pool(ProcessPoolExecutor):
    """A process pool whose workers are born with an environment of their own, and with Ctrl-C blocked, so that none
    dies of it before it can ignore it.
    """

    def __init__(
        self,
        workers: int,
        context: BaseContext,
        gpus: "SimpleQueue[str] | None" = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(workers, mp_context=context, initializer=_start, initargs=(gpus,))
        self._environment = dict(environment or {})

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """As for any executor; a worker that is needed for it starts here."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with variables(self._environment):
                return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def environment(threads: int) -> dict[str, str]:
    """A worker's environment before Python starts: its threads, and that glibc keeps freed memory.

    glibc reads its settings once, when a process begins; whoever set them already has their own.
    """
    return {name: str(threads) for name in THREADS} | {name: os.environ.get(name, to) for name, to in MALLOC.items()}


def visible_gpus(count: int) -> tuple[str, ...]:
    """The GPUs that CUDA sees, named as in ``CUDA_VISIBLE_DEVICES`` if that is set, and otherwise by index.

    Numbers, UUIDs and what UUIDs begin with stay as they are. Of MIG slices a process sees one, however many are named:
    all of them are given, for as many workers.
    """
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if count and named and all(name.startswith("MIG-") for name in named):
        return tuple(dict.fromkeys(named))
    return tuple(named or map(str, range(count)))[:count]


def _start(gpus: "SimpleQueue[str] | None" = None) -> None:
    """In a worker, before torch is imported: take a GPU, leave Ctrl-C to the driver, and leave when it is gone."""
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus.get()
    follow_parent()
    keep_memory()


@dataclass(frozen=True)
class Place:
    """The executor of the jobs, and each job's share of the machine.

    Attributes:
        on: None for this process where one job runs at a time, a pool of processes otherwise.
        workers: jobs at once; of a Ray cluster, None for as many as its nodes take.
        device: where each job computes.
        visible: GPUs of this machine, as ``CUDA_VISIBLE_DEVICES`` names them, that pool workers or a local Ray share
            out.
        gpus: by kind of job, how many GPUs of Ray's each one gets; a fraction lets several share one. A kind that
            gets none computes on the CPU. What is not named gets one where the device is "cuda".
        address: of a Ray cluster, ``HOST:PORT`` or "auto"; None for a Ray of this run's own.
    """

    on: On | None = None
    workers: int | None = 1
    device: str = "cpu"
    visible: tuple[str, ...] = ()
    gpus: Mapping[str, float] = field(default_factory=dict)
    address: str | None = None

    def __post_init__(self) -> None:
        """Raise a UsageError if what is asked for does not go together."""
        if self.on not in (None, *get_args(On)):
            raise UsageError(f"jobs cannot run on '{self.on}'.{suggest(str(self.on), get_args(On))}")
        for what, said in (("--address", self.address is not None), ("--gpus", bool(self.gpus))):
            if said and self.on != "ray":
                raise UsageError(f"{what} is for Ray: add --on ray, or leave it out")
        if self.on == "inline" and self.workers != 1:
            raise UsageError("--on inline runs one job at a time: leave out --workers, or use --on pool")
        for kind, number in self.gpus.items():
            if kind not in kinds():
                raise UsageError(f"--gpus: no kind of job is called '{kind}'.{suggest(kind, kinds())}")
            if not 0 <= number < float("inf") or (number > 1 and number != int(number)):
                raise UsageError(f"--gpus {kind}={number:g}: a fraction below 1, or a whole number of GPUs")
            if number and not self.device.startswith("cuda"):
                raise UsageError(f"--gpus {kind}={number:g} needs --device cuda; jobs compute on {self.device}")
        if self.on == "ray" and self.device.startswith("cuda:"):
            raise UsageError(f"Ray gives each job its own GPU: use --device cuda, not {self.device}")

    @property
    def at_once(self) -> int:
        """Jobs that the driver hands out at once; a Ray of the run's own lets no more than ``workers`` compute."""
        if self.workers is None:
            return HANDED_OUT
        return AHEAD * self.workers if self.on == "ray" and self.address is None else self.workers

    @property
    def on_cpu(self) -> frozenset[str]:
        """Kinds of job that get no GPU though others do."""
        return frozenset(kind for kind, number in self.gpus.items() if not number)

    def share(self, kind: str) -> float:
        """GPUs of Ray's that a job of a kind gets."""
        return self.gpus.get(kind, 1.0 if self.device == "cuda" else 0.0)

    def executors(self, threads: int, store: Store, jobs: Iterable[Job]) -> Callable[[int], Executor]:
        """What makes an executor for so many workers, which must see the store, the jobs' data and their plug-ins."""
        on = self.on or ("inline" if self.workers == 1 else "pool")
        if on == "inline":
            return lambda workers: Inline()
        if on == "pool":
            return lambda workers: process_pool(workers, threads, self.visible)
        from decoct.study.workers.cluster import Cluster, Needed

        jobs = list(jobs)
        data, plugins = {job.data for job in jobs}, {plugin for job in jobs for plugin in job.plugins}
        plugins |= {place for job in jobs if (place := job.student.partition("@")[2])}
        needed = Needed(store.where, tuple(sorted(data)), tuple(sorted(plugins)))
        gpus: dict[str, float] = {kind: self.share(kind) for kind in sorted({job.kind for job in jobs})}
        most, here = self.workers, len(self.visible)
        return lambda workers: Cluster(needed, threads, gpus, self.address, min(workers, most or workers), here)
