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
    target = _Target(rows)
    return torch.tensor(linear(rows, n, -rows.squared, target.goal, target.move, target.exact, drift=2 * rows.drift))


class _Target:
    """r = t·μ − Σ_{picked} f, as 2 r from the origin:  −‖r − f‖² = −‖f‖² + f·2r − ‖r‖²,  whose last part is common.

    μ is known but for rounding until a pick hangs on more.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows, self.mean = rows, rows.about
        self.origin = rows.zeros() if rows.origin is None else rows.origin.to(rows.about)
        self.goal = 2 * (self.mean - self.origin)
        self.twice = 2 * self.mean

    def move(self, row: int) -> Tensor:
        """What a pick adds to 2 r."""
        return torch.sub(self.twice, self.rows.features[row].to(self.rows.home), alpha=2)

    def exact(self, index: Tensor, picked: int) -> Tensor:
        """[m] −‖r − f‖² of some rows after so many picks."""
        if self.mean is self.rows.about:
            self.mean = self.rows.mean
            self.goal += 2 * (picked + 1) * (self.mean - self.rows.about)
            self.twice = 2 * self.mean
        return -self.rows.distances(index, (self.goal / 2 + self.origin)[None])[:, 0]
