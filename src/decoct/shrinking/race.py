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
from decoct.shrinking.expected import Groups, Values, common, expected

RANDOM = "random"
LOOKS = (3, 5, 8)


@dataclass(frozen=True, eq=False)
class Lane:
    """What a method's students at one size answered.

    Attributes:
        correct: [R, images] right or not; row r is replicate r, which all methods of a size share.
        fixed: neither set nor learner varies: one row says all.
        groups: [images] which images belong together, such as a patient's, the same in all lanes; None where they are
            independent.
    """

    correct: Values
    fixed: bool = False
    groups: Groups | None = None

    def rows(self, n: int) -> Values:
        """The first n replicates; a fixed lane repeats its only one."""
        return np.repeat(self.correct[:1], n, axis=0) if self.fixed else self.correct[:n]

    @property
    def accuracy(self) -> Measured:
        """With its two-sided 95 % interval; without bounds for one student of many."""
        if self.fixed or len(self.correct) > 1:
            return expected([self.correct], False, [self.fixed], [self.groups]).measured()
        return Measured(float(self.correct.mean()), math.nan, math.nan, 1, self.correct.shape[1])


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
        racing.sort(key=lambda m: -float(rows[m].mean(dtype=np.float64)))  # stable: of equals the one named first
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
        racing.sort(key=lambda m: -_mean(lanes[m]))
    open_ = past < len(looks) and len(racing) > 1
    asks = dict.fromkeys(_asked(lanes, racing, looks[past]), looks[past]) if open_ else {}
    return Standing(past, tuple(racing), dropped, tuple(m for m in lanes if m in better), asks)


def standings(results: Results, looks: Sequence[int] = LOOKS, alpha: float = ALPHA) -> dict[int, Standing]:
    """``standing`` of every size."""
    return {size: standing(lanes, looks, alpha) for size, lanes in results.items()}


def next_replicates(results: Results, looks: Sequence[int] = LOOKS, alpha: float = ALPHA) -> list[tuple[int, str, int]]:
    """What is to be trained before the next looks: (size, method, replicate), lower replicates first."""
    asks = [
        (replicate, size, method)
        for size, at in standings(results, looks, alpha).items()
        for method, most in at.asks.items()
        for replicate in range(len(results[size][method].correct), 1 if results[size][method].fixed else most)
    ]
    return [(size, method, replicate) for replicate, size, method in sorted(asks, key=lambda ask: ask[0])]


def chosen(results: Results, looks: Sequence[int] = LOOKS, alpha: float = ALPHA) -> dict[int, str]:
    """The method of each size: the best of those shown better than random there, else random."""
    return {size: at.chosen for size, at in standings(results, looks, alpha).items()}


def agreed(folds: Sequence[Mapping[int, str]]) -> dict[int, str]:
    """One method a size for the set of all images, from the choices of several folds' races: the most frequent.

    Of equally frequent ones random wins, then the one that comes first in the folds' order.
    """
    out = {}
    for size in folds[0]:
        votes = [fold[size] for fold in folds]
        out[size] = max(dict.fromkeys(votes), key=lambda m: (votes.count(m), m == RANDOM))
    return out


def _asked(lanes: Lanes, racing: Sequence[str], n: int) -> list[str]:
    """Lanes that lack replicates for a look at n."""
    return [m for m in racing if len(lanes[m].correct) < (1 if lanes[m].fixed else n)]


def _mean(lane: Lane) -> float:
    return float(lane.correct.mean(dtype=np.float64)) if len(lane.correct) else -math.inf


def _p(rows: Mapping[str, Values], lanes: Lanes, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """One-sided p of "the first of a pair is no better"."""
    varying = {m: expected([x], False, [False]) for m, x in rows.items() if not lanes[m].fixed and len(x) > 1}
    shared = common(list(varying.values()))
    parts = {m: own.lent(shared) for m, own in varying.items()}
    parts |= {m: () for m in rows if lanes[m].fixed}
    out = []
    for a, b in pairs:
        if a not in parts or b not in parts:  # one student of many
            out.append(1.0)
            continue
        fixed = lanes[a].fixed and lanes[b].fixed
        both = expected([rows[a].astype(np.float32) - rows[b]], True, [fixed], [lanes[a].groups])
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
