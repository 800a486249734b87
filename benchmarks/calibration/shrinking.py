"""Whole studies of ``decoct shrink`` with a known truth: a race on inner images, then a test on others.

Accuracies are given per method and size; students and sets vary about them, and which image a student has right follows
the probit model of ``latent``, in which images are hard for all, for a method, for a set or for one student.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from calibration.latent import Latent, answers
from decoct.shrinking.inference import race
from decoct.shrinking.inference.race import Lane
from decoct.shrinking.inference.shown import Decision, Margin, Outcome, decide, tested

CANDIDATES = 3000
SHARES = (0.1, 0.2, 0.3, 0.5, 0.7)
SIZES = tuple(round(CANDIDATES * share) for share in SHARES)
DRAWN = ("random", "ccs")  # stochastic: a set for each seed
CURVES = {  # points lost at each share
    "random": (10.3, 4.5, 2.76, 1.5, 1.0),
    "ccs": (9.0, 5.0, 3.0, 1.4, 0.6),
    "herding": (8.0, 4.4, 2.8, 1.6, 0.8),
    "facility_location": (7.0, 4.0, 2.2, 1.1, 0.5),
    "moderate": (13.0, 7.0, 4.5, 2.2, 1.1),
    "el2n_hard": (30.0, 18.0, 10.0, 2.0, 0.7),
}
MARGIN = 3.0
DETERMINISTIC, SPLIT = ", deterministic learner", ", four inner splits"
ALIKE = "all at the margin, sets alike"
SCENARIOS: Mapping[str, Mapping[str, Sequence[float]]] = {
    "all at the margin": {m: (MARGIN,) * len(SHARES) for m in CURVES},
    "all just outside": {m: (MARGIN + 0.2,) * len(SHARES) for m in CURVES},
    "70 % inside, the rest at the margin": {m: (*(MARGIN,) * (len(SHARES) - 1), 1.5) for m in CURVES},
    "inside from 30 % on": CURVES,
}


@dataclass(frozen=True)
class World:
    """What chance does.

    Attributes:
        losses: points, by method and size.
        student, drawn: standard deviation between students, and between sets of a stochastic method, in points.
        fixed: the learner is deterministic.
        full: accuracy with all images.
        inner: images of each inner split of the race.
        splits: inner splits.
        looks: replicates, on each inner split, at each look of the race.
        latent: which images are hard for whom.
    """

    losses: Mapping[str, Sequence[float]]
    student: float = 0.7
    drawn: float = 0.4
    fixed: bool = False
    full: float = 0.9
    inner: int = 600
    splits: int = 1
    looks: tuple[int, ...] = race.LOOKS
    latent: Latent = field(default_factory=Latent)

    def truth(self, method: str, size: int) -> float:
        """Expected accuracy over students and sets."""
        return self.full - self.losses[method][SIZES.index(size)] / 100

    def students(self, rng: np.random.Generator, rows: int) -> NDArray[np.float64]:
        """What students add to the accuracy of their set."""
        return np.zeros(rows) if self.fixed else self.student / 100 * rng.normal(size=rows)

    def sets(self, rng: np.random.Generator, method: str, rows: int) -> NDArray[np.float64]:
        """What sets add to the accuracy of their method."""
        return self.drawn / 100 * rng.normal(size=rows) if method in DRAWN else np.zeros(rows)


def raced(rng: np.random.Generator, world: World) -> dict[int, race.Standing]:
    """Where the race of every size ends."""
    methods, most = list(world.losses), world.looks[-1]
    alone = np.array([m not in DRAWN for m in methods])
    out = {}
    for size in SIZES:
        fixed = alone & world.fixed
        splits = []
        for _ in range(world.splits):
            a = np.stack([world.truth(m, size) + world.sets(rng, m, most) + world.students(rng, most) for m in methods])
            splits.append(answers(rng, world.latent, a[:, None, :, None], alone, world.inner)[:, 0, :, 0])
        lanes = {
            m: Lane([x[i, : 1 if fixed[i] else most] for x in splits], bool(fixed[i])) for i, m in enumerate(methods)
        }
        out[size] = race.standing(lanes, world.looks)
    return out


@dataclass(frozen=True)
class Verdict:
    """One study's answer.

    Attributes:
        size: that was named, or None.
        loss: what the tested set truly loses, points; with folds the mean over their sets.
        final: what the set that the user gets truly loses; with a test folder the same.
        decided: in a word.
    """

    size: int | None
    loss: float
    final: float
    decided: str


def judged(
    rng: np.random.Generator,
    world: World,
    choices: Sequence[Mapping[int, str]],
    images: int,
    students: int,
    within: Margin | None = None,
) -> Verdict:
    """Open the test.

    Args:
        rng: of this study.
        world: what chance does.
        choices: the method of each size; of a test folder's race, or of each fold's.
        images: that are tested, in all.
        students: of each stratum and size.
        within: the margin; three points by default.
    """
    folds = len(choices)
    rows = 1 if world.fixed else students
    full = [world.full + world.students(rng, rows) for _ in choices]
    tests, truths = [], {}
    for size in sorted(SIZES, reverse=True):
        strata, losses = [], []
        for k, choice in enumerate(choices):
            method = choice[size]
            own = folds > 1 and method in DRAWN  # then each student has a set of its own
            n = max(rows, 2) if own else rows
            sets = world.sets(rng, method, n if own else 1) * np.ones(n)
            truth = world.truth(method, size) + sets
            both = np.stack([np.resize(full[k], n), truth + world.students(rng, n)])[:, None, :, None]
            right = answers(rng, world.latent, both, np.array([True, not own]), images // folds)[:, 0, :, 0]
            if world.fixed:
                right[0] = right[0, :1]
            strata.append(Outcome(right[0], right[1], fixed=world.fixed and not own))
            losses.append(100 * (world.full - float(truth.mean())))
        truths[size] = float(np.mean(losses))
        tests.append(tested(size, strata, within or Margin(MARGIN / 100)))
        if not tests[-1].shown:
            break
    found: Decision = decide(tests)
    if found.decided != "shown":
        return Verdict(None, np.nan, np.nan, found.decided)
    size = found.tested.size
    final = truths[size]
    if folds > 1:
        method = race.vote([fold[size] for fold in choices])
        final = 100 * (world.full - world.truth(method, size) - float(world.sets(rng, method, 1)[0]))
    return Verdict(size, truths[size], final, found.decided)


def smallest(world: World, margin: float = MARGIN) -> int | None:
    """The smallest size at which some method is truly inside, such that all larger ones are."""
    out = None
    for size in sorted(SIZES, reverse=True):
        if min(world.losses[m][SIZES.index(size)] for m in world.losses) >= margin:
            break
        out = size
    return out


def worlds() -> dict[str, World]:
    """Every scenario with students that vary, and with a deterministic learner."""
    every = {name: World(losses) for name, losses in SCENARIOS.items()}
    every |= {name + DETERMINISTIC: replace(w, fixed=True) for name, w in every.items()}
    alike = replace(every["all at the margin"], drawn=0.0)
    return every | {name: replace(alike, fixed=DETERMINISTIC in name) for name in (ALIKE, ALIKE + DETERMINISTIC)}


def raced_worlds() -> dict[str, World]:
    """Those whose races differ, each with one inner split, and with four that have fewer replicates each."""
    one = {name: world for name, world in worlds().items() if races_like(name) == name}
    return one | {name + SPLIT: replace(world, splits=4, looks=(2, 3)) for name, world in one.items()}


def races_like(name: str) -> str:
    """The scenario whose races are drawn as this one's: where all methods are equal, it does not matter at what."""
    world = worlds()[name]
    if len(set(world.losses.values())) > 1:
        return name
    return "all at the margin" + (DETERMINISTIC if world.fixed else "")
