"""The only training loop. It gets a training set and a recipe, and no test data."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from decoct.core.errors import DecoctError
from decoct.core.kinds import Machine
from decoct.core.seeds import seed as derive
from decoct.engine.batches import Batch, Batches, SoftLabels, TrainingSet
from decoct.engine.objective import objective, schedule
from decoct.engine.recipe import Recipe, epoch_steps
from decoct.engine.resume import STATE, State
from decoct.nets.layout import laid_out, layout

__all__ = ["Trained", "TrainingSet", "train"]

LOOK = 50  # steps between two looks at the loss, since each look makes a GPU wait;
PAUSE = 1.0  # or seconds, where steps take long

OnEpoch = Callable[[nn.Module, int], None]  # (student in eval mode, epochs done) -> nothing
Stop = Callable[[int, nn.Module], bool]  # (steps done, student in eval mode) -> whether that is enough


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
    on_epoch: OnEpoch | None = None,
    stop: Stop | None = None,
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
        machine: where and how; the state of the training is kept there, and goes on from there.
        teachers: eval-mode nets on the device whose mean logits label each augmented batch.
        labels: stored soft labels instead of teachers.
        on_epoch: called after each whole epoch, to watch; it sees the live weights, not their average.
        stop: asked every ``stop_every`` steps whether to end there, ahead of the schedule; likewise.
        stop_every: steps between two questions.

    Raises:
        DecoctError: the loss is no longer finite, or a soft-label recipe has neither teacher nor labels.
    """
    if recipe.loss != "ce" and not teachers and labels is None:
        raise DecoctError(f"the loss '{recipe.loss}' needs at least one label teacher, or stored labels")
    device, kept = machine.device, machine.kept
    for net in (student, *teachers):
        laid_out(net.eval())
    student.to(device).train()
    state = State.of(student, _optimiser(student, recipe), recipe, device)
    batches = Batches(data, recipe, seed=seed, machine=machine, teachers=teachers, labels=labels)
    forward = torch.compile(student, dynamic=False) if machine.compiled else student
    epoch = epoch_steps(len(data.labels), recipe.batch, recipe.drop_single)
    with _global_draws(derive(seed, "student"), device):
        if (before := kept.load(STATE)) is not None:
            state.restore(before, batches)
        looked, due = time.monotonic(), False
        for batch in batches:
            _step(state, batch, forward, recipe, machine.precision)
            due = due or state.done % LOOK == 0 or state.done == recipe.steps or time.monotonic() > looked + PAUSE
            if due and batches.at_seam:
                state.check(recipe)
                machine.progress(state.done, recipe.steps)
                looked, due = time.monotonic(), False
            if on_epoch is not None and state.done % epoch == 0:
                on_epoch(student.eval(), state.done // epoch)
                student.train()
            if stop is not None and state.done % stop_every == 0:
                enough = stop(state.done, student.eval())
                student.train()
                if enough:
                    break
            if batches.at_seam and state.done < recipe.steps and kept.due():
                kept.save(STATE, state.arrays(batches))
    state.check(recipe)
    state.settle()
    last = state.losses[: state.done][-max(1, state.done // 10) :]
    return Trained(state.done, state.seen, float(last.mean()))


def _step(state: State, batch: Batch, forward: Callable[[Tensor], Tensor], recipe: Recipe, precision: str) -> None:
    step, optimiser, x = state.done, state.optimiser, batch.images
    if recipe.restart and step in recipe.milestones:
        optimiser.state.clear()  # as the reference, which builds a new optimiser
    for group in optimiser.param_groups:
        group["lr"] = recipe.lr * schedule(recipe, step)
    shape = layout(state.student)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        halves = x.chunk(2) if recipe.halves and batch.teacher is not None else (x,)
        logits = torch.cat([forward(half.contiguous(memory_format=shape)).float() for half in halves])
    loss = objective(logits, batch.labels, batch.weights, batch.teacher, recipe, batch.mixed)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    if state.average is not None:
        with torch.no_grad():  # else every step adds a node to the average's own graph
            torch._foreach_lerp_(state.average, list(state.student.parameters()), 1 - (recipe.ema or 0.0))
    state.losses[step] = loss.detach()
    state.done += 1
    state.seen += len(batch)


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
