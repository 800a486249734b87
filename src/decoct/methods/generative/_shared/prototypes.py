"""D4M's prototypes: centres of a class's real latents, found online, from which its images are made."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning

from decoct.core.seeds import seed
from decoct.methods.generative._shared.generative import Centred, Generative


class Prototyped(Generative):
    """Image-to-image from prototypes (D4M: Su et al., 2024, arXiv:2407.15138); what is told to the net differs.

    Attributes:
        strength: share of the steps that are taken; 0 decodes the prototypes as they are.
        expand: latents of one update of the clusters, in multiples of their number.
    """

    guidance: float = Field(8.0, ge=0)
    strength: float = Field(0.7, ge=0, le=1)
    expand: int = Field(1, ge=1)


class FromPrototypes(Centred):
    """Sampling from the prototypes of a class."""

    spec: Prototyped

    def found_in(self, latents: NDArray[np.float32], count: int, c: int) -> NDArray[Any]:
        """The prototypes of a class."""
        named = self.inputs.seed, self.spec.name, "prototypes", c
        order = np.random.default_rng(seed(*named, "order")).permutation(len(latents))
        return prototypes(latents[order], count, self.spec.expand * count, seed(*named))


def prototypes(latents: NDArray[np.float32], count: int, chunk: int, seed: int) -> NDArray[Any]:
    """Centres of online k-means (Sculley, 2010), [count, d]: one pass over latents [n, d], ``chunk`` at a time.

    A last chunk of fewer latents than there are centres is left out, unless it is the only one.

    ``seed``: of k-means++ on the first chunk, and of the centres that are moved where nothing comes to them.
    """
    means = MiniBatchKMeans(count, n_init=1, batch_size=chunk, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct latents than prototypes
        for at in range(0, len(latents), chunk):
            some = latents[at : at + chunk]
            if at == 0 or len(some) >= count:
                means.partial_fit(some)
    centres: NDArray[Any] = means.cluster_centers_
    return centres
