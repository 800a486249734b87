"""Facility location on a graph of near rows: a pick serves the rows that have it among their nearest."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from decoct.select.graph import Graph, near_rows

if TYPE_CHECKING:
    from decoct.select.location import Location

UNITS = 2**29  # of the most that a pick gains in a row
CUT = 2**20  # numbers of a graph that are looked at together


def sparse(state: "Location", n: int, known: int | Graph) -> list[int]:
    """Greedy picks, the first of which is that of all rows, where a pick is looked at by the rows that it is near to.

    A row with no pick among its nearest counts as the row that is farthest from the first pick. What picks gain is
    counted in whole units, so that no order of adding changes a sum, and the lowest index wins a tie.
    """
    rows, size, first = state.rows, len(state.rows), state.first()

    def near(index: Tensor) -> Tensor:
        return state.g(rows.features[index].to(rows.dtype))

    graph = near_rows(near, size, min(known, size - 1), rows.device) if isinstance(known, int) else known
    square = torch.ones_like(state.a) if state.cosine else state.a
    away = square + square[first] - state.products(torch.tensor([first], device=rows.device))[0]
    if state.cosine and (nil := rows.squared == 0).any():  # no angle to any row, another of zeros included
        for part in torch.arange(size, device=rows.device).split(CUT // (graph.rows.shape[1] + 1)):
            graph.squared[part] = graph.squared[part].masked_fill(nil[part, None] | nil[graph.rows[part].long()], 2.0)
    return _greedy(graph, float(away.max()), first, n)


def _greedy(graph: Graph, farthest: float, first: int, n: int) -> list[int]:
    """Pick on a graph.

    Args:
        graph: of the nearest others.
        farthest: the squared distance at which a pick is of no use to a row.
        first: the first pick.
        n: number of picks.
    """
    size, device = len(graph.rows), graph.rows.device
    own = torch.arange(size, dtype=torch.int32, device=device)[:, None]
    near = torch.cat([own, graph.rows], 1)  # a row is nearest to itself
    worth = torch.cat([torch.zeros_like(own, dtype=torch.float32), graph.squared], 1).div_(
        -farthest if farthest > 0 else -1
    )
    worth = worth.add_(1).clamp_(min=0).mul_(UNITS).int()  # of each of these to the row
    # The same by pick: the rows that have it among their nearest, and what it is worth to each.
    order = near.reshape(-1).sort(stable=True).indices
    served, use = order.div(near.shape[1], rounding_mode="floor").int(), worth.reshape(-1)[order]
    del graph, order
    ends = [0, *near.reshape(-1).long().bincount(minlength=size).cumsum(0).tolist()]
    gain = torch.zeros(size, dtype=torch.int64, device=device)
    for part in own[:, 0].long().split(max(1, CUT // near.shape[1])):
        gain.index_add_(0, near[part].reshape(-1).long(), worth[part].reshape(-1).long())
    held = torch.zeros(size, dtype=torch.int32, device=device)  # what the picks are worth to each row
    picked = [first]
    while len(picked) < n:
        row = picked[-1]
        span = slice(ends[row], ends[row + 1])
        some, now = served[span].long(), use[span]
        better = now > held[some]
        for part, new in zip(some[better].split(2**14), now[better].split(2**14), strict=True):
            before = (worth[part] - held[part, None]).clamp_(min=0)
            lost = before.sub_((worth[part] - new[:, None]).clamp_(min=0))
            gain.index_add_(0, near[part].reshape(-1).long(), lost.reshape(-1).long(), alpha=-1)
            held[part] = new
        gain[row] = -1  # and less with what its rows lose: it is out
        picked.append(int(gain.argmax()))
    return picked
