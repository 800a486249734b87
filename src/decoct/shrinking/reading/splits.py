"""Stratified splits of a pool's rows in which groups stay together and no class ever leaves the rest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import UsageError
from decoct.shrinking.pool import Pool

Rows = NDArray[np.int64]


def hold_out(pool: Pool, rows: Rows, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """The rest and what is held out, ascending: of each class the rounded fraction, at least one image, never all.

    Groups are visited in seeded order and held out whole while no class exceeds its share. A class that got nothing
    gives its smallest group that leaves every class in the rest; ``never_held`` names those that cannot.

    Args:
        rows: of the pool, those that are split.
        fraction: of each class, between 0 and 1.
        seed: of the order.

    Raises:
        UsageError: a fraction that leaves nothing.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"a fraction of {fraction} cannot be held out: take one between 0 and 1")
    cells = _Cells.of(pool, rows)
    most = cells.per_class - 1
    share = np.minimum(np.maximum(np.rint(fraction * cells.per_class), 1), most).tolist()
    limit, taken = most.tolist(), [0] * len(most)
    held = bytearray(cells.groups)
    order = np.random.default_rng(seed).permutation(cells.groups).tolist()
    begin, label, size = cells.begin.tolist(), cells.label.tolist(), cells.size.tolist()

    def take(group: int, most: list[int]) -> None:
        span = range(begin[group], begin[group + 1])
        for cell in span:
            if taken[label[cell]] + size[cell] > most[label[cell]]:
                return
        for cell in span:
            taken[label[cell]] += size[cell]
        held[group] = 1

    for group in order:
        take(group, share)
    without = np.flatnonzero((np.array(taken) == 0) & (cells.per_class > 1))
    if len(without):
        total = cells.total
        place = np.argsort(order)
        for lacking in without.tolist():
            own = cells.of_class(lacking)
            for group in own[np.lexsort((place[own], total[own]))].tolist():
                if taken[lacking]:
                    break
                if not held[group]:
                    take(group, limit)
    mask = np.frombuffer(held, dtype=np.bool_)[cells.group_of]
    return cells.rows[~mask], cells.rows[mask]


def folds(pool: Pool, rows: Rows, k: int, seed: int) -> list[Rows]:
    """``k`` disjoint parts, ascending, each of which is held out once, with about the same images of each class.

    The largest groups are placed first, each where its classes have least so far, ties where there are fewest images,
    then by seed. A group whose class would leave the rest with it is in no part (``never_held``).

    Raises:
        UsageError: fewer than two parts.
    """
    if k < 2:
        raise UsageError(f"{k} folds: at least two are needed")
    cells = _Cells.of(pool, rows)
    random = np.random.default_rng(seed)
    order = np.lexsort((random.permutation(cells.groups), -cells.total)).tolist()
    begin, label, size = cells.begin.tolist(), cells.label.tolist(), cells.size.tolist()
    left = cells.per_class.tolist()
    weight = [1 / max(1, count) for count in left]
    counts = [[0] * k for _ in left]  # images of each class in each fold
    outside = [0] * len(left)  # images of each class in no fold
    sizes, total = [0] * k, cells.total.tolist()
    ties = random.permutation(k).tolist()  # so that no fold always comes first
    fold_of = np.full(cells.groups, -1, dtype=np.int64)
    for group in order:
        span = range(begin[group], begin[group + 1])
        allowed = _allowed(span, label, size, left, counts, outside, k)
        best = min(
            allowed,
            key=lambda fold: (sum(counts[label[c]][fold] * weight[label[c]] for c in span), sizes[fold], ties[fold]),
            default=-1,
        )
        for cell in span:
            left[label[cell]] -= size[cell]
            if best < 0:
                outside[label[cell]] += size[cell]
            else:
                counts[label[cell]][best] += size[cell]
        if best >= 0:
            sizes[best] += total[group]
            fold_of[group] = best
    by_row = fold_of[cells.group_of]
    return [cells.rows[by_row == fold] for fold in range(k)]


def never_held(pool: Pool, rows: Rows) -> tuple[str, ...]:
    """Classes that no split can hold out, since their images are all in one group; they are in the rest always."""
    cells = _Cells.of(pool, rows)
    many = np.bincount(cells.label, minlength=len(pool.class_names))
    return tuple(pool.class_names[label] for label in np.flatnonzero(many == 1))


@dataclass(frozen=True, eq=False)
class _Cells:
    """How many images of which class each group has: cells ``begin[g]`` to ``begin[g + 1]`` are those of group g.

    Attributes:
        rows: that are split, ascending.
        group_of: of each row, the group, from 0.
        begin: [groups + 1].
        label, size: of each cell.
        per_class: images.
    """

    rows: Rows
    group_of: Rows
    begin: Rows
    label: Rows
    size: Rows
    per_class: Rows

    @classmethod
    def of(cls, pool: Pool, rows: Rows) -> "_Cells":
        rows = np.sort(np.asarray(rows, dtype=np.int64))
        labels, classes = pool.labels[rows], len(pool.class_names)
        names, group_of = np.unique(pool.groups[rows], return_inverse=True)
        cells, size = np.unique(group_of * classes + labels, return_counts=True)
        begin = np.searchsorted(cells, np.arange(len(names) + 1) * classes)
        return cls(rows, group_of, begin, cells % classes, size, np.bincount(labels, minlength=classes))

    @property
    def groups(self) -> int:
        return len(self.begin) - 1

    @property
    def total(self) -> Rows:
        """Images of each group."""
        return np.add.reduceat(self.size, self.begin[:-1]) if self.groups else np.zeros(0, dtype=np.int64)

    def of_class(self, label: int) -> Rows:
        """Groups with images of a class."""
        return np.searchsorted(self.begin, np.flatnonzero(self.label == label), side="right") - 1


def _allowed(
    span: range,
    label: list[int],
    size: list[int],
    left: list[int],
    counts: list[list[int]],
    outside: list[int],
    k: int,
) -> list[int]:
    """Folds that a group can be in while each of its classes stays in the rest of every fold."""
    allowed = list(range(k))
    for cell in span:
        c = label[cell]
        if left[c] > size[cell] or outside[c]:
            continue  # more of it is to come, or some is in no fold
        placed = sum(counts[c])
        allowed = [fold for fold in allowed if counts[c][fold] < placed]
    return allowed
