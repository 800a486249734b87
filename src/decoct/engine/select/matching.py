"""Herding: rows whose running mean follows the mean of all."""

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from decoct.engine.select.linear import linear
from decoct.engine.select.rows import Rows


def herding(features: ArrayLike | Tensor, n: int) -> Tensor:
    """Pick ``n`` rows whose running mean follows the mean of all rows.

    Pick t minimises  ‖t·μ − Σ_{picked} f − f_i‖  over the rows not yet picked; the lowest index wins a tie. One product
    of features and a vector a pick; O(N) memory.

    Args:
        features: [N, d], finite; numpy, memory map or tensor, on any device. Half precision computes in float32.
        n: number of picks, 1 ≤ n ≤ N.

    Returns:
        [n] int64 on the CPU, in order of picking.

    Raises:
        ValueError: ``n`` out of range, features not [N, d], or one that is not finite.

    Source:
        Welling, "Herding dynamical weights to learn", ICML 2009.
    """
    rows = Rows(features, n)
    origin = rows.zeros() if rows.origin is None else rows.origin.to(rows.home).double()
    # −‖r − f‖² = −‖f‖² + f·2r − ‖r‖², measured from the origin; the last is the same for every row.
    goal, twice = 2 * (rows.mean - origin), 2 * rows.mean

    def move(row: int) -> Tensor:
        return torch.sub(twice, rows.features[row].to(rows.home), alpha=2)

    def exact(index: Tensor) -> Tensor:
        return -rows.distances(index, (goal / 2 + origin)[None])[:, 0]

    return torch.tensor(linear(rows, n, -rows.squared, goal, move, exact))
