"""D4M: prototypes of the real latents, noised and denoised again by Stable Diffusion, prompted with the class."""

import inspect
from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from torch import Generator, Tensor

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Inputs
from decoct.methods._shared.starts import Block
from decoct.methods.generative._shared.prototypes import FromPrototypes, Prototyped
from decoct.methods.generative._shared.sampling import draw, finite
from decoct.needs.generator import DIFFUSION, HUB
from decoct.nets import imagenet_classes
from decoct.nets.diffusion import DiffusionModel


class D4M(Prototyped):
    """Disentangled diffusion (Su et al., 2024, arXiv:2407.15138): image-to-image from prototypes, nothing is trained.

    Of each class, online k-means over its latents gives as many prototypes as images are to be made. Each is noised to
    a share ``strength`` of the schedule and denoised from there by Stable Diffusion 1.5, with the scheduler in the
    pipeline's folder (PNDM). The prompt is the class's name and nothing else, English for WordNet ids. Numbers are
    those of the authors' launch scripts; the defaults of their parsers, an ``expand`` of 10 and a ``strength`` of .75,
    are others.

    A last chunk of at least IPC latents takes part in the prototypes of every class; the authors' code forgets it but
    for one class. Departures: latents are the means of the encoder, where the authors draw from it in half precision;
    real images are centre squares, where they stretch whole pictures to 512 × 512 px; no safety checker blacks images
    out. A generator that is conditioned on classes is for ``d4m_class``.

    Attributes:
        generator: "hub:NAME" or a folder, of a model that is told by text; None for Stable Diffusion 1.5, whatever the
            resolution.
        negative: prompt that guidance leads away from.
    """

    text: ClassVar[bool] = True

    negative: str = "cartoon, anime, painting"

    def at(self, size: int) -> Self:
        """The same with the paper's generator, whatever the resolution."""
        return self.model_copy(update={"generator": self.generator or HUB + DIFFUSION})

    def made(self, inputs: Inputs, model: DiffusionModel) -> "Prompted":
        """Each batch from its prototypes."""
        return Prompted(self, inputs, model)


class Prompted(FromPrototypes):
    """Image-to-image by the pipeline's own scheduler."""

    def __init__(self, spec: D4M, inputs: Inputs, model: DiffusionModel) -> None:
        names, wanted = prompts(inputs.data.class_names), inputs.wanted()
        super().__init__(spec, inputs, model.prompted({c: names[c] for c in wanted}, spec.negative))

    def __call__(self, block: Block) -> dict[str, Tensor]:
        """Latents of a batch, and the prototypes that they start from."""
        start = self.centres(block)
        return {"images": self.scheduled(block, start, self.rngs(block)), "initial": start}

    @torch.no_grad()
    def scheduled(self, block: Block, x: Tensor, rngs: Sequence[Generator]) -> Tensor:
        """Noise latents and denoise them, by the last int(strength · steps) of the scheduler's steps.

        As in the authors' and diffusers' image-to-image, the steps are cut from the whole schedule's: the repeated step
        that PNDM starts with is cut away, and behind its start the net is told one step less noise than there is.
        """
        model, spec = self.model, self.spec
        scheduler = type(model.scheduler).from_config(model.scheduler.config)  # it counts its steps
        scheduler.set_timesteps(spec.steps)
        taken = int(spec.strength * spec.steps)
        times = scheduler.timesteps[(spec.steps - taken) * scheduler.order :] if taken else scheduler.timesteps[:0]
        if any(float(t) % 1 for t in times):
            raise DecoctError(
                f"{type(scheduler).__name__} takes steps between those of the training: save PNDMScheduler"
            )
        draws = {"generator": list(rngs)} if "generator" in inspect.signature(scheduler.step).parameters else {}
        labels, broken = self.labels(block), torch.zeros(len(x), dtype=torch.long, device=model.device)
        if taken:
            x = scheduler.add_noise(x, draw(rngs, model), times[:1].repeat(len(x)))
        for number, t in enumerate(times):
            said = model.predict(scheduler.scale_model_input(x, t), int(t), labels, spec.guidance)
            x = scheduler.step(said.noise, t, x, **draws).prev_sample
            broken = torch.where((broken == 0) & ~x.flatten(1).isfinite().all(1), number + 1, broken)
        finite(broken, len(times), labels, self.inputs.data.class_names)
        return x


def prompts(names: Sequence[str]) -> tuple[str, ...]:
    """The prompt of each class: its name, or the English names of a WordNet id, such as "tench, Tinca tinca"."""
    known = imagenet_classes.described()
    return tuple(known.get(name, name.replace("_", " ")) for name in names)
