"""The only training loop. It gets a training set and a recipe, and no test data."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine
from decoct.core.seeds import seed as derive
from decoct.nets import compiled
from decoct.nets.layers import layers
from decoct.nets.layout import laid_out, layout
from decoct.nets.precision import autocast
from decoct.training.batches import Batch, Batches, Mixed, SoftLabels, TrainingSet
from decoct.training.recipe import Recipe, epoch_steps
from decoct.training.resume import STATE, State

__all__ = ["Trained", "TrainingSet", "train"]

LOOK = 50  # steps between two looks at the loss, since each look makes a GPU wait;
PAUSE = 1.0  # or seconds, where steps take long


@dataclass(frozen=True)
class Trained:
    """What a training leaves besides the weights: steps, images seen, mean loss over the last tenth of the steps."""

    steps: int
    images_seen: int
    loss: float


def train(
    student: nn.Module,
    data: TrainingSet,
    recipe: Recipe,
    *,
    seed: int,
    machine: Machine = Machine(),
    teachers: Sequence[nn.Module] = (),
    labels: SoftLabels | None = None,
    on_epoch: Callable[[nn.Module, int], None] | None = None,
    stop: Callable[[int, nn.Module], bool] | None = None,
    stop_every: int = 100,
) -> Trained:
    """Train ``student`` in place; it is left in eval mode with the weights that are to be evaluated.

    Batch order, crops and mixing derive from ``seed`` alone, so two sets of one size see the same draws. Progress is
    told where no batch is made ahead: a step that makes several is slow, those that use them up are fast, and only
    together do they tell how long steps take.

    Args:
        student: on any device; moved to the machine's.
        data: the training set.
        recipe: all numbers.
        seed: of batch order and augmentation.
        machine: where and how; the state of the training is kept there, and a killed one continues from it.
        teachers: eval-mode nets on the device whose mean logits label each augmented batch.
        labels: stored soft labels instead of teachers.
        on_epoch: called after each whole epoch with the student in eval mode and the number of epochs; it sees the
            live weights, not their average.
        stop: asked every ``stop_every`` steps, with their number and the student, whether to end there; likewise.
        stop_every: steps between two questions.

    Raises:
        DecoctError: the loss is no longer finite, or a soft-label recipe has neither teacher nor labels.
    """
    if recipe.loss != "ce" and not teachers and labels is None:
        raise DecoctError(f"the loss '{recipe.loss}' needs at least one label teacher, or stored labels")
    device, kept = machine.device, machine.kept
    for net in (student, *teachers):
        laid_out(net.eval())
    optimiser = _optimiser(student.to(device), recipe)
    _learning(student, recipe)
    state = State(student, optimiser, recipe, device)
    batches = Batches(data, recipe, seed=seed, machine=machine, teachers=teachers, labels=labels)
    forward = compiled.forward(student, machine.compiled, "a training")
    epoch = epoch_steps(len(data.labels), recipe.batch, recipe.drop_single)
    where = torch.device(device)
    with torch.random.fork_rng([where] if where.type == "cuda" else []):
        torch.manual_seed(derive(seed, "student"))  # dropout and stochastic depth draw from the global generators
        if (before := kept.load(STATE)) is not None:
            state.restore(before, batches)
        looked, due = time.monotonic(), False
        for batch in batches:
            if recipe.restart and state.done in recipe.milestones:
                optimiser.state.clear()  # as the reference, which builds a new optimiser
            for group in optimiser.param_groups:
                group["lr"] = recipe.lr * schedule(recipe, state.done) * group["scale"]
            logits = _logits(student, forward, batch, recipe, machine.precision)
            loss = objective(logits, batch.labels, batch.weights, batch.teacher, recipe, batch.mixed)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            state.count(loss.detach(), len(batch.labels))
            due = due or state.done % LOOK == 0 or state.done == recipe.steps or time.monotonic() > looked + PAUSE
            if due and batches.at_seam:
                batches.check()
                state.check()
                machine.progress(state.done, recipe.steps)
                looked, due = time.monotonic(), False
            if on_epoch is not None and state.done % epoch == 0:
                on_epoch(student.eval(), state.done // epoch)
                _learning(student, recipe)
            if stop is not None and state.done % stop_every == 0:
                enough = stop(state.done, student.eval())
                _learning(student, recipe)
                if enough:
                    break
            if batches.at_seam and state.done < recipe.steps and kept.due():
                batches.check()
                kept.save(STATE, state.arrays(batches))
    batches.check()
    state.check()
    state.settle()
    last = state.losses[: state.done][-max(1, state.done // 10) :]
    return Trained(state.done, state.seen, float(last.mean()))


def schedule(recipe: Recipe, step: int) -> float:
    """Factor on the learning rate at a step, counted from 0."""
    if recipe.schedule == "multistep":
        return recipe.gamma ** sum(step >= milestone for milestone in recipe.milestones)
    if recipe.schedule == "half_linear":
        return 1 - step / (2 * recipe.steps)
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
    any.) A term on the label of an image has that image's weight, whether it is mixed in or not; a teacher's label of a
    mixture has the mixture λ w + (1 − λ) w′ of both weights.

    Logits are [B, classes], those of the teacher None for a step on hard labels; labels and weights are [B], of the
    images, and the weights' mean over the set is 1.
    """
    if teacher is None:
        each = _times(F.cross_entropy(logits, labels, reduction="none", label_smoothing=recipe.smoothing), weights)
        if mixed is not None:
            other = F.cross_entropy(logits, mixed.labels, reduction="none", label_smoothing=recipe.smoothing)
            each = mixed.share * each + (1 - mixed.share) * _times(other, mixed.weights)
        return each.mean()
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


def _times(each: Tensor, weights: Tensor | None) -> Tensor:
    return each if weights is None else each * weights


def _logits(
    student: nn.Module, forward: Callable[[Tensor], Tensor], batch: Batch, recipe: Recipe, precision: str
) -> Tensor:
    """[B, classes] float32, of the batch or of each of its halves."""
    x, shape = batch.images, layout(student)
    with autocast(x.device, precision):
        halves = x.chunk(2) if recipe.halves and batch.teacher is not None else (x,)
        return torch.cat([forward(half.contiguous(memory_format=shape)).float() for half in halves])


def _optimiser(student: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    one = recipe.layer_decay == 1 and not recipe.freeze
    each = [list(student.parameters())] if one else layers(student)
    groups: list[dict[str, Any]] = []
    for number, parameters in enumerate(each):
        if number < recipe.freeze:
            for parameter in parameters:
                parameter.requires_grad_(False)
            continue
        scale = recipe.layer_decay ** (len(each) - 1 - number)
        decayed = [p for p in parameters if p.ndim >= 2 or recipe.decay_all]
        groups.append({"params": decayed, "weight_decay": recipe.weight_decay, "scale": scale})
        if not recipe.decay_all:
            rest = [p for p in parameters if p.ndim < 2]
            groups.append({"params": rest, "weight_decay": 0.0, "scale": scale})
    if not groups:
        raise DecoctError(f"freeze = {recipe.freeze} leaves nothing to train: the net has {len(each)} layers")
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, recipe.lr, momentum=recipe.momentum, fused=True)
    return torch.optim.AdamW(groups, recipe.lr, betas=(0.9, 0.999), fused=True)


def _learning(student: nn.Module, recipe: Recipe) -> None:
    """Train mode, but for what is frozen: its batch norm keeps the statistics that it came with."""
    student.train()
    for module in student.modules() if recipe.freeze else ():
        own = list(module.parameters())
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()
