"""The race as it runs: trainings of every method at every size, in looks, on each fold's own inner split."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from decoct.core.seeds import seed as derive
from decoct.shrinking.choose import RANDOM, affordable, choose, count, stochastic
from decoct.shrinking.folds import Fold
from decoct.shrinking.inference import race
from decoct.shrinking.inference.race import Lane, Standing
from decoct.shrinking.learner import Material
from decoct.shrinking.pool import Pool
from decoct.shrinking.trainings import Fit, Look, Trainings

Rows = NDArray[np.int64]
ENDS, LARGE = ("el2n_easy", "el2n_hard"), 0.5  # ends of a ranking lose where less is kept: docs/results/pruning.md
ALL = "all"


@dataclass
class Contest:
    """Who races where, and what the students answered.

    Attributes:
        trainings: where they run.
        folds: each with a race of its own.
        shares: of the candidates, rising: the sizes that are raced at.
        methods: that race; ``random`` is one of them.
        looks: replicates at each look.
        seed: of every draw.
        keep: rows that every set is to have.
        without: rows that none is to have, such as copies of others.
        lanes: by fold, then by place in ``shares``, then by method.
        full: [R, inner] what students of all of a race's candidates answer, by fold.
        materials: what methods choose by, by fold; filled by ``prepare``.
    """

    trainings: Trainings
    folds: Sequence[Fold]
    shares: tuple[float, ...]
    methods: tuple[str, ...]
    looks: tuple[int, ...]
    seed: int
    keep: Rows
    without: Rows
    lanes: dict[int, dict[int, dict[str, Lane]]] = field(default_factory=dict)
    full: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    materials: dict[int, Material] = field(default_factory=dict)

    @property
    def pool(self) -> Pool:
        """The images."""
        return self.trainings.pool

    def prepare(self) -> None:
        """Train once on all candidates of each race."""
        looks = {fold.number: Look(fold.race, derive(self.seed, "look", fold.number, "race")) for fold in self.folds}
        self.materials = self.trainings.materials(looks)

    def line_up(self) -> None:
        """Empty lanes, for who races at each size."""
        for fold in self.folds:
            counts, none = self.pool.counts(fold.race), np.zeros((0, len(fold.inner)), bool)
            groups = self.pool.groups[fold.inner]
            self.lanes[fold.number] = {
                place: {
                    name: Lane(none, not self.trainings.learner.stochastic and not stochastic(name), groups)
                    for name in self.methods
                    if (name not in ENDS or share >= LARGE)
                    and affordable(name, counts, count(share, fold.race, self.pool, self.without))
                }
                for place, share in enumerate(self.shares)
            }

    def begin(self) -> None:
        """Train on all candidates of each race, as often as the first look asks."""
        fixed = not self.trainings.learner.stochastic
        wanted = {
            (fold.number, r): Fit(fold.race, fold.inner, self.student(fold, r))
            for fold in self.folds
            for r in range(1 if fixed else self.looks[0])
        }
        said = self.trainings.fits(wanted)
        self.full = {
            fold.number: np.stack([said[key] for key in wanted if key[0] == fold.number]) for fold in self.folds
        }

    def asks(self) -> list[tuple[int, int, str, int]]:
        """What the next looks wait for: fold, place in ``shares``, method, replicate."""
        return [
            (fold.number, place, name, r)
            for fold in self.folds
            for place, name, r in race.next_replicates(self.lanes[fold.number], self.looks)
        ]

    def work(self, asks: Sequence[tuple[int, int, str, int]]) -> float:
        """Seconds of one core that these trainings are foretold to take."""
        sizes = [
            count(self.shares[place], self.folds[number].race, self.pool, self.without) for number, place, _, _ in asks
        ]
        return sum(self.trainings.seconds(n) or 0.0 for n in sizes)

    def look(self, asks: Sequence[tuple[int, int, str, int]]) -> None:
        """Train what the next look waits for."""
        wanted = {}
        for number, place, name, r in asks:
            fold = self.folds[number]
            rows = self.chosen(fold, place, name, r if stochastic(name) else 0)
            wanted[number, place, name, r] = Fit(np.sort(rows), fold.inner, self.student(fold, r))
        said = self.trainings.fits(wanted)
        for number, place, name, r in sorted(wanted, key=lambda key: key[3]):
            lane = self.lanes[number][place][name]
            rows = np.concatenate([*lane.splits, said[number, place, name, r][None]])
            self.lanes[number][place][name] = Lane(rows, lane.fixed, lane.groups)

    def chosen(self, fold: Fold, place: int, name: str, draw: int) -> Rows:
        """The set of a method in a race."""
        n = count(self.shares[place], fold.race, self.pool, self.without)
        keep = np.intersect1d(self.keep, fold.race)
        seed = derive(self.seed, "set", fold.number, draw)
        return choose(name, self.pool, fold.race, n, self.materials.get(fold.number), seed, keep, self.without)

    def student(self, fold: Fold, r: int) -> int:
        """A student's seed, the same for all methods and sizes of a fold."""
        return derive(self.seed, "race", fold.number, r)

    def standings(self) -> dict[int, dict[int, Standing]]:
        """Where every method stands, by fold and place."""
        return {number: race.standings(lanes, self.looks) for number, lanes in self.lanes.items()}

    def choices(self, shares: Sequence[float]) -> dict[float, list[str]]:
        """The method of each fold at some shares; where one was not raced at, that of the nearest below that was."""
        standing = self.standings()
        found: dict[float, list[str]] = {}
        for share in shares:
            below = [place for place, raced in enumerate(self.shares) if raced <= share + 1e-9]
            found[share] = [standing[fold.number][below[-1]].chosen if below else RANDOM for fold in self.folds]
        return found

    def full_mean(self) -> float:
        """Accuracy with all of a race's candidates, over folds."""
        weights = [len(fold.inner) for fold in self.folds]
        return _mean([float(self.full[fold.number].mean()) for fold in self.folds], weights)

    def curve(self) -> dict[int, float]:
        """Accuracy over the number of images, by the best that races at each size; all images among them."""
        weights = [len(fold.inner) for fold in self.folds]
        everything = round(float(np.mean([len(fold.race) for fold in self.folds])))
        points = {everything: self.full_mean()}
        standing = self.standings()
        for place, share in enumerate(self.shares):
            chosen = [standing[fold.number][place].chosen for fold in self.folds]
            means = [
                self.lanes[fold.number][place][name].accuracy.mean
                for fold, name in zip(self.folds, chosen, strict=True)
            ]
            points[round(share * everything)] = _mean(means, weights)
        return points


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    return float(np.average(values, weights=weights))
