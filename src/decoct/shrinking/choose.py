"""The methods that race, and how each chooses rows of a pool: by decoct's own condensers, in each class by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.budget import Budget, proportional
from decoct.core.errors import UsageError
from decoct.core.interfaces import Condenser, Inputs
from decoct.core.spec import parse, suggest
from decoct.data.dataset import Dataset, Split
from decoct.needs.dynamics import Dynamics, Trace, Traces
from decoct.needs.features import Features
from decoct.shrinking.learner import Material
from decoct.shrinking.made import MAKERS
from decoct.shrinking.pool import Pool

Rows = NDArray[np.int64]
RANDOM = "random"
METHODS: dict[str, dict[str, Any]] = {  # known to hold where a tenth or more is kept: docs/results/pruning.md
    RANDOM: {"name": "random"},
    "herding": {"name": "herding"},
    "k_means": {"name": "k_means"},
    "facility_location": {"name": "facility_location"},
    "moderate": {"name": "moderate"},
    "ccs": {"name": "ccs"},
    "el2n_easy": {"name": "el2n", "keep": "easy", "runs": 1},
    "el2n_hard": {"name": "el2n", "keep": "hard", "runs": 1},
}
WIDE = 20_000  # images of one class beyond which a greedy search of all pairs takes too long
CLUSTERED = 5_000_000  # images × clusters of one class beyond which k-means does


@dataclass(frozen=True)
class Quota(Inputs):
    """Inputs that say themselves how many images each class gives.

    Attributes:
        each: of each class, in class order.
    """

    each: tuple[int, ...] = field(default=())

    def quotas(self) -> list[int]:
        """As given."""
        return [self.each[c] for c in self.wanted()]

    def ipc(self, method: str) -> int:
        """Of the class that gives most, for a method that makes as many of each class where nothing else is said."""
        return max(self.quotas())


def check(names: Sequence[str]) -> tuple[str, ...]:
    """The methods that were asked for, ``random`` first, which all are compared with.

    Raises:
        UsageError: no such method here.
    """
    for name in names:
        if name not in METHODS:
            raise UsageError(
                f"no method of this race is called '{name}'.{suggest(name, METHODS)}\n"
                f"choose among {', '.join(METHODS)}, or for --distil {', '.join(MAKERS)}; 'decoct run' has all others"
            )
    return tuple(dict.fromkeys((RANDOM, *names)))


def stochastic(name: str) -> bool:
    """Whether a method draws another set for another seed; sets are made once, since that takes long."""
    return name in METHODS and condenser(name).stochastic


def looks(name: str) -> bool:
    """Whether a method chooses by a training on all candidates."""
    return name in METHODS and name != RANDOM


def condenser(name: str, largest: int = 0) -> Condenser:
    """The condenser of a method, for classes of up to so many images."""
    table = dict(METHODS[name])
    if name == "facility_location" and largest > WIDE:
        table["search"] = "sparse"
    made: Condenser = parse("condenser", table)
    return made


def affordable(name: str, counts: Sequence[int], n: int) -> bool:
    """Whether a method chooses ``n`` of so many images of each class in minutes at the most."""
    if name != "k_means":
        return True
    return max(count * quota for count, quota in zip(counts, quotas(counts, n), strict=True)) <= CLUSTERED


def count(share: float, rows: Rows, pool: Pool, without: Rows | None = None) -> int:
    """A share of some rows in whole images: one of each class at least, and no more than may be chosen."""
    able = rows if without is None else rows[~np.isin(rows, without)]
    classes = sum(number > 0 for number in pool.counts(able))
    return min(len(able), max(classes, round(share * len(rows))))


def quotas(counts: Sequence[int], n: int) -> list[int]:
    """How many of its images each class gives: in proportion, and one at least.

    Raises:
        UsageError: fewer images than classes, or more than there are.
    """
    classes, have = sum(count > 0 for count in counts), sum(counts)
    if n > have:
        raise UsageError(f"there are {have:,} images to choose from, fewer than {n:,}")
    if n < classes:
        raise UsageError(f"{n} images leave a class without one: there are {classes:,} classes")
    return proportional(counts, n)


def choose(
    name: str,
    pool: Pool,
    rows: Rows,
    n: int,
    material: Material | None,
    seed: int,
    kept: Rows | None = None,
    without: Rows | None = None,
) -> Rows:
    """``n`` rows of a pool out of ``rows``, class after class, in order of picking; those ``kept`` come first.

    Args:
        name: of a method.
        pool: the images.
        rows: candidates.
        n: images of the set, in all.
        material: of these candidates, in their order; ``random`` needs none.
        seed: of a method that draws.
        kept: candidates that the set is to have in any case.
        without: candidates that it is not to have, such as copies of others.

    Raises:
        UsageError: as ``quotas``, or a class has more images that are kept than the set gives it.
    """
    none = np.empty(0, np.int64)
    first = none if kept is None else kept
    able = ~np.isin(rows, none if without is None else without) | np.isin(rows, first)
    numbers = np.array(quotas(pool.counts(rows[able]), n)) - np.array(pool.counts(first))
    if (numbers < 0).any():
        worst = pool.class_names[int(numbers.argmin())]
        raise UsageError(
            f"{len(first):,} images are kept, more of class '{worst}' than a set of {n:,} has: ask for more"
        )
    left = np.flatnonzero(able & ~np.isin(rows, first))
    candidates = rows[left]
    spec = condenser(name, max(pool.counts(candidates)))
    images = np.broadcast_to(np.zeros((), np.uint8), (len(candidates), *pool.images.shape[1:]))
    split = Split(images, pool.labels[candidates])
    data = Dataset(pool.source, pool.class_names, pool.digest, split, split, split, (), (), False, Path())
    inputs = Quota(
        data=data,
        budget=Budget(images=max(1, int(numbers.sum())), balanced=False),
        seed=seed,
        each=tuple(int(number) for number in numbers),
        **_given(spec, material, left),
    )
    draft = spec(inputs)
    assert draft.indices is not None
    return np.concatenate([first, candidates[draft.indices]])


def scores(name: str, material: Material) -> NDArray[np.float64] | None:
    """[n] what a method ranks candidates by, high is hard; None of one that has no score of single images."""
    spec = condenser(name)
    difficulty = getattr(spec, "difficulty", None)
    return None if difficulty is None else np.asarray(difficulty(material.traces), np.float64)


def _given(spec: Condenser, material: Material | None, left: Rows) -> Mapping[str, Any]:
    """What a condenser needs, from one training on all candidates."""
    features: dict[Features, NDArray[Any]] = {}
    dynamics: dict[Dynamics, Traces] = {}
    for need in spec.needs():
        assert material is not None
        if isinstance(need, Features):
            features[need] = material.features[left]
        elif isinstance(need, Dynamics):
            dynamics[need] = Traces(tuple(_of(run, left) for run in material.traces.runs))
    return {"features": features, "dynamics": dynamics}


def _of(run: Trace, left: Rows) -> Trace:
    return replace(run, **{name: getattr(run, name)[:, left] for name in Trace.__dataclass_fields__})
