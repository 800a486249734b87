"""A graph of near rows: exact for few rows; for many by inverted lists, where a row sees those of the lists about."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from decoct.select.nearest import nearest_others
from decoct.select.rows import LIMIT

EXACT = 2**14  # rows up to which all pairs are compared
PROBES = 16  # lists that a row is compared with
ROUNDS = 4  # of Lloyd's algorithm
SEEN = 2**15  # rows that a row is compared with, at most
BLOCK = 2**23  # distances at once

Rows = Callable[[Tensor], Tensor]  # row numbers -> the rows, [m, d]


class Graph(NamedTuple):
    """Rows that are near to each row.

    Attributes:
        rows: [N, k] int32, nearest first; the row itself where there are not as many.
        squared: [N, k] float32 squared distances; ∞ there.
    """

    rows: Tensor
    squared: Tensor


def as_graph(near: int | tuple[ArrayLike, ArrayLike], size: int, device: torch.device) -> int | Graph:
    """How many are near each row; or which, as a graph.

    Raises:
        ValueError: a number below 1, or arrays that are no graph of so many rows.
    """
    if isinstance(near, int):
        if near < 1:
            raise ValueError(f"neighbours must be at least 1, not {near}")
        return near
    rows, squared = (torch.as_tensor(each, device=device) for each in near)
    if rows.ndim != 2 or rows.shape != squared.shape or len(rows) != size or rows.is_floating_point():
        shapes = f"{list(rows.shape)} and {list(squared.shape)}"
        raise ValueError(
            f"neighbours must be two [{size}, k] arrays, of row numbers and of squared distances: {shapes}"
        )
    if rows.numel() and not 0 <= int(rows.min()) <= int(rows.max()) < size:
        raise ValueError(f"neighbours must be numbers from 0 to {size - 1}: give a row's own where an index found none")
    itself = rows == torch.arange(size, device=device)[:, None]
    return Graph(rows.int(), squared.float().clamp(min=0).masked_fill(itself, torch.inf))


def near_rows(rows: Rows, size: int, k: int, device: torch.device) -> Graph:
    """The ``k`` other rows that are nearest to each row: exactly up to 2¹⁴ rows, and some of them beyond.

    Lists hold the rows nearest to one of 4 √N centres, which k-means finds in a sample. A row is compared with those
    of the 16 lists whose centres are nearest to the centre of its own, as in an inverted file (Jégou et al., 2011,
    doi:10.1109/TPAMI.2010.57): about 8 N √N d products. No draw is made.
    """
    every = torch.arange(size, device=device)
    none = torch.full((size, k), torch.inf, dtype=torch.float32, device=device)
    graph = Graph(every.int()[:, None].repeat(1, k), none)
    if k == 0:
        return graph
    if size <= EXACT:
        found = nearest_others(rows(every).contiguous(), k)
        return Graph(found.rows.view(size, k).int(), found.squared.view(size, k).float())
    centres, own = _lists(rows, every)
    counts = own.bincount(minlength=len(centres))
    centres, lists = centres[counts > 0], own.argsort(stable=True).split(counts[counts > 0].tolist())
    about = torch.cdist(centres, centres).topk(min(PROBES, len(centres)), largest=False).indices.tolist()
    for number, members in enumerate(lists):
        others = torch.cat([members, *(lists[i] for i in about[number] if i != number)])[:SEEN]
        _compare(rows, members, others, graph)
    return graph


def _compare(rows: Rows, members: Tensor, others: Tensor, graph: Graph) -> None:
    """Enter the nearest of some rows for each of the members."""
    seen = rows(others)
    squares = seen.square().sum(1)
    k = min(graph.rows.shape[1], len(others))
    for some in members.split(max(1, BLOCK // len(others))):
        looking = rows(some)
        away = torch.addmm(squares, looking, seen.T, alpha=-2).add_(looking.square().sum(1)[:, None]).clamp_(min=0)
        away.masked_fill_(some[:, None] == others, torch.inf)
        squared, places = away.topk(k, largest=False)
        graph.squared[some, :k] = squared.float()
        graph.rows[some, :k] = torch.where(squared < torch.inf, others[places], some[:, None]).int()


def _lists(rows: Rows, every: Tensor) -> tuple[Tensor, Tensor]:
    """Centres [L, d], and the nearest of them to each row, [N]."""
    count, d = round(4 * len(every) ** 0.5), rows(every[:1]).shape[1]
    sample = every[:: max(1, len(every) * d * 4 // LIMIT)]
    centres = rows(sample[:: max(1, len(sample) // count)][:count]).contiguous()
    for _ in range(ROUNDS):
        own, sums = _nearest(rows, sample, centres), torch.zeros_like(centres)
        for some, to in zip(sample.split(2**13), own.split(2**13), strict=True):
            sums.index_add_(0, to, rows(some))
        counts = own.bincount(minlength=len(centres))[:, None]
        centres = torch.where(counts > 0, sums / counts, centres)
    return centres, _nearest(rows, every, centres)


def _nearest(rows: Rows, some: Tensor, centres: Tensor) -> Tensor:
    squares = centres.square().sum(1)
    parts = some.split(max(1, BLOCK // len(centres)))
    return torch.cat([torch.addmm(squares, rows(part), centres.T, alpha=-2).argmin(1) for part in parts])
