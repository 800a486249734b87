"""Vendi score: the effective number of distinct images in a set."""

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.metrics._measure import against_real
from decoct.select.nearest import as_pair


def vendi(real: ArrayLike | Tensor, condensed: ArrayLike | Tensor) -> dict[str, float]:
    """exp of the entropy of the eigenvalues of K / n, K the cosine kernel of features centred on the real mean.

    The non-zero eigenvalues of the n × n kernel are those of the d × d matrix XᵀX / n: the smaller one is taken.
    Images at the mean have no direction; together they count as one more, unlike all others.

    Args:
        real: [N, d], for its mean alone: centred on its own mean, a set of two would always score 1.
        condensed: [n, d].

    Returns:
        vendi: between 1 (all alike) and min(n, d). vendi_per_image: the same over n.

    Raises:
        ValueError: features that are empty, not finite or of different dimension.

    Source:
        Friedman and Dieng, 2023, arXiv:2210.02410; the centring is ours.

    Example:
        >>> square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> round(decoct.functional.vendi(square, square)["vendi"], 6)
        2.0
    """
    x, y = as_pair(real, condensed)
    mean = x.mean(0, dtype=torch.float64)
    centred, n = y.double() - mean, len(y)
    length = centred.norm(dim=1)
    directed = length > 1e-12 * mean.norm()  # beneath that it is rounding
    unit = centred[directed] / length[directed, None]
    gram = unit @ unit.T if unit.shape[0] <= unit.shape[1] else unit.T @ unit
    spectrum = torch.cat([torch.linalg.eigvalsh(gram / n), (~directed).sum().double()[None] / n])
    spectrum = spectrum[spectrum > 0]
    score = torch.exp(-(spectrum * spectrum.log()).sum()).item()
    return {"vendi": score, "vendi_per_image": score / n}


class Vendi(Metric):
    """Diversity of a condensed set; noise has it too, so read it beside a metric of quality."""

    axis = "diversity"
    higher_is_better = {"vendi": True, "vendi_per_image": True}
    lead = ("vendi_per_image",)

    def __call__(self, measured: Measured) -> list[Reading]:
        """Centred on the train split."""
        return against_real(measured, lambda real, condensed, _: vendi(real, condensed), splits=("train",))
