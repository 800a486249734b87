"""Deduplicate: all images but those that most resemble one that is kept."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from decoct import select
from decoct.core.interfaces import Draft, Inputs
from decoct.methods.coresets._shared.coreset import FeatureCoreset, Group


class Deduplicate(FeatureCoreset):
    """Near-duplicates by the distance of embeddings: of the two nearest images one goes, until the budget is met.

    The common practice of tools that clean image collections, without a paper of its own. There they say how near is
    too near; here the budget says how many go, and the distance at which the last one went is noted with the set
    (``reached``). Of a pair the image nearer to the mean of all stays. Images are pooled, since duplicates are not
    spread evenly over classes; ``pooled = false`` removes the share of each class. A smaller set is part of a larger
    one; images are in the order of the data.

    Attributes:
        normalise: "unit" makes the distance one of angles, √(2 − 2 cos).
    """

    pooled: bool = True
    normalise: Literal["none", "unit"] = "unit"

    def __call__(self, inputs: Inputs) -> Draft:
        """Remove from all images, or from each class."""
        reached: list[float] = []

        def pick(group: Group, features: NDArray[Any]) -> NDArray[np.int64]:
            rows, distances = select.duplicates(features, group.quota)
            reached.extend(distances[-1:])
            return np.setdiff1d(np.arange(len(features)), rows)

        draft = self.picked(inputs, pick)
        return replace(draft, notes={"reached": max(reached)}) if reached else draft
