"""Where the jobs of a run compute: in this process, in a pool of workers, on Ray. None changes any result or key."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Literal, get_args

from decoct.core.errors import UsageError
from decoct.core.spec import suggest
from decoct.study.jobs import Job, kinds
from decoct.study.store.store import Store
from decoct.study.workers.executors import Inline, process_pool
from decoct.study.workers.gpus import answering
from decoct.study.workers.shares import Shares

On = Literal["inline", "pool", "ray"]
AHEAD = 4  # jobs handed to a Ray of the run's own for each that computes: the next one is there when one ends
HANDED_OUT = 1000  # jobs that wait at a cluster which may grow: enough for it to see what it is short of


@dataclass(frozen=True)
class Place:
    """The executor of the jobs, and each job's share of the machine.

    Attributes:
        on: None for this process where one job runs at a time, a pool of processes otherwise.
        workers: jobs at once; of a Ray cluster, None for as many as its nodes take.
        device: where each job computes.
        visible: GPUs of this machine, as ``CUDA_VISIBLE_DEVICES`` names them, that pool workers or a local Ray share
            out.
        gpus: by kind of job, how many GPUs each one gets; a fraction lets several share one. A kind that gets none
            computes on the CPU. What is not named gets one where the device is "cuda".
        address: of a Ray cluster, ``HOST:PORT`` or "auto"; None for a Ray of this run's own.
        beside: workers on the CPU for the kinds that get no GPU; Ray has its nodes' own.
    """

    on: On | None = None
    workers: int | None = 1
    device: str = "cpu"
    visible: tuple[str, ...] = ()
    gpus: Mapping[str, float] = field(default_factory=dict)
    address: str | None = None
    beside: int = 1

    def __post_init__(self) -> None:
        """Raise a UsageError if what is asked for does not go together."""
        if self.on not in (None, *get_args(On)):
            raise UsageError(f"jobs cannot run on '{self.on}'.{suggest(str(self.on), get_args(On))}")
        if self.address is not None and self.on != "ray":
            raise UsageError("--address is for Ray: add --on ray, or leave it out")
        if self.gpus and self.on == "inline":
            raise UsageError("--gpus shares GPUs out to workers: use --on pool or --on ray, or leave it out")
        if self.on == "inline" and self.workers != 1:
            raise UsageError("--on inline runs one job at a time: leave out --workers, or use --on pool")
        for kind, number in self.gpus.items():
            if kind not in kinds():
                raise UsageError(f"--gpus: no kind of job is called '{kind}'.{suggest(kind, kinds())}")
            if not 0 <= number < float("inf") or (number > 1 and number != int(number)):
                raise UsageError(f"--gpus {kind}={number:g}: a fraction below 1, or a whole number of GPUs")
            if number > 1 and self.on != "ray":
                raise UsageError(f"--gpus {kind}={number:g}: a worker of a pool sees one GPU; 1 or less, or --on ray")
            if number and not self.device.startswith("cuda"):
                raise UsageError(f"--gpus {kind}={number:g} needs --device cuda; jobs compute on {self.device}")
        if (self.on == "ray" or self.gpus) and self.device.startswith("cuda:"):
            raise UsageError(f"jobs are given GPUs by turns: use --device cuda, not {self.device}")

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
        """GPUs that a job of a kind gets."""
        return self.gpus.get(kind, 1.0 if self.device == "cuda" else 0.0)

    def executors(self, threads: int, store: Store, jobs: Iterable[Job]) -> Callable[[int], Executor]:
        """What makes an executor for so many workers, which must see the store, the jobs' data and their plug-ins."""
        on = self.on or ("inline" if self.workers == 1 and not self.gpus else "pool")
        if on == "inline":
            return lambda workers: Inline()
        if on == "pool":
            return self._pools(threads)
        from decoct.study.workers.cluster import Cluster, Needed

        jobs = list(jobs)
        data, plugins = {job.data for job in jobs}, {plugin for job in jobs for plugin in job.plugins}
        plugins |= {place for job in jobs if (place := job.student.partition("@")[2])}
        needed = Needed(store.where, tuple(sorted(data)), tuple(sorted(plugins)))
        gpus: dict[str, float] = {kind: self.share(kind) for kind in sorted({job.kind for job in jobs})}
        most, here = self.workers, len(self.visible)
        return lambda workers: Cluster(needed, threads, gpus, self.address, min(workers, most or workers), here)

    def _pools(self, threads: int) -> Callable[[int], Executor]:
        """What makes pools one after the other, each on the GPUs that still compute once another has ended."""
        left, made = self.visible, False

        def pool(workers: int) -> Executor:
            nonlocal left, made
            left, made = answering(left) if made and left else left, True
            if self.gpus and left:
                return Shares(left, self.share, workers, self.beside, threads)
            each = -(-(self.workers or 1) // max(1, len(self.visible)))  # no GPU gets more workers than before
            return process_pool(min(workers, each * len(left)) if left else workers, threads, left)

        return pool
