"""What decoupled methods share: blocks of images that a committee of nets is inverted for, one hook for each choice.

A method is a file that says how images start, which nets judge them at an iteration, what is matched, and how the
optimisation is staged. Everything else is here.
"""

from collections.abc import Hashable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from decoct.core.errors import DecoctError
from decoct.core.kinds import Draft, Inputs, Need
from decoct.engine.alignment import Alignment
from decoct.engine.blocks import Block, one_of_each, side_by_side
from decoct.engine.frozen import frozen
from decoct.engine.moments import running
from decoct.engine.patches import Scale
from decoct.engine.pixels import Pixels
from decoct.engine.presets import WithPresets
from decoct.engine.starts import Crops, Starts, ranked_crops
from decoct.engine.workpiece import Workpiece
from decoct.needs.teacher import Teacher


class Recovery(WithPresets):
    """Images recovered from the nets that know their classes; relabelling is the protocol's.

    Each block of images minimises  Σ_m w_m (CE_m + r · R_m)  over the nets m that judge it at an iteration, by Adam
    (β .5, .9) on normalised pixels, the rate falling along a cosine to 0, under a random crop, flip and roll that the
    block shares. Pixels are clamped to the valid range after each step; the last iterate is kept, truncated to 8 bits.
    Data that may not be mirrored, such as digits, are not. Computed in float32. Up to 8 px a preset's roll is 1 pixel.

    Attributes:
        nets: who judges; ``"teacher"`` is the default teacher.
        lr: rate at the first iteration.
        iterations: steps on each image; 0 leaves them where they start, the control of the optimisation.
        r: weight of the statistics.
        jitter: largest roll in pixels.
        scale: share of the area that a crop keeps.
        block: images that are matched together.
        batch: images that run at once, in blocks side by side, where blocks are smaller.
    """

    family: ClassVar[Literal["coreset", "distillation"]] = "distillation"
    even: ClassVar[bool] = True
    quick: ClassVar[dict[str, Any]] = {"iterations": 20}
    in_turn: ClassVar[bool] = False  # one net of the jury an iteration, instead of all at once
    penalty: ClassVar[str | None] = None  # name of a further term of the loss

    nets: tuple[str, ...] | None = Field(None, min_length=1)
    lr: float | None = Field(None, gt=0)
    iterations: int | None = Field(None, ge=0)
    r: float | None = Field(None, ge=0)
    jitter: int | None = Field(None, ge=0)
    scale: Scale | None = None
    block: int | None = Field(None, ge=1)
    batch: int = Field(100, ge=1)

    # What a method chooses

    def blocks(self, classes: Sequence[int], ipc: int) -> list[Block]:
        """How the set is cut: one image a class a block, as SRe2L."""
        assert self.block is not None
        return one_of_each(classes, ipc, self.block)

    def reals(self, inputs: Inputs, pixels: Pixels, ipc: int) -> Starts | None:
        """Where starts that are real images come from, made once a construction; None for Gaussian noise."""
        return None

    def jury(self, inputs: Inputs, block: Block) -> tuple[str, ...]:
        """The nets that judge a block, of those in ``nets``."""
        return self.committee

    def alike(self, inputs: Inputs, block: Block) -> Hashable:
        """What blocks that run side by side have in common: their jury."""
        return self.jury(inputs, block)

    def votes(self, jury: Sequence[str], t: int) -> Mapping[str, float]:
        """Who of the jury judges at an iteration, and with which weight: all alike, or one ``in_turn``."""
        return {jury[t % len(jury)]: 1.0} if self.in_turn else dict.fromkeys(jury, 1.0)

    def alignment(self, work: Workpiece, net: str) -> Alignment:
        """What is matched at a net: the running statistics of its batch norms."""
        judge = work.judges[net]
        return Alignment(judge, work.groups, running(judge))

    def low(self, t: Tensor) -> Tensor | None:
        """Least share of a crop's area at iterations ``t`` [T]; None for ``scale`` throughout."""
        return None

    def extra(self, work: Workpiece, seen: Tensor) -> Tensor:
        """The ``penalty``, [G], at the images as they are seen; called if it has a name."""
        raise DecoctError(f"{self.name} has the penalty '{self.penalty}' and does not say what it is: define extra")

    def optimise(self, work: Workpiece, images: Tensor) -> Tensor:
        """From where the images start, [G, B, C, S, S], to where they end: one stage of all iterations."""
        assert self.iterations is not None
        return work.stage(images, 0, self.iterations)

    # What all share

    @property
    def committee(self) -> tuple[str, ...]:
        """The nets; the default teacher where none are named."""
        return self.nets or ("teacher",)

    def together(self, ipc: int) -> int | None:
        """The classes of a block: runs never mix them, so shards are bit-equal."""
        return len(set(self.blocks(range(self.block or 1), ipc)[0].classes))

    def known(self, size: int) -> dict[str, Any]:
        """The preset; up to 8 px its roll is 1 pixel."""
        known = {"nets": ("teacher",), **super().known(size)}
        return known | ({"jitter": 1} if size <= 8 and known.get("jitter") else {})

    def needs(self) -> tuple[Need, ...]:
        """The nets to invert."""
        return teachers(*self.committee)

    def __call__(self, inputs: Inputs) -> Draft:
        """Recover run after run; what is done is kept, so that a killed construction goes on behind it.

        Raises:
            DecoctError: a net has no batch norm, or other classes than the data, or the loss is no longer finite.
        """
        spec, pixels, data = self.at(inputs.data.size), Pixels.of(inputs.data, inputs.device), inputs.data
        ipc, classes = inputs.ipc(self.name), inputs.wanted()
        place = {c: i for i, c in enumerate(classes)}
        runs = list(
            side_by_side(
                spec.blocks(classes, ipc), spec.batch, lambda block: (block.classes, spec.alike(inputs, block))
            )
        )
        images, initial = (inputs.kept.array(name, (len(classes), ipc, *data.shape)) for name in ("images", "initial"))
        notes: dict[str, float] = {}
        steps = 0
        with ExitStack() as stack:
            for net in inputs.teachers.values():
                stack.enter_context(frozen(net))
            same_classes(inputs)
            source = spec.reals(inputs, pixels, ipc)
            for number, blocks in enumerate(runs):
                done = inputs.kept.load(f"run-{number}")
                if done is None:
                    done = Workpiece(spec, inputs, pixels, source, blocks, number, len(runs)).done()
                    inputs.kept.save(f"run-{number}", done)
                for block, begun, ended in zip(blocks, done.pop("initial"), done.pop("images"), strict=True):
                    where = [place[c] for c in block.classes], list(block.ids)
                    initial[where], images[where] = begun, ended
                steps += int(done.pop("steps"))
                for name, value in done.items():
                    notes[name] = notes.get(name, 0.0) + float(value) / (len(classes) * ipc)
        return Draft.synthesised(
            images.reshape(-1, *data.shape),
            np.repeat(classes, ipc),
            steps=steps,
            initial=initial.reshape(-1, *data.shape),
            notes=notes,
        )


class FromPatches(Recovery):
    """Recovery that starts at real patches of medium difficulty: RDED's crops, taken around the median.

    Attributes:
        ranker: the net that ranks them.
    """

    ranker: str = "teacher"

    def needs(self) -> tuple[Need, ...]:
        """The nets to invert, and who ranks."""
        return teachers(*self.committee, self.ranker)

    def reals(self, inputs: Inputs, pixels: Pixels, ipc: int) -> Starts | None:
        """Crops of medium difficulty."""
        judge = inputs.teachers[self.ranker]

        def pick(c: int) -> Crops:
            return ranked_crops(inputs, judge, pixels, c, ipc, names=(self.name, "start"), median=True)

        return Starts(inputs, pixels, ipc, pick)


def teachers(*nets: str) -> tuple[Teacher, ...]:
    """A need for each net, once."""
    return tuple(Teacher(net=net) for net in dict.fromkeys(nets))


@torch.inference_mode()
def same_classes(inputs: Inputs) -> None:
    """Raise a DecoctError that names the nets, if one has other outputs than the data have classes."""
    image = torch.zeros(1, *inputs.data.shape, device=inputs.device)
    outputs = {name: net(image).shape[-1] for name, net in inputs.teachers.items()}
    wrong = [f"{name} has {count}" for name, count in outputs.items() if count != len(inputs.data.class_names)]
    if wrong:
        raise DecoctError(
            f"the data have {len(inputs.data.class_names)} classes, but of the nets' outputs {', '.join(wrong)}: "
            "take nets that were taught these classes"
        )
