"""CRAIG: real images whose gradients lie near those of all others, each weighted by how many it represents."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from decoct.methods.coresets._shared.coreset import Group
from decoct.methods.coresets._shared.gradients import GradientCoreset, Gradients

BLOCK = 2**22  # distances that are looked at together
LIMIT = 2**29  # bytes of distances that are kept; of more rows they are computed whenever they are asked for

Distances = Callable[[Tensor], Tensor]  # row numbers [m] -> their distances to all rows [m, N]


class CRAIG(GradientCoreset):
    """Facility location on distances between gradients (Mirzasoleiman et al., 2020, arXiv:1906.01827), weighted.

    Greedy picks of each class make  Σ_i min_{s picked} ‖g_i − g_s‖  small; a pick's weight is the number of images that
    are nearest to it, itself among them. With g in the logits, p − y, the sum bounds how far the weighted gradient of
    the picks is from that of all images, as the paper derives for deep nets, up to constants. Picks are ordered, so the
    first ten of IPC 50 are the set of IPC 10; weights are not.

    Departure: the authors select anew every few epochs while the net learns. Here the set is chosen once, from a
    trained teacher, and is the same for every student.

    Attributes:
        gradient: "logits", p − y, as the paper and its authors' code; "last_layer", (p − y) ⊗ [h, 1], as DeepCore.
    """

    gradient: Literal["logits", "last_layer"] = "logits"

    def pick(self, errors: Tensor, inputs: Tensor, group: Group) -> tuple[Tensor, Tensor]:
        """Rows that leave no gradient far from a pick's, and how many each is nearest to."""
        gradients = Gradients(errors, inputs if self.gradient == "last_layer" else None)
        return cover(gradients.distances, len(errors), group.quota)


def cover(distances: Distances, rows: int, n: int, limit: int = LIMIT) -> tuple[Tensor, Tensor]:
    """Pick ``n`` rows greedily so that  Σ_i min_{s picked} d_is  is small, and count the rows that each is nearest to.

    It is facility location, F(S) = Σ_i max_{s ∈ S} (c − d_is): for any c no less than the largest distance it has the
    same picks, those of an auxiliary element at distance c of which CRAIG speaks. The lowest row wins a tie.

    The gain of every row is kept. A pick changes it by the rows alone that come nearer, about N / t at pick t, so that
    all picks together cost O(N² log n) distances, however many they are. Memory is N² float32 up to ``limit``, else
    O(N + block).

    Args:
        distances: symmetric, 0 of a row to itself.
        rows: N.
        n: number of picks, 1 ≤ n ≤ N.
        limit: bytes of distances that may be kept.

    Returns:
        [n] int64 picks in order, and [n] int64 counts, which add up to N. A pick counts for itself, even beside equal
        rows; else the earliest of equally near picks has the row.

    Raises:
        ValueError: ``n`` out of range.

    Source:
        Mirzasoleiman et al., 2020, arXiv:1906.01827, algorithm 1.
    """
    if not 1 <= n <= rows:
        raise ValueError(f"cannot pick {n} of {rows} rows")
    blocks = torch.arange(rows).split(max(1, BLOCK // rows))
    if 4 * rows**2 <= limit:
        kept = torch.cat([distances(block).float() for block in blocks])

        def to(some: Tensor) -> Tensor:
            return kept[some].double()
    else:

        def to(some: Tensor) -> Tensor:
            return distances(some).float().double()  # rounded, so that the limit changes no pick

    # Sums of float32 differences are exact in float64 unless they span many decades, so that gains do not drift.
    whole = torch.zeros(rows, dtype=torch.float64)
    for block in blocks:
        whole += to(block).sum(0)
    picks, owner = [int(whole.argmin())], torch.zeros(rows, dtype=torch.int64)
    nearest = to(torch.tensor(picks))[0]
    gain = torch.zeros(rows, dtype=torch.float64)
    for block in blocks:
        gain += (nearest[block, None] - to(block)).clamp_(min=0).sum(0)
    gain[picks[0]] = -torch.inf
    for t in range(1, n):
        picks.append(row := int(gain.argmax()))
        to_pick = to(torch.tensor([row]))[0]
        nearer = (to_pick < nearest).nonzero()[:, 0]
        for block in nearer.split(max(1, BLOCK // rows)):
            # What is lost of (near − d)₊ when near falls to new:  (near − max(new, d))₊
            gain -= (nearest[block, None] - to(block).maximum(to_pick[block, None])).clamp_(min=0).sum(0)
        nearest[nearer], owner[nearer] = to_pick[nearer], t
        owner[row] = t
        gain[row] = -torch.inf
    return torch.tensor(picks), owner.bincount(minlength=n)
