"""D4M: prototypes of the real latents, noised and denoised again."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from decoct.core.interfaces import Inputs
from decoct.core.seeds import seed
from decoct.methods._shared.starts import Block
from decoct.methods.generative._shared.generative import Centred, Generative
from decoct.methods.generative._shared.sampling import draw
from decoct.nets.diffusion import DiffusionModel


class D4M(Generative):
    """Disentangled diffusion (Su et al., 2024, arXiv:2407.15138): image-to-image from prototypes, nothing is trained.

    Of each class, online k-means over its latents gives as many prototypes as images are to be made. Each is noised to
    a share ``strength`` of the schedule and denoised from there.

    The paper takes Stable Diffusion 1.5, prompted with the name of the class and, against it, with "cartoon, anime,
    painting". Here the class itself is the condition, with the null class against it, and the sampler is ancestral.
    The authors' code clusters ``expand`` · IPC latents at a time and leaves out what remains of every class but the
    last; here all latents are seen, once, in random order.

    Attributes:
        strength: share of the steps that are taken; 0 decodes the prototypes as they are.
        expand: latents of one update of the clusters, in multiples of their number.
    """

    guidance: float = Field(8.0, ge=0)
    strength: float = Field(0.7, ge=0, le=1)
    expand: int = Field(10, ge=1)

    def made(self, inputs: Inputs, model: DiffusionModel) -> "FromPrototypes":
        """Each batch from its prototypes."""
        return FromPrototypes(self, inputs, model)


class FromPrototypes(Centred):
    """Image-to-image."""

    spec: D4M

    def found_in(self, latents: NDArray[np.float32], count: int, c: int) -> NDArray[Any]:
        """The prototypes of a class."""
        named = self.inputs.seed, self.spec.name, "prototypes", c
        order = np.random.default_rng(seed(*named, "order")).permutation(len(latents))
        return prototypes(latents[order], count, self.spec.expand * count, seed(*named))

    def __call__(self, block: Block) -> dict[str, Tensor]:
        """Latents of a batch, and the prototypes that they start from."""
        start, rngs, first = self.centres(block), self.rngs(block), int(self.spec.strength * len(self.schedule))
        x = start
        if first:
            t = self.labels(block).new_full((len(block),), self.schedule.steps[first - 1])
            x = self.model.noisy(start, draw(rngs, self.model), t)
        return {"images": self.denoised(block, x, rngs, first=first), "initial": start}


def prototypes(latents: NDArray[np.float32], count: int, chunk: int, seed: int) -> NDArray[Any]:
    """Centres of online k-means (Sculley, 2010), [count, d]: one pass over latents [n, d], ``chunk`` at a time.

    ``seed``: of k-means++ on the first chunk, and of the centres that are moved where nothing comes to them.
    """
    means = MiniBatchKMeans(count, n_init=1, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct latents than prototypes
        for at in range(0, len(latents), chunk):
            means.partial_fit(latents[at : at + chunk])
    centres: NDArray[Any] = means.cluster_centers_
    return centres
