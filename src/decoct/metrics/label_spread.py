"""Label-conditional spread: how much the images of a class differ, and how far apart the classes are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Measured, Metric, Reading
from decoct.core.once import once
from decoct.metrics._measure import Split, as_labels, chosen, mean_defined, mean_readings, rows_by_class
from decoct.select.nearest import as_features, as_pair

ROWS = 2**12  # of a class, that are float64 at once
SPLITS: tuple[Split, ...] = ("train", "val")
Rows = NDArray[np.int64]


def label_spread(
    real: ArrayLike | Tensor,
    condensed: ArrayLike | Tensor,
    *,
    labels: tuple[ArrayLike | Tensor, ArrayLike | Tensor],
) -> dict[str, float]:
    """Variance within classes, and variance between classes over it, of a condensed set over those of the real data.

    With m_c images of class c, their mean ȳ_c and v_c = Tr Σ_c = Σ_i ‖y_i − ȳ_c‖² / (m_c − 1), over the K classes that
    have two images on either side,

        within = mean_c v_c        between = Σ_c ‖ȳ_c − mean_c ȳ_c‖² / (K − 1) − mean_c v_c/m_c

    The last term is what the noise of the means adds to their spread, so both are unbiased whatever the sizes, as the
    variance components of a one-way analysis of variance are. Random subsets of the real data have an expected
    label_spread of 1 at any size, and iid draws all but. The quotient class_separation exceeds 1 on average by some
    2/f · (1 + within/(m·between)), where f = K(m−1) · (Tr Σ)²/Tr Σ² counts the degrees of freedom of ``within``: by
    .006 for two images of each of ten classes, at an effective dimension of 50 and between = within.

    Args:
        real: [N, d].
        condensed: [M, d].
        labels: classes of the real and of the condensed rows.

    Returns:
        label_spread: mean_c v_c(Y) / v_c(X); below 1 for classes that have collapsed, above it for noise. NaN where no
        class has two images on either side, unlike ones among the real.
        class_separation: between/within of Y over that of X; 0 or below where the classes of Y have one mean. NaN for
        fewer than two classes, where a ``within`` is 0, and where the real classes have one mean (between ≤ 0).

    Raises:
        ValueError: features that are empty, not finite or of different dimension; labels that do not fit.

    Source:
        Searle, Casella and McCulloch, "Variance Components", 1992; the ratios to the real data are ours.

    Example:
        >>> real, classes = np.array([[0.0], [2.0], [10.0], [12.0]]), [0, 0, 1, 1]
        >>> halved = np.array([[0.5], [1.5], [10.5], [11.5]])  # nearer to the mean of its class
        >>> decoct.functional.label_spread(real, halved, labels=(classes, classes))["label_spread"]
        0.25
    """
    x, y = as_pair(real, condensed)
    of_x, of_y = as_labels(labels, len(x), len(y))
    pairs = _pairs(of_x, of_y, int(max(of_x.max(), of_y.max())) + 1)
    own, theirs = [spread(x[r]) for r, _ in pairs], [spread(y[c], "condensed") for _, c in pairs]
    return {**mean_defined(_ratios(own, theirs)), "class_separation": _separation(own, theirs)}


@dataclass(frozen=True)
class Spread:
    """One class.

    Attributes:
        count: images.
        mean: [d] float64.
        trace: of their covariance, over count − 1.
    """

    count: int
    mean: Tensor
    trace: float


def spread(features: ArrayLike | Tensor, name: str = "real") -> Spread:
    """Of at least two images [n, d], in float64; a trace of exactly 0 if they are equal."""
    rows = as_features(features, name)
    first = rows[0].double()  # sums of differences from an image of the class: a mean far from 0 does not cancel them
    total, squares = torch.zeros_like(first), 0.0
    for part in rows.split(ROWS):
        difference = part.double() - first
        total += difference.sum(0)
        squares += difference.square_().sum().item()
    n = len(rows)
    return Spread(n, first + total / n, (squares - total.square().sum().item() / n) / (n - 1))


class LabelSpread(Metric):
    """Diversity within classes; noise has it too, so read it beside a metric of quality."""

    axis = "diversity"
    higher_is_better = {"label_spread": True, "class_separation": None}
    lead = ("label_spread",)

    def __call__(self, measured: Measured) -> list[Reading]:
        """Against train and val: label_spread as a mean over classes, class_separation of all of them together.

        Of more than ``measure.MOST`` real images of a class so many are drawn, the same for every set.
        """
        readings = []
        for split in SPLITS:
            if len(measured.real.get(split, ())) == 0:
                continue
            real, labels = measured.real[split], measured.real_labels[split]
            pairs = _pairs(labels, measured.labels, len(measured.class_names))
            try:
                own = [once(spread, chosen(real, labels, r, int(labels[r[0]]))) for r, _ in pairs]
                theirs = [spread(measured.condensed[c], "condensed") for _, c in pairs]
            except ValueError as error:
                raise DecoctError(f"cannot measure against the {split} split: {error}") from error
            readings += mean_readings(_ratios(own, theirs), split)
            readings.append(Reading("class_separation", _separation(own, theirs), "pooled", split))
        return readings


def _pairs(real: Rows, condensed: Rows, classes: int) -> list[tuple[Rows, Rows]]:
    """Rows of each class that has two on either side."""
    pairs = zip(rows_by_class(real, classes), rows_by_class(condensed, classes), strict=True)
    return [(r, c) for r, c in pairs if min(len(r), len(c)) > 1]


def _ratios(real: Sequence[Spread], condensed: Sequence[Spread]) -> list[dict[str, float]]:
    ratios = [y.trace / x.trace if x.trace > 0 else math.nan for x, y in zip(real, condensed, strict=True)]
    return [{"label_spread": ratio} for ratio in ratios or [math.nan]]


def _separation(real: Sequence[Spread], condensed: Sequence[Spread]) -> float:
    own, theirs = _between_over_within(real), _between_over_within(condensed)
    return theirs / own if own > 0 else math.nan


def _between_over_within(classes: Sequence[Spread]) -> float:
    if len(classes) < 2:
        return math.nan
    within = math.fsum(each.trace for each in classes) / len(classes)
    noise = math.fsum(each.trace / each.count for each in classes) / len(classes)
    between = torch.stack([each.mean for each in classes]).var(0).sum().item() - noise
    return between / within if within > 0 else math.nan
