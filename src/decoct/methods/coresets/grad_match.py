"""GRAD-MATCH: real images whose weighted gradients add up to the gradient of all images."""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from decoct.methods.coresets._shared.coreset import POOLED, Group
from decoct.methods.coresets._shared.gradients import GradientCoreset, Gradients

TINY = 1e-10  # of the largest ⟨g_i, b⟩: correlations below it are rounding


class GradMatch(GradientCoreset):
    """Orthogonal matching pursuit on gradients (Killamsetty et al., 2021, arXiv:2103.00123), weighted.

    In each class, picks and weights w ≥ 0 make  ‖Σ_s w_s g_s − Σ_i g_i‖² + λ ‖w‖²  small, where g is the gradient of
    the last layer, of the class's own row alone: the paper's approximations, per class and per gradient. Pooled, g is
    that of the whole layer. An image whose weight falls to 0 makes room for another, so that, unlike in public
    code, a set is not smaller than asked for; and the weights are the best ones of the picks, whatever their number.

    The paper's set may be smaller than the budget: when no further image's gradient points towards what is left of the
    sum, the match gets no better. Then the images that point least away from it fill the budget, each with weight 1,
    for itself; the authors' code fills it at random with the same weight. A smaller set is a prefix of a larger one
    only where no weight has fallen to 0; weights differ in any case.

    Departure: the authors select anew every 20 epochs while the net learns. Here the set is chosen once, from a trained
    teacher, whose gradients are smaller, so that the same λ holds weights back more.

    Attributes:
        ridge: λ.
        gradient: "class", of the class's own row; "last_layer", of the whole layer.
    """

    ridge: float = Field(0.5, gt=0)
    gradient: Literal["class", "last_layer"] = "class"

    def pick(self, errors: Tensor, inputs: Tensor, group: Group) -> tuple[Tensor, Tensor]:
        """Rows whose weighted gradients add up to that of all, and their weights."""
        whole = self.gradient == "last_layer" or group.name == POOLED
        gradients = Gradients(errors if whole else errors[:, [group.name]], inputs)

        def column(row: int) -> Tensor:
            return gradients.products(torch.tensor([row]))[0]

        rows, weights, left = pursue(column, gradients.to_sum(), group.quota, self.ridge)
        left[rows] = -torch.inf
        more = left.sort(descending=True, stable=True).indices[: group.quota - len(rows)]
        return torch.cat([rows, more]), torch.cat([weights, weights.new_ones(len(more))])


def pursue(column: Callable[[int], Tensor], target: Tensor, n: int, ridge: float) -> tuple[Tensor, Tensor, Tensor]:
    """Up to ``n`` vectors g with weights w > 0 so that  ‖Σ w g − b‖² + λ ‖w‖²  is small.

    Each step takes the vector with the largest ⟨g_i, b − Σ w g⟩ > 0 (the lowest index of equal ones), and then all
    weights anew: w = (K_SS + λ I)⁻¹ ⟨g_S, b⟩. Where one of them would not be positive, its vector leaves the set and
    may come back; this is how Lawson and Hanson, 1974, solve non-negative least squares. So every step lowers the
    objective, and the weights at the end are the best of their support.

    The inverse grows when a vector enters and shrinks when one leaves, in O(n²); memory is n · (N + n) numbers.

    Args:
        column: index j -> ⟨g_i, g_j⟩ for all i, [N] float64.
        target: ⟨g_i, b⟩, [N] float64.
        n: most vectors.
        ridge: λ > 0.

    Returns:
        [m] int64 indices in the order in which they (last) entered, m ≤ n: fewer where no other vector correlates
        with what is left of b; their [m] weights; and ⟨g_i, b − Σ w g⟩ of all, [N].

    Source:
        Killamsetty et al., 2021, arXiv:2103.00123, algorithm 2.
    """
    products = target.new_empty(n, len(target))  # a row for each vector of the set, in order
    inverse = target.new_empty(n, n)
    chosen: list[int] = []
    barred: list[int] = []  # all but a combination of others, or would enter with a weight of rounding
    weights, left, floor = target.new_empty(0), target, TINY * float(target.abs().max())
    for _ in range(10 * n):
        free = left.clone()
        free[chosen + barred] = -torch.inf
        best = int(free.argmax())
        if len(chosen) == n or free[best] <= floor:
            break
        own_products = products[len(chosen)] = column(best)
        side = own_products[chosen]
        if (grown := grow(inverse, side, float(own_products[best]) + ridge)) is None:
            barred.append(best)
            continue
        v, s = grown
        own = (target[best] - side @ weights) / s  # what the new row of the inverse makes of the target
        better, weights = torch.cat([weights - own * v, own[None]]), torch.cat([weights, weights.new_zeros(1)])
        chosen.append(best)
        while (better <= 0).any():
            # As far towards the better weights as none falls below 0; what is 0 there leaves.
            share = torch.where(better <= 0, weights / (weights - better), torch.inf).nan_to_num(0, posinf=torch.inf)
            stays = share > share.min()
            if not stays[-1] and weights[-1] == 0:
                barred.append(best)
            weights = torch.lerp(weights, better, share.min())[stays].clamp(min=0)
            for gone in (~stays).nonzero()[:, 0].flip(0).tolist():
                shrink(inverse, len(chosen), gone)
                products[gone : len(chosen) - 1] = products[gone + 1 : len(chosen)].clone()
                del chosen[gone]
            better = inverse[: len(chosen), : len(chosen)] @ target[chosen]
        weights = better
        left = target - weights @ products[: len(chosen)]
    return torch.tensor(chosen, dtype=torch.int64), weights, left


def grow(inverse: Tensor, side: Tensor, corner: float) -> tuple[Tensor, float] | None:
    """Turn A⁻¹, in the corner of a larger matrix, into the inverse of [[A, a], [aᵀ, α]] there.

    With v = A⁻¹ a and s = α − a·v it is  [[A⁻¹ + v vᵀ/s, −v/s], [−vᵀ/s, 1/s]].

    Returns:
        v and s; None, and nothing done, if the last column is all but a combination of the others.
    """
    k = len(side)
    v = inverse[:k, :k] @ side
    s = corner - float(side @ v)
    if not s > TINY * corner:
        return None
    inverse[:k, :k].addr_(v, v, alpha=1 / s)
    inverse[:k, k] = inverse[k, :k] = -v / s
    inverse[k, k] = 1 / s
    return v, s


def shrink(inverse: Tensor, k: int, gone: int) -> None:
    """Turn the inverse of a k × k matrix, in the corner, into that without a row and its column.

    From A⁻¹ = [[M, m], [mᵀ, μ]] it is  M − m mᵀ/μ.
    """
    rest = [i for i in range(k) if i != gone]
    side = inverse[rest, gone]
    inverse[: k - 1, : k - 1] = inverse[rest][:, rest] - torch.outer(side, side) / inverse[gone, gone]
