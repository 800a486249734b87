"""Prototypes: the images farthest from every cluster of the data, or the nearest."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from decoct.core.interfaces import Draft, Inputs
from decoct.core.seeds import seed
from decoct.methods.coresets._shared.clusters import centres, products
from decoct.methods.coresets._shared.coreset import FeatureCoreset, Group, unit
from decoct.methods.coresets._shared.scores import ranked
from decoct.needs.features import Features


class Prototypes(FeatureCoreset):
    """Self-supervised prototypes (Sorscher et al., 2022, arXiv:2206.14486): images far from their prototype are hard.

    Prototypes are the centres of a k-means clustering of the features of all images, whatever their class; the
    difficulty of an image is its cosine distance to the nearest. The paper keeps hard images where data are plentiful
    and easy ones where they are scarce. It takes the features of SwAV: to follow it, give an ``extractor`` that was not
    trained on the labels. Departures: the paper ranks all images together, here each class by itself unless
    ``pooled``; of more than 2¹⁸ images, 2¹⁸ are drawn to find the clusters. Picks are ordered, so the first ten of
    IPC 50 are the set of IPC 10.

    Attributes:
        clusters: None for as many as there are classes; the paper finds that the number hardly matters near it.
        keep: which end of the ranking.
        trim: share of each class, its hardest, that is left out first.
    """

    stochastic = True

    clusters: int | None = Field(None, ge=1)
    keep: Literal["easy", "hard"] = "hard"
    trim: float = Field(0.0, ge=0, lt=1)

    def together(self, ipc: int) -> int | None:
        """The clusters are those of all classes."""
        return None

    def __call__(self, inputs: Inputs) -> Draft:
        """Cluster all images, then rank each class by itself, or all."""
        features = inputs.features[Features(extractor=self.extractor)]
        rng = np.random.default_rng(seed(inputs.seed, self.name))
        number = self.clusters or len(inputs.data.class_names)
        prototypes = unit(centres(features, number, rng, self.scaled))

        def pick(group: Group, block: NDArray[Any]) -> NDArray[np.int64]:
            return ranked(distances(block, prototypes), group.quota, self.keep, self.trim)

        return self.picked(inputs, pick)


def distances(features: NDArray[Any], prototypes: NDArray[Any]) -> NDArray[Any]:
    """[n] 1 − the largest cosine of rows [n, d] with prototypes [k, d] of length 1."""
    return np.concatenate([1 - cosines.max(1) for cosines in products(unit(features), prototypes)])
