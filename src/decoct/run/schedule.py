"""How long a graph of jobs takes on some workers: list scheduling, in the order in which the driver takes jobs."""

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
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


def schedule(needs: Mapping[str, Sequence[str]], seconds: Mapping[str, float], workers: int) -> Schedule:
    """Simulate a run: a worker that is free takes the job that has been ready for longest.

    List scheduling (Graham, 1969) is within a factor of 2 − 1 / workers of the best order.

    Args:
        needs: of each job, the jobs that must end before it starts; those that are not in the mapping are done.
        seconds: of each job.
        workers: jobs at once.
    """
    graph = TopologicalSorter({job: [n for n in own if n in needs] for job, own in needs.items()})
    graph.prepare()
    ready, running = deque(graph.get_ready()), list[tuple[float, int, str]]()
    now, started, longest = 0.0, 0, dict[str, float]()
    while ready or running:
        while ready and len(running) < workers:
            job = ready.popleft()
            heapq.heappush(running, (now + seconds[job], started, job))
            started += 1
        now, _, job = heapq.heappop(running)
        before = max((longest[n] for n in needs[job] if n in needs), default=0.0)
        longest[job] = before + seconds[job]
        graph.done(job)
        ready.extend(graph.get_ready())
    return Schedule(sum(seconds[job] for job in needs), now, max(longest.values(), default=0.0))
