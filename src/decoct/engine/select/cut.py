"""Graph cut: rows that are similar to all and unlike each other."""

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from decoct.engine.select.linear import linear
from decoct.engine.select.rows import Rows, unit


def graph_cut(features: ArrayLike | Tensor, n: int, lam: float = 1.0) -> Tensor:
    """Pick ``n`` rows that are similar to all rows and unlike each other, greedily.

    Pick t maximises  F(S ∪ i)  over rows not yet picked. In  F(S) = λ Σ_{v, s ∈ V×S} s_vs − Σ_{s, s' ∈ S×S} s_ss'  is
    s one plus the cosine of the angle between rows, 1 for a row of zeros; the lowest index wins a tie. Since
    s is linear in unit rows u, the gain is  u_i · (λ Σ_V u − 2 Σ_S u) − u_i · u_i  and a constant: at most one product
    of features and a vector a pick; O(N) memory.

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
    """
    if not 0 <= lam < float("inf"):
        raise ValueError(f"lam must be a number from 0, not {lam}")
    rows = Rows(features, n, centred=False)  # angles are seen from 0
    scale = torch.where(rows.length > 0, 1 / rows.length, 0.0)
    own = scale.gt(0).to(scale.dtype)  # cos of a row with itself
    pull = rows.zeros()
    for _, part in rows.blocks():
        pull += lam * unit(rows.wide(part)).sum(0)

    def move(row: int) -> Tensor:
        return -2 * unit(rows.wide(rows.features[row])[None])[0]

    def exact(index: Tensor, picked: int) -> Tensor:
        near = unit(rows.wide(rows.features[index]))
        return near @ pull - near.square().sum(1)

    return torch.tensor(linear(rows, n, -own, pull, move, exact, scale))
