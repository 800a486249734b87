"""Where a study's jobs run: in this process, in a pool of workers, or on Ray. Nothing of it enters a key."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Literal, get_args

from decoct.core.errors import UsageError
from decoct.core.spec import suggest
from decoct.run.jobs import Job, kinds
from decoct.run.storage.store import Store
from decoct.run.workers.executors import Inline, process_pool

On = Literal["inline", "pool", "ray"]


@dataclass(frozen=True)
class Place:
    """What carries the jobs, and what each of them gets of the machine.

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
        """What makes an executor for so many workers.

        Args:
            threads: that each job computes with on a CPU.
            store: that workers must see.
            jobs: whose data and plug-ins they must see.
        """
        on = self.on or ("inline" if self.workers == 1 else "pool")
        if on == "inline":
            return lambda workers: Inline()
        if on == "pool":
            return lambda workers: process_pool(workers, threads, self.visible)
        from decoct.run.workers.cluster import Cluster, Needed

        jobs = list(jobs)
        kinds = sorted({job.kind for job in jobs})
        data, plugins = {job.data for job in jobs}, {plugin for job in jobs for plugin in job.plugins}
        needed = Needed(store.where, tuple(sorted(data)), tuple(sorted(plugins)))

        def cluster(workers: int) -> Executor:
            return Cluster(
                needed,
                threads=threads,
                gpus={kind: self.share(kind) for kind in kinds},
                address=self.address,
                workers=min(workers, self.workers or workers),
                here=len(self.visible),
            )

        return cluster


AHEAD = 4  # jobs handed to a Ray of the run's own for each that computes: the next one is there when one ends
HANDED_OUT = 1000  # jobs that wait at a cluster which may grow: enough for it to see what it is short of
