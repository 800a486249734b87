"""Runs a graph of jobs on any concurrent.futures.Executor; jobs in the store are not run again.

The order shows results early and changes none of them: one student first, then students as planned, each after its
needs, and measures last.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from itertools import chain

import decoct
from decoct.core.cells import is_url
from decoct.core.errors import DecoctError, LostDeviceError
from decoct.study.execute import attempt
from decoct.study.jobs import Job
from decoct.study.store.store import Store
from decoct.study.workers.shares import Shares

OnDone = Callable[[Job, BaseException | None], None]
OnStart = Callable[[Job], None]


@dataclass
class Driver:
    """Runs jobs after their inputs, each at most once, and continues after failures.

    Attributes:
        store: where cells are, and go.
        pool: makes an executor for so many workers; called again after a pool broke.
        workers: jobs that run at once.
        device: where each job computes.
        on_start: called in the driver when a job begins: exactly where jobs run in this process, and elsewhere as if
            each of the ``workers`` took the job that has waited longest.
        on_done: called in the driver after every job that was run.
        on_cpu: kinds of job that compute on the CPU wherever the others do.
        on_back: called in the driver when a job waits again, because the pool that it was in broke.
    """

    store: Store
    pool: Callable[[int], Executor]
    workers: int = 1
    device: str = "cpu"
    on_start: OnStart = lambda job: None
    on_done: OnDone = lambda job, error: None
    on_cpu: frozenset[str] = frozenset()
    on_back: OnStart = lambda job: None
    failed: dict[str, BaseException] = field(default_factory=dict)
    _lost: dict[str, BaseException] = field(default_factory=dict)

    def missing(self, jobs: Iterable[Job]) -> dict[str, Job]:
        """The jobs whose cells are not in the store, by key; without shards of sets that are there."""
        jobs = list(jobs)
        present = {kind: self.store.present(kind) for kind in {job.kind for job in jobs}}
        todo = {job.key: job for job in jobs if job.key not in present[job.kind]}
        wanted = {key for job in todo.values() for key in job.inputs.values()}
        return {key: job for key, job in todo.items() if job.kind != "shard" or key in wanted}

    def run(self, jobs: Iterable[Job]) -> dict[str, BaseException]:
        """Run every job after its inputs.

        Returns:
            The failures by job key. Nothing of them is stored; their dependents stay unrun, all else is done.
        """
        todo = self.missing(jobs)
        graph = TopologicalSorter({key: [i for i in job.inputs.values() if i in todo] for key, job in todo.items()})
        graph.prepare()
        ready = Ready(order(todo), lambda key: todo[key].kind in self.on_cpu)
        ready.add(graph.get_ready())
        suspects: deque[str] = deque()  # were running when a pool broke or lost its GPU; one of them broke it
        while ready or suspects:
            if ready:
                suspects += self._drain(todo, graph, ready, self.workers, graph.get_ready)
                continue
            key = suspects.popleft()  # suspects run last, each in a pool of its own, so that the culprit fails alone
            alone = Ready({key: 0})
            alone.add([key])
            if self._drain(todo, graph, alone, 1, tuple):
                died = DecoctError("its worker process died, twice; it may need more memory than there is")
                self._finish(todo[key], self._lost.pop(key, died))
            ready.add(graph.get_ready())
        return self.failed

    def _drain(
        self,
        todo: dict[str, Job],
        graph: "TopologicalSorter[str]",
        ready: "Ready",
        workers: int,
        more: Callable[[], Iterable[str]],
    ) -> list[str]:
        """Run what is ready, and what ``more`` gives after each job.

        Returns:
            What ran when the pool broke, or lost a GPU.
        """
        executor = self.pool(workers)
        shared = isinstance(executor, Shares)
        where = (
            self.store.where if is_url(self.store.where) else str(self.store.root.absolute())
        )  # for workers elsewhere
        running: dict[Future[None], str] = {}  # in the order in which they were handed out
        begun: set[str] = set()  # of those that are running
        one_waits = False
        suspects: list[str] = []

        def begin(key: str) -> None:
            begun.add(key)
            self.on_start(todo[key])

        def fits(key: str) -> bool:
            return not isinstance(executor, Shares) or executor.fits(todo[key].kind)

        try:
            while running or (ready and not suspects):
                # One waits, so that no worker idles, but not before the first job has ended, whose student may be the
                # first; where calls run at once, each is seen to before the next.
                most = workers + one_waits
                while (shared or len(running) < most) and not suspects and not any(f.done() for f in running):
                    if (key := ready.pop(self.store.underway(), fits)) is None:
                        break
                    job = todo[key]
                    device = "cpu" if job.kind in self.on_cpu else self.device
                    if shared or len(running) < workers:
                        begin(key)
                    try:
                        future = executor.submit(attempt, where, job, device, decoct.__version__)
                    except BrokenExecutor as broken:  # between two calls: as if the job had been running
                        (future := Future[None]()).set_exception(broken)
                    running[future] = key
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    key, error = running.pop(future), future.exception()
                    one_waits = True
                    begun.discard(key)
                    if isinstance(error, LostDeviceError):  # nor will it compute for what that worker does next
                        self._lost[key] = error
                    if isinstance(error, (BrokenExecutor, LostDeviceError)):
                        suspects.append(key)
                        self.on_back(todo[key])
                        continue
                    self._finish(todo[key], error)
                    if error is None:
                        graph.done(key)
                        ready.add(more())
                for key in [key for key in list(running.values())[:workers] if key not in begun]:
                    begin(key)
        except BaseException:
            abandon(executor)
            raise
        executor.shutdown()
        return suspects

    def _finish(self, job: Job, error: BaseException | None) -> None:
        if error is not None:
            self.failed[job.key] = error
        self.on_done(job, error)


class Ready:
    """Keys of jobs that may run, in two lanes, neither of which waits for the other."""

    def __init__(self, ranks: Mapping[str, int], lane: Callable[[str], bool] = lambda key: False) -> None:
        self._ranks, self._lane = ranks, lane
        self._heaps: tuple[list[tuple[int, str]], list[tuple[int, str]]] = ([], [])

    def __bool__(self) -> bool:
        return any(self._heaps)

    def add(self, keys: Iterable[str]) -> None:
        """More keys."""
        for key in keys:
            heappush(self._heaps[self._lane(key)], (self._ranks[key], key))

    def pop(self, elsewhere: Collection[str] = (), fits: Callable[[str], bool] = lambda key: True) -> str | None:
        """The lowest rank of a lane, without keys that are being made ``elsewhere``, if it ``fits``; None if none does.

        Where all of a lane are being made, it is one of those, so that no run waits.
        """
        for heap in sorted(filter(None, self._heaps)):
            aside = []
            while heap and heap[0][1] in elsewhere:
                aside.append(heappop(heap))
            found = heappop(heap) if heap else aside.pop(0)
            taken = fits(found[1])
            for each in aside if taken else [*aside, found]:
                heappush(heap, each)
            if taken:
                return found[1]
        return None


def order(todo: Mapping[str, Job]) -> dict[str, int]:
    """The rank of each job, by key, as above; the student at once is the one on a set that needs the fewest jobs."""
    ranks: dict[str, int] = {}

    def needed(key: str) -> list[str]:
        """The student behind what it needs and has no rank yet; a job's own inputs may come in any order."""
        found, stack = dict.fromkeys([key]), [key]
        while stack:
            inputs = todo[stack.pop()].inputs.values()
            stack += (new := [i for i in inputs if i in todo and i not in found and i not in ranks])
            found |= dict.fromkeys(new)
        return list(reversed(found))

    students = [key for key, job in todo.items() if job.kind == "train"]
    firsts: dict[tuple[object, object], str] = {}  # one student of a method under a protocol needs as much as another
    for key in students:
        if "condensed" in (job := todo[key]).inputs:
            firsts.setdefault((job.labels.get("method"), job.labels.get("protocol")), key)
    quickest = min(map(needed, firsts.values()), key=len, default=[])
    for keys in chain([quickest], map(needed, students), [todo]):  # one after the other, as ranks grow
        for key in keys:
            ranks.setdefault(key, len(ranks))
    return ranks


def abreast(jobs: Mapping[str, Job]) -> int:
    """How many of some jobs, by key, can run at once at most, if all that can begin at a time take equally long."""
    graph = TopologicalSorter({key: [i for i in job.inputs.values() if i in jobs] for key, job in jobs.items()})
    graph.prepare()
    most = 0
    while graph:
        most = max(most, len(ready := graph.get_ready()))
        graph.done(*ready)
    return most


def abandon(executor: Executor) -> None:
    """Stop at once: no job is waited for, and a half-written cell is swept next time."""
    processes = list((getattr(executor, "_processes", None) or {}).values())  # shutdown forgets them
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
