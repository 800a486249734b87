"""The only training loop. It gets a training set and a recipe, and no test data."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from decoct.core.errors import DecoctError
from decoct.core.kinds import Progress, silent
from decoct.core.seeds import seed as derive
from decoct.data.augment import crop_boxes, cutmix, gather_crops, resized_crop
from decoct.engine.recipe import Recipe
from decoct.nets.layout import as_input, laid_out, layout

AHEAD = 256  # images that are augmented and labelled at once where a batch is smaller


@dataclass(frozen=True)
class TrainingSet:
    """Images that stay on the device, and what turns them into input.

    Attributes:
        images: [N, C, S, S] uint8, or float32 in [0, 1].
        labels: [N] int64.
        mean: per channel, on the 0 to 1 scale; of the data set, never ImageNet's.
        std: likewise.
        weights: [N] float32 sample weights, or None.
    """

    images: Tensor
    labels: Tensor
    mean: Sequence[float]
    std: Sequence[float]
    weights: Tensor | None = None


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
    device: str = "cpu",
    teachers: Sequence[nn.Module] = (),
    precision: str = "float32",
    compiled: bool = False,
    progress: Progress = silent,
) -> Trained:
    """Train ``student`` in place; it is left in eval mode with the weights that are to be evaluated.

    Batch order, crops and mixing derive from ``seed`` alone, so two sets of one size see the same draws.

    Args:
        student: on any device; moved to ``device``.
        data: the training set.
        recipe: all numbers.
        seed: of batch order and augmentation.
        device: where to compute.
        teachers: eval-mode nets on ``device`` whose mean logits label each augmented batch.
        precision: "float32" or "bfloat16" (autocast; the loss stays in float32).
        compiled: run the student through torch.compile.
        progress: called with (steps done, steps in all).

    Raises:
        DecoctError: the loss is no longer finite, or a soft-label recipe has no teacher.
    """
    if recipe.loss != "ce" and not teachers:
        raise DecoctError(f"the loss '{recipe.loss}' needs at least one label teacher")
    for net in (student, *teachers):
        laid_out(net.eval())
    student.to(device).train()
    shape = layout(student)
    forward = torch.compile(student, dynamic=False) if compiled else student
    optimiser = _optimiser(student, recipe)
    average = [p.detach().clone() for p in student.parameters()] if recipe.ema is not None else None
    losses = torch.zeros(recipe.steps, device=device)
    seen = 0
    with _global_draws(derive(seed, "student"), device):
        for step, (x, y, w, z) in enumerate(_batches(data, recipe, seed, device, teachers, precision)):
            if step == recipe.drop_at:
                optimiser.state.clear()  # as the reference, which builds a new optimiser
            for group in optimiser.param_groups:
                group["lr"] = recipe.lr * schedule(recipe, step)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bfloat16"):
                logits = forward(x.contiguous(memory_format=shape))
            loss = objective(logits.float(), y, w, z, recipe)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            if average is not None:
                with torch.no_grad():  # else every step adds a node to the average's own graph
                    torch._foreach_lerp_(average, list(student.parameters()), 1 - (recipe.ema or 0.0))
            losses[step] = loss.detach()
            seen += len(x)
            if step % 50 == 49 or step + 1 == recipe.steps:
                if not losses[: step + 1].isfinite().all():
                    bad = int((~losses[: step + 1].isfinite()).nonzero()[0])
                    raise DecoctError(f"the training loss is not finite at step {bad + 1} of {recipe.steps}: lower lr")
                progress(step + 1, recipe.steps)
    if average is not None:
        with torch.no_grad():
            torch._foreach_copy_(list(student.parameters()), average)
    student.eval()
    return Trained(recipe.steps, seen, float(losses[-max(1, recipe.steps // 10) :].mean()))


def schedule(recipe: Recipe, step: int) -> float:
    """Factor on the learning rate at a step, counted from 0."""
    if recipe.schedule == "drop":
        return 1.0 if recipe.drop_at is None or step < recipe.drop_at else 0.1
    horizon = recipe.steps * (2 if recipe.schedule == "half_cosine" else 1)
    return (1 + math.cos(math.pi * step / horizon)) / 2


def objective(logits: Tensor, labels: Tensor, weights: Tensor | None, teacher: Tensor | None, recipe: Recipe) -> Tensor:
    """The loss of a batch.

    "kl": Σ_c p_t (log p_t − log p_s) with p = softmax(z / T), mean over the batch, no T² factor.
    "mse_ce": mean (z_s − z_t)² over batch and classes, plus ce_weight · CE on the unmixed label.
    """
    if recipe.loss == "ce":
        each = F.cross_entropy(logits, labels, reduction="none")
    elif teacher is None:
        raise DecoctError(f"the loss '{recipe.loss}' needs teacher logits")
    elif recipe.loss == "kl":
        t = recipe.temperature
        target = F.log_softmax(teacher / t, 1)
        each = F.kl_div(F.log_softmax(logits / t, 1), target, reduction="none", log_target=True).sum(1)
    else:
        each = (logits - teacher).square().mean(1)
        each = each + recipe.ce_weight * F.cross_entropy(logits, labels, reduction="none")
    return each.mean() if weights is None else (each * weights).sum() / weights.sum()


def order(images: int, batch: int, seed: int, drop_single: bool = True) -> Iterator[Tensor]:
    """Batches of row numbers, epoch after epoch without end, with or without a last batch of one image."""
    generator = Generator().manual_seed(derive(seed, "order"))
    while True:
        for rows in torch.randperm(images, generator=generator).split(batch):
            if len(rows) > 1 or not drop_single or images == 1 or batch == 1:
                yield rows


Batch = tuple[Tensor, Tensor, Tensor | None, Tensor | None]


def _batches(
    data: TrainingSet, recipe: Recipe, seed: int, device: str, teachers: Sequence[nn.Module], precision: str
) -> Iterator[Batch]:
    """Normalised, augmented, mixed, labelled batches: (images, labels, weights, teacher logits).

    Small batches are made several at a time: gathers and teachers then run at a size that pays.
    """
    on_device, on_host = (
        Generator(device).manual_seed(derive(seed, "augment")),
        Generator().manual_seed(derive(seed, "mix")),
    )
    images, labels = data.images.to(device), data.labels.to(device)
    weights = None if data.weights is None else data.weights.to(device)
    padded = F.pad(images, [recipe.pad] * 4) if recipe.pad else images
    scale = 255.0 if images.dtype == torch.uint8 else 1.0
    mean = torch.tensor(data.mean, device=device).view(-1, 1, 1) * scale
    std = torch.tensor(data.std, device=device).view(-1, 1, 1) * scale
    rows_of = islice(order(len(images), recipe.batch, seed, recipe.drop_single), recipe.steps)
    ahead = max(1, AHEAD // recipe.batch)
    while chunk := list(islice(rows_of, ahead)):
        sizes, rows = [len(r) for r in chunk], torch.cat(chunk).to(device)
        if recipe.scale is None:
            x = (gather_crops(padded, rows, recipe.pad, recipe.flip, on_device).float() - mean) / std
        else:
            boxes = crop_boxes(len(rows), images.shape[-1], recipe.scale, on_device, device)
            mirrored = torch.rand(len(rows), generator=on_device, device=device) < (0.5 if recipe.flip else 0.0)
            x = resized_crop((images[rows].float() - mean) / std, boxes, mirrored)
        if recipe.cutmix:
            x = torch.cat([cutmix(part, recipe.cutmix, on_host) if len(part) > 1 else part for part in x.split(sizes)])
        z = committee(teachers, x, precision) if teachers else None
        parts = (x.split(sizes), labels[rows].split(sizes))
        many: list[None] = [None] * len(sizes)
        yield from zip(
            *parts,
            many if weights is None else weights[rows].split(sizes),
            many if z is None else z.split(sizes),
            strict=True,
        )


@torch.no_grad()
def committee(teachers: Sequence[nn.Module], x: Tensor, precision: str = "float32") -> Tensor:
    """Mean logits [B, classes] of nets in eval mode on normalised images.

    Raises:
        DecoctError: a teacher's logits are not finite.
    """
    with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        logits = torch.stack([net(as_input(x, net)).float() for net in teachers]).mean(0)
    if not logits.isfinite().all():
        raise DecoctError("a label teacher gives logits that are not finite")
    return logits


@contextmanager
def _global_draws(seed: int, device: str) -> Iterator[None]:
    """Dropout and stochastic depth draw from the global generators: seeded here, and afterwards as they were."""
    where = torch.device(device)
    with torch.random.fork_rng([where] if where.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _optimiser(student: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    parameters = list(student.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2 or recipe.decay_all], "weight_decay": recipe.weight_decay}
    ]
    if not recipe.decay_all:
        groups.append({"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0})
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, recipe.lr, momentum=recipe.momentum, fused=True)
    return torch.optim.AdamW(groups, recipe.lr, betas=(0.9, 0.999), fused=True)
