"""Parts that generative methods share: the generator, real images as latents, batches of images and their records."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Generator, Tensor

from decoct.core.interfaces import Condenser, Draft, Inputs, Need
from decoct.core.seeds import seed
from decoct.methods._shared.starts import Block
from decoct.methods.generative._shared.sampling import Guide, Schedule, draw, sample
from decoct.needs.generator import ImageGenerator
from decoct.nets.diffusion import DiffusionModel
from decoct.nets.precision import Precision
from decoct.nets.room import Halving

SMALL = 64  # pixels up to which a generator trained on the data is the default


class Generative(Condenser):
    """A condenser that samples a conditional diffusion model; a method makes the latents of each batch.

    Images are made ``batch`` at a time: whole classes where several fit into one, else part of one class. Memory is
    that of the model, of one batch of latents in it, and of the latents of one class of real images.

    Attributes:
        generator: "own", trained on the data's train split; "hub:NAME"; or a folder. None for "own" up to 64 px and
            DiT-XL/2 at 256 px beyond, which the papers use. Its images are as large as the data's, or larger.
        steps: of sampling, evenly over those of the training.
        guidance: w of classifier-free guidance; 1 for none.
        batch: images that are made together, and that are encoded together.
        precision: of the forward passes of generator, encoder, decoder and what else the method runs or fine-tunes;
            latents, losses, gradients and what learns stay in float32. None for the study's.
    """

    family = "distillation"
    version = 2  # DiT as its authors run it, real images at the generator's size, the study's precision
    text: ClassVar[bool] = False  # the generator is told by text what to make
    quick = {"steps": 4, "batch": 4}

    generator: str | None = Field(None, min_length=1)
    steps: int = Field(50, ge=2)
    guidance: float = Field(4.0, ge=0)
    batch: int = Field(50, ge=1)
    precision: Precision | None = None

    def at(self, size: int) -> Self:
        """The same with the generator of the resolution."""
        usual = "own" if size <= SMALL else "hub:facebook/DiT-XL-2-256"
        return self.model_copy(update={"generator": self.generator or usual})

    def together(self, ipc: int) -> int | None:
        """Whole classes of a batch."""
        return max(1, self.batch // ipc)

    def needs(self) -> tuple[Need, ...]:
        """The generator."""
        return (ImageGenerator(generator=self.generator or "own", text=self.text),)

    def __call__(self, inputs: Inputs) -> Draft:
        """Batch after batch; those that were finished before the construction was killed are not made again."""
        spec = self.at(inputs.data.size)
        model: DiffusionModel = inputs.generators[spec.needs()[0]]  # type: ignore[index]
        sampling = spec.made(inputs, replace(model, precision=spec.precision or inputs.precision))
        classes, quotas, shape = inputs.wanted(), inputs.quotas(), inputs.data.shape
        first = dict(zip(classes, np.cumsum([0, *quotas]).tolist(), strict=False))
        arrays: dict[str, NDArray[Any]] = {}
        blocks = sampling.blocks(batches(inputs, self.batch))
        sampling.total = sampling.trained + self.steps * len(blocks)
        halving = Halving(f"sampling of {spec.name}", inputs.device, "batch")
        decoding = Halving(f"decoding of {spec.name}", inputs.device, "batch")
        for block in blocks:
            name = f"batch-{block.name[0]}-{block.name[1]}"
            made = inputs.kept.load(name)
            if made is None:
                sampling.ready(block)
                parts = list(halving(sampling, block))
                latents = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
                made = {key: np.concatenate(list(decoding(sampling.pixels, z))) for key, z in latents.items()}
                inputs.kept.save(name, made)
            places = [first[c] + i for c, i in zip(block.classes, block.ids, strict=True)]
            for key, images in made.items():
                if key not in arrays:
                    arrays[key] = inputs.kept.array(key, (sum(quotas), *shape))
                arrays[key][places] = images
            sampling.forward(self.steps)
        return Draft.synthesised(
            arrays["images"],
            np.repeat(classes, quotas),
            initial=arrays.get("initial"),
            steps=sampling.trained,
            notes=sampling.notes(),
        )

    @abstractmethod
    def made(self, inputs: Inputs, model: DiffusionModel) -> "Sampling":
        """How this method makes the latents of a batch."""


class Sampling:
    """The making of latents, batch by batch; this one is plain sampling.

    Attributes:
        spec: the method, resolved.
        inputs: as the runner gave them.
        model: the generator.
        schedule: the steps that are taken.
        trained: optimiser steps that are taken for it.
        total: steps of all kinds that there are; ``done`` of them are behind.
    """

    def __init__(self, spec: Generative, inputs: Inputs, model: DiffusionModel) -> None:
        self.spec, self.inputs, self.model = spec, inputs, model
        self.schedule = Schedule.respaced(model.alphas, spec.steps)
        self.trained = self.total = self.done = 0

    def __call__(self, block: Block) -> Mapping[str, Tensor]:
        """Latents of a batch, [B, c, h, w]: "images", and "initial" where the method starts from some."""
        return {"images": self.sampled(block)}

    def ready(self, block: Block) -> None:
        """Called before the latents of a batch are made, which may be in two parts."""

    def forward(self, steps: int) -> None:
        """Tell that so many more steps are done."""
        self.done += steps
        self.inputs.progress(self.done, self.total)

    def blocks(self, usual: list[Block]) -> list[Block]:
        """The batches, in the order of their making."""
        return usual

    def notes(self) -> Mapping[str, float]:
        """Facts for the record."""
        return {}

    def rngs(self, block: Block) -> list[Generator]:
        """One for each image: its noise depends on the seed, its class and its number alone."""
        draws = zip(block.classes, block.ids, strict=True)
        return [Generator().manual_seed(seed(self.inputs.seed, self.spec.name, c, i)) for c, i in draws]

    def labels(self, block: Block) -> Tensor:
        """[B] classes of the data."""
        return torch.tensor(block.classes, device=self.model.device)

    def sampled(self, block: Block, guide: Guide | None = None) -> Tensor:
        """Sample a batch from pure noise."""
        rngs = self.rngs(block)
        return self.denoised(block, draw(rngs, self.model), rngs, guide)

    def denoised(
        self,
        block: Block,
        start: Tensor,
        rngs: Sequence[Generator],
        guide: Guide | None = None,
        first: int | None = None,
    ) -> Tensor:
        """Sample a batch from given latents, with so many steps left."""
        return sample(
            self.model,
            self.schedule,
            self.labels(block),
            start,
            rngs,
            class_names=self.inputs.data.class_names,
            guidance=self.spec.guidance,
            guide=guide,
            first=first,
        )

    def real(self, c: int) -> NDArray[np.float32]:
        """Latents of all train images of a class, [n, c, h, w]."""
        members = np.flatnonzero(self.inputs.data.train.labels == c)
        return encoded(self.model, self.inputs.data.train.images, members, self.spec.batch)

    @torch.no_grad()
    def pixels(self, latents: Tensor) -> NDArray[np.uint8]:
        """Latents as images, [B, C, S, S] uint8."""
        images: NDArray[np.uint8] = self.model.decode(latents).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        return images


class Centred(Sampling, ABC):
    """Sampling where each image of a class has a centre of its own among the class's real latents."""

    def __init__(self, spec: Generative, inputs: Inputs, model: DiffusionModel) -> None:
        super().__init__(spec, inputs, model)
        self.quotas = dict(zip(inputs.wanted(), inputs.quotas(), strict=True))
        self.held: dict[int, Tensor] = {}

    @abstractmethod
    def found_in(self, latents: NDArray[np.float32], count: int, c: int) -> NDArray[Any]:
        """[count, numbers] centres of a class, in its latents, [n, numbers]."""

    def centres(self, block: Block) -> Tensor:
        """[B, c, h, w]: image j of a class has centre j; the centres of the classes of one batch are held."""
        self.held = {c: centres for c, centres in self.held.items() if c in block.classes}
        for c in block.classes:
            if c not in self.held:
                real = self.real(c)
                centres = self.found_in(real.reshape(len(real), -1), self.quotas[c], c).astype(np.float32)
                self.held[c] = torch.from_numpy(centres.reshape(-1, *real.shape[1:]))
        own = [self.held[c][i] for c, i in zip(block.classes, block.ids, strict=True)]
        return torch.stack(own).to(self.model.device)


def batches(inputs: Inputs, size: int, classes: Sequence[int] | None = None) -> list[Block]:
    """Images in class order, ``size`` at a time: whole classes where several fit, else part of one.

    Args:
        inputs: as the runner gave them.
        size: images of a batch, at most.
        classes: of those that are wanted; None for all of them.
    """
    wanted = inputs.wanted() if classes is None else tuple(classes)
    quotas = dict(zip(inputs.wanted(), inputs.quotas(), strict=True))
    most = max(replace(inputs, classes=None).quotas())  # a shard puts classes together as the whole does
    each = max(1, size // most)
    blocks = []
    for at in range(0, len(wanted), each):
        images = [(c, i) for c in wanted[at : at + each] for i in range(quotas[c])]
        parts = [images[start : start + size] for start in range(0, len(images), size)]
        blocks += [Block(tuple(c for c, _ in part), tuple(i for _, i in part)) for part in parts]
    return blocks


@torch.no_grad()
def encoded(
    model: DiffusionModel,
    images: NDArray[Any],
    rows: NDArray[np.int64],
    batch: int,
    mirrored: bool = False,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Latents of some images, ``batch`` at a time.

    Images without a cache are decoded at the size that the model works at; others are enlarged to it.

    Args:
        model: whose encoder is used.
        images: [N, C, S, S] uint8; may be a memory map, or ``Uncached``.
        rows: [n] which.
        batch: images in one forward pass.
        mirrored: the images left to right.
        out: room for the latents; None to make it.

    Returns:
        [n, c, h, w] float32.
    """
    out = np.empty((len(rows), *model.latent), np.float32) if out is None else out
    images = images.sized(model.pixels) if hasattr(images, "sized") else images

    def encode(numbers: range) -> None:
        some = torch.from_numpy(np.array(images[rows[numbers.start : numbers.stop]]))
        out[numbers.start : numbers.stop] = model.encode(some.flip(-1) if mirrored else some).cpu().numpy()

    halving = Halving("encoding", model.device, "batch")
    for at in range(0, len(rows), batch):
        for _ in halving(encode, range(at, min(at + batch, len(rows)))):
            pass
    return out
