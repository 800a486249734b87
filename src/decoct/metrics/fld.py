"""Feature likelihood divergence: how likely held-out images are under Gaussians around those of the set."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.core.once import once
from decoct.metrics._measure import MOST, against_real, chosen, sample
from decoct.select.nearest import as_features, as_pair

EPOCHS, RATE, BATCH = 50, 0.5, 10_000  # of Adam's fit of the variances
SETTLED, OVER = 5e-4, 5  # the fit ends where the loss, a dimension, moved by less over so many epochs
LEAST = 1e-3  # of a squared distance, before the fit
WIDEST = 40  # |log variance|
NEARER = 0.9**2  # of squared distances from the mean of the images that are fitted to
MANY = 100  # images that the mean over halves is taken over, at least
MEMORISED = 1000.0  # from here on a set is copied, and rounding decides the value
BLOCK = 2**18  # distances at once, in cache


def fld(
    real: ArrayLike | Tensor,
    condensed: ArrayLike | Tensor,
    held_out: ArrayLike | Tensor,
    *,
    member: bool = False,
    seed: int = 0,
    baseline: float | None = None,
    scale: "Scaled | None" = None,
) -> dict[str, float]:
    """FLD = 100 · (NLL(set) − NLL(half of ``real``)), in nats a dimension: how much less likely held-out images are.

    NLL(set) = −1/(Td) Σ_t log (1/M) Σ_j N(z_t | y_j, s_j I)

    The variances s make the real images likely:

    s = argmin −1/(Nd) Σ_i log [(1/M) Σ_j N(x_i | y_j, s_j I) + N(.9 (x_i − x̄) | 0, s_0 I)]

    An image that copies a real one gets a variance near 0 and explains no other. So copies raise it, as noise, blur and
    missing modes do. NLL(half of ``real``) is that of M random real images, at most half of them, fitted to the others;
    of small sets, the mean over enough of these for 100 images. Dimensions are shifted and scaled to mean 0 and
    deviation 1 in ``held_out``; those that do not vary there are left out.

    Variances of Gaussians that explain nothing are not determined, so the way to them is a part of the definition. It
    is that of the authors' code: Adam at a rate of .5 from s_j = (min_i ‖x_i − y_j‖² + .001) / d, for up to 50 epochs.

    Args:
        real: [N, d]; more than 10,000 are fitted to in batches.
        condensed: [M, d]. The fit holds N · M numbers of 4 bytes.
        held_out: [T, d].
        member: the set is a subset of ``real``, where copies are by design: rows equal to one of it are left out of
            ``real``, as the fit of the halves leaves out theirs.
        seed: of the draw of the halves, and of batches.
        baseline: 100 · NLL(half of ``real``), as ``half`` gives it, if known.
        scale: ``scaled(real, held_out)``, if known.

    Returns:
        fld: around 0 for M new draws from the distribution, for any M. Beyond 1,000 the set is copied, and rounding
        decides the value. NaN with fewer than two rows in ``held_out`` or ``real``, none left in it without the
        members, or where no dimension varies.

    Raises:
        ValueError: features that are empty, not finite or of different dimension.

    Source:
        Jiralerspong et al., 2023, arXiv:2302.04440, whose numbers are of 10,000 images in features of DINOv2. The
        halves, the term of x̄ and the scale of ``held_out`` are those of its code.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> real, held_out, new = (rng.normal(size=(n, 4)) for n in (200, 100, 20))
        >>> fair, copied = (decoct.functional.fld(real, y, held_out)["fld"] for y in (new, real[:20]))
        >>> fair < 20 < copied
        True
    """
    rows = scaled(real, held_out) if scale is None else scale
    y = _placed(as_pair(real, condensed)[1], rows.mean, rows.deviation)
    known = _half(rows, len(y), seed) if baseline is None else baseline
    x = _others(rows.real, y) if member else rows.real
    return {"fld": 100 * _unlikely(y, x, rows.held_out, seed) - known}


def half(real: ArrayLike | Tensor, held_out: ArrayLike | Tensor, *, size: int, seed: int = 0) -> float:
    """100 · NLL of ``held_out`` around ``size`` random rows of ``real``, at most half of them, fitted to the others.

    The mean over as many draws as make 100 rows.
    """
    return _half(scaled(real, held_out), size, seed)


class Scaled(NamedTuple):
    """Rows of ``real`` and ``held_out``, float64, in the dimensions that vary; mean and deviation [d] of the latter."""

    real: Tensor
    held_out: Tensor
    mean: Tensor
    deviation: Tensor


def scaled(real: ArrayLike | Tensor, held_out: ArrayLike | Tensor) -> Scaled:
    """Real features shifted and scaled to mean 0 and deviation 1 of the held-out ones.

    Raises:
        ValueError: features that are empty, not finite or of different dimension.
    """
    x, z = as_features(real, "real"), as_features(held_out, "held-out")
    if z.shape[1] != x.shape[1]:
        raise ValueError(f"real features have {x.shape[1]} dimensions, held-out {z.shape[1]}: use one extractor")
    z = z.to(x.device)
    mean = z.double().mean(0)
    deviation = z.double().std(0) if len(z) > 1 else torch.zeros_like(mean)
    return Scaled(_placed(x, mean, deviation), _placed(z, mean, deviation), mean, deviation)


class FLD(Metric):
    """Likelihood of held-out images around those of the set, in an extractor's features; copies of train lower it."""

    axis = "representativeness"
    higher_is_better = {"fld": False}
    lead = ("fld",)
    limits = {"fld": (-math.inf, MEMORISED)}

    def __call__(self, measured: Measured) -> list[Reading]:
        """Of all classes together, of val; fitted to train, from which the images of a coreset are left out.

        Not class by class: a class has few images to fit variances to. Without val there is no reading. Of a set
        that is copied it is 1,000.
        """
        train, labels = measured.real["train"], measured.real_labels["train"]
        near = chosen(train, labels, np.arange(len(train)), "all")
        own = measured.condensed[sample(measured.labels, MOST)]

        def compare(val: NDArray[Any], _: NDArray[Any], population: int | None) -> dict[str, float]:
            scale, known = once(scaled, near, val), once(half, near, val, size=len(own))
            value = fld(near, own, val, member=measured.member, baseline=known, scale=scale)["fld"]
            return {"fld": min(value, MEMORISED)}  # NaN stays

        return against_real(measured, compare, splits=("val",), per_class=False)


def _placed(rows: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    vary = deviation > 0
    return ((rows.double() - mean) / deviation) if vary.all() else _placed(rows[:, vary], mean[vary], deviation[vary])


def _others(x: Tensor, y: Tensor) -> Tensor:
    """The rows of x that are equal to none of y."""
    own = {row.tobytes() for row in y.cpu().numpy()}
    return x[torch.tensor([row.tobytes() not in own for row in x.cpu().numpy()], device=x.device)]


def _half(rows: Scaled, size: int, seed: int) -> float:
    size, rng, values = min(size, len(rows.real) // 2), np.random.default_rng(seed), list[float]()
    for _ in range(math.ceil(MANY / max(1, size))):
        x = rows.real[torch.from_numpy(rng.permutation(len(rows.real))).to(rows.real.device)]
        values.append(_unlikely(x[:size], x[size:], rows.held_out, seed))
    return 100 * math.fsum(values) / len(values)


def _unlikely(y: Tensor, x: Tensor, z: Tensor, seed: int) -> float:
    """NLL of z around y, with the variances that make x likely."""
    if 0 in (len(y), *x.shape):
        return math.nan
    a, c = _coefficients(_fitted(y, x, np.random.default_rng(seed)), z.shape[1])
    likely = [torch.addcmul(c, _squared(rows, y), a).logsumexp(1).double() for rows in z.split(_rows(y))]
    return -torch.cat(likely).mean().item() / z.shape[1]


def _fitted(y: Tensor, x: Tensor, rng: np.random.Generator) -> Tensor:
    """Logarithms [M] of the variances around y that make the rows of x likely; that of s_0 ends last, and is left."""
    order = torch.from_numpy(rng.permutation(len(x))).to(x.device) if len(x) > BATCH else slice(None)
    x, d = x[order], x.shape[1]
    far = NEARER * (x - x.mean(0)).square().sum(1, keepdim=True)
    squared = [
        [torch.cat([_squared(rows, y), apart.float()], 1) for rows, apart in zip(some.split(_rows(y)), of, strict=True)]
        for some, of in zip(x.split(BATCH), (each.split(_rows(y)) for each in far.split(BATCH)), strict=True)
    ]
    least = torch.stack([block.amin(0) for batch in squared for block in batch]).amin(0)
    logs = ((least + LEAST) / d).log()
    logs[-1] = 0
    adam, losses = torch.optim.Adam([logs], lr=RATE), list[float]()
    for epoch in range(EPOCHS):
        each = []
        for batch in squared:
            loss, logs.grad = _step(batch, logs, d)
            adam.step()
            logs.clamp_(-WIDEST, WIDEST)
            each.append(loss)
        losses.append(math.fsum(each) / len(each))
        if epoch > OVER and max(abs(losses[-1] - loss) for loss in losses[-OVER:]) < SETTLED:
            break
    return logs[:-1]


def _step(batch: list[Tensor], logs: Tensor, d: int) -> tuple[float, Tensor]:
    """The loss of a batch, and its gradient with respect to the logarithms of s and of s_0.

    With shares r_ij of the density at x_i that is due to j, that of log s_j is Σ_i r_ij (d/2 − ‖x_i − y_j‖² / 2 s_j).
    """
    a, c = _coefficients(logs, d, 1)
    total, weight, spread = 0.0, torch.zeros_like(c), torch.zeros_like(c)
    for squared in batch:
        terms = torch.addcmul(c, squared, a)
        shares = terms.softmax(1)  # several times as fast as exp
        total += (terms.amax(1) - shares.amax(1).log()).double().sum().item()
        weight += shares.sum(0)
        spread += shares.mul_(squared).sum(0)
    n = sum(map(len, batch))
    return -total / (n * d), (weight * d / 2 + spread * a) / (n * d)


def _coefficients(logs: Tensor, d: int, alone: int = 0) -> tuple[Tensor, Tensor]:
    """a and c of a‖x − y‖² + c, the logarithm of a Gaussian's part of the density; the last ``alone`` weigh 1 each."""
    c = (logs + math.log(2 * math.pi)) * (-d / 2)
    c[: len(c) - alone] -= math.log(len(c) - alone)
    return logs.neg().exp().mul(-0.5), c


def _squared(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances, from float64: of copies, cancellation leaves less than ``LEAST``."""
    products = torch.addmm(y.square().sum(1), x, y.T, alpha=-2).add_(x.square().sum(1, keepdim=True))
    return products.clamp_(min=0).float()


def _rows(y: Tensor) -> int:
    return max(1, BLOCK // len(y))
