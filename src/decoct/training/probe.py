"""A linear probe: multinomial logistic regression on a frozen net's features, solved by L-BFGS."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from torch import Tensor, nn

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine
from decoct.nets.features import classifier, penultimate_blocks
from decoct.training.batches import TrainingSet
from decoct.training.loop import Trained
from decoct.training.recipe import Recipe

STRENGTH = 10.0  # over d: near the best for 100 to 3,000 images in 64 to 1,280 dimensions, by log-loss and accuracy
TOLERANCE = 1e-4  # of the largest entry of the gradient of the mean loss
BLOCK = 8192  # rows at a time, so that logits of all rows are never in memory


@dataclass(frozen=True)
class Linear:
    """A linear classifier of features as they are.

    Attributes:
        weight: [classes, d] float32.
        bias: [classes] float32.
        steps: of L-BFGS.
        loss: mean cross-entropy at the end, without the penalty.
    """

    weight: Tensor
    bias: Tensor
    steps: int
    loss: float

    def probabilities(self, features: ArrayLike) -> NDArray[np.float32]:
        """[n, classes] of features [n, d]."""
        x = torch.from_numpy(np.asarray(features, np.float32))
        said: NDArray[np.float32] = F.linear(x, self.weight, self.bias).softmax(1).numpy()
        return said


def fit(
    features: ArrayLike,
    labels: ArrayLike,
    classes: int,
    *,
    strength: float | None = None,
    weights: ArrayLike | None = None,
    most: int = 1000,
) -> Linear:
    """The classifier that is least in

        (1/n) Σ_i CE(W x_i + b, y_i) + ‖W‖² / (2 C n),

    x standardised by the mean and deviation of the given rows: scikit-learn's ``LogisticRegression`` behind its
    ``StandardScaler``. There is one such classifier, and nothing is drawn. A class without a row is never predicted.

    Args:
        features: [n, d] of floats; one standardised copy is held in float32.
        labels: [n].
        classes: how many there are.
        strength: C; smaller is a stronger penalty. None for 10 / d, since logits grow with d.
        weights: [n] of the rows, of which the size relative to their mean counts; or None.
        most: steps of L-BFGS at most.

    Raises:
        DecoctError: there is no row, or a feature is not finite.
    """
    x = torch.from_numpy(np.array(features, np.float32))
    y = torch.from_numpy(np.array(labels, np.int64))
    n, d = x.shape
    c = STRENGTH / d if strength is None else strength
    if not n or not x.isfinite().all():
        raise DecoctError("a linear probe needs features of one image at least, all of them finite")
    spread, mean = torch.std_mean(x, 0, correction=0)
    spread = torch.where(spread > 1e-6 * mean.abs().clamp_min(1e-6), spread, 1.0)  # a constant feature says nothing
    x.sub_(mean).div_(spread)
    each = None
    if weights is not None:
        each = torch.from_numpy(np.array(weights, np.float32))
        each = each / each.mean()
    there = torch.bincount(y, minlength=classes) > 0
    absent = torch.where(there, 0.0, -torch.inf)  # of the logits

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w, b = _parts(flat, classes, d)
        loss, at_w, at_b = 0.0, torch.zeros_like(w), torch.zeros_like(b)
        for at in range(0, n, BLOCK):
            rows, labelled = x[at : at + BLOCK], y[at : at + BLOCK, None]
            log_p = (torch.addmm(b, rows, w.T) + absent).log_softmax(1)
            residual = log_p.exp().scatter_add_(1, labelled, -torch.ones(len(rows), 1))
            one = -log_p.gather(1, labelled)[:, 0]
            if each is not None:
                one, residual = one * each[at : at + BLOCK], residual * each[at : at + BLOCK, None]
            loss += float(one.double().sum())
            at_w.addmm_(residual.T, rows)
            at_b += residual.sum(0)
        penalty = float(w.double().square().sum()) / (2 * c)
        slope = torch.cat([(at_w + w / c).flatten(), at_b]).double() / n
        return (loss + penalty) / n, slope.numpy()

    options = {"maxiter": most, "maxfun": 2 * most, "gtol": TOLERANCE, "ftol": 0.0, "maxcor": 10}
    found = minimize(objective, np.zeros(classes * (d + 1)), jac=True, method="L-BFGS-B", options=options)
    w, b = _parts(found.x, classes, d)
    loss = float(found.fun) - float(w.double().square().sum()) / (2 * c * n)
    w = w / spread
    return Linear(w, torch.where(there, b - w @ mean, -torch.inf), int(found.nit), loss)


def fit_head(net: nn.Module, data: TrainingSet, recipe: Recipe, machine: Machine = Machine()) -> Trained:
    """Fit the classifier of a net to its features of a training set; the rest of the net stays, in eval mode.

    Raises:
        DecoctError: the net has no linear classifier with a bias and an output a class, or its features are not finite.
    """
    head = classifier(net.to(machine.device).eval())
    classes = head.out_features
    if head.bias is None or int(data.labels.max()) >= classes:
        raise DecoctError(f"{type(net).__name__}: its last linear layer needs a bias and an output a class")
    blocks = penultimate_blocks(
        net, data.images, data.mean, data.std, machine.device, progress=machine.progress, precision=machine.precision
    )
    features = torch.cat(list(blocks)).numpy()
    weights = None if data.weights is None else data.weights.numpy()
    found = fit(features, data.labels.numpy(), classes, strength=recipe.strength, weights=weights, most=recipe.steps)
    with torch.no_grad():
        head.weight.copy_(found.weight)
        head.bias.copy_(found.bias)
    return Trained(found.steps, found.steps * len(features), found.loss)


def _parts(flat: NDArray[np.float64], classes: int, d: int) -> tuple[Tensor, Tensor]:
    both = torch.from_numpy(flat).float()
    return both[: classes * d].view(classes, d), both[classes * d :]
