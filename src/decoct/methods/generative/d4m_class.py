"""D4M given a class instead of a text: prototypes of the real latents, noised and denoised again."""

from torch import Tensor

from decoct.core.interfaces import Inputs
from decoct.methods._shared.starts import Block
from decoct.methods.generative._shared.prototypes import FromPrototypes, Prototyped
from decoct.methods.generative._shared.sampling import draw
from decoct.nets.diffusion import DiffusionModel


class D4MClass(Prototyped):
    """D4M's prototypes (Su et al., 2024, arXiv:2407.15138) under a generator that is conditioned on classes.

    Of each class, online k-means over its latents gives as many prototypes as images are to be made. Each is noised to
    a share ``strength`` of the schedule and denoised from there; nothing is trained.

    This is not the paper's method, ``d4m``, which prompts Stable Diffusion: here the class is the condition, the null
    class takes the place of the negative prompt, and the sampler is ancestral, as that of the other methods on such
    generators. Prototypes, strength and guidance are those of ``d4m``.
    """

    def made(self, inputs: Inputs, model: DiffusionModel) -> "Noised":
        """Each batch from its prototypes."""
        return Noised(self, inputs, model)


class Noised(FromPrototypes):
    """Image-to-image by ancestral steps."""

    def __call__(self, block: Block) -> dict[str, Tensor]:
        """Latents of a batch, and the prototypes that they start from."""
        start, rngs, first = self.centres(block), self.rngs(block), int(self.spec.strength * len(self.schedule))
        x = start
        if first:
            t = self.labels(block).new_full((len(block),), self.schedule.steps[first - 1])
            x = self.model.noisy(start, draw(rngs, self.model), t)
        return {"images": self.denoised(block, x, rngs, first=first), "initial": start}
