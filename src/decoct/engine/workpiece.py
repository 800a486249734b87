"""Blocks of images in the making: where they start, the loss that a jury gives them, and stages that may be killed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from decoct.core.kinds import Inputs, Kept
from decoct.core.seeds import seed
from decoct.engine.alignment import Alignment
from decoct.engine.blocks import Block
from decoct.engine.frozen import FixedNorms
from decoct.engine.invert import Resume, Terms, Views, recover
from decoct.engine.pixels import Pixels
from decoct.engine.starts import Starts

if TYPE_CHECKING:
    from decoct.engine.recovery import Recovery

RUN, AVERAGE = "run", "average/"


@dataclass
class Workpiece:
    """Blocks in the making, side by side.

    Attributes:
        spec: the method, resolved.
        inputs: as the runner gave them.
        pixels: the data's scale.
        source: of starts that are real images.
        blocks: of one length and one jury.
        number: of this run, among ``runs``.
    """

    spec: "Recovery"
    inputs: Inputs
    pixels: Pixels
    source: Starts | None
    blocks: list[Block]
    number: int
    runs: int

    def __post_init__(self) -> None:
        self.groups = len(self.blocks)
        self.jury = self.spec.jury(self.inputs, self.blocks[0])
        self.judges: dict[str, nn.Module] = {net: self.inputs.teachers[net] for net in self.jury}
        # A block's draws hang on the seed, its first class and its first image alone, not on what runs beside it.
        self.rngs = [Generator().manual_seed(seed(self.inputs.seed, self.spec.name, *b.name)) for b in self.blocks]
        self.labels = torch.tensor([block.classes for block in self.blocks], device=self.inputs.device)
        self.active = self.labels  # of the images that take part in the present stage
        self.traces: dict[str, list[Tensor]] = {}
        self.alignments: dict[str, Alignment] = {}
        self.norms = FixedNorms()

    def done(self) -> dict[str, NDArray[Any]]:
        """Start and end of each block, uint8 [G, B, C, S, S], steps, and sums over images of what is on record."""
        spec, pixels = self.spec, self.pixels
        start = torch.stack([self._start(b, rng) for b, rng in zip(self.blocks, self.rngs, strict=True)])
        start = start.to(self.inputs.device)
        self.alignments = {net: spec.alignment(self, net) for net in self.jury}
        begun = pixels.truncate(start.clamp(pixels.low, pixels.high))
        stored = pixels.truncate(spec.optimise(self, start)) if spec.iterations else begun
        found = {"initial": begun.cpu().numpy(), "images": stored.cpu().numpy(), "steps": np.array(0)}
        found["teacher_agreement"] = np.array(self._agreement(stored))
        images, few = self.labels.numel(), len(self.jury) if spec.in_turn else 1
        for name, parts in self.traces.items():
            trace = torch.cat(parts)
            found["steps"] = np.array(len(trace))
            for end, values in (("first", trace[:few]), ("last", trace[-few:])):
                found[f"{name}_{end}"] = (values.mean() * images).numpy()
        return found

    def stage(self, images: Tensor, first: int, last: int, active: Tensor | None = None) -> Tensor:
        """Some iterations with a fresh Adam, along the one cosine of all iterations.

        Args:
            images: [G, B, C, S, S], of any size S.
            first: iteration.
            last: the one after the last.
            active: [B] bool, which images of each block take part, None for all; the others stay as they are.
        """
        spec, inputs, total = self.spec, self.inputs, self.spec.iterations or 1
        assert spec.scale is not None and spec.jitter is not None and spec.lr is not None
        if first >= last or (active is not None and not active.any()):
            return images
        part, self.active = (images, self.labels) if active is None else (images[:, active], self.labels[:, active])
        views = Views.draw(
            self.rngs,
            last - first,
            images.shape[-1],
            scale=spec.scale,
            low=spec.low(torch.arange(first, last)),
            flip=inputs.data.flip,
            jitter=spec.jitter,
            device=inputs.device,
        )
        done, trace = recover(
            part,
            self._terms(self.active.flatten()),
            {"ce": 1.0, "bn_loss": float(spec.r or 0)} | ({spec.penalty: 1.0} if spec.penalty else {}),
            views,
            lr=spec.lr,
            iterations=total,
            first=first,
            last=last,
            low=self.pixels.low,
            high=self.pixels.high,
            resume=Stage(inputs.kept, self.number, first, self.alignments, inputs.device),
            progress=lambda t, _: inputs.progress(self.number * total + t, self.runs * total),
            turn=len(self.jury) if spec.in_turn else 1,
        )
        for name, values in trace.items():
            self.traces.setdefault(name, []).append(values)
        if active is None:
            return done
        whole = images.clone()
        whole[:, active] = done
        return whole

    def _start(self, block: Block, rng: Generator) -> Tensor:
        """Where a block's images start, normalised, [B, C, S, S]: the source's images, or Gaussian noise."""
        if self.source is None:
            return torch.randn(len(block), *self.inputs.data.shape, generator=rng)
        return self.source.images(block)

    def _terms(self, labels: Tensor) -> Terms:
        def terms(seen: Tensor, t: int) -> dict[str, Tensor]:
            ce, r = seen.new_zeros(self.groups), seen.new_zeros(self.groups)
            for net, weight in self.spec.votes(self.jury, t).items():
                with self.alignments[net] as alignment, self.norms:
                    logits = self.judges[net](seen)
                    r = r + weight * alignment.loss()
                each = F.cross_entropy(logits, labels, reduction="none")
                ce = ce + weight * each.unflatten(0, (self.groups, -1)).mean(1)
            further = {self.spec.penalty: self.spec.extra(self, seen)} if self.spec.penalty else {}
            return {"ce": ce, "bn_loss": r} | further

        return terms

    @torch.inference_mode()
    def _agreement(self, stored: Tensor) -> float:
        """How many images, as they are stored, the jury classifies as meant, by the mean of its logits."""
        x, labels = self.pixels.normalise(stored.float()).flatten(0, 1), self.labels.flatten()
        logits = torch.stack([judge(x) for judge in self.judges.values()]).mean(0)
        return float((logits.argmax(1) == labels).sum())


class Stage(Resume):
    """Keeps a stage's state, with the averages that its alignments run.

    A stage of the next run takes its place, so that what is kept does not grow with the set.

    Args:
        kept: of the construction.
        run: number of the run.
        first: iteration that the stage starts at.
        alignments: by net.
        device: where the state goes.
    """

    def __init__(self, kept: Kept, run: int, first: int, alignments: Mapping[str, Alignment], device: str) -> None:
        self.kept, self.run, self.name = kept, run, f"stage-{first}"
        self.alignments, self.device = alignments, device

    def load(self) -> dict[str, Tensor] | None:
        """The state, if the construction was killed in or behind this stage of this run."""
        found = self.kept.load(self.name)
        if found is None or int(found[RUN]) != self.run:
            return None
        tensors = {name: torch.from_numpy(value).to(self.device) for name, value in found.items()}
        for net, alignment in self.alignments.items():
            start = f"{AVERAGE}{net}/"
            alignment.averages = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
        return tensors

    def save(self, state: Callable[[], dict[str, Tensor]], finished: bool) -> None:
        """Keep it, if it is time or the stage is finished."""
        if finished or self.kept.due():
            averages = {
                f"{AVERAGE}{net}/{key}": value
                for net, alignment in self.alignments.items()
                for key, value in alignment.averages.items()
            }
            arrays = {key: value.cpu().numpy() for key, value in (state() | averages).items()}
            self.kept.save(self.name, {**arrays, RUN: np.array(self.run)})
