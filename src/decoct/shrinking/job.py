"""One call of shrink, as far as it is: who decides, what was asked, and what was found so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import UsageError
from decoct.core.interfaces import Progress
from decoct.core.seeds import seed as derive
from decoct.shrinking.answer import Answer, Problem
from decoct.shrinking.asked import Asked
from decoct.shrinking.choose import RANDOM, count, looks
from decoct.shrinking.contest import Contest
from decoct.shrinking.folds import SET_ASIDE, Fold
from decoct.shrinking.inference.race import vote
from decoct.shrinking.inference.shown import Tested
from decoct.shrinking.inference.sizes import knee, ladder
from decoct.shrinking.learner import Learner, Material
from decoct.shrinking.made import Made, Set
from decoct.shrinking.pool import TEST, TRAIN, VAL, Pool
from decoct.shrinking.schedule import Schedule
from decoct.shrinking.trainings import Look, Pick, Trainings
from decoct.shrinking.trial import Trial

Rows = NDArray[np.int64]
Bar = Callable[[str], Progress]
DUPLICATES = ("exact_duplicates", "near_duplicates")


@dataclass
class Job:
    """One call, as far as it is.

    Attributes:
        pool: the images.
        learner: what is trained.
        asked: the question.
        folds: who decides and who reports.
        seed: of every draw.
        bar: gives each stage its progress.
        say: says a line.
        keep: rows that every set is to have.
        without: rows that none is to have.
        problems: of the images.
        cost: seconds by part.
        plan: what fits the time.
        glimpse: accuracy of one student of all images, and of random ones by share, before there is a race.
        contest: the race.
        trial: the test.
        tests: from the largest size down, with the share and the methods of the folds.
        material: what the final set was chosen by; None for random images.
    """

    pool: Pool
    learner: Learner
    asked: Asked
    folds: tuple[Fold, ...]
    seed: int
    bar: Bar
    say: Callable[[str], None]
    keep: Rows
    without: Rows
    problems: tuple[Problem, ...] = ()
    cost: dict[str, float] = field(default_factory=dict)
    plan: Schedule | None = None
    glimpse: tuple[float, dict[float, float]] | None = None
    contest: Contest | None = None
    trial: Trial | None = None
    tests: list[tuple[float, list[str], Tested]] = field(default_factory=list)
    material: Material | None = None

    @property
    def candidates(self) -> Rows:
        """Images that the final set is chosen from."""
        return self.folds[0].train if len(self.folds) == 1 else self.pool.rows(TRAIN, VAL)

    def answer(
        self, said: tuple[str, ...], decided: str, some: Set, method: str | None, unfinished: str = "", **more: Any
    ) -> Answer:
        """The answer with what is known in any case."""
        n = len(self.candidates)
        known: dict[str, Any] = {
            "problems": self.problems,
            "cost": self.cost,
            "test": {
                "how": "folds" if len(self.folds) > 1 else self.pool.facts.get(SET_ASIDE, "folder"),
                "folds": len(self.folds),
                "images": sum(len(fold.test) for fold in self.folds),
                "students": self.plan.students if self.plan else 0,
            },
        }
        return Answer(
            said=said,
            source=self.pool.source,
            learner=self.learner.title,
            candidates=n,
            asked=self.asked.to_json(),
            decided=decided,
            method=method,
            images=len(some) if method else None,
            fraction=len(some) / n if method else None,
            rows=() if isinstance(some, Made) else tuple(some.tolist()),
            made=some if isinstance(some, Made) else None,
            unfinished=unfinished,
            **(known | more),
        )


def copies(pool: Pool, problems: Sequence[Problem], keep: Rows) -> Rows:
    """Images of which another one stays: all but the first of each group of duplicates; none that is to be kept."""
    own = [[row for row in each.rows if pool.split[row] != TEST] for each in problems if each.kind in DUPLICATES]
    return np.setdiff1d(np.array([row for rows in own for row in rows[1:]], np.int64), keep)


def sizes_of(job: Job) -> tuple[float, ...]:
    """Shares of the candidates that are tried, rising: the one that was asked for, or the ladder."""
    n = len(job.candidates)
    if job.asked.fraction is not None:
        return (job.asked.fraction,)
    if job.asked.images is not None:
        if job.asked.images >= n:
            raise UsageError(f"--images {job.asked.images:,}: there are {n:,} images to choose from, so ask for fewer")
        return (job.asked.images / n,)
    classes = sum(number > 0 for number in job.pool.counts(job.candidates))
    found = [size / n for size in ladder(n, classes) if size >= len(job.keep)]
    return tuple(found)


def final(job: Job, trainings: Trainings, share: float, method: str) -> Set:
    """The set that was tested; after folds, one of all images by the method that most of them chose."""
    assert job.trial is not None
    if len(job.folds) == 1:
        job.material = job.trial.materials.get(0)
        return job.trial.sets[0, share, 0]
    pick = last(job, share, method)
    trainings.told = job.bar("the final set")
    if pick.by is not None:
        job.material = trainings.materials({0: pick.by})[0]
    return trainings.picks({0: pick})[0]


def last(job: Job, share: float, method: str) -> Pick:
    """The set of all candidates."""
    n = count(share, job.candidates, job.pool, job.without)
    by = Look(job.candidates, derive(job.seed, "look", "final")) if looks(method) else None
    return Pick(method, job.candidates, n, by, derive(job.seed, "set", "final"), job.keep, job.without)


def after_stop(job: Job, share: float, method: str) -> Set:
    """A set of the candidates without another training: of the first race's where the method chooses by one."""
    if method == RANDOM:
        return last(job, share, method).make(job.pool, None)
    assert job.contest is not None
    pick = job.contest.pick(job.folds[0], 0, job.contest.shares.index(share), method, 0)
    return job.contest.trainings.picks({0: pick})[0]  # it was chosen in the race already


def best_so_far(job: Job) -> tuple[float | None, str | None]:
    """By held-out train images: the smallest size whose loss is within what was asked, or the knee's; None at first."""
    contest = job.contest
    if contest is not None and any(lane.replicates for lane in contest.lanes[0][0].values()):
        curve = contest.curve()
        full = curve[most := max(curve)]
        by_share = {share: curve[round(share * most)] for share in contest.shares}
        names = {share: vote(own) for share, own in contest.choices(contest.shares).items()}
    elif job.glimpse is not None:
        (full, by_share), most = job.glimpse, len(job.candidates)
        curve = {round(share * most): mean for share, mean in by_share.items()} | {most: full}
        names = dict.fromkeys(by_share, RANDOM)
    else:
        return None, None
    if job.asked.within is not None:
        margin = job.asked.within.points(full)
        share = min((share for share, mean in by_share.items() if full - mean <= margin), default=max(by_share))
    else:
        bend = knee(curve) or most
        share = min(by_share, key=lambda each: abs(round(each * most) - bend))
    return share, names[share]


def so_far(job: Job, whole: bool = True) -> str:
    """Where the race is, in a line: the method of each size, and points gained or lost against all images.

    Before the first look is whole the method that is ahead stands for each size; after it, the one that is chosen; and
    before there is a race random images, in one fold.
    """
    if job.contest is None:
        assert job.glimpse is not None
        full, means = job.glimpse
        what, found = "one student", {share: (RANDOM, mean - full) for share, mean in means.items()}
    elif whole:
        curve = job.contest.curve()
        most = max(curve)
        choices = job.contest.choices(job.contest.shares)
        found = {share: (vote(names), curve[round(share * most)] - curve[most]) for share, names in choices.items()}
        what = "so far"
    else:
        what, found = "first students", job.contest.ahead()
    gains = {share: (name, f"{100 * gain:+.1f}".replace("-", "−")) for share, (name, gain) in found.items()}
    parts = [f"{100 * share:.0f} %: {name} {gained}" for share, (name, gained) in gains.items()]
    return f"{what}, points against all images: " + "; ".join(parts)
