"""Minimax diffusion: a generator is fine-tuned to be representative and diverse, then sampled."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from decoct.core.interfaces import Inputs
from decoct.data.send import send
from decoct.methods._shared.starts import Block
from decoct.methods.generative._shared.finetune import FineTune, fine_tuned, per_epoch
from decoct.methods.generative._shared.generative import Generative, Sampling, batches, encoded
from decoct.nets.diffusion import DiffusionModel
from decoct.training.learn import ends


class Minimax(Generative):
    """Minimax diffusion (Gu et al., 2024, arXiv:2311.15529).

    DiffFit fine-tuning on the latents of the train images minimises, with ẑ₀ predicted from noise,

        L = ‖ε − ε̂‖² + λ_r (1 − min cos(ẑ₀, M_c)) + λ_d max cos(ẑ₀, D_c),

    over the ẑ₀ of class c in the batch, averaged over the batch's classes: M_c holds the latest latents of real images
    of the class, D_c the latest ẑ₀, without a gradient. Then the average of the weights is sampled. As the authors do,
    each ``phase`` classes in a row get a fine-tuning of their own, from the same generator; it ends after as many
    steps as the checkpoint has that they sample. ‖ε − ε̂‖² comes with the variational term where the variance is learnt.
    A class that is seen for the first time adds no terms, as theirs. Mirrored images take part where the data allow it.

    Numbers are those of their script, on all images of a class. It makes 100 images of each class and evaluates on the
    first IPC of them by the names of their files, 0, 1, 10, 11, …: images are independent draws, so that making IPC of
    them is the same. Departures: latents are the means of the encoder, where they draw from it, and one VAE encodes and
    decodes, where theirs are two (sd-vae-ft-ema for the tuning, sd-vae-ft-mse for the images). At t = 0 the variational
    term is a KL as elsewhere, theirs a likelihood of 8-bit pixels.

    Attributes:
        lr: of AdamW.
        tuning_batch: images of one step.
        epochs: passes over the images of the phase.
        iterations: steps at most, those of the checkpoint that they sample; None for all of the epochs.
        ema: decay of the average that is sampled.
        representativeness: λ_r.
        diversity: λ_d.
        remembered: latents in M_c and in D_c.
        dropout: share of labels that are dropped, for classifier-free guidance.
        phase: classes that are fine-tuned on together.
    """

    quick = {"steps": 4, "batch": 4, "iterations": 8, "phase": 5}

    lr: float = Field(1e-3, gt=0)
    tuning_batch: int = Field(8, ge=1)
    epochs: int = Field(8, ge=1)
    iterations: int | None = Field(12_000, ge=1)
    ema: float = Field(0.9999, ge=0, lt=1)
    representativeness: float = Field(0.002, ge=0)
    diversity: float = Field(0.008, ge=0)
    remembered: int = Field(64, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    phase: int = Field(10, ge=1)

    def together(self, ipc: int) -> int | None:
        """The classes of a phase."""
        return self.phase

    def made(self, inputs: Inputs, model: DiffusionModel) -> "Tuned":
        """Each phase from a generator of its own."""
        return Tuned(self, inputs, model)


class Tuned(Sampling):
    """Sampling of a generator that is fine-tuned to the classes of a phase, when the first of their images is made."""

    spec: Minimax

    def __init__(self, spec: Minimax, inputs: Inputs, model: DiffusionModel) -> None:
        super().__init__(spec, inputs, model)
        wanted, self.original = inputs.wanted(), model
        runs = [wanted[at : at + spec.phase] for at in range(0, len(wanted), spec.phase)]
        self.phases = [run for run in runs if batches(inputs, spec.batch, run)]
        self.rows = {run: self.members(run) for run in self.phases}
        self.trained = sum(self.how(run).steps for run in self.phases)
        self.phase: tuple[int, ...] = ()
        self.traces: dict[tuple[int, ...], Tensor] = {}

    def blocks(self, usual: list[Block]) -> list[Block]:
        """No batch has classes of two phases."""
        return [block for phase in self.phases for block in batches(self.inputs, self.spec.batch, phase)]

    def __call__(self, block: Block) -> dict[str, Tensor]:
        """Latents of a batch."""
        phase = next(phase for phase in self.phases if block.classes[0] in phase)
        if phase != self.phase:
            self.phase, self.model = phase, self.tuned(phase)
        return {"images": self.sampled(block)}

    def notes(self) -> Mapping[str, float]:
        """The losses at both ends, as means over the phases."""
        for phase in self.phases:
            if phase not in self.traces:  # all its images were kept
                self.tuned(phase)
        last = [ends(self.traces[phase]) for phase in self.phases]
        return {name: sum(each[name] for each in last) / len(last) for name in last[0]}

    def members(self, phase: tuple[int, ...]) -> NDArray[np.int64]:
        """Train indices of the classes of a phase."""
        return np.flatnonzero(np.isin(self.inputs.data.train.labels, phase))

    def how(self, phase: tuple[int, ...]) -> FineTune:
        """The numbers of a fine-tuning."""
        spec = self.spec
        steps = spec.epochs * per_epoch(len(self.rows[phase]), spec.tuning_batch)
        steps = min(steps, spec.iterations or steps)
        return FineTune(lr=spec.lr, batch=spec.tuning_batch, steps=steps, ema=spec.ema, dropout=spec.dropout)

    def tuned(self, phase: tuple[int, ...]) -> DiffusionModel:
        """The generator, fine-tuned to the classes of a phase."""
        before, spec = self.done, self.spec
        memories = Memories(len(phase), spec.remembered, self.original, (spec.representativeness, spec.diversity))

        def progress(done: int, total: int) -> None:
            self.done = before
            self.forward(done)

        model, self.traces[phase] = fine_tuned(
            replace(self.inputs, progress=progress),
            spec.name,
            self.original,
            self.how(phase),
            phase,
            lambda: self.views(phase),
            memories,
            memories.state,
        )
        self.done = before + self.how(phase).steps
        return model

    def views(self, phase: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Latents of the images of a phase, [n, V, c, h, w], mirrored ones too where the data allow it; and classes."""
        data, rows = self.inputs.data, self.rows[phase]
        shape = (len(rows), 1 + data.flip, *self.original.latent)
        latents = self.inputs.kept.array(f"latents-{phase[0]}", shape, np.float32)
        for view in range(shape[1]):
            encoded(self.original, data.train.images, rows, self.spec.batch, bool(view), out=latents[:, view])
        return latents, np.searchsorted(phase, data.train.labels[rows])


class Memories:
    """The latest real latents and the latest predictions of each class, and the loss that looks back at them.

    Args:
        classes: how many.
        size: latents of each memory.
        model: whose latents they are.
        weights: λ_r and λ_d.
    """

    def __init__(self, classes: int, size: int, model: DiffusionModel, weights: tuple[float, float]) -> None:
        self.size, self.weights = size, weights
        numbers = int(np.prod(model.latent))
        self.real, self.made = (torch.zeros(classes, size, numbers, device=model.device) for _ in range(2))
        self.seen = torch.zeros(classes, dtype=torch.int64)
        self.state = {"memory.real": self.real, "memory.made": self.made, "memory.seen": self.seen}

    def __call__(self, clean: Tensor, latents: Tensor, places: Tensor) -> Tensor:
        """Of predictions ẑ₀ and real latents [B, c, h, w], which are remembered afterwards; places lie on the host."""
        clean, latents, total = clean.flatten(1), latents.flatten(1), clean.new_zeros(())
        present = places.unique().tolist()
        for c in present:
            mine = send((places == c).nonzero()[:, 0], clean)
            filled = min(int(self.seen[c]), self.size)
            if filled:
                near, alike = (cosines(clean[mine], memory[c, :filled]) for memory in (self.real, self.made))
                terms = self.weights[0] * (1 - near.min()) + self.weights[1] * alike.max()
                total = total + terms / len(present)
            last = mine[max(0, len(mine) - self.size) :]
            slots = (int(self.seen[c]) + torch.arange(len(last), device=clean.device)) % self.size
            self.real[c, slots], self.made[c, slots] = latents[last], clean[last].detach()
            self.seen[c] += len(last)
        return total


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of each row of [m, d] with each of [n, d]: [m, n]."""
    return F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
