"""The stream of training batches: ordered, augmented, labelled, and the same whatever the device."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor, nn

from decoct.core.condensed import relative
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine
from decoct.core.seeds import seed as derive
from decoct.data.send import send
from decoct.data.whitening import Whitening
from decoct.nets import compiled
from decoct.nets.layout import as_input
from decoct.nets.precision import autocast
from decoct.nets.room import Halving
from decoct.training.images import Images
from decoct.training.recipe import Recipe
from decoct.training.views import Draws, View, render

UNSOUND = "a label teacher gives logits that are not finite"
AHEAD = 256  # images that are augmented and labelled at once where a batch is smaller


@dataclass(frozen=True)
class TrainingSet:
    """Images with their labels, and what turns them into input.

    Attributes:
        images: [N, C, S, S] uint8, or float32 in [0, 1].
        labels: [N] int64.
        mean: per channel, on the 0 to 1 scale; of the data set, never ImageNet's.
        std: likewise.
        weights: [N] float32 sample weights, of which the size relative to their mean counts; or None.
        whitening: of the data set, in the place of mean and std; or None.
    """

    images: Tensor
    labels: Tensor
    mean: Sequence[float]
    std: Sequence[float]
    weights: Tensor | None = None
    whitening: Whitening | None = None


class Mixed(NamedTuple):
    """The partners that the images of a batch were mixed with.

    Attributes:
        labels: [B] of the partners.
        share: of the images themselves, λ.
        weights: [B] of the partners; None where the batch has none.
    """

    labels: Tensor
    share: float
    weights: Tensor | None = None


@dataclass(frozen=True)
class Batch:
    """One step's worth, on the device.

    Attributes:
        images: [B, C, S, S] normalised, augmented, mixed.
        labels: [B] of the unmixed images.
        weights: [B], on average over the set 1; or None.
        teacher: [B, classes] logits; None for a step on hard labels.
        mixed: what the images were mixed with; None if unmixed.
    """

    images: Tensor
    labels: Tensor
    weights: Tensor | None = None
    teacher: Tensor | None = None
    mixed: Mixed | None = None


class SoftLabels(Protocol):
    """Stored labels, as the stream reads them."""

    def views(self, first: int, last: int, seed: int) -> View | None:
        """The stored view of the soft steps ``first`` to ``last``; None where labels fit any view."""

    def logits(self, first: int, last: int, seed: int, view: View) -> Tensor:
        """[M, classes] logits of that view, float32."""


def order(images: int, batch: int, seed: int, drop_single: bool = True) -> Iterator[Tensor]:
    """Batches of row numbers, epoch after epoch without end, with or without a last batch of one image."""
    generator = Generator().manual_seed(derive(seed, "order"))
    while True:
        for rows in torch.randperm(images, generator=generator).split(batch):
            if len(rows) > 1 or not drop_single or images == 1 or batch == 1:
                yield rows


class Batches(Iterator[Batch]):
    """Batches of a training, made several at a time where they are small: gathers and teachers then run at a size
    that pays.

    Order, crops and mixing depend on the seed alone. Augmented batches are labelled by the mean logits of teachers,
    which are in eval mode on the machine's device and compute in its precision, or by stored labels instead.
    """

    def __init__(
        self,
        data: TrainingSet,
        recipe: Recipe,
        *,
        seed: int,
        machine: Machine = Machine(),
        teachers: Sequence[nn.Module] = (),
        labels: SoftLabels | None = None,
    ) -> None:
        self.recipe, self.seed, self.stored, device = recipe, seed, labels, machine.device
        self.committee = Committee(teachers, machine)
        self.images = Images.of(data.images, data.mean, data.std, device, recipe.pad, whitening=data.whitening)
        self.labels = data.labels.to(device)
        self.weights = None if data.weights is None else torch.from_numpy(relative(data.weights.numpy())).to(device)
        self.draws = Draws(recipe, data.images.shape[-1], seed)
        self.rows = islice(order(len(data.labels), recipe.batch, seed, recipe.drop_single), recipe.steps)
        self.made = 0  # batches drawn so far
        self.sound = torch.ones((), dtype=torch.bool, device=device)  # whether all that teachers said was finite
        self.ready: list[Batch] = []

    def __next__(self) -> Batch:
        if not self.ready:
            self.ready = self._chunk()[::-1]
        if not self.ready:
            raise StopIteration
        return self.ready.pop()

    @property
    def at_seam(self) -> bool:
        """Whether nothing is drawn ahead, so that ``state`` is complete."""
        return not self.ready

    def check(self) -> None:
        """Raise a DecoctError if a teacher's logits were not finite; the device is waited for."""
        if not self.sound:
            raise DecoctError(UNSOUND)

    def state(self) -> dict[str, Tensor]:
        """Where the stream stands, at a seam."""
        return {**self.draws.state(), "made": torch.tensor(self.made)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Let a new stream continue from a ``state``."""
        self.draws.restore(state)
        self.made = int(state["made"])
        next(islice(self.rows, self.made, self.made), None)  # the order is replayed, it costs nothing

    def _chunk(self) -> list[Batch]:
        """The next batches: as many as fit into ``AHEAD`` images, all of them soft or all of them hard."""
        first, recipe = self.made, self.recipe
        ahead = max(1, AHEAD // recipe.batch)
        seams = [seam for seam in recipe.hard_steps if seam > first]
        chunk = list(islice(self.rows, min([ahead, *(seam - first for seam in seams)])))
        if not chunk:
            return []
        self.made = last = first + len(chunk)
        soft, span = recipe.soft_at(first), (recipe.soft_before(first), recipe.soft_before(last), self.seed)
        view = self.stored.views(*span) if soft and self.stored else None
        view = self.draws(chunk) if view is None else view
        x = render(self.images, view, recipe.pad)
        z: Tensor | None = None
        if soft and self.stored is not None:
            z = send(self.stored.logits(*span, view), x)
        elif soft:
            z = self.committee.label(x, view.sizes, recipe.halves)
            self.sound &= z.isfinite().all()
        rows, sizes = send(view.rows, self.labels), view.sizes
        none = (None,) * len(sizes)
        parts = zip(
            x.split(sizes),
            self.labels[rows].split(sizes),
            none if self.weights is None else self.weights[rows].split(sizes),
            none if z is None else z.split(sizes),
            view.mixes or none,
            strict=True,
        )
        batches = []
        for x, labels, w, z, mix in parts:
            mixed = None
            if mix is not None:
                partners = send(mix.order, labels)
                mixed = Mixed(labels[partners], mix.share, None if w is None else w[partners])
            batches.append(Batch(x, labels, w, z, mixed))
        return batches


class Committee:
    """Nets that label by the mean of their logits, on as many images at once as there is memory for.

    Args:
        nets: in eval mode on the machine's device.
        machine: whose precision they compute in, through torch.compile where that says so.
    """

    def __init__(self, nets: Sequence[nn.Module], machine: Machine = Machine()) -> None:
        self.nets, self.precision = nets, machine.precision
        self.forwards = [compiled.forward(net, machine.compiled, "labelling") for net in nets]
        self.halving = Halving("labelling", machine.device)

    def label(self, x: Tensor, sizes: Sequence[int], halves: bool = False) -> Tensor:
        """Logits [M, classes] of batches of ``sizes``: of all at once, or of each batch in two halves.

        What normalises by its batch keeps it, and is not compiled.
        """
        if not halves:
            return torch.cat(list(self.halving(self, x)))
        with by_batch(self.nets):
            parts = [half for part in x.split(sizes) for half in part.chunk(2)]
            return torch.cat([self._mean(self.nets, part) for part in parts])

    def __call__(self, x: Tensor) -> Tensor:
        """Mean logits [B, classes] on normalised images."""
        return self._mean(self.forwards, x)

    @torch.no_grad()
    def _mean(self, forwards: Sequence[Callable[[Tensor], Tensor]], x: Tensor) -> Tensor:
        with autocast(x.device, self.precision):
            called = zip(self.nets, forwards, strict=True)
            return torch.stack([forward(as_input(x, net)).float() for net, forward in called]).mean(0)


@contextmanager
def by_batch(teachers: Sequence[nn.Module]) -> Iterator[None]:
    """In the block the nets are in train mode, normalising by each batch's own statistics, but learn none of them.

    Batch-specific soft labelling (Cui et al., 2025, arXiv:2501.07575); dropout is active then, as there.
    """
    norms = [m for net in teachers for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    kept = [(norm.running_mean, norm.running_var, norm.num_batches_tracked) for norm in norms]
    try:
        for net in teachers:
            net.train()
        for norm in norms:
            norm.running_mean = norm.running_var = norm.num_batches_tracked = None
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            norm.running_mean, norm.running_var, norm.num_batches_tracked = buffers
        for net in teachers:
            net.eval()
