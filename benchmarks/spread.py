"""How a study spreads over workers: decoct's own driver hands out jobs, of which each takes the seconds that are given.

No job runs: the clock is moved to the end of the one that ends next. Workers that wait for needs, for a set's last
shard or for the last student are seen; the host's work, disks and starts are not.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Executor, Future
from heapq import heappop, heappush
from typing import Any, NamedTuple
from unittest import mock

from decoct.study import drive
from decoct.study.drive import Driver
from decoct.study.jobs import Job
from decoct.study.store.store import Store


class Spread(NamedTuple):
    """Seconds until the last job ends, and the share of them in which a worker computes, in the mean over workers."""

    seconds: float
    busy: float


class Clockwork(Executor):
    """Workers whose jobs take as long as they are said to; ``wait`` moves the clock."""

    def __init__(self, workers: int, seconds: Mapping[str, float]) -> None:
        self.workers, self.seconds, self.now = workers, seconds, 0.0
        self._running: list[tuple[float, int, Future[Any]]] = []
        self._waiting: deque[tuple[float, Future[Any]]] = deque()
        self._begun = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """As for any executor; the job is among the arguments."""
        job = next(arg for arg in args if isinstance(arg, Job))
        future: Future[Any] = Future()
        self._waiting.append((self.seconds[job.key], future))
        self._begin()
        return future

    def wait(self, running: Collection["Future[Any]"], return_when: str) -> Any:
        """What stands for ``concurrent.futures.wait``."""
        self.now, _, future = heappop(self._running)
        future.set_result(None)
        self._begin()
        return mock.Mock(done={future})

    def _begin(self) -> None:
        while self._waiting and len(self._running) < self.workers:
            took, future = self._waiting.popleft()
            self._begun += 1
            heappush(self._running, (self.now + took, self._begun, future))


class Empty(Store):
    """A store in which nothing is, and which nobody else writes to."""

    def present(self, kind: str) -> set[str]:
        """No cell."""
        return set()

    def underway(self) -> set[str]:
        """None."""
        return set()


def spread(jobs: Iterable[Job], seconds: Mapping[str, float], workers: int) -> Spread:
    """What a run of jobs takes on so many workers.

    Args:
        jobs: with all that they need.
        seconds: of each, by key.
        workers: at once.
    """
    jobs, clock = list(jobs), Clockwork(workers, seconds)
    with mock.patch.object(drive, "wait", clock.wait):
        Driver(Empty("nowhere"), lambda _: clock, workers).run(jobs)
    busy = sum(seconds[key] for key in {job.key for job in jobs})
    return Spread(clock.now, busy / (workers * clock.now) if clock.now else 1.0)
