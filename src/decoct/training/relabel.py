"""Relabelling: a committee labels a set once, so that students can learn from it without the committee."""

import math
from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Machine
from decoct.core.seeds import seed as derive
from decoct.training.batches import AHEAD, UNSOUND, Committee, TrainingSet, order
from decoct.training.images import Images
from decoct.training.packing import Arrays, encode, pack
from decoct.training.recipe import Recipe, Storing, epoch_steps
from decoct.training.softlabels import FORMAT, StoredLabels, fingerprint, viewed
from decoct.training.views import Draws, View, render

TRIES = 16  # batches that are looked at for each that is kept by class


def relabel(
    data: TrainingSet,
    recipe: Recipe,
    teachers: Sequence[nn.Module],
    storing: Storing,
    class_names: Sequence[str],
    *,
    seed: int,
    machine: Machine = Machine(),
) -> StoredLabels:
    """Labels of a set for a soft-label recipe.

    Unpruned labels per view are those that a training with this seed, and no hard steps, would have made online.
    Teachers are in eval mode on the machine's device, class names in the order of their outputs; progress is told in
    batches or images.

    Raises:
        UsageError: the recipe learns from hard labels, has no soft step, or draws colours, which are not stored.
        DecoctError: a teacher's logits are not finite.
    """
    if recipe.loss == "ce" or not teachers:
        raise UsageError("hard labels need no relabelling: name a protocol with teachers, such as single_teacher")
    if recipe.jitter or recipe.lighting or recipe.dsa:
        raise UsageError("labels of views with colour or Siamese augmentation cannot be stored: label online")
    how = data.mean, data.std, machine.device, recipe.pad
    images, committee = Images.of(data.images, *how, whitening=data.whitening), Committee(teachers, machine)
    if storing.per == "image":
        logits, arrays = _of_images(images, committee, machine), Arrays()
    else:
        steps, keep = kept(data.labels, recipe, storing, len(class_names), seed)
        logits, views = _of_views(images, committee, machine, recipe, steps, keep, seed)
        arrays = pack(views)
    temperature = recipe.temperature if recipe.loss == "kl" else 1.0
    facts = {
        "format": FORMAT,
        "storing": storing.model_dump(mode="json"),
        "set": fingerprint(data),
        "images": len(images),
        "size": images.size,
        "class_names": list(class_names),
        "views": viewed(recipe),
        "temperature": temperature,
        "seed": seed,
    }
    return StoredLabels(arrays | encode(logits, storing.bits, storing.top_k, temperature), facts)


def kept(labels: Tensor, recipe: Recipe, storing: Storing, classes: int, seed: int) -> tuple[int, list[int]]:
    """Soft steps of the recipe, and which of them, in order, keep their batch."""
    steps = recipe.soft_before(recipe.steps)
    if steps < 1:
        raise UsageError(f"no step of {recipe.steps} learns from soft labels: raise steps, or lower hard")
    wanted = max(1, math.ceil(steps / storing.prune))
    if storing.by == "epoch":
        epoch = epoch_steps(len(labels), recipe.batch, recipe.drop_single)
        return steps, list(range(min(steps, epoch * max(1, round(steps / epoch / storing.prune)))))
    generator = Generator().manual_seed(derive(seed, "prune"))
    shuffled = torch.randperm(steps, generator=generator)
    if storing.by == "batch" or wanted == steps:
        return steps, sorted(shuffled[:wanted].tolist())
    batches = islice(order(len(labels), recipe.batch, seed, recipe.drop_single), steps)
    counts = torch.stack([labels[rows].bincount(minlength=classes).short() for rows in batches])
    return steps, sorted(even(counts[shuffled], wanted, shuffled.tolist()))


def even(counts: Tensor, wanted: int, names: list[int]) -> list[int]:
    """Names of so many rows of [n, classes] counts whose sum is about the same for every class, chosen greedily.

    Of the next ``TRIES`` rows the one is taken that makes the sum of squared shares Σ_c (n_c / Σ n)² least; the
    others wait. Shares, not counts: those would favour the short batches that end an epoch.
    """
    total, waiting = torch.zeros(counts.shape[1], dtype=torch.float64), list(range(min(TRIES, len(counts))))
    chosen: list[int] = []
    while len(chosen) < wanted:
        sums = total + counts[waiting]
        row = waiting.pop(int((sums.square().sum(1) / sums.sum(1).square()).argmin()))
        total = total + counts[row]
        chosen.append(names[row])
        waiting += [following] if (following := TRIES + len(chosen) - 1) < len(counts) else []
    return chosen


def _of_images(images: Images, committee: Committee, machine: Machine) -> NDArray[np.float32]:
    """[N, classes] logits of the images as they are."""
    logits = []
    for rows in torch.arange(len(images)).split(AHEAD):
        x = images.normalise(images.rows(rows))
        logits.append(_said(committee, x, [len(rows)], False))
        machine.progress(int(rows[-1]) + 1, len(images))
    return np.concatenate(logits)


def _of_views(
    images: Images,
    committee: Committee,
    machine: Machine,
    recipe: Recipe,
    steps: int,
    keep: list[int],
    seed: int,
) -> tuple[NDArray[np.float32], list[View]]:
    """[V, classes] logits of the views that are kept, and these views, one a batch."""
    wanted, draws = set(keep), Draws(recipe, images.size, seed)
    rows = islice(order(len(images), recipe.batch, seed, recipe.drop_single), steps)
    ahead, first = max(1, AHEAD // recipe.batch), 0
    logits: list[NDArray[np.float32]] = []
    views: list[View] = []
    while chunk := list(islice(rows, ahead)):  # the draws of the batches that are dropped are made all the same
        some = [view for step, view in enumerate(draws(chunk).split(), first) if step in wanted]
        if some:
            view = View.join(some)
            x = render(images, view, recipe.pad)
            logits.append(_said(committee, x, view.sizes, recipe.halves))
            views += some
            machine.progress(len(views), len(keep))
        first += len(chunk)
    return np.concatenate(logits), views


def _said(committee: Committee, x: Tensor, sizes: Sequence[int], halves: bool) -> NDArray[np.float32]:
    """[M, classes] logits, on the host."""
    logits: NDArray[np.float32] = committee.label(x, sizes, halves).cpu().numpy()
    if not np.isfinite(logits).all():
        raise DecoctError(UNSOUND)
    return logits
