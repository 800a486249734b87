"""The only training loop. It gets a training set and a recipe, and no test data."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from decoct.core.errors import DecoctError
from decoct.core.kinds import Progress, silent
from decoct.core.seeds import seed as derive
from decoct.engine.batches import Batch, Batches, SoftLabels, TrainingSet
from decoct.engine.objective import objective, schedule
from decoct.engine.recipe import Recipe
from decoct.engine.resume import Checkpoint, State
from decoct.nets.layout import laid_out, layout

__all__ = ["Trained", "TrainingSet", "train"]

LOOK = 50  # steps between two looks at the loss, since each look makes a GPU wait;
PAUSE = 1.0  # or seconds, where steps take long

Loss = Callable[..., Tensor]  # what ``objective`` takes -> the loss of each net
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
    device: str = "cpu",
    teachers: Sequence[nn.Module] = (),
    labels: SoftLabels | None = None,
    precision: str = "float32",
    compiled: bool = False,
    progress: Progress = silent,
    stop: Stop | None = None,
    stop_every: int = 100,
    checkpoint: Checkpoint | None = None,
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
        labels: stored soft labels instead of teachers.
        precision: "float32" or "bfloat16" (autocast; the loss stays in float32).
        compiled: run the student through torch.compile.
        progress: called with (steps done, steps in all).
        stop: asked every ``stop_every`` steps whether to end there, ahead of the schedule; it sees the live weights,
            not their average.
        stop_every: steps between two questions.
        checkpoint: where a long training leaves its state from time to time, and goes on from.

    Raises:
        DecoctError: the loss is no longer finite, or a soft-label recipe has neither teacher nor labels.
    """
    if recipe.loss != "ce" and not teachers and labels is None:
        raise DecoctError(f"the loss '{recipe.loss}' needs at least one label teacher, or stored labels")
    for net in (student, *teachers):
        laid_out(net.eval())
    student.to(device).train()
    state = State.of(student, optimiser_of(student, recipe), recipe, device)
    batches = Batches(data, recipe, seed=seed, device=device, teachers=teachers, labels=labels, precision=precision)
    forward = torch.compile(student, dynamic=False) if compiled else student

    def enough() -> bool:
        if stop is not None and state.done % stop_every == 0:
            ended = stop(state.done, student.eval())
            student.train()
            if ended:
                return True
        if checkpoint is not None and batches.at_seam and state.done < recipe.steps:
            checkpoint.save(state, batches)
        return False

    with _global_draws(derive(seed, "student"), device):
        if checkpoint is not None:
            checkpoint.restore(state, batches)
        steps(state, batches, recipe, forward, objective, precision, progress, enough, lambda: batches.at_seam)
    done = outcome(state, recipe)
    state.settle()
    return done


def outcome(state: State, recipe: Recipe) -> Trained:
    """What a training left.

    Raises:
        DecoctError: a loss is not finite.
    """
    state.check(recipe)
    last = state.losses[: state.done][-max(1, state.done // 10) :]
    return Trained(state.done, state.seen, float(last.mean()))


def steps(
    state: State,
    batches: Iterable[Batch],
    recipe: Recipe,
    forward: Callable[[Tensor], Tensor],
    loss: Loss = objective,
    precision: str = "float32",
    progress: Progress = silent,
    enough: Callable[[], bool] = lambda: False,
    at_seam: Callable[[], bool] = lambda: True,
) -> None:
    """Take the steps of a training, until the batches or ``enough`` end it.

    Args:
        state: which the steps change; the student in it is one net, or several side by side.
        batches: one a step.
        recipe: all numbers.
        forward: images of a batch -> logits.
        loss: ``objective``, or what gives one loss for each net.
        precision: "float32" or "bfloat16" (autocast; the loss stays in float32).
        progress: called with (steps done, steps in all), where the batches are at a seam: a step that makes several
            batches is dear, those that use them up are cheap, and only together do they tell how long steps take.
        enough: asked after every step whether to end there.
        at_seam: whether no batch is made ahead.

    Raises:
        DecoctError: the loss is no longer finite.
    """
    looked, due = time.monotonic(), False
    for batch in batches:
        _step(state, batch, forward, loss, recipe, precision)
        due = due or state.done % LOOK == 0 or state.done == recipe.steps or time.monotonic() > looked + PAUSE
        if due and at_seam():
            state.check(recipe)
            progress(state.done, recipe.steps)
            looked, due = time.monotonic(), False
        if enough():
            break


def _step(
    state: State, batch: Batch, forward: Callable[[Tensor], Tensor], loss_of: Loss, recipe: Recipe, precision: str
) -> None:
    step, optimiser, x = state.done, state.optimiser, batch.images
    if recipe.restart and step in recipe.milestones:
        optimiser.state.clear()  # as the reference, which builds a new optimiser
    for group in optimiser.param_groups:
        group["lr"] = recipe.lr * schedule(recipe, step)
    shape = layout(state.student)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        halves = x.chunk(2, -4) if recipe.halves and batch.teacher is not None else (x,)
        logits = torch.cat([_at_least_single(forward(half.contiguous(memory_format=shape))) for half in halves], -2)
    loss = loss_of(logits, batch.labels, batch.weights, batch.teacher, recipe, batch.mixed)
    optimiser.zero_grad(set_to_none=True)
    loss.sum().backward()  # of one net a scalar; of several, no loss hangs on another's weights
    optimiser.step()
    if state.average is not None:
        with torch.no_grad():  # else every step adds a node to the average's own graph
            torch._foreach_lerp_(state.average, list(state.student.parameters()), 1 - (recipe.ema or 0.0))
    state.losses[step] = loss.detach()
    state.done += 1
    state.seen += len(batch)


def _at_least_single(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


@contextmanager
def _global_draws(seed: int, device: str) -> Iterator[None]:
    """Dropout and stochastic depth draw from the global generators: seeded here, and afterwards as they were."""
    where = torch.device(device)
    with torch.random.fork_rng([where] if where.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def optimiser_of(student: nn.Module, recipe: Recipe, stacked: int = 0) -> torch.optim.Optimizer:
    """The optimiser of a recipe, with weight decay where the recipe has it.

    Args:
        student: whose parameters it changes.
        recipe: all numbers.
        stacked: dimensions in front of each parameter's own: 1 where several nets lie in one, else 0.
    """
    parameters, matrix = list(student.parameters()), 2 + stacked
    groups = [
        {"params": [p for p in parameters if p.ndim >= matrix or recipe.decay_all], "weight_decay": recipe.weight_decay}
    ]
    if not recipe.decay_all:
        groups.append({"params": [p for p in parameters if p.ndim < matrix], "weight_decay": 0.0})
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, recipe.lr, momentum=recipe.momentum, fused=True)
    return torch.optim.AdamW(groups, recipe.lr, betas=(0.9, 0.999), fused=True)
