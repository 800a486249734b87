"""Who decides and who reports: train rows give scores, an inner split the race, and test is opened once."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import UsageError
from decoct.core.seeds import seed as derive
from decoct.shrinking.pool import TEST, TRAIN, VAL, Pool
from decoct.shrinking.reading.splits import folds as split_folds
from decoct.shrinking.reading.splits import hold_out

Rows = NDArray[np.int64]
FOLDS, MANY = 5, 50_000  # of so many images a fifth tests a set as closely as one asks: docs/results/shrink.md
SET_ASIDE = "set_aside"
QUARTERS = 4  # of the candidates; each judges one inner split, where the user has no val folder


@dataclass(frozen=True, eq=False)
class Inner:
    """An inner split of a fold's train images.

    Attributes:
        race: candidates.
        judges: images that the race is judged on; none of them is a candidate here.
    """

    race: Rows
    judges: Rows


@dataclass(frozen=True, eq=False)
class Fold:
    """One race and its test.

    Attributes:
        number: from 0.
        train: candidates, all that the test does not see.
        inner: splits of ``train`` for the race, of which it may use the first alone.
        test: images that are tested once.
    """

    number: int
    train: Rows
    inner: tuple[Inner, ...]
    test: Rows


def set_aside(pool: Pool, k: int | None, seed: int, keep: Rows) -> tuple[Pool, int]:
    """The pool, a fifth of it made test images if one fold is to be tested, and how many folds are.

    Args:
        pool: of all images.
        k: folds that were asked for; None for five, or one of a pool of ``MANY`` images.
        seed: of the split.
        keep: rows that sets are to have; their groups are not set aside.

    Raises:
        UsageError: no fold.
    """
    if k is None:
        k = 1 if len(pool) >= MANY else FOLDS
    if k < 1:
        raise UsageError(f"--folds {k}: take 1, which sets a fifth aside for the test, or more")
    if k > 1 or len(pool.rows(TEST)):
        return pool, k
    able = np.flatnonzero(~np.isin(pool.groups, pool.groups[keep]))
    _, held = hold_out(pool, able, 1 / FOLDS, derive(seed, "aside"))
    split = np.full(len(pool), TRAIN, np.int8)
    split[held] = TEST
    return replace(pool, split=split, facts={**pool.facts, SET_ASIDE: SET_ASIDE}), k


def plan(pool: Pool, k: int, seed: int) -> tuple[Fold, ...]:
    """One fold where the source has a test folder, else ``k`` of which each tests its own images.

    A val folder judges the race, and is no candidate; without one, each quarter of the candidates does in turn, with
    groups whole.

    Raises:
        UsageError: too few images to be on every side.
    """
    train, val, test = (pool.rows(split) for split in (TRAIN, VAL, TEST))
    if len(test):
        inner = (Inner(train, val),) if len(val) else _inner(pool, train, derive(seed, "inner", 0))
        return (_checked(pool, Fold(0, train, inner, test)),)
    everything = np.sort(np.concatenate([train, val]))
    made = []
    for number, held in enumerate(split_folds(pool, everything, k, derive(seed, "folds"))):
        rest = np.setdiff1d(everything, held)
        made.append(_checked(pool, Fold(number, rest, _inner(pool, rest, derive(seed, "inner", number)), held)))
    return tuple(made)


def _inner(pool: Pool, train: Rows, seed: int) -> tuple[Inner, ...]:
    parts = split_folds(pool, train, QUARTERS, seed)
    return tuple(Inner(np.setdiff1d(train, part), part) for part in parts if len(part))


def _checked(pool: Pool, fold: Fold) -> Fold:
    if not len(fold.test) or not fold.inner or any(len(each.race) < 2 for each in fold.inner):
        groups = len(np.unique(pool.groups))
        raise UsageError(
            f"{len(pool):,} images in {groups:,} groups are too few to choose from, to judge by and to test on: "
            "add images, or lower --folds"
        )
    return fold
