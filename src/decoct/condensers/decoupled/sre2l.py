"""SRe2L: images recovered from noise so that a teacher knows their class and its batch norms find them usual."""

from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Generator, Tensor

from decoct.core.kinds import Condenser, Draft, Inputs, Need, Teacher
from decoct.core.seeds import seed
from decoct.engine.invert import BatchNormAlignment, Views, frozen, recover
from decoct.engine.patches import Scale
from decoct.engine.pixels import Pixels


class SRe2L(Condenser):
    """Squeeze, recover, relabel (Yin et al., 2023, arXiv:2306.13092); relabelling is the protocol's.

    For image i of each block of ``batch`` consecutive classes, one image per class starts at N(0, 1) in normalised
    space and minimises CE(teacher, class) + r_bn · R_BN by Adam, under a random crop, flip and roll per iteration that
    the block shares. The last iterate is kept, truncated to 8 bits. Without the optional TV and L2 priors, as in the
    final recipe of the paper.

    Above 64 px the defaults are the authors' for ImageNet-1K. Up to 64 px they are theirs for CIFAR-100, except for
    a crop of (.5, 1), where theirs only rolls, and a roll of 1 pixel, not 4, at 8 px. Data that may not be mirrored,
    such as digits, are not.
    """

    family: ClassVar[Literal["coreset", "distillation"]] = "distillation"
    quick: ClassVar[dict[str, Any]] = {"iterations": 20}
    teacher: str = "teacher"
    lr: float = Field(0.25, gt=0)
    iterations: int | None = Field(None, ge=1)  # None: 1000 up to 64 px, 4000 above
    r_bn: float = Field(0.01, ge=0)
    jitter: int | None = Field(None, ge=0)  # None: 1 up to 8 px, 4 up to 64 px, 32 above
    scale: Scale | None = None  # None: (.5, 1) up to 64 px, (.08, 1) above
    batch: int = Field(100, ge=1)  # classes of a block; images that run at once

    def needs(self) -> tuple[Need, ...]:
        """The teacher to invert; it must have batch norm."""
        return (Teacher(net=self.teacher),)

    def at(self, size: int) -> "SRe2L":
        """The same with every None resolved for images of ``size`` pixels."""
        small = size <= 64
        values: dict[str, Any] = {
            "iterations": 1000 if small else 4000,
            "jitter": (1 if size <= 8 else 4) if small else 32,
            "scale": (0.5, 1.0) if small else (0.08, 1.0),
        }
        return self.model_copy(update={name: value for name, value in values.items() if getattr(self, name) is None})

    def __call__(self, inputs: Inputs) -> Draft:
        """Recover block after block, as many images of each class at once as fit."""
        classes, (ipc, *_) = len(inputs.data.class_names), inputs.quotas()
        spec, pixels = self.at(inputs.data.size), Pixels.of(inputs.data, inputs.device)
        runs = []  # (classes, image ids) of every forward batch
        for first in range(0, classes, self.batch):
            block = range(first, min(first + self.batch, classes))
            together = max(1, self.batch // len(block))
            runs += [(block, range(i, min(i + together, ipc))) for i in range(0, ipc, together)]
        shape = (classes, ipc, *inputs.data.shape)
        images, initial = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        right, traces = 0, []
        with frozen(inputs.teachers[self.teacher]):
            for done, (block, ids) in enumerate(runs):
                start, last, hits, trace = spec._recover(inputs, pixels, block, ids, done, len(runs))
                where = np.ix_(block, ids)
                initial[where], images[where] = start, last
                right += hits
                traces.append((len(ids), trace))
        total = sum(count for count, _ in traces)
        ce, bn = (torch.stack([n / total * trace[name] for n, trace in traces]).sum(0) for name in ("ce", "bn"))
        return Draft.synthesised(
            images.reshape(-1, *inputs.data.shape),
            np.repeat(np.arange(classes), ipc),
            steps=len(ce) * len(runs),
            initial=initial.reshape(-1, *inputs.data.shape),
            notes={
                "bn_loss_first": bn[0].item(),
                "bn_loss_last": bn[-1].item(),
                "ce_last": ce[-1].item(),
                "teacher_agreement": right / (classes * ipc),
            },
        )

    def _recover(
        self, inputs: Inputs, pixels: Pixels, block: range, ids: range, done: int, runs: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int, dict[str, Tensor]]:
        """Start and end [classes, ids, C, S, S] uint8, how many the teacher classifies as meant, and the losses."""
        assert self.iterations is not None and self.jitter is not None and self.scale is not None
        data, teacher, groups = inputs.data, inputs.teachers[self.teacher], len(ids)
        # A group's draws depend on the seed, the block and the image alone, not on what runs beside it.
        rngs = [Generator().manual_seed(seed(inputs.seed, self.name, block.start, i)) for i in ids]
        start = torch.stack([torch.randn(len(block), *data.shape, generator=rng) for rng in rngs]).to(inputs.device)
        views = Views.draw(
            rngs, self.iterations, data.size, scale=self.scale, flip=data.flip, jitter=self.jitter, device=inputs.device
        )
        labels = torch.arange(block.start, block.stop, device=inputs.device).repeat(groups)

        def terms(seen: Tensor) -> dict[str, Tensor]:
            ce = F.cross_entropy(teacher(seen), labels, reduction="none")
            return {"ce": ce.unflatten(0, (groups, -1)).mean(1), "bn": alignment.loss()}

        with BatchNormAlignment(teacher, groups) as alignment:
            last, trace = recover(
                start,
                terms,
                {"ce": 1.0, "bn": self.r_bn},
                views,
                lr=self.lr,
                iterations=self.iterations,
                low=pixels.low,
                high=pixels.high,
                progress=lambda t, total: inputs.progress(done * total + t, runs * total),
            )
        stored = pixels.truncate(last)
        with torch.inference_mode():
            top = teacher(pixels.normalise(stored.float()).flatten(0, 1)).argmax(1)
        begun = pixels.truncate(start.clamp(pixels.low, pixels.high))
        first, final = (v.transpose(0, 1).cpu().numpy() for v in (begun, stored))
        return first, final, int((top == labels).sum()), trace
