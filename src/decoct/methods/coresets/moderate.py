"""Moderate: real images that are neither near the centre of their class nor far from it."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from decoct import select
from decoct.core.interfaces import Draft, Inputs
from decoct.methods.coresets._shared.coreset import FeatureCoreset
from decoct.needs.features import Features

BLOCK = 2**20  # numbers that are looked at together in float64


class Moderate(FeatureCoreset):
    """Moderate coreset (Xia et al., 2023, ICLR): the images whose distance to their class's centre is about the median.

    Images are sorted by ‖f_i − centre of its class‖, and those in the middle are kept: a share r of them is the window
    of ranks 1/2 ± r/2. Picks go from the middle outwards, so the first ten of IPC 50 are the set of IPC 10. The window
    is of each class by itself; the paper's is of all classes together, as with ``pooled``.

    Attributes:
        centre: "median" of each coordinate, as the authors' code has it; the paper's equation has the "mean".
    """

    centre: Literal["median", "mean"] = "median"

    def __call__(self, inputs: Inputs) -> Draft:
        """Distances by class, then the middle of each class or of all."""

        def far(number: int, features: NDArray[Any]) -> NDArray[np.float64]:
            return distances(self.scaled(features), self.centre)

        features, members = inputs.features[Features(extractor=self.extractor)], inputs.members()
        distance = np.full(len(features), np.nan)
        for rows, of_class in zip(members, select.each(far, features, members, progress=inputs.progress), strict=True):
            distance[rows] = of_class
        groups = self.groups(inputs)
        return Draft.selected(np.concatenate([g.rows[middle(distance[g.rows])[: g.quota]] for g in groups]))


def distances(features: NDArray[Any], centre: Literal["median", "mean"]) -> NDArray[np.float64]:
    """[n] distances of rows [n, d] to their centre, in float64, block by block.

    Raises:
        ValueError: a feature that is not finite.
    """
    if len(features) == 0:
        return np.empty(0)
    middle_of = np.median if centre == "median" else np.mean
    point = np.concatenate([middle_of(part.astype(np.float64), axis=0) for part in _parts(features, axis=1)])
    apart = np.concatenate([np.linalg.norm(part - point, axis=1) for part in _parts(features, axis=0)])
    if not np.isfinite(apart).all():
        raise ValueError("features hold values that are not finite")
    return apart


def middle(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """All positions, from the middle of the ranks outwards; of two that are as far, the lower one first."""
    place = np.abs(2 * np.arange(len(scores)) - (len(scores) - 1))
    return np.argsort(scores, kind="stable")[np.argsort(place, kind="stable")]


def _parts(features: NDArray[Any], axis: int) -> list[NDArray[Any]]:
    return np.array_split(features, -(-features.size // BLOCK), axis)
