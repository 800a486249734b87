"""Where jobs run: in this process, or in a pool of workers. Neither changes what they compute."""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import connection, resource_tracker
from typing import Any

KEPT = 2**31 - 1  # bytes below which freed memory stays with the process


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


def process_pool(workers: int, threads: int = 1) -> ProcessPoolExecutor:
    """Fresh processes with ``threads`` each; they die with the process that started them.

    Args:
        workers: how many run at once.
        threads: that each job computes with, told to OpenMP before torch starts.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)  # read by the children when they import numpy and torch
    resource_tracker.ensure_running()  # it would unblock Ctrl-C where Pool has it blocked
    return Pool(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start)


class Pool(ProcessPoolExecutor):
    """A process pool whose workers are born with Ctrl-C blocked, so that none dies of it before it can ignore it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """As of any executor; a worker that is needed for it starts here."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def keep_memory() -> None:
    """Tell glibc to keep freed memory: by default each training step pays for thousands of page faults.

    Doubles the speed of small nets on a CPU; does nothing where the C library is another.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, KEPT)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, KEPT)  # M_TRIM_THRESHOLD


def give_memory_back() -> None:
    """Return freed memory that ``keep_memory`` kept to the system, so that a job's peak is its own."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _start() -> None:
    """In a worker: leave Ctrl-C to the driver, and leave when the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_memory()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent.sentinel,), daemon=True).start()


def _leave_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
