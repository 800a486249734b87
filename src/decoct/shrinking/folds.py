"""Who decides and who reports: train rows give scores, an inner split the race, and test is opened once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import UsageError
from decoct.core.seeds import seed as derive
from decoct.shrinking.pool import TEST, TRAIN, VAL, Pool
from decoct.shrinking.reading.splits import folds as split_folds
from decoct.shrinking.reading.splits import hold_out

Rows = NDArray[np.int64]
INNER = 0.25  # of the candidates, where the user has no val folder


@dataclass(frozen=True, eq=False)
class Fold:
    """One race and its test.

    Attributes:
        number: from 0.
        train: candidates, all that the test does not see.
        race: the candidates of the race, a part of ``train``.
        inner: images that the race is judged on; no candidates there.
        test: images that are tested once.
    """

    number: int
    train: Rows
    race: Rows
    inner: Rows
    test: Rows


def plan(pool: Pool, k: int, seed: int) -> tuple[Fold, ...]:
    """One fold where the source has a test folder, else ``k`` of which each tests its own images.

    A val folder judges the race, and is no candidate; without one, a quarter of the candidates does, with groups whole.

    Raises:
        UsageError: too few images to be on every side.
    """
    train, val, test = (pool.rows(split) for split in (TRAIN, VAL, TEST))
    if not len(test):
        everything = np.sort(np.concatenate([train, val]))
        parts: Sequence[Rows] = split_folds(pool, everything, k, derive(seed, "folds"))
        pairs = [(np.setdiff1d(everything, part), part) for part in parts]
        return tuple(_fold(pool, i, rest, None, held, seed) for i, (rest, held) in enumerate(pairs))
    return (_fold(pool, 0, train, val if len(val) else None, test, seed),)


def _fold(pool: Pool, number: int, train: Rows, val: Rows | None, test: Rows, seed: int) -> Fold:
    race, inner = (train, val) if val is not None else hold_out(pool, train, INNER, derive(seed, "inner", number))
    if not len(inner) or not len(test) or len(race) < 2:
        groups = len(np.unique(pool.groups))
        raise UsageError(
            f"{len(pool):,} images in {groups:,} groups are too few to choose from, to judge by and to test on: "
            "add images, or lower --folds"
        )
    return Fold(number, train, race, inner, test)
