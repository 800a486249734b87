"""DUAL: images that a training finds hard and wavers on; smaller sets hold easier images."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from decoct.core.errors import DecoctError
from decoct.methods.coresets._shared.coreset import Group
from decoct.methods.coresets._shared.scores import ScoreCoreset
from decoct.needs.dynamics import Traces

ANCHORS = 10  # images of the highest score that say where hard ones lie, as in the authors' code


class DUAL(ScoreCoreset):
    """Difficulty- and uncertainty-aware lightweight pruning with Beta sampling (Cho et al., 2025, arXiv:2502.06905).

    The score is the mean over windows of std(p_y) (1 − mean p_y). An image is drawn, without replacement, in proportion
    to its score times the density of Beta(16 − β, β) at its mean p_y, with β = 15 (1 − μ)(1 − r^c_d), r the share that
    is left out and μ the mean p_y of the ten highest scores: the fewer are kept, the easier they are. A smaller set is
    not the beginning of a larger one. Images of score 0 are drawn last.

    The paper reads the first 30 of 200 epochs; here all epochs of a training of at most 30 are read, whose learning
    rate ends at 0: ``epochs = 200`` follows the paper. The authors' code swapped score and ranking until September
    2025; here they follow the paper. The paper is pooled; here per class, r and μ of the class.

    Attributes:
        until: epochs that are read, from the first on.
        window: epochs in a window; a shorter training is one window.
        c_d: 4 is the authors' for CIFAR-100, 11 for ImageNet-1K.
    """

    stochastic = True

    until: int = Field(30, ge=2)
    window: int = Field(10, ge=2)
    c_d: float = Field(4.0, ge=1)

    def difficulty(self, traces: Traces) -> NDArray[Any]:
        """The DUAL score."""
        return traces.mean(lambda run: wavering(run.probability[: self.until], self.window))

    def pick(self, difficulty: NDArray[Any], group: Group, traces: Traces) -> ArrayLike:
        """Draw."""
        mean = traces.mean(lambda run: run.probability[: self.until, group.rows].mean(0))
        left_out = 1 - group.quota / len(difficulty)
        weight = log_weights(difficulty, mean, left_out, self.c_d)
        # The n largest of log w + Gumbel noise are n draws without replacement in proportion to w.
        noise = np.random.default_rng(group.seed).gumbel(size=len(weight))
        return np.argsort(-(weight + noise), kind="stable")[: group.quota]


def wavering(probability: NDArray[Any], window: int) -> NDArray[np.float64]:
    """[N] mean over windows of std(p_y) (1 − mean p_y), the deviation over one less than the window.

    Args:
        probability: [T, N] of the true class.
        window: epochs in a window; all, if there are fewer.

    Raises:
        DecoctError: one epoch, which does not waver.
    """
    if len(probability) < 2:
        raise DecoctError("dual needs a training of two epochs at least: raise epochs")
    length = min(window, len(probability))
    starts = range(len(probability) - length + 1)
    total = np.zeros(probability.shape[1])
    for start in starts:
        one = np.asarray(probability[start : start + length], np.float64)
        total += one.std(0, ddof=1) * (1 - one.mean(0))
    return total / len(starts)


def log_weights(score: NDArray[Any], mean: NDArray[Any], left_out: float, c_d: float) -> NDArray[np.float64]:
    """[N] log of score · Beta density, but for a constant; −inf where the score is 0.

    Args:
        score: [N], not negative.
        mean: [N] mean p_y; taken as one within 1e-6 of 0 and 1, where the density has poles.
        left_out: r, share of the images that are not kept.
        c_d: exponent of r.
    """
    hardest = np.argsort(-score, kind="stable")[:ANCHORS]
    beta = 15 * (1 - mean[hardest].mean()) * (1 - left_out**c_d)
    x = np.clip(mean, 1e-6, 1 - 1e-6)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(score) + (15 - beta) * np.log(x) + (beta - 1) * np.log1p(-x))
