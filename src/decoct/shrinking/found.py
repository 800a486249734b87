"""What was found, in the terms of the answer: points of the chart, classes, random images for as much, cost."""

from collections.abc import Sequence

import numpy as np

from decoct.shrinking.answer import Class, Measured, Point
from decoct.shrinking.choose import RANDOM, count
from decoct.shrinking.inference.race import Lane, vote
from decoct.shrinking.inference.shown import Outcome, Tested
from decoct.shrinking.inference.sizes import needed
from decoct.shrinking.job import Job
from decoct.shrinking.made import Made, Set
from decoct.shrinking.trainings import Trainings


def points(job: Job) -> tuple[Point, ...]:
    """All that was measured, for the chart and the table."""
    found: list[Point] = []
    n, contest = len(job.candidates), job.contest
    if contest is not None and contest.lanes:
        standing = contest.standings()
        for place, share in enumerate(contest.shares):
            for name in contest.methods:
                lanes = [contest.lanes[fold.number][place].get(name) for fold in job.folds]
                had = [lane for lane in lanes if lane is not None and lane.replicates]
                if not had:
                    continue
                stands = [standing[fold.number][place] for fold in job.folds]
                status = (
                    "chosen"
                    if vote([each.chosen for each in stands]) == name
                    else "dropped"
                    if all(name in each.dropped for each in stands)
                    else "racing"
                )
                images = count(share, job.candidates, job.pool, job.without)
                found.append(Point(name, images, share, over(had), "race", status))
    for _, methods, size in job.tests:
        status = "shown" if size.shown else "not shown" if size.shown is False else "chosen"
        found.append(Point(vote(methods), size.size, size.size / n, size.small, "test", status, size.loss))
    return tuple(found)


def over(lanes: Sequence[Lane]) -> Measured:
    """A method's accuracy over folds, with its interval."""
    splits, groups = [x for lane in lanes for x in lane.splits], [x for lane in lanes for x in lane.clusters]
    return Lane(splits, all(lane.fixed for lane in lanes), groups).accuracy


def classes_of(job: Job, size: Tested, some: Set) -> tuple[Class, ...]:
    """What each class gives and loses."""
    labels = some.labels if isinstance(some, Made) else job.pool.labels[some]
    there, kept = job.pool.counts(job.candidates), np.bincount(labels, minlength=len(job.pool.class_names)).tolist()
    return tuple(
        Class(each.name, there[c], kept[c], each.full, each.small, each.bound) for c, each in enumerate(size.classes)
    )


def equal_random(job: Job, share: float) -> tuple[float, float, float] | None:
    """How many random images reach what the chosen set does, by the race; None where it was not raced at this size."""
    contest = job.contest
    assert contest is not None
    place = max((p for p, raced in enumerate(contest.shares) if raced <= share + 1e-9), default=None)
    if place is None or contest.shares[place] < share - 1e-9:
        return None
    choices = contest.choices([share])[share]
    if set(choices) == {RANDOM}:
        return None
    curve: dict[int, list[Outcome]] = {}
    n = len(job.candidates)

    def paired(chosen: Lane, other: Lane) -> list[Outcome]:
        varying = [lane.replicates for lane in (chosen, other) if not lane.fixed]
        rows = min(varying, default=1)
        return [
            Outcome(a, b, None, not varying, groups)
            for a, b, groups in zip(chosen.rows(rows), other.rows(rows), chosen.clusters, strict=True)
        ]

    for at, other in enumerate(contest.shares):
        curve[round(other * n)] = [
            outcome
            for fold, name in zip(job.folds, choices, strict=True)
            for outcome in paired(contest.lanes[fold.number][place][name], contest.lanes[fold.number][at][RANDOM])
        ]
    fixed = not job.learner.stochastic
    curve[n] = [
        outcome
        for fold, name in zip(job.folds, choices, strict=True)
        for outcome in paired(contest.lanes[fold.number][place][name], Lane(contest.full[fold.number], fixed))
    ]
    if any(not o.fixed and len(o.full) < 2 for each in curve.values() for o in each):
        return None
    return needed(curve)


def cost_of(job: Job, trainings: Trainings, method: str, some: Set) -> dict[str, float]:
    """Seconds of one core: choosing, where a method needs a training for it, and trainings; and when choosing pays.

    Of a set that was made it is what making it took.
    """
    whole, small = (trainings.seconds(n) for n in (len(job.candidates), len(some)))
    if whole is None or small is None:
        return {}
    cost = {"training_all": whole, "training_set": small}
    if method == RANDOM:
        return cost
    choosing = some.seconds if isinstance(some, Made) else job.material.seconds if job.material is not None else whole
    return cost | {"choosing": choosing} | ({"pays_after": choosing / (whole - small)} if whole > small else {})
