"""The race as it runs: trainings of every method at every size, in looks, on each fold's own inner split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from decoct.core.seeds import seed as derive
from decoct.shrinking.choose import RANDOM, affordable, count, looks, stochastic
from decoct.shrinking.folds import Fold, Inner
from decoct.shrinking.inference import race
from decoct.shrinking.inference.race import Lane, Standing
from decoct.shrinking.made import ordered
from decoct.shrinking.pool import Pool
from decoct.shrinking.trainings import Fit, Look, Pick, Trainings

Rows = NDArray[np.int64]
Ask = tuple[int, int, str, int]  # fold, place in the sizes, method, replicate
ENDS, LARGE = ("el2n_easy", "el2n_hard"), 0.5  # ends of a ranking lose where less is kept: docs/results/pruning.md


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
        splits: inner splits of each fold that are raced on.
        only: shares at which a method races, of those that do not race at all.
        lanes: by fold, then by place in ``shares``, then by method.
        full: [R, judges] what students of all of a race's candidates answer, by fold and inner split.
    """

    trainings: Trainings
    folds: Sequence[Fold]
    shares: tuple[float, ...]
    methods: tuple[str, ...]
    looks: tuple[int, ...]
    seed: int
    keep: Rows
    without: Rows
    splits: int = 1
    only: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    lanes: dict[int, dict[int, dict[str, Lane]]] = field(default_factory=dict)
    full: dict[int, list[NDArray[np.bool_]]] = field(default_factory=dict)

    @property
    def pool(self) -> Pool:
        """The images."""
        return self.trainings.pool

    def inner(self, fold: Fold) -> tuple[Inner, ...]:
        """The splits that are raced on."""
        return fold.inner[: self.splits]

    def prepare(self) -> None:
        """Train once on all candidates of each race."""
        looks = [self.by(fold, at) for fold in self.folds for at in range(len(self.inner(fold)))]
        self.trainings.materials(dict(enumerate(looks)))

    def line_up(self) -> None:
        """Empty lanes, for who races at each size."""
        for fold in self.folds:
            inner = self.inner(fold)
            none = [np.zeros((0, len(each.judges)), bool) for each in inner]
            groups = [self.pool.groups[each.judges] for each in inner]
            self.lanes[fold.number] = {
                place: {
                    name: Lane(none, not self.trainings.learner.stochastic and not stochastic(name), groups)
                    for name in self.methods
                    if self.able(fold, place, name)
                }
                for place in range(len(self.shares))
            }

    def begin(self) -> None:
        """Train on all candidates of each race, as often as the first look asks."""
        many = self.looks[0] if self.trainings.learner.stochastic else 1
        wanted = {
            (fold.number, at, r): Fit(each.race, each.judges, self.student(fold, at, r))
            for fold in self.folds
            for at, each in enumerate(self.inner(fold))
            for r in range(many)
        }
        said = self.trainings.fits(wanted)
        self.full = {
            fold.number: [
                np.stack([said[fold.number, at, r] for r in range(many)]) for at in range(len(self.inner(fold)))
            ]
            for fold in self.folds
        }

    def asks(self) -> list[Ask]:
        """What the next looks wait for."""
        return [
            (fold.number, place, name, r)
            for fold in self.folds
            for place, name, r in race.next_replicates(self.lanes[fold.number], self.looks)
        ]

    def parts(self, asks: Sequence[Ask]) -> list[list[Ask]]:
        """The first look in pieces, so that something is known early: first students of one fold, of all, the rest."""
        rank = [0 if number == self.folds[0].number and r == 0 else 1 if r == 0 else 2 for number, _, _, r in asks]
        pieces = [[ask for ask, own in zip(asks, rank, strict=True) if own == piece] for piece in range(3)]
        return [piece for piece in pieces if piece]

    def glimpse(self) -> tuple[float, dict[float, float]]:
        """Accuracy of one student of all images and of random ones at the smaller sizes, in the first fold."""
        fold, places = self.folds[0], [place for place, share in enumerate(self.shares) if share < LARGE] or [0]
        some = self.trainings.picks({place: self.pick(fold, 0, place, RANDOM, 0) for place in places})
        (inner, *_), seed = self.inner(fold), self.student(fold, 0, 0)
        rows = {-1: inner.race, **{place: ordered(each) for place, each in some.items()}}
        said = self.trainings.fits({place: Fit(own, inner.judges, seed) for place, own in rows.items()})
        means = {place: float(right.mean()) for place, right in said.items()}
        return means.pop(-1), {self.shares[place]: mean for place, mean in means.items()}

    def time_choosing(self) -> None:
        """Choose sets of two sizes by every method, in the first fold, so that it is known what that takes."""
        below = [place for place, share in enumerate(self.shares) if share < LARGE]
        for place in below[:3:2] or [0]:
            able = [name for name in self.methods if name != RANDOM and self.able(self.folds[0], place, name)]
            self.trainings.picks({name: self.pick(self.folds[0], 0, place, name, 0) for name in able})

    def able(self, fold: Fold, place: int, name: str) -> bool:
        """Whether a method races at a size."""
        inner = self.inner(fold)[0]
        share = self.shares[place]
        if (name in ENDS and share < LARGE) or share not in self.only.get(name, (share,)):
            return False
        return affordable(name, self.pool.counts(inner.race), self.size(inner, place))

    def work(self, asks: Sequence[Ask]) -> float:
        """Seconds of one core that these trainings, and sets that are new, are foretold to take."""
        total = 0.0
        for number, place, name, r in asks:
            for n in (self.size(each, place) for each in self.inner(self.folds[number])):
                new = r == 0 or stochastic(name)
                total += (self.trainings.seconds(n) or 0.0) + (self.trainings.choosing(name, n) if new else 0.0)
        return total

    def look(self, asks: Sequence[Ask]) -> None:
        """Train what the next look waits for, on every inner split."""
        picks = {
            (number, place, name, r, at): self.pick(self.folds[number], at, place, name, r if stochastic(name) else 0)
            for number, place, name, r in asks
            for at in range(len(self.inner(self.folds[number])))
        }
        wanted = {}
        for key, some in self.trainings.picks(picks).items():
            (number, _, _, r, at), fold = key, self.folds[key[0]]
            wanted[key] = Fit(ordered(some), self.inner(fold)[at].judges, self.student(fold, at, r))
        said = self.trainings.fits(wanted)
        for number, place, name, r in sorted(asks, key=lambda ask: ask[3]):
            lane = self.lanes[number][place][name]
            more = [
                np.concatenate([before, said[number, place, name, r, at][None]])
                for at, before in enumerate(lane.splits)
            ]
            self.lanes[number][place][name] = Lane(more, lane.fixed, lane.groups)

    def size(self, inner: Inner, place: int) -> int:
        """Images of a set in a race."""
        return count(self.shares[place], inner.race, self.pool, self.without)

    def pick(self, fold: Fold, at: int, place: int, name: str, draw: int) -> Pick:
        """The set of a method on an inner split."""
        each = self.inner(fold)[at]
        keep, seed = np.intersect1d(self.keep, each.race), derive(self.seed, "set", fold.number, at, draw)
        by = self.by(fold, at) if looks(name) else None
        return Pick(name, each.race, self.size(each, place), by, seed, keep, self.without)

    def by(self, fold: Fold, at: int) -> Look:
        """The training that methods choose by."""
        return Look(self.inner(fold)[at].race, derive(self.seed, "look", fold.number, "race", at))

    def student(self, fold: Fold, at: int, r: int) -> int:
        """A student's seed, the same for all methods and sizes of an inner split."""
        return derive(self.seed, "race", fold.number, at, r)

    def standings(self) -> dict[int, dict[int, Standing]]:
        """Where every method stands, by fold and place."""
        return {number: race.standings(lanes, self.looks) for number, lanes in self.lanes.items()}

    def choices(self, shares: Sequence[float]) -> dict[float, list[str]]:
        """The method of each fold at some shares; where one was not raced at, that of the nearest below that was.

        Random images stand where nothing below was raced, and for a method that would take too long where none was.
        """
        standing = self.standings()
        found: dict[float, list[str]] = {}
        for share in shares:
            below = [place for place, raced in enumerate(self.shares) if raced <= share + 1e-9]
            names = [standing[fold.number][below[-1]].chosen if below else RANDOM for fold in self.folds]
            sizes = [(self.pool.counts(fold.train), count(share, fold.train, self.pool)) for fold in self.folds]
            found[share] = [
                name if share in self.shares or affordable(name, *size) else RANDOM
                for name, size in zip(names, sizes, strict=True)
            ]
        return found

    def ahead(self) -> dict[float, tuple[str, float]]:
        """The method with the highest mean at each size and what it gains on all images, before a look is over."""
        begun = [self.lanes[fold.number] for fold in self.begun]
        full = _mean([(said.mean(), said.shape[1]) for fold in self.begun for said in self.full[fold.number]])
        found = {}
        for place, share in enumerate(self.shares):
            stood = {
                name: [lanes[place][name].accuracy for lanes in begun]
                for name in self.methods
                if all(name in lanes[place] for lanes in begun)
            }
            means = {name: _mean([(each.mean, each.images) for each in own]) for name, own in stood.items()}
            best = max(means, key=lambda name: means[name])
            found[share] = (best, means[best] - full)
        return found

    def full_mean(self) -> float:
        """Accuracy with all of a race's candidates, over folds."""
        return _mean([(said.mean(), said.shape[1]) for each in self.full.values() for said in each])

    @property
    def begun(self) -> list[Fold]:
        """Folds in which students have answered."""
        return [fold for fold in self.folds if self.lanes[fold.number][0][RANDOM].replicates]

    def curve(self) -> dict[int, float]:
        """Accuracy over the number of images, by the best that races at each size; all images among them."""
        everything = round(float(np.mean([len(fold.inner[0].race) for fold in self.folds])))
        points = {everything: self.full_mean()}
        for place, share in enumerate(self.shares):
            lanes = [self.lanes[fold.number][place] for fold in self.begun]
            stood = [own[race.standing(own, self.looks).chosen].accuracy for own in lanes]
            points[round(share * everything)] = _mean([(each.mean, each.images) for each in stood])
        return points


def _mean(values: Sequence[tuple[float, int]]) -> float:
    """Of values that each stand for so many images."""
    return float(np.average([value for value, _ in values], weights=[images for _, images in values]))
