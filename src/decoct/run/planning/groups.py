"""Jobs that differ in their seeds alone, together: what each is like, which of them to probe, what one takes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoct.data.dataset import Dataset
from decoct.run.jobs import Job
from decoct.run.planning.earlier import shape_of
from decoct.run.planning.estimates import Estimate, Estimates
from decoct.run.planning.likeness import Likeness, likeness
from decoct.run.planning.probing import Asked

LATE = {"reference": 1, "measure": 2}  # kinds that are probed after the others


@dataclass(frozen=True)
class Group:
    """Jobs that are alike but for their seeds.

    Attributes:
        kind: of the jobs.
        example: one of them in words.
        keys: of those to do.
        each: what one of them is expected to take.
    """

    kind: str
    example: str
    keys: tuple[str, ...]
    each: Estimate


def likenesses(jobs: Iterable[Job], data: Dataset, plugins: tuple[str, ...]) -> dict[str, Likeness]:
    """What each job is like, by key; those that differ in their seeds are looked at once."""
    shape, by_key = shape_of(data), {job.key: job for job in jobs}
    once: dict[tuple[Any, ...], Likeness] = {}
    found: dict[str, Likeness] = {}
    for key, job in by_key.items():
        labels = {name: value for name, value in job.labels.items() if not name.endswith("_replicate")}
        alike = (job.kind, *sorted(labels.items()), *sorted(job.inputs))
        if alike not in once:
            once[alike] = likeness(job, by_key.get, shape, plugins)
        found[key] = once[alike]
    return found


def worth_asking(
    todo: Sequence[Job], likes: Mapping[str, Likeness], estimates: Estimates, counting: bool = False
) -> list[Asked]:
    """One probe for each group of jobs that no result tells of.

    Of each work the largest amount comes first, in the order of the jobs: the others can be scaled from it, should the
    time not suffice. Of those, what measures sets comes last: the first one in a process works out for all others what
    hangs on the real data alone. Of students whose time is known, what stands around their work is asked for once each.

    Where operations are only counted, those of the least amount tell as much as those of the others, and go alone.
    """
    groups: dict[str, Job] = {}
    around: dict[str, Job] = {}
    for job in todo:
        if not estimates.timed(likes[job.key]):
            groups.setdefault(likes[job.key].set_aside, job)
        elif job.kind == "train":
            around.setdefault(str(job.keyed["student"]), job)
    works: dict[str, list[Job]] = {}
    for job in groups.values():
        works.setdefault(likes[job.key].work, []).append(job)
    for own in works.values():
        own.sort(key=lambda job: likes[job.key].amount or 0.0, reverse=not counting)
    first, again = [own[0] for own in works.values()], [job for own in works.values() for job in own[1:]]
    if counting:
        again = [job for job in again if likes[job.key].amount is None]
    first.sort(key=lambda job: LATE.get(job.kind, 0))
    return [*map(Asked, first), *(Asked(job, True) for job in around.values()), *map(Asked, again)]


def grouped(todo: Iterable[Job], likes: Mapping[str, Likeness], estimates: Estimates) -> tuple[Group, ...]:
    """The jobs to do, those that differ in their seeds together, each group with its estimate."""
    found: dict[str, list[Job]] = {}
    for job in todo:
        found.setdefault(likes[job.key].same, []).append(job)
    return tuple(
        Group(own[0].kind, str(own[0]), tuple(job.key for job in own), estimates.of(likes[own[0].key]))
        for own in found.values()
    )
