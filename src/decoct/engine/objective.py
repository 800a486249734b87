"""What a step minimises, and the factor on its learning rate."""

import math

import torch.nn.functional as F
from torch import Tensor

from decoct.core.errors import DecoctError
from decoct.engine.recipe import Recipe


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
    mixed: tuple[Tensor, float] | None = None,
) -> Tensor:
    """The loss of a batch, a scalar.

    "ce": λ · CE on the label + (1 − λ) · CE on the label of the image that was mixed in, smoothed if the recipe asks.
    "kl": Σ_c p_t (log p_t − log p_s) with p = softmax(z / T), mean over the batch, no T² factor.
    "mse_ce": mean (z_s − z_t)² over batch and classes, plus ce_weight · CE on the unmixed label.

    Args:
        logits: [B, classes] of the student.
        labels: [B] of the images.
        weights: [B] of the images, or None.
        teacher: [B, classes] logits that the student learns from; None for a step on hard labels.
        recipe: all numbers.
        mixed: labels [B] of the partners and λ, the share of the images themselves; None for an unmixed batch.
    """
    if teacher is None:
        each = _hard(logits, labels, recipe.smoothing, mixed)
    elif recipe.loss == "kl":
        t = recipe.temperature
        target = F.log_softmax(teacher / t, 1)
        each = F.kl_div(F.log_softmax(logits / t, 1), target, reduction="none", log_target=True).sum(1)
    elif recipe.loss == "mse_ce":
        each = (logits - teacher).square().mean(1)
        each = each + recipe.ce_weight * F.cross_entropy(logits, labels, reduction="none")
    else:
        raise DecoctError(f"the loss '{recipe.loss}' learns from hard labels, but got a teacher's")
    return each.mean() if weights is None else (each * weights).sum() / weights.sum()


def _hard(logits: Tensor, labels: Tensor, smoothing: float, mixed: tuple[Tensor, float] | None) -> Tensor:
    each = F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    if mixed is None:
        return each
    partners, share = mixed
    return share * each + (1 - share) * F.cross_entropy(logits, partners, reduction="none", label_smoothing=smoothing)
