"""Where methods that make images race: the small sizes of a race, as far as making the sets fits the time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from decoct.core.errors import UsageError
from decoct.shrinking import distil
from decoct.shrinking.choose import count, quotas
from decoct.shrinking.contest import Contest
from decoct.shrinking.job import Job, last
from decoct.shrinking.made import load
from decoct.shrinking.schedule import Schedule
from decoct.shrinking.trial import Trial

PART = 0.5  # of the time: the rest is for the race and the test


@dataclass(frozen=True)
class Making:
    """What is made.

    Attributes:
        at: shares at which each method races, rising.
        racing: seconds that sets of the race are foretold to take.
        testing: seconds of those of the test, and of the final one.
    """

    at: Mapping[str, tuple[float, ...]]
    racing: float = 0.0
    testing: float = 0.0

    @property
    def seconds(self) -> float:
        """In all."""
        return self.racing + self.testing

    def added(self, plan: Schedule) -> Schedule:
        """A schedule with these methods, and with every size at which they race; nothing else is tested then."""
        if not self.at:
            return plan
        shares = tuple(sorted({*plan.raced, *(share for own in self.at.values() for share in own)}))
        return replace(
            plan,
            raced=shares,
            tested=shares[::-1],
            methods=(*plan.methods, *self.at),
            seconds=plan.seconds + self.seconds,
            testing=plan.testing + self.testing,
        )

    def race(self, first: Contest, plan: Schedule) -> Contest:
        """The race of such a schedule."""
        raced = replace(first, shares=plan.raced, methods=plan.methods, looks=plan.looks, splits=plan.splits)
        return replace(raced, only=self.at)


def small(contest: Contest) -> tuple[float, ...]:
    """Shares at which sets can be made: a tenth at most, or the smallest that is tried, and few images per class.

    Raises:
        UsageError: there is none.
    """
    pool, everything = contest.pool, np.unique(np.concatenate([fold.train for fold in contest.folds]))
    rows = [everything, *(some for fold in contest.folds for some in (fold.train, fold.inner[0].race))]
    counts = [pool.counts(some) for some in rows]
    found = [
        share
        for share in contest.shares
        if (share <= distil.SMALL + 1e-9 or share == contest.shares[0])
        and all(distil.fits(count(share, some, pool), own) for some, own in zip(rows, counts, strict=True))
    ]
    if found:
        return tuple(found)
    least = count(contest.shares[0], everything, pool)
    most = max(quotas(counts[0], least))
    raise UsageError(
        f"--distil makes at most {distil.MOST} images of a class, and {least:,} would be {most:,} of the largest\n"
        "ask for fewer --images, or leave --distil out"
    )


def making(job: Job, contest: Contest, left: float) -> Making:
    """What is made in at most half of the seconds that are left, at small sizes first; says how long a set takes.

    That is what another set of the size took, where there is one, or else foretold from a few iterations.

    Raises:
        UsageError: there is no size at which sets can be made, or no time for those of the smallest.
    """
    trainings, found = contest.trainings, Making({})
    shares = small(contest) if trainings.makers else ()
    trial = Trial(trainings, contest.folds, 1, contest.seed, contest.keep, contest.without)
    for name, spec in trainings.makers.items():
        for share in shares:
            place = contest.shares.index(share)
            sets = (
                [contest.pick(fold, 0, place, name, 0) for fold in contest.folds],
                [trial.pick(fold, share, name, 0) for fold in contest.folds],
                [last(job, share, name)] if len(contest.folds) > 1 else [],
            )
            kept = [path for own in sets for pick in own if (path := trainings.place(pick)).is_file()]
            missing = [[pick for pick in own if not trainings.place(pick).is_file()] for own in sets]
            each = 0.0
            if some := [pick for own in missing for pick in own]:
                where = str(contest.pool.folder), some[0].rows, some[0].n, spec, trainings.device
                each = load(kept[0]).seconds if kept else trainings.executor.submit(distil.pace, *where).result()
                job.say(
                    f"{name}: a set of {some[0].n:,} images takes about {_time(each)} to make; {len(some)} may be made"
                )
            rounds = [math.ceil(len(own) / trainings.workers) for own in missing]
            more = replace(
                found,
                at={**found.at, name: (*found.at.get(name, ()), share)},
                racing=found.racing + each * rounds[0],
                testing=found.testing + each * (rounds[1] + rounds[2]),
            )
            if more.seconds > PART * left and each:
                if name not in found.at:
                    raise UsageError(
                        f"--distil {name}: its sets take about {_time(more.seconds)}, and half of the time is theirs: "
                        f"ask for --minutes {math.ceil(1.1 * more.seconds / PART / 60):,}, or for fewer iterations by "
                        "--set iterations=N"
                    )
                break
            found = more
    return found


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
