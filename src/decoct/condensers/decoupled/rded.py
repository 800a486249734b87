"""RDED: the crops of real images that a teacher finds easiest, tiled into mosaics. No optimisation."""

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.kinds import Condenser, Draft, Inputs, Need, Teacher
from decoct.core.seeds import seed
from decoct.engine.patches import Scale, crop, difficulty, easiest, mosaic, square_boxes
from decoct.engine.pixels import Pixels


class RDED(Condenser):
    """Realistic, diverse and efficient distillation (Sun et al., 2024, arXiv:2312.03526).

    Of each class: ``candidates`` random images, ``crops`` random square crops of each resized to S/f, scored by the
    teacher's cross-entropy on the crop zero-padded to S × S. The easiest crop of each image is kept, then the
    easiest ipc·f² of those; part k of image j is the crop of rank k·ipc + j. At factor 1 the images are ordered from
    easy to hard, and the first ten of IPC 50 are the set of IPC 10. Departures: pixels are rounded to 8 bits, not
    compressed as JPEG; a class with fewer than ``candidates`` images gives all, and so does any class where
    ``candidates`` would not fill the set.
    """

    family: ClassVar[Literal["coreset", "distillation"]] = "distillation"
    quick: ClassVar[dict[str, Any]] = {"candidates": 20}
    teacher: str = "teacher"
    factor: int | None = Field(None, ge=1)  # None: 1 up to 64 px, 2 above
    candidates: int = Field(300, ge=1)
    crops: int = Field(5, ge=1)
    scale: Scale = (0.08, 1.0)
    batch: int = Field(200, ge=1)  # crops in one forward pass

    def needs(self) -> tuple[Need, ...]:
        """The teacher that scores crops."""
        return (Teacher(net=self.teacher),)

    def __call__(self, inputs: Inputs) -> Draft:
        """Rank crops and tile them, class after class."""
        data, teacher = inputs.data, inputs.teachers[self.teacher]
        factor = self.factor or (1 if data.size <= 64 else 2)
        if factor > data.size:
            raise UsageError(f"{self.name}: factor {factor} leaves no pixel of images of {data.size} px: lower factor")
        pixels = Pixels.of(data, inputs.device)
        images, labels = [], []
        for c, quota in enumerate(inputs.quotas()):
            images.append(self._one_class(inputs, teacher, pixels, c, quota * factor**2, factor).cpu().numpy())
            labels += [c] * quota
            inputs.progress(c + 1, len(data.class_names))
        return Draft.synthesised(np.concatenate(images), labels, mosaic=factor)

    def _one_class(self, inputs: Inputs, teacher: nn.Module, pixels: Pixels, c: int, keep: int, factor: int) -> Tensor:
        """[keep / factor², C, S, S] uint8."""
        data, members = inputs.data, np.flatnonzero(inputs.data.train.labels == c)
        if keep > len(members):
            raise DecoctError(
                f"class '{data.class_names[c]}' has {len(members)} images, but {self.name} with factor {factor} "
                f"needs one for each of {keep} crops: lower --ipc or factor"
            )
        rng = np.random.default_rng(seed(inputs.seed, self.name, c))
        rows = rng.permutation(members)[: self.candidates if keep <= self.candidates else None]
        boxes = square_boxes((len(rows), self.crops), data.size, self.scale, rng)
        side, source = data.size // factor, data.train.images
        losses = difficulty(teacher, source, rows, boxes, c, side, pixels, self.batch)
        best, which = easiest(losses, keep)
        rows, boxes = rows[best], boxes[best, which][:, None]
        parts = (slice(at, at + self.batch) for at in range(0, keep, self.batch))
        tiles = torch.cat([crop(pixels.load(source[rows[part]]), boxes[part], side)[:, 0] for part in parts])
        return mosaic(tiles, factor, data.size).round().clamp(0, 255).to(torch.uint8)
