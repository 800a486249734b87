"""Vendi score: the effective number of distinct images in a set."""

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.core.once import once
from decoct.metrics._bandwidth import median_distance, spaced
from decoct.metrics._measure import against_real
from decoct.select.nearest import as_pair

MOST = 1000  # images whose n × n kernel has its eigenvalues taken: 8 MB, and under a tenth of a second


def vendi(real: ArrayLike | Tensor, condensed: ArrayLike | Tensor, *, width: float | None = None) -> dict[str, float]:
    """exp of the entropy of the eigenvalues of K / n, with k(a, b) = exp(−‖a − b‖² / 2σ²), σ the real median distance.

    A set that shrinks towards any point never scores higher: its new kernel times another one, entry by entry, is the
    old kernel, and such products do not lower the entropy. The cosine kernel, as in the paper, sees directions alone:
    a set whose features have a large mean scores near 1, whatever its spread.

    Args:
        real: [N, d], for its median distance alone.
        condensed: [n, d].
        width: σ, as ``mmd`` takes it from ``real``, if known.

    Returns:
        vendi: between 1 (all alike) and n; of more than 1,000 images, the score of 1,000 that are evenly spaced.
        vendi_per_image: the same over the number of images that it is of. Both are NaN where no two real images differ.
        vendi_cosine: with the cosine kernel, between 1 and min(n, d), of all images; rows of zeros have no direction
        and count together as one more.

    Raises:
        ValueError: features that are empty, not finite or of different dimension.

    Source:
        Friedman and Dieng, 2023, arXiv:2210.02410; σ as in Gretton et al., JMLR 13, 2012.

    Example:
        >>> square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> whole, half = (decoct.functional.vendi(square, square * size)["vendi"] for size in (1, 0.5))
        >>> whole > half
        True
    """
    x, y = as_pair(real, condensed)
    sigma = median_distance(x) if width is None else width
    rows = y[spaced(len(y), MOST).to(y.device)].double()
    score = _score(_gaussian(rows, sigma)) if sigma == sigma else sigma
    return {"vendi": score, "vendi_per_image": score / len(rows), "vendi_cosine": _cosine(y.double())}


class Vendi(Metric):
    """Diversity of a condensed set; noise has it too, so read it beside a metric of quality."""

    version = 2  # a Gaussian kernel, which sees how far images are apart; it was a cosine about the real mean
    axis = "diversity"
    higher_is_better = {"vendi": True, "vendi_per_image": True, "vendi_cosine": True}
    lead = ("vendi_per_image",)

    def __call__(self, measured: Measured) -> list[Reading]:
        """By the scale of the train split."""
        return against_real(
            measured,
            lambda real, condensed, _: vendi(real, condensed, width=once(median_distance, real)),
            splits=("train",),
        )


def _gaussian(y: Tensor, sigma: float) -> Tensor:
    y = y - y.mean(0)  # spares the squares from cancelling
    squares = y.square().sum(1)
    apart = torch.addmm(squares[:, None] + squares, y, y.T, alpha=-2).clamp_(min=0).fill_diagonal_(0)
    return apart.mul_(-0.5 / sigma**2).exp_() / len(y)


def _cosine(y: Tensor) -> float:
    """The non-zero eigenvalues of the n × n kernel are those of the d × d matrix XᵀX / n: the smaller one is taken."""
    n, length = len(y), y.norm(dim=1)
    directed = length > 0
    unit = y[directed] / length[directed, None]
    gram = unit @ unit.T if unit.shape[0] <= unit.shape[1] else unit.T @ unit
    return _score(gram / n, (~directed).sum().double() / n)


def _score(kernel: Tensor, *more: Tensor) -> float:
    spectrum = torch.cat([torch.linalg.eigvalsh(kernel), *(eigenvalue[None] for eigenvalue in more)])
    spectrum = spectrum[spectrum > 0]
    return torch.exp(-(spectrum * spectrum.log()).sum()).item()
