"""RDED: the crops of real images that a teacher finds easiest, tiled into mosaics. No optimisation."""

from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field

from decoct.core.errors import UsageError
from decoct.core.kinds import Draft, Inputs, Need
from decoct.engine.patches import Scale, crop, mosaic
from decoct.engine.pixels import Pixels
from decoct.engine.presets import Preset, WithPresets
from decoct.engine.starts import ranked_crops
from decoct.needs.teacher import Teacher


class RDED(WithPresets):
    """Realistic, diverse and efficient distillation (Sun et al., 2024, arXiv:2312.03526).

    Of each class: ``candidates`` random images, ``crops`` random square crops of each resized to S/f, scored by the
    teacher's cross-entropy on the crop zero-padded to S × S. The easiest crop of each image is kept, then the easiest
    ipc·f² of those; part k of image j is the crop of rank k·ipc + j. At factor 1 the images are ordered from easy to
    hard, and the first ten of IPC 50 are the set of IPC 10. Departures: pixels are rounded to 8 bits, not compressed as
    JPEG; a class with fewer than ``candidates`` images gives all, and so does any class where ``candidates`` would not
    fill the set; the share of classes that are short is among the notes.

    Attributes:
        teacher: net that scores crops.
        factor: tiles on a side of a mosaic.
        candidates: images of each class of which crops are taken.
        crops: of each image, of which the easiest stays.
        scale: least and largest share of the area that a crop takes.
        batch: crops in one forward pass.
    """

    family: ClassVar[Literal["coreset", "distillation"]] = "distillation"
    even: ClassVar[bool] = True
    quick: ClassVar[dict[str, Any]] = {"candidates": 20}
    presets: ClassVar[dict[str, Preset]] = {
        "imagenet1k": {"factor": 2},
        "small": {"factor": 1},
        "small_cpu": {"factor": 1},
    }
    teacher: str = "teacher"
    factor: int | None = Field(None, ge=1)
    candidates: int = Field(300, ge=1)
    crops: int = Field(5, ge=1)
    scale: Scale = (0.08, 1.0)
    batch: int = Field(200, ge=1)  # crops in one forward pass

    def at(self, size: int) -> Self:
        """As of any preset.

        Raises:
            UsageError: no such preset, or tiles would have no pixel.
        """
        spec = super().at(size)
        if (spec.factor or 1) > size:
            raise UsageError(f"{self.name}: factor {spec.factor} leaves no pixel of images of {size} px: lower factor")
        return spec

    def together(self, ipc: int) -> int | None:
        """Each class by itself."""
        return 1

    def needs(self) -> tuple[Need, ...]:
        """The teacher that scores crops."""
        return (Teacher(net=self.teacher),)

    def __call__(self, inputs: Inputs) -> Draft:
        """Rank crops and tile them, class after class."""
        spec, data, pixels = self.at(inputs.data.size), inputs.data, Pixels.of(inputs.data, inputs.device)
        factor, ipc, classes = spec.factor or 1, inputs.ipc(self.name), inputs.wanted()
        images = inputs.kept.array("images", (len(classes), ipc, *data.shape))
        short = 0
        for done, c in enumerate(classes):
            keep = ipc * factor**2
            rows, boxes = ranked_crops(
                inputs,
                inputs.teachers[self.teacher],
                pixels,
                c,
                keep,
                names=(self.name,),
                factor=factor,
                candidates=self.candidates,
                crops=self.crops,
                scale=self.scale,
                batch=self.batch,
            )
            short += int((data.train.labels == c).sum() < self.candidates)
            parts = (slice(at, at + self.batch) for at in range(0, keep, self.batch))
            tiles = torch.cat(
                [
                    crop(pixels.load(data.train.images[rows[part]]), boxes[part][:, None], data.size // factor)[:, 0]
                    for part in parts
                ]
            )
            images[done] = mosaic(tiles, factor, data.size).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
            inputs.progress(done + 1, len(classes))
        return Draft.synthesised(
            images.reshape(-1, *data.shape),
            np.repeat(classes, ipc),
            mosaic=factor,
            notes={"classes_short_of_candidates": short / len(classes)},
        )
