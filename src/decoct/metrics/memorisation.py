"""Memorisation: how near the images of a set come to real ones, relative to how near real ones come to each other."""

import math

import torch
from numpy.typing import ArrayLike
from pydantic import Field
from torch import Tensor

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.core.once import once
from decoct.metrics._measure import against_real, share
from decoct.select.nearest import as_features, as_pair, nearest_others, nearest_rows


def memorisation(
    real: ArrayLike | Tensor, condensed: ArrayLike | Tensor, *, copy: float = 0.1, spacing: Tensor | None = None
) -> dict[str, float]:
    """Distances of the images y to their nearest real image x*, beside its spacing s: how far its own nearest other is.

    nearest_real = mean_j ‖y_j − x*_j‖
    authenticity = mean_j 1[‖y_j − x*_j‖ > s(x*_j)]        copies = mean_j 1[‖y_j − x*_j‖ ≤ copy · s(x*_j)]

    A copy that was encoded anew or slightly disturbed lies far closer to its original than other real images do.

    Args:
        real: [N, d].
        condensed: [M, d].
        copy: share of the spacing within which an image is a copy, from 0 (exact ones alone) to 1.
        spacing: [N], as ``spacings`` gives them for ``real``, if known.

    Returns:
        nearest_real, in units of the features; authenticity; copies. For iid draws authenticity is the chance that an
        image is not the nearest of its own nearest one: 1/3 on a line, .38 in a plane, one half in many dimensions,
        and more where a few real images are the nearest of many. A real image with a duplicate has spacing 0: its
        exact copy is a copy, a disturbed one is not found. Where several real images are nearest, the first counts.
        NaN for a single real image: authenticity and copies.

    Raises:
        ValueError: features that are empty, not finite or of different dimension; spacings that do not fit; ``copy``
            out of its range.

    Source:
        Alaa et al., 2022, arXiv:2102.08921, for authenticity; the threshold for copies is ours.

    Example:
        >>> real = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> decoct.functional.memorisation(real, np.array([[1.0], [2.5]]))["copies"]  # the first one is
        0.5
    """
    if not 0 <= copy <= 1:
        raise ValueError(f"copy must be between 0 and 1, not {copy}")
    x, y = as_pair(real, condensed)
    own = spacings(x) if spacing is None else spacing.to(x.device, torch.float64)
    if own.shape != (len(x),):
        raise ValueError(f"{len(x)} real images need as many spacings, not {list(own.shape)}")
    row, squared = nearest_rows(y, x)
    # Two orders of summing d terms, and a square root squared: at equal distance an image is not farther.
    tie = 8 * (x.shape[1] + 4) * torch.finfo(torch.float64).eps
    reach = own[row].square() * (1 + tie)
    known = len(x) > 1
    return {
        "nearest_real": squared.sqrt().mean().item(),
        "authenticity": share(squared > reach) if known else math.nan,
        "copies": share(squared <= copy**2 * reach) if known else math.nan,
    }


def spacings(real: ArrayLike | Tensor) -> Tensor:
    """Distance [N] float64 of each point to its nearest other point, 0 for duplicates; NaN for a single point."""
    x = as_features(real, "real")
    if len(x) < 2:
        return x.new_full((len(x),), math.nan, dtype=torch.float64)
    return nearest_others(x, 1).squared[:, 0].sqrt()


class Memorisation(Metric):
    """Copies of real images in the set, in an extractor's features.

    Attributes:
        copy_within: share of a real image's spacing within which an image is a copy of it.
    """

    axis = "quality"
    higher_is_better = {"nearest_real": None, "authenticity": None, "copies": None}
    lead = ("copies", "authenticity")
    lead_against = "train"  # what a method has seen, it can copy
    limits = {
        "nearest_real": (0, math.inf),
        "authenticity": (0, 1),
        "copies": (0, 1),
    }
    copy_within: float = Field(0.1, ge=0, le=1)

    def __call__(self, measured: Measured) -> list[Reading]:
        """Against train and val.

        The images of a coreset are copies of train by design; those of any set that are copies of val show what the
        splits share. Of more real images than are compared at once, only the originals in the sample are found.
        """
        return against_real(
            measured,
            lambda real, condensed, _: memorisation(
                real, condensed, copy=self.copy_within, spacing=once(spacings, real)
            ),
        )
