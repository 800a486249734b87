"""Facility location: rows such that every row has a similar one among the picks."""

from collections.abc import Iterator
from typing import Literal

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from decoct.select.graph import as_graph
from decoct.select.lazier import lazier
from decoct.select.rows import LIMIT, SUM, TIE, Rows, settled, unit
from decoct.select.sparse import sparse

Similarity = Literal["cosine", "euclidean"]
Search = Literal["greedy", "stochastic", "sparse"]
BATCH = 16  # rows whose gains are computed together, at first
TILE = 128  # rows whose products with all are computed together


def facility_location(
    features: ArrayLike | Tensor,
    n: int,
    similarity: Similarity = "cosine",
    *,
    search: Search = "greedy",
    epsilon: float = 0.1,
    neighbours: int | tuple[ArrayLike, ArrayLike] = 64,
    seed: int = 0,
) -> Tensor:
    """Pick ``n`` rows such that every row has a similar one among the picks, greedily.

    Pick t maximises  F(S ∪ j)  over the rows not yet picked, with  F(S) = Σ_i max_{s ∈ S} s_is  and s = 1 + cos of the
    angle between rows (a row of zeros has cos = 0), or s = max d² − d²; the lowest index wins a tie. F(S) is at least
    (1 − 1/e) of the best. Gains only fall, so earlier ones are bounds, and few are recomputed (lazy greedy; Minoux,
    1978). ½ N² d products; O(N) memory, plus the features and the similarities where each fit into 256 MiB.

    A stochastic search ("lazier than lazy greedy") looks, for each pick, at (N / n) ln(1 / ε) rows that are drawn:
    at most N² d ln(1 / ε) products in all, whatever ``n``; F(S) is at least (1 − 1/e − ε) of the best in expectation.
    A sparse one knows how similar each row is to its nearest rows, and counts a pick as of no use to all others: about
    8 N √N d products and O(N neighbours) memory, where beyond 2¹⁴ rows some of the nearest are found, not all. Greedy
    picks on this graph have no bound on F; what share of greedy picks' F they reach is measured in docs/scaling.md.

    Args:
        features: [N, d], finite; numpy, memory map or tensor, on any device. Half precision computes in float32.
        n: number of picks, 1 ≤ n ≤ N.
        similarity: "cosine" or "euclidean".
        search: "greedy", among all rows and all similarities; "stochastic"; or "sparse".
        epsilon: ε of a stochastic search, between 0 and 1.
        neighbours: how many of each row's nearest a sparse search knows; or which, as two [N, k] arrays: numbers of
            other rows, and squared distances, for cosine those of unit rows, as an index of faiss gives them.
        seed: of what a stochastic search draws.

    Returns:
        [n] int64 on the CPU, in order of picking.

    Raises:
        ValueError: ``n`` or an option out of range, features not [N, d], or one that is not finite.

    Source:
        Nemhauser, Wolsey and Fisher, 1978; as a coreset: Mirzasoleiman et al. (CRAIG), 2020, arXiv:1906.01827;
        stochastic: Mirzasoleiman et al., 2015, arXiv:1409.7938.

    Example:
        >>> fan = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0]])
        >>> decoct.select.facility_location(fan, 2).tolist()  # every row has a pick in its direction
        [2, 3]
    """
    if similarity not in ("cosine", "euclidean"):
        raise ValueError(f"similarity must be 'cosine' or 'euclidean', not {similarity!r}")
    if search not in ("greedy", "stochastic", "sparse"):
        raise ValueError(f"search must be 'greedy', 'stochastic' or 'sparse', not {search!r}")
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon must be between 0 and 1, not {epsilon}")
    rows = Rows(features, n, centred=similarity == "euclidean")
    given = as_graph(neighbours, len(rows), rows.device)
    with torch.inference_mode():
        state = Location(rows, similarity == "cosine")
        if search == "greedy":
            picked = state.pick(n)
        else:
            picked = sparse(state, n, given) if search == "sparse" else lazier(state, n, epsilon, seed)
    return torch.tensor(picked)


class Location:
    """The state of a selection.

    With g the unit rows and a = 0, or g the rows from the origin and a = ‖g‖², the similarity of i and j is
    2 g_i·g_j − a_i − a_j, but for a factor and a constant, which change no pick. The gain of j is then
    Σ_i max(0, 2 g_i·g_j − a_j − b_i) with b_i the largest 2 g_i·g_s − a_s of a pick s.
    """

    def __init__(self, rows: Rows, cosine: bool) -> None:
        self.rows, self.cosine = rows, cosine
        self.a = torch.zeros_like(rows.squared) if cosine else rows.squared
        whole = rows.features.numel() * rows.squared.element_size() <= LIMIT
        self.prepared = torch.cat([part for _, part in self._made()]) if whole else None
        self.kept: Tensor | None = None  # [N, N] 2 g_i·g_j, where they are kept
        self.b = torch.empty_like(rows.squared)
        self.gain = torch.zeros_like(rows.squared)  # bounds from above, but for rounding; −∞ once picked
        # The errors of the N products in a gain are of either sign, like those in a product.
        length = torch.ones_like(rows.squared) if cosine else rows.squared.sqrt()
        self.exact = _Exact(self)
        self.error = length * (4 * rows.rounding * float(length.norm())) + self.exact.tie

    def pick(self, n: int) -> list[int]:
        """The rows in order of picking."""
        picked = [self.first()]
        while len(picked) < n:
            self.take(picked[-1])
            if len(picked) == 1:
                self._every_gain()
                self.gain[picked[0]] = -torch.inf
            picked.append(self.best())
        return picked

    def take(self, row: int) -> None:
        """Cover with a pick."""
        covered = self.products(torch.tensor([row], device=self.rows.device))[0].sub_(self.a[row])
        self.b = torch.maximum(self.b, covered, out=self.b) if self.exact.picked else covered
        self.gain[row] = -torch.inf
        self.exact.picked.append(row)

    def first(self, among: Tensor | None = None) -> int:
        """The row of the largest Σ_i s_ij, of some or of all: sums of g tell it, no similarity does."""
        exact, size = self.exact, len(self.rows)
        total = exact.total.to(self.b)
        score = torch.cat([part @ total for _, part in self.blocks()]).mul_(2).sub_(self.a, alpha=size)
        if among is not None:
            score = torch.full_like(score, -torch.inf).index_copy_(0, among, score[among])
        length = torch.ones_like(score) if self.cosine else self.rows.squared.sqrt()
        error = length.mul_(2 * float(total.norm())).add_(self.a, alpha=size).mul_(self.rows.rounding).add_(exact.tie)
        return settled(score, float(error.max()), lambda: error, exact.first, exact.tie)

    def _every_gain(self) -> None:
        """The gain of every row after the first pick. Products are symmetric: half of them are computed."""
        size = len(self.rows)
        if self.prepared is None:
            for index in torch.arange(size, device=self.b.device).split(TILE):
                self.gain[index] = self._gains(index)
            return
        if size * size * self.b.element_size() <= LIMIT:
            self.kept = torch.empty(size, size, dtype=self.b.dtype, device=self.b.device)
        for at in range(0, size, TILE):
            to = min(at + TILE, size)
            tile = 2 * self.prepared[at:to] @ self.prepared[at:].T
            if self.kept is not None:
                self.kept[at:to, at:] = tile
                self.kept[to:, at:to] = tile[:, to - at :].T
            self.gain[at:to] += (tile - self.b[at:]).sub_(self.a[at:to, None]).clamp_(min=0).sum(1)
            self.gain[to:] += tile[:, to - at :].sub_(self.b[at:to, None]).sub_(self.a[to:]).clamp_(min=0).sum(0)

    def best(self, among: Tensor | None = None) -> int:
        """The row of the largest gain now, of some or of all; gains are recomputed where an old one leaves it open."""
        floor, wide, seen = -torch.inf, 256, 0
        fresh: list[Tensor] = []
        while True:
            # All above the floor, best first; ``seen`` of them are fresh, since these stay in front of what is not.
            bound = self.gain + self.error
            if fresh:
                bound[torch.cat(fresh)] = torch.inf
            bound = bound if among is None else bound[among]
            value, order = bound.topk(min(wide, len(bound)))
            order = order if among is None else among[order]
            while seen < len(order) and float(value[seen]) >= floor and float(value[seen]) > -torch.inf:
                index = order[seen : seen + BATCH + seen]
                index = index[value[seen : seen + len(index)] >= floor]
                self.gain[index] = torch.minimum(self.gain[index], self._gains(index))
                floor = max(floor, float((self.gain[index] - self.error[index]).max()))
                fresh.append(index)
                seen += len(index)
            if seen < len(order) or len(order) == len(bound):
                break
            wide *= 4
        index = torch.cat(fresh).sort().values
        error = self.error[index]
        exact = self.exact
        close = settled(self.gain[index], float(error.max()), lambda: error, lambda some: exact(index[some]), exact.tie)
        return int(index[close])

    def _gains(self, index: Tensor) -> Tensor:
        """[m] Σ_i max(0, 2 g_i·g_j − a_j − b_i) of the rows j."""
        room = LIMIT // 4 // self.b.element_size()
        parts = index.split(max(BATCH, room // (len(self.rows) if self.prepared is not None else 2**13)))
        return torch.cat([self._gains_of(part) for part in parts])

    def _gains_of(self, index: Tensor) -> Tensor:
        if self.prepared is not None:
            near = self.products(index).sub_(self.b)
            return (near if self.cosine else near.sub_(self.a[index, None])).clamp_(min=0).sum(1)
        gains = torch.zeros(len(index), dtype=self.b.dtype, device=self.b.device)
        own = 2 * self.g(self.rows.features[index].to(self.b.dtype))
        for at, part in self.blocks():
            covered = self.b[at : at + len(part)]
            gains += (own @ part.T).sub_(self.a[index, None]).sub_(covered).clamp_(min=0).sum(1)
        return gains

    def products(self, index: Tensor) -> Tensor:
        """[m, N] 2 g_i·g_j of the rows j with all i, a copy."""
        if self.kept is not None:
            return self.kept[index]
        if self.prepared is not None:
            return 2 * self.prepared[index] @ self.prepared.T
        own = 2 * self.g(self.rows.features[index].to(self.b.dtype))
        return torch.cat([own @ part.T for _, part in self.blocks()], 1)

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """g, block by block, with the first row of each; in one block where it fits."""
        if self.prepared is not None:
            yield 0, self.prepared
        else:
            yield from self._made()

    def _made(self) -> Iterator[tuple[int, Tensor]]:
        for at, part in self.rows.blocks(2**22):
            yield at, self.g(part)

    def g(self, part: Tensor) -> Tensor:
        """Some rows as they are compared."""
        return unit(part) if self.cosine else self.rows.moved(part)


class _Exact:
    """Gains in float64, of the rows that are asked for."""

    def __init__(self, location: Location) -> None:
        self.rows, self.cosine = location.rows, location.cosine
        home = self.rows.home
        self.picked: list[int] = []
        self.prepared: Tensor | None = None
        self.seen = 0
        self.b = torch.full((len(self.rows),), -torch.inf, dtype=torch.float64, device=home)
        self.bound = torch.full_like(self.b, torch.inf)
        self.fresh = torch.zeros(len(self.rows), dtype=torch.int64, device=home)
        self.total = self.rows.total(self._g)
        # What rounding may make of a gain of 0, and of equal gains, in shares of Σ ‖g‖², which is N for unit rows.
        scale = len(self.rows) if self.cosine else float(self.rows.squared.sum())
        self.nothing, self.tie = 1e-13 * scale, SUM * scale

    def first(self, index: Tensor) -> Tensor:
        """[m] Σ_i s_ij of the rows, but for a constant."""
        own = self._g(self.rows.features[index.to(self.rows.device)])
        return 2 * own @ self.total - len(self.rows) * self._a(own)

    def __call__(self, index: Tensor) -> Tensor:
        """[m] gains of the rows; of those that cannot be the largest, what they were, which is more.

        Copies of a pick gain nothing and stay at 0, so among many of them nothing is computed again.
        """
        index = index.to(self.rows.home)
        self._catch_up()
        while True:
            bound, fresh = self.bound[index], self.fresh[index] == len(self.picked)
            known = torch.where(fresh, bound, -torch.inf).max()
            late = ~fresh & (bound > 0) & (bound >= known - (TIE * known.abs()).clamp_min(self.tie))
            if not late.any():
                return bound
            # The best first: what has been looked at before has changed little.
            some = index[late][bound[late].topk(min(32, int(late.sum()))).indices]
            gains = torch.zeros(len(some), dtype=torch.float64, device=self.rows.home)
            for at, g in self._blocks():
                gains += (self._similar(some, g) - self.b[at : at + len(g)]).clamp_(min=0).sum(1)
            self.bound[some] = torch.where(gains > self.nothing, gains, 0.0)
            self.fresh[some] = len(self.picked)

    def _catch_up(self) -> None:
        late = torch.tensor(self.picked[self.seen :], dtype=torch.int64)
        for at, g in self._blocks() if len(late) else ():
            covered = self.b[at : at + len(g)]
            for some in late.split(max(1, 2**22 // len(g))):
                torch.maximum(covered, self._similar(some, g).amax(0), out=covered)
        self.seen = len(self.picked)

    def _blocks(self) -> Iterator[tuple[int, Tensor]]:
        """g in float64, in one block where it fits, and then made once, when it is first asked for."""
        if self.rows.features.numel() * 8 > LIMIT:
            yield from ((at, self._g(part)) for at, part in self.rows.blocks(2**20))
            return
        if self.prepared is None:
            self.prepared = self._g(self.rows.features)
        yield 0, self.prepared

    def _similar(self, index: Tensor, g: Tensor) -> Tensor:
        own = self._g(self.rows.features[index.to(self.rows.device)])
        return torch.addmm(-self._a(own)[:, None], own, g.T, alpha=2)

    def _a(self, g: Tensor) -> Tensor:
        return torch.zeros(len(g), dtype=g.dtype, device=g.device) if self.cosine else g.square().sum(1)

    def _g(self, part: Tensor) -> Tensor:
        wide = self.rows.wide(part)
        return unit(wide) if self.cosine else self.rows.moved(wide)
