"""SemDeDup: all images but those that most resemble another one of their cluster."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from decoct.core.interfaces import Draft, Inputs
from decoct.methods.coresets._shared.clusters import centres, products
from decoct.methods.coresets._shared.coreset import FeatureCoreset, Group, unit


class SemDeDup(FeatureCoreset):
    """Semantic deduplication (Abbas et al., 2023, arXiv:2303.09540), with the ε that meets the budget.

    Features of length 1 are clustered by k-means. Within a cluster, two images whose cosine similarity is above 1 − ε
    are semantic duplicates; of each group of duplicates the image with the lowest similarity to the cluster's centre
    stays. A group is what such pairs join, directly or by way of others. The ε at which as many are left as the budget
    asks for is noted with the set (``epsilon``).

    The authors' code has no groups: it removes an image if one that is farther from the centre is near to it, so that
    it keeps an image whose only near ones are closer to the centre, although they join it to another that stays. Its
    k-means is spherical, in faiss, with 50,000 clusters of 440 million images; here it is Lloyd's.

    As in the paper, labels play no part: all classes are pooled. ``pooled = false`` treats each class as a data set by
    itself. Images are in the order of the data.

    Attributes:
        normalise: of no effect; features are scaled to length 1 in any case.
        clusters: None for as many as there are classes; at most as many as images are to stay, since each keeps one.
    """

    stochastic = True

    pooled: bool = True
    clusters: int | None = Field(None, ge=1)

    def __call__(self, inputs: Inputs) -> Draft:
        """Remove from all images, or from each class."""
        reached: list[float] = []

        def pick(group: Group, features: NDArray[Any]) -> NDArray[np.int64]:
            number = min(self.clusters or len(inputs.data.class_names), group.quota)
            rows, similarities = duplicates(unit(features), number, np.random.default_rng(group.seed))
            count = len(features) - group.quota
            reached.extend(1 - similarities[:count][-1:])
            return np.setdiff1d(np.arange(len(features)), rows[:count])

        draft = self.picked(inputs, pick)
        return replace(draft, notes={"epsilon": max(reached)}) if reached else draft


def duplicates(
    rows: NDArray[Any], clusters: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """All but one row of each cluster, in the order in which they go as ε grows, and the similarity that made them go.

    Args:
        rows: [n, d] of length 1.
        clusters: of k-means, at most.
        rng: of the clustering.
    """
    found = centres(rows, clusters, rng)
    squares = np.square(found).sum(1) / 2
    cluster = np.concatenate([(part - squares).argmax(1) for part in products(rows, found)])
    parts = []
    for c, centre in enumerate(found):
        members = np.flatnonzero(cluster == c)
        own = rows[members].astype(np.float64)
        gone, similarities = joined(own, own @ unit(centre[None])[0].astype(np.float64))
        parts.append((members[gone], similarities))
    gone, similarities = (np.concatenate(each) for each in zip(*parts, strict=True))
    order = np.argsort(-similarities, kind="stable")
    return gone[order], similarities[order]


def joined(rows: NDArray[np.float64], central: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows are joined to groups, the most similar pairs first: of two groups, the more central of their keepers goes.

    Args:
        rows: [n, d] of length 1.
        central: [n] similarity to the centre; the lower index stays where two are as central.

    Returns:
        [n − 1] rows that go, one for each join, and the similarity of the pair that joins, descending.
    """
    one, other, similarities = spanning(rows)
    keeper = np.arange(len(rows))  # of the group, at its root
    root = list(range(len(rows)))

    def find(row: int) -> int:
        while root[row] != row:
            root[row] = root[root[row]]
            row = root[row]
        return row

    order, gone = np.argsort(-similarities, kind="stable"), []
    for a, b in zip(one[order].tolist(), other[order].tolist(), strict=True):
        into, out = find(a), find(b)
        stays, goes = sorted((keeper[into], keeper[out]), key=lambda row: (central[row], row))
        gone.append(goes)
        root[out], keeper[into] = into, stays
    return np.array(gone, np.int64), similarities[order]


def spanning(rows: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pairs that join all rows, their similarities as large as can be: a maximum spanning tree (Prim, 1957).

    Rows are in one group at a similarity exactly where pairs of the tree of at least that similarity join them. Takes
    one product of a row with all others per row, and O(n) memory.

    Returns:
        [n − 1] one row of each pair, the other, and ⟨one, other⟩.
    """
    n = len(rows)
    best, parent = np.full(n, -np.inf), np.zeros(n, np.int64)
    inside = np.zeros(n, bool)
    pairs, row = [], 0
    for _ in range(n - 1):
        inside[row] = True
        similarity = rows @ rows[row]
        nearer = (similarity > best) & ~inside
        best[nearer], parent[nearer] = similarity[nearer], row
        row = int(np.where(inside, -np.inf, best).argmax())
        pairs.append(row)
    reached = np.array(pairs, np.int64)
    return parent[reached], reached, best[reached]
