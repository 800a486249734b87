"""The test: fresh students of all images and of the set of each size, from the largest down."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from decoct.core.seeds import seed as derive
from decoct.shrinking.asked import Asked
from decoct.shrinking.choose import count, looks, stochastic
from decoct.shrinking.folds import Fold
from decoct.shrinking.inference.shown import Outcome, Tested, tested
from decoct.shrinking.learner import Material
from decoct.shrinking.made import Set, ordered
from decoct.shrinking.pool import Pool
from decoct.shrinking.trainings import Fit, Look, Pick, Trainings

Rows = NDArray[np.int64]


@dataclass
class Trial:
    """Students and sets of the test, of every fold.

    Attributes:
        trainings: where they run.
        folds: with the images that each tests.
        students: of each fold.
        seed: of every draw.
        keep: rows that every set is to have.
        without: rows that none is to have, such as copies of others.
        full: what the students of all images say: [R, test, classes], by fold; filled by ``open``.
        sets: rows of each set, or what was made, by (fold, share, student); a method that does not draw has one for
            all students.
        materials: what methods choose by, by fold.
    """

    trainings: Trainings
    folds: Sequence[Fold]
    students: int
    seed: int
    keep: Rows
    without: Rows
    full: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    sets: dict[tuple[int, float, int], Set] = field(default_factory=dict)
    materials: dict[int, Material] = field(default_factory=dict)

    @property
    def pool(self) -> Pool:
        """The images."""
        return self.trainings.pool

    @property
    def fixed(self) -> bool:
        """Whether another student would say the same."""
        return not self.trainings.learner.stochastic

    @property
    def deviates(self) -> bool:
        """Whether folds test a method, whose draws are a part of it, and not one set."""
        return len(self.folds) > 1

    def students_of(self, fold: Fold) -> list[int]:
        """Seeds of a fold's students; the set is no part of them, so that all images and the set are paired."""
        return [derive(self.seed, "test", fold.number, 0 if self.fixed else r) for r in range(self.students)]

    def open(self) -> None:
        """Train on all candidates of every fold."""
        wanted = {
            (fold.number, r): Fit(fold.train, fold.test, seed, whole=True)
            for fold in self.folds
            for r, seed in enumerate(self.students_of(fold))
        }
        said = self.trainings.fits(wanted)
        for fold in self.folds:
            self.full[fold.number] = np.stack([said[fold.number, r] for r in range(self.students)])

    def test(self, share: float, methods: Sequence[str], asked: Asked) -> Tested:
        """Test the sets of one size, by the method of each fold."""
        picks = {
            (fold.number, r): self.pick(fold, share, name, r if self.deviates and stochastic(name) else 0)
            for fold, name in zip(self.folds, methods, strict=True)
            for r in range(self.students)
        }
        looks = {number: pick.by for (number, _), pick in picks.items() if pick.by is not None}
        self.materials |= self.trainings.materials(looks)
        chosen = self.trainings.picks(picks)
        self.sets |= {(number, share, r): some for (number, r), some in chosen.items()}
        right = self.trainings.fits(
            {
                (fold.number, r): Fit(ordered(chosen[fold.number, r]), fold.test, seed)
                for fold in self.folds
                for r, seed in enumerate(self.students_of(fold))
            }
        )
        outcomes = []
        for fold, name in zip(self.folds, methods, strict=True):
            labels = self.pool.labels[fold.test]
            full = self.full[fold.number].argmax(2) == labels
            small = np.stack([right[fold.number, r] for r in range(self.students)])
            alike = self.fixed and not (self.deviates and stochastic(name))
            most, groups = 1 if alike else None, self.pool.groups[fold.test]
            outcomes.append(Outcome(full[:most], small[:most], labels, alike, groups))
        return tested(self.size(share), outcomes, asked.within, asked.worst, self.pool.class_names)

    def pick(self, fold: Fold, share: float, name: str, draw: int) -> Pick:
        """The set of a fold, for a draw of its method."""
        n = count(share, fold.train, self.pool, self.without)
        by = Look(fold.train, derive(self.seed, "look", fold.number)) if looks(name) else None
        keep, seed = np.intersect1d(self.keep, fold.train), derive(self.seed, "set", fold.number, draw)
        return Pick(name, fold.train, n, by, seed, keep, self.without)

    def size(self, share: float) -> int:
        """Images of the final set."""
        everything = np.unique(np.concatenate([fold.train for fold in self.folds]))
        return count(share, everything, self.pool, self.without)
