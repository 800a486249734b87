"""Run a graph of jobs on any concurrent.futures.Executor; what the store holds is not run again."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

import decoct
from decoct.core.cells import is_url
from decoct.core.errors import DecoctError
from decoct.study.execute import attempt
from decoct.study.jobs import Job
from decoct.study.store.store import Store

OnDone = Callable[[Job, BaseException | None], None]


@dataclass
class Driver:
    """Runs jobs after their inputs, each at most once, and goes on past what fails.

    Attributes:
        store: where cells are, and go.
        pool: makes an executor for so many workers; called again after a pool broke.
        workers: jobs that run at once.
        device: where each job computes.
        on_done: called in the driver after every job that was run.
        on_cpu: kinds of job that compute on the CPU wherever the others do.
    """

    store: Store
    pool: Callable[[int], Executor]
    workers: int = 1
    device: str = "cpu"
    on_done: OnDone = lambda job, error: None
    on_cpu: frozenset[str] = frozenset()
    failed: dict[str, BaseException] = field(default_factory=dict)

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
        ready = deque(graph.get_ready())
        suspects: deque[str] = deque()  # were running when a pool broke; one of them broke it
        while ready or suspects:
            if ready:
                suspects += self._drain(todo, graph, ready, self.workers, graph.get_ready)
                continue
            key = suspects.popleft()  # suspects run last, each in a pool of its own, so that the culprit fails alone
            if self._drain(todo, graph, deque([key]), 1, tuple):
                died = DecoctError("its worker process died, twice; it may need more memory than there is")
                self._finish(todo[key], died)
            ready.extend(graph.get_ready())
        return self.failed

    def _drain(
        self,
        todo: dict[str, Job],
        graph: "TopologicalSorter[str]",
        ready: deque[str],
        workers: int,
        more: Callable[[], Iterable[str]],
    ) -> list[str]:
        """Run what is ready, and what ``more`` gives after each job; return what ran when the pool broke, if it did."""
        executor = self.pool(workers)
        where = (
            self.store.where if is_url(self.store.where) else str(self.store.root.absolute())
        )  # for workers elsewhere
        running: dict[Future[None], str] = {}
        suspects: list[str] = []
        try:
            while running or (ready and not suspects):
                while ready and not suspects and len(running) <= workers:  # one waits, so that no worker idles
                    job = todo[key := ready.popleft()]
                    device = "cpu" if job.kind in self.on_cpu else self.device
                    try:
                        future = executor.submit(attempt, where, job, device, decoct.__version__)
                    except BrokenExecutor as broken:  # between two calls: as if the job had been running
                        (future := Future[None]()).set_exception(broken)
                    running[future] = key
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    key, error = running.pop(future), future.exception()
                    if isinstance(error, BrokenExecutor):
                        suspects.append(key)
                        continue
                    self._finish(todo[key], error)
                    if error is None:
                        graph.done(key)
                        ready.extend(more())
        except BaseException:
            abandon(executor)
            raise
        executor.shutdown()
        return suspects

    def _finish(self, job: Job, error: BaseException | None) -> None:
        if error is not None:
            self.failed[job.key] = error
        self.on_done(job, error)


def abandon(executor: Executor) -> None:
    """Stop at once: no job is waited for, and a half-written cell is swept next time."""
    processes = list((getattr(executor, "_processes", None) or {}).values())  # shutdown forgets them
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
