"""Several students of one kind trained side by side, each as it would be alone, where one does not fill the device.

K nets of one architecture are stacked, and one call steps through all of them (``torch.func``: ``stack_module_state``,
``functional_call``, ``vmap``). Each has a set, seed, initial weights, batch order, augmentation, batch norm statistics
and optimiser state of its own, and all draws are those of ``train``: student k of K is the student trained alone, but
for the order of sums within a convolution or a matrix product. Its weights differ by rounding, which grows with the
steps: a bias in front of a norm has no gradient but rounding, which AdamW scales up, without effect on any logit.
"""

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from decoct.core.errors import DecoctError
from decoct.core.kinds import Progress, silent
from decoct.engine.batches import Batch, Batches, SoftLabels, TrainingSet
from decoct.engine.objective import Mixed, per_image
from decoct.engine.recipe import Recipe
from decoct.engine.resume import State
from decoct.engine.train import Trained, optimiser_of, outcome, steps
from decoct.nets.layout import laid_out

ALIKE = 0.02  # relative difference from nets by themselves that rounding may make, in TF32 too


@dataclass(frozen=True)
class Pupil:
    """One of the students that are trained together.

    Attributes:
        student: trained in place, and left in eval mode.
        data: its set.
        seed: of its batch order and augmentation.
        labels: stored soft labels of its set instead of teachers.
    """

    student: nn.Module
    data: TrainingSet
    seed: int
    labels: SoftLabels | None = None


def train_together(
    pupils: Sequence[Pupil],
    recipe: Recipe,
    *,
    device: str = "cpu",
    teachers: Sequence[nn.Module] = (),
    precision: str = "float32",
    progress: Progress = silent,
) -> list[Trained | DecoctError]:
    """Train students of one net and one recipe at once; they cannot be stopped early, compiled, or resumed.

    Args:
        pupils: K students that ``cannot`` has nothing to say against, on sets of as many images.
        recipe: all numbers.
        device: where to compute; it holds K nets, K sets and the activations of K batches.
        teachers: eval-mode nets on ``device`` whose mean logits label every augmented batch.
        precision: "float32" or "bfloat16".
        progress: called with (steps done, steps in all).

    Returns:
        What ``train`` returns for each, or the error that it would have raised: one whose loss is not finite fails
        alone, and the others go on.

    Raises:
        DecoctError: the sets differ in size, a soft-label recipe has neither teachers nor labels, or what a teacher
            says is not finite.
    """
    if len({pupil.data.images.shape for pupil in pupils}) > 1:
        raise DecoctError("students are trained together on sets of as many images of one size")
    if recipe.loss != "ce" and not teachers and any(pupil.labels is None for pupil in pupils):
        raise DecoctError(f"the loss '{recipe.loss}' needs at least one label teacher, or stored labels")
    for teacher in teachers:
        laid_out(teacher.eval())
    stacked = Stacked([pupil.student.to(device) for pupil in pupils]).train()
    state = Abreast.of(stacked, optimiser_of(stacked, recipe, stacked=1), recipe, device)
    state.losses = torch.zeros(recipe.steps, len(pupils), device=device)
    streams = [
        Batches(
            pupil.data,
            recipe,
            seed=pupil.seed,
            device=device,
            teachers=teachers,
            labels=pupil.labels,
            precision=precision,
        )
        for pupil in pupils
    ]
    with suppress(NoneLeftError):
        steps(
            state,
            abreast(streams),
            recipe,
            stacked,
            objectives,
            precision,
            progress,
            at_seam=lambda: streams[0].at_seam,
        )
    state.settle()
    stacked.give_back([pupil.student for pupil in pupils])
    return [_outcome(state.of_net(net), recipe) for net in range(len(pupils))]


class Stacked(nn.Module):
    """K nets of one architecture as one, their parameters and buffers with a K in front.

    Batch norm keeps the statistics of every net: under ``vmap`` it normalises K · C channels, whose statistics it
    updates in place.
    """

    def __init__(self, nets: Sequence[nn.Module]) -> None:
        super().__init__()
        parameters, buffers = stack_module_state([net.train() for net in nets])
        self._names = {name: name.replace(".", "/") for name in (*parameters, *buffers)}  # a name has no dots
        for name, value in parameters.items():
            self.register_parameter(self._names[name], nn.Parameter(value.detach()))
        for name, value in buffers.items():
            self.register_buffer(self._names[name], value.detach())
        self._skeleton = (copy.deepcopy(nets[0]).to("meta"),)  # in a tuple, since its own weights are none of ours

    def forward(self, images: Tensor) -> Tensor:
        """Images [K, B, C, S, S], of every net its own -> logits [K, B, classes]."""
        (skeleton,) = self._skeleton
        skeleton.train(self.training)
        own = {name: getattr(self, ours) for name, ours in self._names.items()}
        logits: Tensor = vmap(lambda state, x: functional_call(skeleton, state, (x,)))(own, images)
        return logits

    @torch.no_grad()
    def give_back(self, nets: Sequence[nn.Module]) -> None:
        """Leave what was learnt in the nets, in eval mode."""
        for number, net in enumerate(nets):
            mine = (*self.parameters(), *self.buffers())  # in the order of each net's own
            for value, learnt in zip((*net.parameters(), *net.buffers()), mine, strict=True):
                value.copy_(learnt[number])
            net.eval()


class NoneLeftError(DecoctError):
    """No net is left whose loss is finite."""


class Abreast(State):
    """The state of K nets in one; ``losses`` are [steps, K]."""

    def check(self, recipe: Recipe) -> None:
        """Raise ``NoneLeftError`` if that is so: one that diverges does not stop the others."""
        if not self.losses[: self.done].isfinite().all(0).any():
            raise NoneLeftError(f"no student has a finite training loss by step {self.done} of {recipe.steps}")

    def of_net(self, number: int) -> State:
        """The steps of one of the nets."""
        return State(self.student, self.optimiser, None, self.losses[:, number], self.done, self.seen)


def abreast(streams: Sequence[Iterator[Batch]]) -> Iterator[Batch]:
    """The batches of K trainings on sets of one size by one recipe, side by side: every field gets a K in front."""
    for batches in zip(*streams, strict=True):
        images = torch.stack([batch.images for batch in batches])
        labels = torch.stack([batch.labels for batch in batches])
        weights = _weights([batch.weights for batch in batches], labels, images)
        teachers = [batch.teacher for batch in batches if batch.teacher is not None]
        mixes = [batch.mixed for batch in batches if batch.mixed is not None]
        mixed = None
        if mixes:
            others = torch.stack([mix.labels for mix in mixes])
            shares = _on([mix.share for mix in mixes], images)[:, None].expand(others.shape)
            mixed = Mixed(others, shares, _weights([mix.weights for mix in mixes], others, images))
        yield Batch(images, labels, weights, torch.stack(teachers) if teachers else None, mixed)


def objectives(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None,
    teacher: Tensor | None,
    recipe: Recipe,
    mixed: Mixed | None = None,
) -> Tensor:
    """The loss [K] of every net: ``objective`` of each, with a K in front of everything that is given."""

    def flat(value: Tensor | None) -> Tensor | None:
        return None if value is None else value.flatten(0, 1)

    if mixed is not None:
        mixed = Mixed(mixed.labels.flatten(), torch.as_tensor(mixed.share).flatten(), flat(mixed.weights))
    losses = per_image(logits.flatten(0, 1), labels.flatten(), flat(weights), flat(teacher), recipe, mixed)
    return losses.view(labels.shape).mean(1)


def cannot(student: nn.Module, images: Sequence[int], device: str = "cpu") -> str | None:
    """Why nets like this one cannot be trained together; None if they can.

    Two copies with weights of their own take a forward and a backward pass stacked and by themselves, which must give
    the same logits, gradients and buffers. What draws at random in training (dropout, stochastic depth) cannot: alone,
    each net has draws of its own.

    Args:
        student: left as it is.
        images: shape (C, S, S).
        device: where it will be trained.
    """
    generator = Generator().manual_seed(0)
    alone = [copy.deepcopy(student).to(device).train() for _ in range(2)]
    kind = next(student.parameters()).dtype
    with torch.no_grad():
        for p in alone[1].parameters():
            p.mul_(1 + 0.1 * torch.rand(p.shape, generator=generator, dtype=kind).to(device))
    x = torch.randn((2, 4, *images), generator=generator, dtype=kind).to(device)
    stacked = Stacked(alone)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "There is a performance drop")  # an operation that vmap takes one by one
            together = stacked(x)
            together.square().sum().backward()
    except Exception as error:  # whatever a net may do that vmap cannot
        return f"torch.func cannot batch it: {' '.join(str(error).split())[:200]}"
    for number, net in enumerate(alone):
        logits = net(x[number])
        logits.square().sum().backward()
        ours = [together[number], *(_slope(p)[number] for p in stacked.parameters())]
        theirs = [logits, *map(_slope, net.parameters())]
        if not _alike(ours, theirs) or not _alike([b[number] for b in stacked.buffers()], list(net.buffers())):
            return "it computes something else when it is batched"
    return None


def _outcome(state: State, recipe: Recipe) -> Trained | DecoctError:
    try:
        return outcome(state, recipe)
    except DecoctError as error:
        return error


def _weights(given: Sequence[Tensor | None], labels: Tensor, images: Tensor) -> Tensor | None:
    """[K, B], ones for a set without; None if no set has any."""
    if all(weights is None for weights in given):
        return None
    both = zip(given, labels, strict=True)
    return torch.stack([torch.ones_like(own, dtype=images.dtype) if w is None else w.to(images) for w, own in both])


def _on(values: Sequence[float], images: Tensor) -> Tensor:
    """[K] beside the images; from pinned memory, so that a GPU's queue is not waited for."""
    made = torch.tensor(values, dtype=images.dtype)
    return made.pin_memory().to(images.device, non_blocking=True) if images.is_cuda else made.to(images.device)


def _slope(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _alike(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> bool:
    """Whether ‖a − b‖ ≤ ALIKE · ‖b‖ over all tensors."""
    apart = sum(float((a - b).detach().double().square().sum()) for a, b in zip(ours, theirs, strict=True))
    return apart <= ALIKE**2 * sum(float(b.detach().double().square().sum()) for b in theirs)


def step_bytes(student: nn.Module, batch: Sequence[int], device: str) -> int:
    """Bytes that a student takes on a GPU while it trains: weights, slopes, moments, average, and a step's activations.

    Args:
        student: left as it is.
        batch: shape (B, C, S, S).
        device: a GPU, on which one step is taken.
    """
    net = copy.deepcopy(student).to(device).train()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    net(torch.zeros(tuple(batch), device=device)).square().sum().backward()
    taken = torch.cuda.max_memory_allocated(device) - before
    return taken + 5 * sum(p.nbytes for p in net.parameters())
