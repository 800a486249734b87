"""RDED crops: the crops of real images that a teacher finds easiest, one of each image, untiled."""

from decoct.core.interfaces import Draft, Inputs
from decoct.methods._shared.starts import EasiestCrops


class RDEDCrops(EasiestCrops):
    """The selection of RDED (Sun et al., 2024, arXiv:2312.03526) without its mosaics: a coreset of real crops.

    Of each class: ``candidates`` random images, ``crops`` random square crops of each resized to the images' size; the
    crop of the lowest cross-entropy under the teacher is kept of each image, then the easiest of those, from easy to
    hard. It is what ``rded`` makes at factor 1 at any resolution, image for image, with its departures from the paper.
    """

    family = "coreset"

    def __call__(self, inputs: Inputs) -> Draft:
        """Rank crops and cut them, class after class."""
        return self.drafted(inputs, inputs.quotas())
