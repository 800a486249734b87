"""Executors of jobs on this machine: this process, or a pool of workers."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing.context import BaseContext
from multiprocessing.queues import SimpleQueue
from typing import Any

from decoct.data.reading.parallel import follow_parent, track, variables
from decoct.study.memory import MALLOC, keep_memory

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


def _start(gpus: "SimpleQueue[str] | None" = None) -> None:
    """In a worker, before torch is imported: take a GPU, leave Ctrl-C to the driver, and leave when it is gone."""
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus.get()
    follow_parent()
    keep_memory()
