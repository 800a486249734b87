"""Herding and graph cut: greedy picks whose gain is linear in the features, several from one pass over the features."""

import math
from collections.abc import Callable
from functools import partial

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from decoct.select.rows import SUM, Rows, settled, unit

AHEAD = 15  # picks that are foreseen, at most
LIKELY = 256  # rows among which they are
REST = 8  # looks without foresight at first; twice as many each time that it fails

Move = Callable[[int], Tensor]


@torch.inference_mode()
def linear(
    rows: Rows,
    n: int,
    base: Tensor,
    goal: Tensor,
    move: Move,
    exact: Callable[[Tensor, int], Tensor],
    scale: Tensor | None = None,
    drift: float = 0.0,
    tie: float = 0.0,
) -> list[int]:
    """Pick the row with the largest  base_i + scale_i f_i·goal  again and again, where each pick moves the goal.

    One look at all features costs little more for several points than for one. So the next picks are foreseen among the
    rows that are likely now, and features are multiplied with the goal and with the moves that those picks would make:
    as long as foresight holds, the scores after a pick follow without another look. Picks do not depend on it.

    Args:
        rows: the features.
        n: number of picks.
        base: [N]; with an origin, what is missing in f·goal has to be the same for every row.
        goal: [d] float64; it is changed.
        move: a row -> what picking it adds to the goal, [d] float64.
        exact: row numbers [m], picks so far -> scores [m] in float64 for the goal as it is now, up to a constant.
        scale: [N]; None for 1.
        drift: how far the goal and each move may be from the truth that ``exact`` knows.
        tie: scores that are nearer than this are equal.
    """
    left = base.clone()  # −∞ once picked
    foresight = _Foresight(rows, left, scale, move)
    bounds = _Bounds(rows, base, scale, tie)
    unsure = drift / rows.rounding  # as a length that is rounded
    picked: list[int] = []
    while True:
        guesses = foresight.guesses
        if guesses or scale is not None:
            products = rows.products(torch.stack([goal, *map(move, guesses)]))
            if scale is not None:
                products *= scale
            score = products[0].add_(left)
        else:
            score = rows.plus_product(left, goal)
        size, held = _norm(goal), 0
        while True:
            reach = size + (len(picked) + 1) * unsure
            worst, error = bounds.worst(reach), partial(bounds, reach)
            row = settled(score, worst, error, lambda close: exact(close, len(picked)), tie)
            picked.append(row)
            if len(picked) == n:
                return picked
            step = move(row)
            goal += step
            left[row] = -torch.inf
            if guesses[held : held + 1] != [row]:
                break
            held += 1
            score += products[held]
            score[row] = -torch.inf
            size += _norm(step)
        foresight.look(score, goal, held, n - len(picked) - 1)


class _Foresight:
    """The next picks if only the rows with the best scores now are considered."""

    def __init__(self, rows: Rows, left: Tensor, scale: Tensor | None, move: Move) -> None:
        self.rows, self.left, self.scale, self.move = rows, left, scale, move
        self.guesses: list[int] = []
        self.ahead, self.pause, self.rest = 3, REST, REST

    def look(self, score: Tensor, goal: Tensor, held: int, most: int) -> None:
        """Guess anew: twice as far as it held, or not at all for a while where it did not hold.

        Args:
            score: [N], of the goal before the last pick.
            goal: [d] now.
            held: guesses that came true.
            most: guesses that are of use.
        """
        if self.guesses and held:
            self.ahead, self.pause = min(AHEAD, 2 * held + 1), REST
        elif self.guesses:
            self.ahead, self.pause, self.rest = 3, 2 * self.pause, self.pause
        self.guesses, self.rest = [], self.rest - 1
        if self.rest >= 0 or most < 1:
            return
        likely = score.where(self.left > -torch.inf, -torch.inf).topk(min(LIKELY, len(score))).indices
        part = self.rows.features[likely].to(self.rows.dtype)
        scale = 1.0 if self.scale is None else self.scale[likely]
        near = self.left[likely] + scale * (part @ self.rows.compute(goal))
        for _ in range(min(self.ahead, most, len(likely))):
            best = int(near.argmax())
            guess = int(likely[best])
            self.guesses.append(guess)
            near += scale * (part @ self.rows.compute(self.move(guess)))
            near[best] = -torch.inf


class _Bounds:
    """Bounds on the rounding errors of scores: γ (|base_i| + scale_i ‖f_i‖ ‖points‖), and the tie."""

    def __init__(self, rows: Rows, base: Tensor, scale: Tensor | None, tie: float) -> None:
        self.rows, self.base, self.scale, self.tie = rows, base, scale, tie
        self.most = float(base.abs().max())
        self.longest = rows.longest if scale is None else float((rows.length * scale).max())

    def worst(self, size: float) -> float:
        """Of all rows."""
        return self.rows.rounding * (self.most + self.longest * size) + self.tie

    def __call__(self, size: float) -> Tensor:
        """Row by row, [N]."""
        length = self.rows.length if self.scale is None else self.rows.length * self.scale
        return torch.add(self.base.abs(), length, alpha=size).mul_(self.rows.rounding).add_(self.tie)


def _norm(point: Tensor) -> float:
    return math.sqrt(float(point @ point))


def graph_cut(features: ArrayLike | Tensor, n: int, lam: float = 1.0) -> Tensor:
    """Pick ``n`` rows that are similar to all rows and unlike each other, greedily.

    Pick t maximises  F(S ∪ i)  over rows not yet picked; the lowest index wins a tie.

    F(S) = λ Σ_{v, s ∈ V×S} s_vs − Σ_{s, s' ∈ S×S} s_ss'

    The similarity s is one plus the cosine of the angle between rows, 1 for a row of zeros. Since it is linear in unit
    rows u, the gain is  u_i · (λ Σ_V u − 2 Σ_S u) − u_i · u_i  and a constant: at most one product of features and one
    vector per pick; O(N) memory.

    Args:
        features: [N, d], finite; numpy, memory map or tensor, on any device. Half precision computes in float32.
        n: number of picks, 1 ≤ n ≤ N.
        lam: weight λ of the similarity to all rows, ≥ 0.

    Returns:
        [n] int64 on the CPU, in order of picking.

    Raises:
        ValueError: ``n`` out of range, ``lam`` negative or not finite, features not [N, d], or one that is not finite.

    Source:
        Iyer et al., 2021, arXiv:2006.15412; as a coreset: Guo et al. (DeepCore), 2022, arXiv:2204.08499.

    Example:
        >>> fan = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0]])
        >>> decoct.select.graph_cut(fan, 2, lam=0.5).tolist()  # unlike each other rather than like all
        [2, 3]
    """
    if not 0 <= lam < float("inf"):
        raise ValueError(f"lam must be a number from 0, not {lam}")
    rows = Rows(features, n, centred=False)  # angles are seen from 0
    scale = torch.where(rows.length > 0, 1 / rows.length, 0.0)
    own = scale.gt(0).to(scale.dtype)  # cos of a row with itself
    pull = lam * rows.total(lambda part: unit(rows.wide(part)))

    def move(row: int) -> Tensor:
        return -2 * unit(rows.wide(rows.features[row])[None])[0]

    def exact(index: Tensor, picked: int) -> Tensor:
        near = unit(rows.wide(rows.features[index]))
        return near @ pull - near.square().sum(1)

    return torch.tensor(linear(rows, n, -own, pull, move, exact, scale, tie=SUM * lam * len(rows)))


def herding(features: ArrayLike | Tensor, n: int) -> Tensor:
    """Pick ``n`` rows whose running mean follows the mean of all rows.

    Pick t minimises  ‖t·μ − Σ_{picked} f − f_i‖  over the rows not yet picked; the lowest index wins a tie. One product
    of features and one vector per pick; O(N) memory.

    Args:
        features: [N, d], finite; numpy, memory map or tensor, on any device. Half precision computes in float32.
        n: number of picks, 1 ≤ n ≤ N.

    Returns:
        [n] int64 on the CPU, in order of picking.

    Raises:
        ValueError: ``n`` out of range, features not [N, d], or one that is not finite.

    Source:
        Welling, "Herding dynamical weights to learn", ICML 2009.

    Example:
        >>> picks = decoct.select.herding(np.array([[0.0], [1.0], [2.0], [9.0]]), 2)
        >>> picks.tolist()  # their running mean follows that of all, 3
        [2, 1]
    """
    rows = Rows(features, n)
    target = _Target(rows)
    return torch.tensor(linear(rows, n, -rows.squared, target.goal, target.move, target.exact, drift=2 * rows.drift))


class _Target:
    """r = t·μ − Σ_{picked} f, as 2 r from the origin:  −‖r − f‖² = −‖f‖² + f·2r − ‖r‖²,  whose last part is common.

    μ is known but for rounding until a pick depends on more.
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
