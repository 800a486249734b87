"""Five-fold studies of ``decoct shrink`` with a real learner, so that the folds depend on each other as they do.

Images are points: six classes of four Gaussian clusters in 12 dimensions, 3 % of them with a random label. The learner
is ridge regression in closed form on 60 random ReLU features, the same for all (deterministic) or drawn by the seed.
What a classifier truly scores is what it scores on 60,000 other points. 3,000 points are candidates; each of five folds
holds 600 out, races on a quarter of the other 2,400, and tests what its race chose. The final set is chosen from all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from decoct.shrinking.inference import race
from decoct.shrinking.inference.expected import expected
from decoct.shrinking.inference.race import Lane
from decoct.shrinking.inference.shown import Margin, Outcome, decide, tested

Points = NDArray[np.float32]
CLASSES, CLUSTERS, DIMENSIONS, FEATURES, CANDIDATES, FOLDS = 6, 4, 12, 60, 3000, 5
SPREAD, NOISE, RIDGE, HELD = 1.15, 0.03, 1.0, 60_000
LEARNERS = (("deterministic", 1), ("by seed, 2 students", 2))
SHARES, LOOKS = (0.15, 0.3, 0.6), (3, 6)
MARGINS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # points
CENTRES = np.random.default_rng(7).normal(0, SPREAD, (CLASSES, CLUSTERS, DIMENSIONS))
LEARN = (
    "Five folds with a real learner: ridge regression on random features, 3,000 candidates, methods random, the middle "
    "and the easy end of distances to the class mean, sizes of 15, 30 and 60 %; truths are measured on 60,000 others. "
)
BOUNDS = LEARN + (
    "Percent of studies in which the folds' sets truly lose more than the one-sided 95 % bound, on average; and the "
    "same if the variance came from the five folds' means alone, or with the correction of Nadeau and Bengio (2003)."
)
NAMED = LEARN + (
    "The margin goes through what the sizes lose. *Outside, named*: percent of studies in which the folds' sets of the "
    "named size truly lose the margin or more, on average; then the same of the final set, chosen from all candidates."
)


def draw(rng: np.random.Generator, n: int) -> tuple[Points, NDArray[np.int64]]:
    """Points and labels."""
    y = rng.integers(0, CLASSES, n)
    x = CENTRES[y, rng.integers(0, CLUSTERS, n)] + rng.normal(size=(n, DIMENSIONS))
    return x.astype(np.float32), np.where(rng.random(n) < NOISE, rng.integers(0, CLASSES, n), y)


OTHERS = draw(np.random.default_rng(99), HELD)


def features(x: Points, seed: int) -> Points:
    """Random ReLU features."""
    w = np.random.default_rng([5, seed]).normal(0, (DIMENSIONS + 1) ** -0.5, (DIMENSIONS + 1, FEATURES))
    return np.maximum(np.c_[x, np.ones(len(x), np.float32)] @ w.astype(np.float32), 0)


@lru_cache(maxsize=4)
def others(seed: int) -> Points:
    """Features of the points that truths are measured on."""
    return features(OTHERS[0], seed)


@dataclass(frozen=True)
class Net:
    """A trained classifier."""

    seed: int
    weights: Points

    @classmethod
    def trained(cls, x: Points, y: NDArray[np.int64], seed: int) -> "Net":
        f = features(x, seed)
        return cls(
            seed, np.linalg.solve(f.T @ f + RIDGE * np.eye(FEATURES), f.T @ np.eye(CLASSES)[y]).astype(np.float32)
        )

    def right(self, x: Points, y: NDArray[np.int64]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (features(x, self.seed) @ self.weights).argmax(1) == y
        return found

    @property
    def truth(self) -> float:
        """What it scores on many other points, in percent."""
        return 100 * float(((others(self.seed) @ self.weights).argmax(1) == OTHERS[1]).mean())


def choose(method: str, x: Points, y: NDArray[np.int64], share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of a set, as many of each class in proportion."""
    out = []
    for c in range(CLASSES):
        rows = np.flatnonzero(y == c)
        k = max(1, round(share * len(rows)))
        order = np.argsort(np.linalg.norm(x[rows] - x[rows].mean(0), axis=1), kind="stable")
        if method == "random":
            order = rng.permutation(len(rows))
        start = (len(rows) - k) // 2 if method == "moderate" else 0
        out.append(rows[order[start : start + k]])
    return np.concatenate(out)


METHODS = ("random", "moderate", "easy")


@dataclass(frozen=True, eq=False)
class Study:
    """One study: what was seen at each share, and what is true.

    Attributes:
        outcomes: of each fold.
        folds: mean true loss of the folds' sets, points.
        final: true loss of the final set.
    """

    outcomes: dict[int, list[Outcome]]
    folds: dict[int, float]
    final: dict[int, float]


def study(rng: np.random.Generator, students: int) -> Study:
    """Draw candidates, and shrink them; one student where the learner is deterministic."""
    fixed = students == 1
    x, y = draw(rng, CANDIDATES)
    outcomes: dict[int, list[Outcome]] = {round(100 * share): [] for share in SHARES}
    losses: dict[int, list[float]] = {share: [] for share in outcomes}
    choices = []
    held = rng.permutation(CANDIDATES).reshape(FOLDS, -1)
    for k, test in enumerate(held):
        train = np.concatenate(np.delete(held, k, 0))
        seeds = [0 if fixed else 1 + k * students + r for r in range(students)]
        choices.append(_race(x[train], y[train], rng, fixed))
        full = [Net.trained(x[train], y[train], s) for s in seeds]
        over_full = float(np.mean([net.truth for net in full]))
        for share, method in choices[-1].items():
            own = method == "random"
            rows = max(students, 2) if own else students
            nets, picked = [], None
            for r in range(rows):
                if picked is None or own:
                    picked = train[choose(method, x[train], y[train], share / 100, rng)]
                nets.append(Net.trained(x[picked], y[picked], seeds[r % students]))
            small = np.stack([net.right(x[test], y[test]) for net in nets])
            both = np.stack([full[r % students].right(x[test], y[test]) for r in range(rows)])
            outcomes[share].append(Outcome(both, small, fixed=fixed and not own))
            losses[share].append(over_full - float(np.mean([net.truth for net in nets])))
    seeds = [0] if fixed else [501, 502, 503]
    over_full = float(np.mean([Net.trained(x, y, s).truth for s in seeds]))
    final = {}
    for share in choices[0]:
        method = race.vote([fold[share] for fold in choices])
        rows_ = choose(method, x, y, share / 100, rng)
        final[share] = over_full - float(np.mean([Net.trained(x[rows_], y[rows_], s).truth for s in seeds]))
    return Study(outcomes, {s: float(np.mean(v)) for s, v in losses.items()}, final)


def _race(x: Points, y: NDArray[np.int64], rng: np.random.Generator, fixed: bool) -> dict[int, str]:
    """The method of each share, in percent."""
    order = rng.permutation(len(x))
    inner, rest = order[: len(x) // 4], order[len(x) // 4 :]
    out = {}
    for share in SHARES:
        lanes = {}
        for method in METHODS:
            alone = fixed and method != "random"
            right, picked = [], None
            for r in range(1 if alone else LOOKS[-1]):
                if picked is None or method == "random":
                    picked = rest[choose(method, x[rest], y[rest], share, rng)]
                right.append(Net.trained(x[picked], y[picked], 0 if fixed else 1000 + r).right(x[inner], y[inner]))
            lanes[method] = Lane(np.stack(right), alone)
        out[round(100 * share)] = race.standing(lanes, LOOKS).chosen
    return out


def one_study(seed: int, students: int, i: int) -> Study:
    """The i-th study."""
    return study(np.random.default_rng([seed, students, i]), students)


KNOWN: dict[tuple[int, int, int], list[Study]] = {}  # the studies that both tables show


def studied(studies: int, seed: int, students: int, each: Callable[..., Iterator[Study]]) -> list[Study]:
    """All studies of a learner."""
    at = studies, seed, students
    if at not in KNOWN:
        KNOWN[at] = list(each(partial(one_study, seed, students), range(studies)))
    return KNOWN[at]


def margins(studies: int, seed: int, each: Callable[..., Iterator[Study]]) -> Iterator[Sequence[str]]:
    """How often what is named, of each learner and margin."""
    yield "learner", "margin", "outside, named", "final set outside", "named", "median images"
    for name, students in LEARNERS:
        for margin in MARGINS:
            named = []
            for s in studied(studies, seed, students, each):
                tests = []
                for share in sorted(s.outcomes, reverse=True):
                    tests.append(tested(share, s.outcomes[share], Margin(margin / 100)))
                    if not tests[-1].shown:
                        break
                decision = decide(tests)
                if decision.decided == "shown":
                    share = decision.tested.size
                    named.append((s.folds[share], s.final[share], share * CANDIDATES / 100))
            outside = [percent(sum(n[k] >= margin for n in named), studies) for k in range(2)]
            middle = f"{np.median([n[2] for n in named]):,.0f}" if named else ""
            yield name, f"{margin:g}", *outside, percent(len(named), studies), middle


def bounds(studies: int, seed: int, each: Callable[..., Iterator[Study]]) -> Iterator[Sequence[str]]:
    """How often the bound of each size is below the truth, as it is and by two other variances."""
    head = "bound below the truth", "between folds", "Nadeau and Bengio"
    yield "learner", "size", "loss", "folds' truth", "final set's truth", *head, "half-widths"
    for name, students in LEARNERS:
        for share in (round(100 * x) for x in SHARES):
            errors, halves, means, folds, finals = [], [], [], [], []
            for s in studied(studies, seed, students, each):
                d = [o.full.astype(np.float32) - o.small for o in s.outcomes[share]]
                own = expected(d, True, [o.fixed for o in s.outcomes[share]])
                between = float(np.var([x.mean() for x in d], ddof=1))
                t = float(stdtrit(FOLDS - 1, 0.95))
                ways = own.half(), t * (between / FOLDS) ** 0.5, t * (between * (1 / FOLDS + 1 / (FOLDS - 1))) ** 0.5
                halves.append([100 * half for half in ways])
                means.append(100 * own.mean)
                folds.append(s.folds[share])
                finals.append(s.final[share])
                errors.append([means[-1] + half < folds[-1] for half in halves[-1]])
            usual = [f"{np.mean(x):.2f}" for x in (means, folds, finals)]
            rates = [percent(int(n), studies) for n in np.sum(errors, 0)]
            yield name, f"{share} %", *usual, *rates, ", ".join(f"{h:.2f}" for h in np.mean(halves, 0))


def percent(hits: int, of: int) -> str:
    """A rate with 1.96 standard errors; where all agree with three over the studies."""
    p = hits / of
    more = 1.96 * np.sqrt(p * (1 - p) / of) if 0 < hits < of else 3 / of
    return f"{100 * p:.1f} ± {100 * more:.1f}"
