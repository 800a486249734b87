"""The GPUs of a machine, shared out to jobs by their kind, and workers on its other cores."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from typing import Any

from decoct.study.jobs import Job
from decoct.study.workers.executors import process_pool

WHOLE = 1 + 1e-9  # of a GPU: ten tenths are one, whatever their sum is rounded to


class Shares(Executor):
    """A pool of workers on each GPU, and one on the CPU, where kinds of job go that get no share of a GPU.

    ``fits`` says whether a job can begin; one that is submitted begins at once, where there is most room. A worker that
    dies breaks the pool of its GPU alone.

    Args:
        gpus: as ``CUDA_VISIBLE_DEVICES`` names them.
        share: of one GPU, from 0 to 1, that each kind of job gets.
        most: jobs on all GPUs at once.
        beside: workers on the CPU.
        threads: of a worker.
    """

    def __init__(
        self, gpus: Sequence[str], share: Callable[[str], float], most: int, beside: int = 1, threads: int = 1
    ) -> None:
        self._share, self._most, self._beside = share, most, beside
        self._gpus = [process_pool(most, threads, (gpu,)) for gpu in gpus]
        self._cpu = process_pool(beside, threads, ("",))  # which see no GPU
        self._running: dict[Future[Any], tuple[ProcessPoolExecutor, float]] = {}

    def fits(self, kind: str) -> bool:
        """Whether a job of a kind finds room."""
        taken, share = self._taken(), self._share(kind)
        if not share:
            return sum(pool is self._cpu for pool, _ in self._running.values()) < self._beside
        on_gpus = sum(pool is not self._cpu for pool, _ in self._running.values())
        return on_gpus < self._most and min(taken.values()) + share <= WHOLE

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """As for any executor; the kind of job is that of the job among the arguments."""
        share = self._share(next((arg.kind for arg in args if isinstance(arg, Job)), ""))
        taken = self._taken()
        pool = min(taken, key=taken.__getitem__) if share else self._cpu
        future = pool.submit(fn, *args, **kwargs)
        self._running[future] = pool, share
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As for any executor."""
        for pool in (*self._gpus, self._cpu):
            pool.shutdown(wait, cancel_futures=cancel_futures)

    @property
    def _processes(self) -> Mapping[int, BaseProcess]:
        """Workers by the number of their process, as those of a pool."""
        pools: list[Any] = [*self._gpus, self._cpu]
        return {number: process for pool in pools for number, process in (pool._processes or {}).items()}

    def _taken(self) -> dict[ProcessPoolExecutor, float]:
        """How much of each GPU is taken."""
        self._running = {future: where for future, where in self._running.items() if not future.done()}
        return {gpu: sum(share for pool, share in self._running.values() if pool is gpu) for gpu in self._gpus}
