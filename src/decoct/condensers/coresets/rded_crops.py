"""RDED crops: the crops of real images that a teacher finds easiest, one of each image, untiled."""

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from decoct.core.kinds import Condenser, Draft, Inputs, Need
from decoct.engine.patches import Scale, crop
from decoct.engine.pixels import Pixels
from decoct.engine.starts import ranked_crops
from decoct.needs.teacher import Teacher


class RDEDCrops(Condenser):
    """The selection of RDED (Sun et al., 2024, arXiv:2312.03526) without its mosaics: a coreset of real crops.

    Of each class: ``candidates`` random images, ``crops`` random square crops of each resized to the images' size; the
    crop of the lowest cross-entropy under the teacher is kept of each image, then the easiest of those, from easy to
    hard. It is what ``rded`` makes at factor 1 at any resolution, image for image, with its departures from the paper.

    Attributes:
        teacher: net that scores crops.
        candidates: images of each class of which crops are taken.
        crops: of each image, of which the easiest stays.
        scale: least and largest share of the area that a crop takes.
        batch: crops in one forward pass.
    """

    family: ClassVar[Literal["coreset", "distillation"]] = "coreset"
    quick: ClassVar[dict[str, Any]] = {"candidates": 20}
    teacher: str = "teacher"
    candidates: int = Field(300, ge=1)
    crops: int = Field(5, ge=1)
    scale: Scale = (0.08, 1.0)
    batch: int = Field(200, ge=1)  # crops in one forward pass

    def together(self, ipc: int) -> int | None:
        """Each class by itself."""
        return 1

    def needs(self) -> tuple[Need, ...]:
        """The teacher that scores crops."""
        return (Teacher(net=self.teacher),)

    def __call__(self, inputs: Inputs) -> Draft:
        """Rank crops and cut them, class after class."""
        data, pixels, classes, quotas = (
            inputs.data,
            Pixels.of(inputs.data, inputs.device),
            inputs.wanted(),
            inputs.quotas(),
        )
        images = inputs.kept.array("images", (sum(quotas), *data.shape))
        made = short = 0
        for done, (c, quota) in enumerate(zip(classes, quotas, strict=True)):
            if quota:
                rows, boxes = ranked_crops(
                    inputs,
                    inputs.teachers[self.teacher],
                    pixels,
                    c,
                    quota,
                    names=("rded",),  # the same draws
                    candidates=self.candidates,
                    crops=self.crops,
                    scale=self.scale,
                    batch=self.batch,
                )
                for at in range(0, quota, self.batch):
                    part = slice(at, at + self.batch)
                    cut = crop(pixels.load(data.train.images[rows[part]]), boxes[part, None], data.size)[:, 0]
                    images[made + at : made + at + len(cut)] = cut.round().clamp(0, 255).to(torch.uint8).cpu().numpy()
            made += quota
            short += int((data.train.labels == c).sum() < self.candidates)
            inputs.progress(done + 1, len(classes))
        notes = {"classes_short_of_candidates": short / len(classes)}
        return Draft.synthesised(images, np.repeat(classes, quotas), notes=notes)
