"""MGD³: sampling guided to modes of the real latents, one mode for each image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from decoct.core.interfaces import Inputs
from decoct.core.seeds import seed
from decoct.methods._shared.starts import Block
from decoct.methods.generative._shared.generative import Centred, Generative
from decoct.methods.generative._shared.sampling import Guide, Step
from decoct.nets.diffusion import DiffusionModel
from decoct.select.covering import k_means


class MGD3(Generative):
    """Mode-guided diffusion (Chan-Santiago et al., 2025, arXiv:2505.18963), on a frozen generator.

    Mode discovery: the latents of each class are clustered by k-means with as many centres m as images are to be made.
    Mode guidance: image j is drawn to m_j, x_{i−1} += −λ (x̂₀ − m_j) σ_i, with x̂₀ predicted under classifier-free
    guidance, and σ_i as the net says where it is learnt. Stop guidance: the steps of less noise are free, so that the
    image is one of the generator's; step 25 of 50 is one of them. Of a DiT, classifier-free guidance acts on three of
    the four channels, as in the code of its authors. MGD³'s own program was not at hand: which x̂₀ it takes, and in
    which steps, was read in two later programs that contain it.

    ``scale = 0`` is plain sampling from the same noise; the difference is the effect of the guidance.

    Attributes:
        scale: λ.
        stop: share of the steps up to which they are free.
    """

    version = 3

    scale: float = Field(0.1, ge=0)
    stop: float = Field(0.5, ge=0, le=1)

    def made(self, inputs: Inputs, model: DiffusionModel) -> "Modal":
        """Each batch with its modes."""
        return Modal(self, inputs, model)


class Modal(Centred):
    """Sampling with mode guidance."""

    spec: MGD3

    def found_in(self, latents: NDArray[np.float32], count: int, c: int) -> NDArray[Any]:
        """The modes of a class, by k-means."""
        centres: NDArray[Any] = k_means(
            latents, count, seed(self.inputs.seed, self.spec.name, "modes", c)
        ).cluster_centers_
        return centres

    def __call__(self, block: Block) -> dict[str, Tensor]:
        """Latents of a batch."""
        if not self.spec.scale:
            return {"images": self.sampled(block)}
        return {"images": self.sampled(block, ModeGuidance(self.centres(block), self.spec.scale, self.spec.stop))}


@dataclass
class ModeGuidance(Guide):
    """−λ (x̂₀ − m) σ_i at the steps of the most noise.

    Attributes:
        modes: [B, c, h, w].
        scale: λ.
        stop: share of the steps up to which it does not act.
    """

    modes: Tensor
    scale: float
    stop: float

    def active(self, share: float) -> bool:
        """From the most noise down to the stop, which is free."""
        return share > self.stop

    def __call__(self, step: Step) -> Tensor:
        """Towards the modes."""
        return -self.scale * (step.clean - self.modes) * step.sigma
