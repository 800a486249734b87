"""Run a graph of jobs on any concurrent.futures.Executor; what the store holds is not run again."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from decoct.run.execute import execute
from decoct.run.jobs import Job
from decoct.run.store import Store

OnDone = Callable[[Job, BaseException | None], None]


def ignore(job: Job, error: BaseException | None) -> None:
    """An ``on_done`` that does nothing."""


@dataclass
class Driver:
    """Runs jobs after their inputs, each at most once, and goes on past what fails.

    Attributes:
        store: where cells are, and go.
        pool: makes an executor for so many workers; called again after a pool broke.
        workers: jobs that run at once.
        device: where each job computes.
        on_done: called in the driver after every job that was run.
    """

    store: Store
    pool: Callable[[int], Executor]
    workers: int = 1
    device: str = "cpu"
    on_done: OnDone = ignore
    failed: dict[str, BaseException] = field(default_factory=dict)

    def missing(self, jobs: Iterable[Job]) -> dict[str, Job]:
        """The jobs whose cells are not in the store, by key."""
        return {job.key: job for job in jobs if not self.store.has(job.kind, job.key)}

    def run(self, jobs: Iterable[Job]) -> dict[str, BaseException]:
        """Run every job after its inputs.

        Returns:
            The failures by job key. Nothing of them is stored; their dependents stay unrun, all else is done.
        """
        todo = self.missing(jobs)
        graph = TopologicalSorter({key: [i for i in job.inputs.values() if i in todo] for key, job in todo.items()})
        graph.prepare()
        ready: deque[str] = deque()
        suspects: deque[str] = deque()  # were running when a pool broke; one of them broke it
        executor = self.pool(self.workers)
        running: dict[Future[None], str] = {}
        try:
            while True:
                ready.extend(graph.get_ready())
                while ready and len(running) < self.workers + 1:  # one more waits, so that no worker idles
                    key = ready.popleft()
                    running[self._submit(executor, todo[key])] = key
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    key = running.pop(future)
                    error = future.exception()
                    if isinstance(error, BrokenExecutor):
                        suspects.append(key)
                    elif self._finish(todo[key], error):
                        graph.done(key)
                if suspects and not running:
                    executor.shutdown(wait=False, cancel_futures=True)
                    executor = self.pool(self.workers)
                if suspects and not running and not ready and not graph.get_ready():
                    self._one_by_one(todo, graph, suspects)
        except BaseException:
            _abandon(executor)
            raise
        executor.shutdown()
        return self.failed

    def _one_by_one(self, todo: dict[str, Job], graph: "TopologicalSorter[str]", suspects: deque[str]) -> None:
        """Run suspects last, each in a pool of its own, so that the one that breaks pools fails alone."""
        while suspects:
            job = todo[suspects.popleft()]
            executor = self.pool(1)
            error = self._submit(executor, job).exception()
            executor.shutdown()
            if isinstance(error, BrokenExecutor):
                error = RuntimeError("its worker process died twice; it may need more memory than there is")
            if self._finish(job, error):
                graph.done(job.key)

    def _submit(self, executor: Executor, job: Job) -> "Future[None]":
        try:
            return executor.submit(execute, self.store.root, job, self.device)
        except BrokenExecutor as error:  # broke between two calls: as if the job had been running
            future: Future[None] = Future()
            future.set_exception(error)
            return future

    def _finish(self, job: Job, error: BaseException | None) -> bool:
        if error is not None:
            self.failed[job.key] = error
        self.on_done(job, error)
        return error is None


def _abandon(executor: Executor) -> None:
    """Stop at once: no job is waited for, and a half-written cell is swept next time."""
    executor.shutdown(wait=False, cancel_futures=True)
    for process in list((getattr(executor, "_processes", None) or {}).values()):
        process.terminate()
