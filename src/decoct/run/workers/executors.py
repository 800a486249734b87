"""Where jobs run: in this process, or in a pool of workers. Neither changes what they compute."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import connection, resource_tracker
from multiprocessing.context import BaseContext
from multiprocessing.queues import SimpleQueue
from typing import Any

from decoct.run.memory import MALLOC, keep_memory

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
    """Fresh processes with ``threads`` each; they die with the process that started them.

    Args:
        workers: how many run at once.
        threads: that each job computes with, told to OpenMP before torch starts.
        gpus: as ``CUDA_VISIBLE_DEVICES`` names them; each worker takes one, and sees no other. Where there are more
            workers, several share one. A worker that dies breaks its pool, and the next pool has all of them again.
    """
    resource_tracker.ensure_running()  # it would unblock Ctrl-C where Pool has it blocked
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
        """As of any executor; a worker that is needed for it starts here."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        before = {name: os.environ.get(name) for name in self._environment}
        os.environ.update(self._environment)
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def environment(threads: int) -> dict[str, str]:
    """What must be in a worker's environment before Python starts: its threads, and that glibc keeps freed memory.

    glibc reads its settings once, when a process begins; whoever set them already has their own.
    """
    return {name: str(threads) for name in THREADS} | {name: os.environ.get(name, to) for name, to in MALLOC.items()}


def visible_gpus(count: int) -> tuple[str, ...]:
    """The GPUs that CUDA counts as ``CUDA_VISIBLE_DEVICES`` names them: by that where it is set, else by index."""
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(named or map(str, range(count)))[:count]


def _start(gpus: "SimpleQueue[str] | None" = None) -> None:
    """In a worker, before torch is imported: take a GPU, leave Ctrl-C to the driver, and leave when it is gone."""
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus.get()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_memory()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent.sentinel,), daemon=True).start()


def _leave_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
