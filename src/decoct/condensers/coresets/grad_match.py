"""GRAD-MATCH: real images whose weighted gradients add up to that of all images."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from decoct.engine.coreset import POOLED, Group
from decoct.engine.gradients import GradientCoreset, Gradients
from decoct.engine.pursuit import pursue


class GradMatch(GradientCoreset):
    """Orthogonal matching pursuit on gradients (Killamsetty et al., 2021, arXiv:2103.00123), weighted.

    In each class, picks and weights w ≥ 0 make  ‖Σ_s w_s g_s − Σ_i g_i‖² + λ ‖w‖²  small, where g is the gradient of
    the last layer, of the class's own row alone: the paper's approximations, per class and per gradient. Pooled, g is
    that of the whole layer. An image whose weight falls to 0 makes room for another, so that, other than in public
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
