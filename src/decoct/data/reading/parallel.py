"""Applies a function to many items in worker processes; the results come in order and can be recorded."""

import json
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import connection, resource_tracker
from pathlib import Path
from typing import Any, TypeVar

from decoct.core.errors import DecoctError

T = TypeVar("T")
R = TypeVar("R")
QUIET = "ignore:resource_tracker"  # locks of a worker's libraries are no news where the worker was ended
AHEAD = 2  # things of each worker that are under way or wait for it


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(function: Callable[[T], R], things: Iterable[T], workers: int) -> Iterator[R]:
    """``function(thing)`` for each thing, in order; only a few results are held at once.

    Args:
        function: of a module, or a ``partial`` of one; it is sent to other processes.
        things: what it is called with, drawn when a worker is free.
        workers: processes; one means this one.

    Raises:
        DecoctError: a worker was killed.
    """
    if workers == 1:
        yield from map(function, things)
        return
    track()
    source, waiting = iter(things), deque["Future[R]"]()
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=follow_parent)
    try:
        while True:
            for thing in islice(source, AHEAD * workers - len(waiting)):
                with _without_main():
                    waiting.append(pool.submit(function, thing))
            if not waiting:
                return
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise DecoctError(
            "a worker that decodes was killed, perhaps because memory ran out\n"
            "run again with fewer --workers; what was decoded is kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def recorded(
    function: Callable[[T], R], count: int, thing: Callable[[int], T], workers: int, record: Path, about: str
) -> Iterator[tuple[int, R]]:
    """Number and result of each of ``count`` things: first of those that a record has, then of the others, as ``each``.

    Each result has its line in the record, on disk, before it is passed on, so a killed run continues there.

    Args:
        function: as in ``each``; what it returns is plain JSON.
        count: of things.
        thing: gives the thing of a number.
        about: says what is done; a record of something else is begun anew.
    """
    with record.open("a+b") as lines:
        lines.seek(0)
        first, whole, done = json.dumps(about).encode() + b"\n", 0, set[int]()
        if lines.readline() == first:
            whole = len(first)
            for line in lines:
                if not line.endswith(b"\n"):  # a kill came while it was written
                    break
                number, result = json.loads(line)
                whole += len(line)
                done.add(number)
                yield number, result
        lines.truncate(whole)
        lines.write(b"" if whole else first)
        left = [number for number in range(count) if number not in done]
        for number, result in zip(left, each(function, map(thing, left), workers), strict=True):
            lines.write(json.dumps((number, result)).encode() + b"\n")
            lines.flush()
            os.fsync(lines.fileno())
            yield number, result


def track() -> None:
    """Start the process that removes what killed workers leave, and have it do so without a warning to the user."""
    with variables({"PYTHONWARNINGS": ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), QUIET)))}):
        resource_tracker.ensure_running()


def follow_parent() -> None:
    """In a worker: leave Ctrl-C to the process that started it, and leave when that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent.sentinel,), daemon=True).start()


def _leave_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


@contextmanager
def variables(of: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that a process has which starts meanwhile."""
    before = {name: os.environ[name] for name in of if name in os.environ}
    os.environ.update(of)
    try:
        yield
    finally:
        for name in of:
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _without_main() -> Iterator[None]:
    """A worker that is born here does not import the caller's script, which need not have a guard for that."""
    main: Any = sys.modules["__main__"]
    kept = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until it can ignore it
    try:
        main.__spec__ = None
        if "__file__" in kept:
            del main.__file__
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
