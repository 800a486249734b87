"""How long a graph of jobs takes on some workers: list scheduling, in the order in which the driver takes jobs."""

import heapq
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter


@dataclass(frozen=True)
class Schedule:
    """What a simulation found, in seconds.

    Attributes:
        work: of all jobs, one after the other.
        clock: from the first job's start to the last one's end.
        critical: of the longest chain of jobs that wait for each other: no number of workers is faster.
    """

    work: float
    clock: float
    critical: float


def schedule(
    needs: Mapping[str, Sequence[str]],
    seconds: Mapping[str, float],
    workers: int,
    entering: Collection[str] = (),
    once: float = 0.0,
) -> Schedule:
    """Simulate a run: a worker that is free takes the job that has been ready for longest.

    List scheduling (Graham, 1969) is within a factor of 2 − 1 / workers of the best order.

    Args:
        needs: of each job, the jobs that must end before it starts; those that are not in the mapping are done.
        seconds: of each job.
        workers: jobs at once.
        entering: jobs of which each worker's first one takes longer; none needs another.
        once: seconds by which it does.
    """
    graph = TopologicalSorter({job: [n for n in own if n in needs] for job, own in needs.items()})
    graph.prepare()
    ready, running = deque(graph.get_ready()), list[tuple[float, int, str, int]]()
    idle, fresh = list(range(workers)), set(range(workers))
    now, started, longest = 0.0, 0, dict[str, float]()
    while ready or running:
        while ready and idle:
            job, worker = ready.popleft(), heapq.heappop(idle)
            first = job in entering and worker in fresh
            fresh -= {worker} if first else set()
            heapq.heappush(running, (now + seconds[job] + once * first, started, job, worker))
            started += 1
        now, _, job, worker = heapq.heappop(running)
        heapq.heappush(idle, worker)
        before = max((longest[n] for n in needs[job] if n in needs), default=0.0)
        longest[job] = before + seconds[job] + once * (job in entering)
        graph.done(job)
        ready.extend(graph.get_ready())
    work = sum(seconds[job] for job in needs) + once * (workers - len(fresh))
    return Schedule(work, now, max(longest.values(), default=0.0))
