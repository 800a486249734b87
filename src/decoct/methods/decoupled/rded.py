"""RDED: the crops of real images that a teacher finds easiest, tiled into mosaics. No optimisation."""

from typing import Self

from pydantic import Field

from decoct.core.errors import UsageError
from decoct.core.interfaces import Draft, Inputs
from decoct.methods._shared.presets import WithPresets
from decoct.methods._shared.starts import EasiestCrops


class RDED(EasiestCrops, WithPresets):
    """Realistic, diverse and efficient distillation (Sun et al., 2024, arXiv:2312.03526).

    Of each class: ``candidates`` random images, ``crops`` random square crops of each resized to S/f, scored by the
    teacher's cross-entropy on the crop zero-padded to S × S. The easiest crop of each image is kept, then the easiest
    ipc·f² of those; part k of image j is the crop of rank k·ipc + j. At factor 1 the images are ordered from easy to
    hard, and the first ten of IPC 50 are the set of IPC 10. Crops are cut from the pictures as they are on disk where
    the data have them (``cache = false``), as the authors cut them; from a cache, they are cut from the data's squares,
    and at f = 2 each of less than a quarter of the area is enlarged. ``crops_of_originals`` among the notes is 1 or 0.
    Further departures: the teacher sees the mean and deviation of the data, not ImageNet's whatever the data are;
    pixels are rounded to 8 bits, not truncated and compressed as JPEG; a class with fewer than ``candidates`` images
    gives all, and so does any class where ``candidates`` would not fill the set; the share of classes that are short is
    among the notes.

    Presets: ``imagenet1k``, the authors' factor at 128 and 224 px; ``small``, theirs at 32 and 64 px; ``small_cpu``,
    equal to ``small``. Candidates and crops are those of their scripts, 300 and 5.

    Attributes:
        factor: tiles on a side of a mosaic.
    """

    family = "distillation"
    even = True
    presets = {
        "imagenet1k": {"factor": 2},
        "small": {"factor": 1},
        "small_cpu": {"factor": 1},
    }
    factor: int | None = Field(None, ge=1)

    def at(self, size: int) -> Self:
        """As for any preset.

        Raises:
            UsageError: no such preset, or tiles would have no pixel.
        """
        spec = super().at(size)
        if (spec.factor or 1) > size:
            raise UsageError(f"{self.name}: factor {spec.factor} leaves no pixel of images of {size} px: lower factor")
        return spec

    def __call__(self, inputs: Inputs) -> Draft:
        """Rank crops and tile them, class after class."""
        factor = self.at(inputs.data.size).factor or 1
        return self.drafted(inputs, [inputs.ipc(self.name)] * len(inputs.wanted()), factor)
