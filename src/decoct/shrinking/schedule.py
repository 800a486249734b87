"""How much a race and a test do within a time: replicates, methods and sizes, from the first training's seconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from decoct.shrinking.contest import ENDS, LARGE

USUAL = 10.0  # minutes, where none are said
SHARE = 0.9  # of the time that is planned: files are written as well
FEW = ("random", "herding", "facility_location", "moderate")


@dataclass(frozen=True)
class Schedule:
    """What is done.

    Attributes:
        raced: shares at which methods race, rising.
        tested: shares that the test may open, falling.
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


def schedule(
    shares: Sequence[float],
    methods: Sequence[str],
    folds: int,
    candidates: tuple[int, int],
    splits: int,
    seconds: Callable[[int], float],
    workers: int,
    left: float | None,
    fixed: bool,
) -> Schedule:
    """The richest schedule whose first look and whole test fit the time that is left; the leanest where none does.

    Args:
        shares: of the ladder, rising.
        methods: that would race.
        folds: each has a race and a test.
        candidates: of a race and of a test, in images.
        splits: inner splits that there are.
        seconds: of one core, that a training on so many images takes.
        workers: trainings at once.
        left: seconds; None for as many as it takes.
        fixed: the learner draws nothing, so that one student says all.
    """
    few = tuple(name for name in methods if name in FEW) or tuple(methods[:1])
    thin = tuple(shares[::-2][::-1])
    every, some = (3, 2) if folds > 1 else (5, 5)  # students count as much as test images: docs/results/shrink.md
    options = (
        ((3, 5, 8), tuple(methods), tuple(shares), every),
        ((3, 5), tuple(methods), tuple(shares), every),
        ((2, 4), tuple(methods), tuple(shares), some),
        ((2, 3), few, tuple(shares), some),
        ((2,), few, tuple(shares), some),
        ((2,), few, thin, min(some, 3)),
    )
    made = []
    for looks, names, raced, many in options:
        for inner in (splits, 1) if fixed and splits > 1 else (1,):
            racing = folds * inner * _race(raced, names, looks[0], candidates[0], seconds, fixed) / workers
            testing = folds * _test(raced, many, candidates[1], seconds, fixed) / workers
            tested = tuple(reversed(raced))
            made.append(Schedule(raced, tested, names, looks, inner, many, racing + testing, testing))
    return next((each for each in made if left is None or each.seconds <= SHARE * left), made[-1])


def _race(
    shares: Sequence[float],
    methods: Sequence[str],
    replicates: int,
    candidates: int,
    seconds: Callable[[int], float],
    fixed: bool,
) -> float:
    each = 1 if fixed else replicates
    lanes = [(share, name) for share in shares for name in methods if name not in ENDS or share >= LARGE]
    return each * (seconds(candidates) + sum(seconds(round(share * candidates)) for share, _ in lanes))


def _test(
    shares: Sequence[float], students: int, candidates: int, seconds: Callable[[int], float], fixed: bool
) -> float:
    each = 1 if fixed else students
    return each * (seconds(candidates) + sum(seconds(round(share * candidates)) for share in shares))
