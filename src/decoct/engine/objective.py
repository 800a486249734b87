"""What a step minimises, and the factor on its learning rate."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from decoct.core.errors import DecoctError
from decoct.engine.recipe import Recipe


class Mixed(NamedTuple):
    """What the images of a batch were mixed with.

    Attributes:
        labels: [B] of the partners.
        share: of the images themselves, λ.
        weights: [B] of the partners; None where the batch has none.
    """

    labels: Tensor
    share: float
    weights: Tensor | None = None


def schedule(recipe: Recipe, step: int) -> float:
    """Factor on the learning rate at a step, counted from 0."""
    if recipe.schedule == "multistep":
        return recipe.gamma ** sum(step >= milestone for milestone in recipe.milestones)
    horizon = recipe.steps * (2 if recipe.schedule == "half_cosine" else 1)
    return (1 + math.cos(math.pi * step / horizon)) / 2


def objective(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None,
    teacher: Tensor | None,
    recipe: Recipe,
    mixed: Mixed | None = None,
) -> Tensor:
    """The loss of a batch, a scalar: the mean over its images.

    "ce": λ · CE on the label + (1 − λ) · CE on the label of the image that was mixed in, smoothed if the recipe asks.
    "kl": Σ_c p_t (log p_t − log p_s) with p = softmax(z / T), mean over the batch, no T² factor.
    "mse_ce": mean (z_s − z_t)² over batch and classes, plus ce_weight · CE on the unmixed label.

    With weights, the mean of weight × loss: an image of twice the weight counts as two of it would, in whatever batch
    it comes. (Over the sum of the batch's weights, a batch of images that hardly count would take as large a step as
    any.) A term on the label of an image has that image's weight, be it mixed in or not; a teacher's label of a mixture
    has the mixture λ w + (1 − λ) w′ of both weights.

    Args:
        logits: [B, classes] of the student.
        labels: [B] of the images.
        weights: [B] of the images, on average over the set 1; or None.
        teacher: [B, classes] logits that the student learns from; None for a step on hard labels.
        recipe: all numbers.
        mixed: what was mixed in; None for an unmixed batch.
    """
    if teacher is None:
        return _hard(logits, labels, weights, recipe.smoothing, mixed).mean()
    both = weights  # of the images as they are seen
    if weights is not None and mixed is not None and mixed.weights is not None:
        both = torch.lerp(mixed.weights, weights, mixed.share)
    if recipe.loss == "kl":
        t = recipe.temperature
        target = F.log_softmax(teacher / t, 1)
        each = F.kl_div(F.log_softmax(logits / t, 1), target, reduction="none", log_target=True).sum(1)
        return _times(each, both).mean()
    if recipe.loss == "mse_ce":
        each = _times((logits - teacher).square().mean(1), both)
        each = each + _times(recipe.ce_weight * F.cross_entropy(logits, labels, reduction="none"), weights)
        return each.mean()
    raise DecoctError(f"the loss '{recipe.loss}' learns from hard labels, but got a teacher's")


def _hard(logits: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float, mixed: Mixed | None) -> Tensor:
    each = _times(F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing), weights)
    if mixed is None:
        return each
    other = F.cross_entropy(logits, mixed.labels, reduction="none", label_smoothing=smoothing)
    return mixed.share * each + (1 - mixed.share) * _times(other, mixed.weights)


def _times(each: Tensor, weights: Tensor | None) -> Tensor:
    return each if weights is None else each * weights
