"""The race: which method to take at each size, decided on held-out train images in at most three planned looks.

Replicate r trains every method once, with a student of its own and, where the method is stochastic, a set of its own;
methods are paired by replicate and by image. At a look a method that is *shown worse* than the best of its size is
dropped for good, and only sizes with more than one method left get more replicates (successive halving, as Jamieson and
Talwalkar, 2016, have it, with intervals in place of halves).

What is promised, at each size and over all looks:

- the truly best method is dropped with a chance of at most 5 %. It is truly worse than none of its K − 1 rivals, so
  each of them gets 1 / (K − 1) of a look's level (Bonferroni; Gupta, 1965, asks for the same of a subset);
- a method is *shown better than random* wrongly with a chance of at most 5 %: Holm (1979) over the K − 1 methods.

The 5 % are spent over looks (Lan and DeMets, 1983) by the cube of the share of replicates (Kim and DeMets, 1987):
little at first, where only what is far behind is to go, and most at the end. Every look sees the same images, so
increments are not independent, and each look gets what it spends as its level (Bonferroni).

Errors count students (with their sets) and images as samples, see ``expected``. With two or three replicates the
variance between a method's students has one or two degrees of freedom. Where four methods or more race, they lend each
other some, see ``report.stats.moderated``; students of two methods count as independent, so that no comparison lends to
itself. A method with one set conditions on it, and only its student varies; with a deterministic learner as well,
nothing of it varies, and one row says all.

Sizes are decided one by one. A method that is dropped at a small size may win at a large one (hardest first does), so
nothing carries over. Since the test's images and students are fresh, what is not raced costs power and never validity:
a caller may leave out methods by rule, such as hardest first below half, but must not call them dropped.

No look needs what an earlier one said: a standing follows from all answers, in the order of their replicates.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from decoct.report.stats.estimate import Estimate
from decoct.report.stats.intervals import ALPHA
from decoct.shrinking.answer import Measured
from decoct.shrinking.inference.expected import Groups, Values, common, expected

RANDOM = "random"
LOOKS = (3, 5, 8)


@dataclass(frozen=True, eq=False)
class Lane:
    """What a method's students at one size answered.

    Attributes:
        correct: [R, images] right or not; row r is replicate r, which all methods of a size share. Several arrays are
            those of several inner splits, each with images, sets and students of its own: two splits of a quarter give
            twice the images, and so see differences that are .7 times as large.
        fixed: neither set nor learner varies: one row, of each split, says all.
        groups: [images] which images belong together, such as a patient's, the same in all lanes; None where they are
            independent. With several splits one of each.
    """

    correct: Values | Sequence[Values]
    fixed: bool = False
    groups: Groups | Sequence[Groups | None] | None = None

    @property
    def splits(self) -> list[Values]:
        """The answers by inner split."""
        return [self.correct] if isinstance(self.correct, np.ndarray) else list(self.correct)

    @property
    def clusters(self) -> list[Groups | None]:
        """The groups by inner split."""
        if self.groups is None or isinstance(self.groups, np.ndarray):
            return [self.groups for _ in self.splits]
        return list(self.groups)

    @property
    def replicates(self) -> int:
        """That every split has."""
        return min(map(len, self.splits))

    def rows(self, n: int) -> list[Values]:
        """The first n replicates of every split; a fixed lane repeats its only one."""
        return [np.repeat(x[:1], n, axis=0) if self.fixed else x[:n] for x in self.splits]

    @property
    def accuracy(self) -> Measured:
        """With its two-sided 95 % interval; without bounds for one student of many, NaN without any."""
        splits = self.splits
        if self.replicates > (0 if self.fixed else 1):
            return expected(splits, False, [self.fixed] * len(splits), self.clusters).measured()
        return Measured(_mean(splits), math.nan, math.nan, self.replicates, sum(x.shape[1] for x in splits))


Lanes = Mapping[str, Lane]  # by method
Results = Mapping[int, Lanes]  # by size


@dataclass(frozen=True)
class Standing:
    """Where the methods of one size stand.

    Attributes:
        look: looks that are past.
        racing: methods that are left, the best first.
        dropped: the look, from 0, at which each of the others was shown worse than the best of then.
        better: methods shown better than random, by themselves or since they are shown better than one that is.
        asks: replicates that each lane which the next look awaits must have; empty where the size is settled.
    """

    look: int
    racing: tuple[str, ...]
    dropped: Mapping[str, int]
    better: tuple[str, ...]
    asks: Mapping[str, int]

    @property
    def chosen(self) -> str:
        """The best of those that are left and shown better than random; else random."""
        return next((m for m in self.racing if m in self.better), RANDOM)


def spent(looks: Sequence[int], alpha: float = ALPHA) -> list[float]:
    """The level of each look: α (t³ − t'³), with t the share of all replicates at this look and t' at the one before.

    Args:
        looks: replicates at each look, rising.
        alpha: in all.

    Raises:
        ValueError: more than three looks, none, or they do not rise from 1.
    """
    if not 1 <= len(looks) <= 3 or any(b <= a for a, b in pairwise((0, *looks))):
        raise ValueError("one to three looks, each with more replicates than the one before")
    return [alpha * (b**3 - a**3) / looks[-1] ** 3 for a, b in pairwise((0, *looks))]


def standing(lanes: Lanes, looks: Sequence[int] = LOOKS, alpha: float = ALPHA) -> Standing:
    """All looks that the replicates of one size allow.

    Args:
        lanes: of all methods that race at this size, ``random`` among them; a method may have no row yet.
        looks: replicates at each look.
        alpha: chance of each of the two errors, over all looks.

    Raises:
        ValueError: random does not race, or the looks are not rising.
    """
    if RANDOM not in lanes:
        raise ValueError("random races at every size")
    levels = spent(looks, alpha)
    racing, better, dropped = list(lanes), set[str](), dict[str, int]()
    past = 0
    while past < len(looks) and len(racing) > 1 and not _asked(lanes, racing, looks[past]):
        n = looks[past]
        rows = {m: lanes[m].rows(n) for m in racing}
        racing.sort(key=lambda m: -_mean(rows[m]))  # stable: of equals the one named first
        best, level = racing[0], levels[past]
        worse = _p(rows, lanes, [(best, m) for m in racing[1:]])
        lost = [m for m, p in zip(racing[1:], worse, strict=True) if p <= level / (len(lanes) - 1)]
        if RANDOM in racing:
            rivals = [m for m in racing if m != RANDOM]
            ps = _p(rows, lanes, [(m, RANDOM) for m in rivals])
            better |= _holm(dict(zip(rivals, ps, strict=True)), level, len(lanes) - 1)
        if better & set(lost) or RANDOM in lost:
            better.add(best)
        dropped |= dict.fromkeys(lost, past)
        racing = [m for m in racing if m not in dropped]
        past += 1
    if past == 0:
        means = {m: _mean(lanes[m].splits) for m in racing}
        racing.sort(key=lambda m: math.inf if math.isnan(means[m]) else -means[m])
    open_ = past < len(looks) and len(racing) > 1
    asks = dict.fromkeys(_asked(lanes, racing, looks[past]), looks[past]) if open_ else {}
    return Standing(past, tuple(racing), dropped, tuple(m for m in lanes if m in better), asks)


def standings(results: Results, looks: Sequence[int] = LOOKS, alpha: float = ALPHA) -> dict[int, Standing]:
    """``standing`` of every size."""
    return {size: standing(lanes, looks, alpha) for size, lanes in results.items()}


def next_replicates(results: Results, looks: Sequence[int] = LOOKS, alpha: float = ALPHA) -> list[tuple[int, str, int]]:
    """What is to be trained before the next looks: (size, method, replicate), lower replicates first.

    With several inner splits a replicate is a training on each of them.
    """
    asks = [
        (replicate, size, method)
        for size, at in standings(results, looks, alpha).items()
        for method, most in at.asks.items()
        for replicate in range(results[size][method].replicates, 1 if results[size][method].fixed else most)
    ]
    return [(size, method, replicate) for replicate, size, method in sorted(asks, key=lambda ask: ask[0])]


def vote(votes: Sequence[str]) -> str:
    """The most frequent of several folds' methods; of equally frequent ones random, then the first."""
    return max(dict.fromkeys(votes), key=lambda m: (votes.count(m), m == RANDOM))


def _asked(lanes: Lanes, racing: Sequence[str], n: int) -> list[str]:
    """Lanes that lack replicates for a look at n."""
    return [m for m in racing if lanes[m].replicates < (1 if lanes[m].fixed else n)]


def _mean(splits: Sequence[Values]) -> float:
    """Over all images; NaN without a replicate."""
    if not all(map(len, splits)):
        return math.nan
    return float(np.concatenate([x.mean(0, dtype=np.float64) for x in splits]).mean())


def _p(rows: Mapping[str, list[Values]], lanes: Lanes, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """One-sided p of "the first of a pair is no better"."""
    varying = {
        m: expected(x, False, [False] * len(x)) for m, x in rows.items() if not lanes[m].fixed and min(map(len, x)) > 1
    }
    shared = common(list(varying.values()))
    parts = {m: own.lent(shared) for m, own in varying.items()}
    parts |= {m: () for m in rows if lanes[m].fixed}
    out = []
    for a, b in pairs:
        if a not in parts or b not in parts:  # one student of many
            out.append(1.0)
            continue
        d = [x.astype(np.float32) - y for x, y in zip(rows[a], rows[b], strict=True)]
        both = expected(d, True, [lanes[a].fixed and lanes[b].fixed] * len(d), lanes[a].clusters)
        out.append(Estimate(both.mean, (*parts[a], *parts[b], both.estimate.parts[-1])).above())
    return out


def _holm(ps: Mapping[str, float], level: float, family: int) -> set[str]:
    """Methods that Holm shows, over a family of which some are out already."""
    out = set[str]()
    for i, (method, p) in enumerate(sorted(ps.items(), key=lambda item: item[1])):
        if not p <= level / (family - i):
            break
        out.add(method)
    return out
