"""How much a race and a test do within a time: replicates, methods and sizes, from the seconds of the first ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from decoct.shrinking.choose import stochastic
from decoct.shrinking.contest import ENDS, LARGE

USUAL = 10.0  # minutes, where none are said
SHARE = 0.9  # of the time that is planned: files are written as well
FEW = ("random", "herding", "facility_location", "moderate")


@dataclass(frozen=True)
class Schedule:
    """What is done.

    Attributes:
        raced: shares at which methods race, rising.
        tested: shares that the test may open, falling: the whole ladder, since it ends at the first that is not shown.
        methods: that race.
        looks: replicates at each look of the race.
        splits: inner splits of each fold that are raced on: only images tell students apart that draw nothing.
        students: of each fold, in the test.
        seconds: that the first look and the whole test are foretold to take.
        testing: of these, the test's.
    """

    raced: tuple[float, ...]
    tested: tuple[float, ...]
    methods: tuple[str, ...]
    looks: tuple[int, ...]
    splits: int
    students: int
    seconds: float
    testing: float


@dataclass(frozen=True)
class Pace:
    """What things are foretold to take, in seconds of one core.

    Attributes:
        training: on so many images.
        choosing: by a method, of so many images.
        workers: that work at once.
        fixed: the learner draws nothing, so that one student says all.
    """

    training: Callable[[int], float]
    choosing: Callable[[str, int], float]
    workers: int
    fixed: bool

    def lane(self, name: str, n: int, students: int, draws: int) -> tuple[float, float]:
        """Trainings, and choosing, of a method at one size."""
        sets = draws if stochastic(name) else 1
        return max(sets, 1 if self.fixed else students) * self.training(n), sets * self.choosing(name, n)

    def race(self, shares: Sequence[float], methods: Sequence[str], replicates: int, candidates: int) -> float:
        """Of a fold's inner split: every method at every size, and all candidates."""
        lanes = [
            self.lane(name, round(share * candidates), replicates, replicates) for share, name in _on(shares, methods)
        ]
        return (1 if self.fixed else replicates) * self.training(candidates) + sum(map(sum, lanes))

    def test(
        self, shares: Sequence[float], methods: Sequence[str], students: int, draws: int, candidates: int
    ) -> float:
        """Of a fold: all images, and at every size the set of the method that takes longest."""
        most = [max(sum(self.lane(m, round(s * candidates), students, draws)) for m in methods) for s in shares]
        return (1 if self.fixed else students) * self.training(candidates) + sum(most)

    def light(self, shares: Sequence[float], methods: Sequence[str], candidates: int) -> tuple[str, ...]:
        """Methods that take no longer to choose than to train on what they chose."""
        spent = {name: [0.0, 0.0] for name in methods}
        for share, name in _on(shares, methods):
            for at, seconds in enumerate(self.lane(name, round(share * candidates), 1, 1)):
                spent[name][at] += seconds
        return tuple(name for name, (training, choosing) in spent.items() if choosing <= training)


def schedule(
    shares: Sequence[float],
    methods: Sequence[str],
    folds: int,
    candidates: tuple[int, int],
    splits: int,
    pace: Pace,
    left: float | None,
) -> Schedule:
    """The richest schedule whose first look and whole test fit the time that is left; the leanest where none does.

    Args:
        shares: of the ladder, rising.
        methods: that would race.
        folds: each has a race and a test.
        candidates: of a race and of a test, in images.
        splits: inner splits that there are.
        pace: what trainings and choosing take.
        left: seconds; None for as many as it takes.
    """
    names = tuple(methods)
    light = pace.light(shares, names, candidates[0]) or names[:1]
    few = tuple(name for name in light if name in FEW) or names[:1]
    thin = tuple(shares[::-2][::-1])
    every, some = (3, 2) if folds > 1 else (5, 5)  # students count as much as test images: docs/results/shrink.md
    options = (
        ((3, 5, 8), names, tuple(shares), every),
        ((3, 5), names, tuple(shares), every),
        ((2, 4), names, tuple(shares), some),
        ((2, 3), light, tuple(shares), some),
        ((2, 3), few, tuple(shares), some),
        ((2,), few, tuple(shares), some),
        ((2,), few, thin, min(some, 3)),
    )
    made = []
    for usual, racing, raced, many in options:
        looks = tuple(max(n, 3 + at) for at, n in enumerate(usual)) if pace.fixed else usual  # two draws show no spread
        for inner in (splits, 1) if pace.fixed and splits > 1 else (1,):
            race = folds * inner * pace.race(raced, racing, looks[0], candidates[0]) / pace.workers
            draws = many if folds > 1 else 1
            testing = folds * pace.test(shares, racing, many, draws, candidates[1]) / pace.workers
            made.append(Schedule(raced, tuple(shares[::-1]), racing, looks, inner, many, race + testing, testing))
    return next((each for each in made if left is None or each.seconds <= SHARE * left), made[-1])


def _on(shares: Sequence[float], methods: Sequence[str]) -> list[tuple[float, str]]:
    """Who races at which size."""
    return [(share, name) for share in shares for name in methods if name not in ENDS or share >= LARGE]
