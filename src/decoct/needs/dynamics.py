"""How each example fares in a training: recorded after every epoch, once for all methods that score by it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from decoct.core import arrayfile
from decoct.core.bounds import TIMES
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine, Task
from decoct.core.machine import blame
from decoct.core.needs import Need, Part, Plan, Work
from decoct.needs.teacher import Teach, Teacher, taught_throughout, training_set
from decoct.nets import zoo
from decoct.nets.features import at_once, classifier
from decoct.nets.layout import as_input
from decoct.nets.room import Halving
from decoct.training.batches import TrainingSet
from decoct.training.images import Images
from decoct.training.recipe import Recipe
from decoct.training.recorder import Recorder

Rows = NDArray[Any]


class Dynamics(Need):
    """How each image fares in training runs on the train split: ``Traces``.

    Attributes:
        net: that is trained, as the teacher of that name is but that no accuracy ends it; a net that is loaded is
            trained as usual. ``"teacher"`` is the default label teacher.
        epochs: None for as many as the teacher gets.
        runs: from so many seeds; fewer runs are the first of more.
    """

    net: str = "teacher"
    epochs: int | None = Field(None, ge=1)
    runs: int = Field(1, ge=1, le=TIMES)

    def check(self) -> None:
        """Raise a UsageError if the zoo does not know the net."""
        Teacher(net=self.net).check()

    def parts(self, plan: Plan) -> list[Part]:
        """A training for each run."""
        spec = taught_throughout(plan, self.net, self.epochs)
        return [
            Part(
                self._named(zoo.resolve(self.net, plan.data.size), run),
                spec,
                {"seed": plan.derive("dynamics", spec.net, run)},
                labels={"net": spec.net, "training": f"{spec.epochs} epochs, run {run}"},
            )
            for run in range(self.runs)
        ]

    @classmethod
    def make(cls, work: Work) -> None:
        """Train a net from one seed, and keep its traces; its weights are not kept.

        Files:
            NAME.npy: what the training says of each train image after each epoch [T, N], or of all of them [T]
        """
        spec, seed = Teach.again(work.job.config), work.job.keyed["seed"]
        images, recipe = training_set(work.data), spec.recipe(Task.of(work.data))
        net = zoo.build(spec.net, work.data.shape[0], len(work.data.class_names), work.data.size, seed)
        with work.meter():
            trace = record(net, images, recipe, seed=seed, machine=work.machine())
        trace.save(work.folder)

    def load(self, work: Work) -> "dict[str, dict[Dynamics, Traces]]":
        """The runs, as memory maps."""
        net = zoo.resolve(self.net, work.data.size)
        folders = [work.cell("dynamics", self._named(net, run)) for run in range(self.runs)]
        return {"dynamics": {self: Traces.load(folders)}}

    def _named(self, net: str, run: int) -> str:
        return f"{net}/{self.epochs or 'own'}/{run}"


@dataclass(frozen=True)
class Trace:
    """One training run: T epochs, N images in the order of the train split, C classes.

    Measured after each epoch, of the live weights, in eval mode, on the images as they are: not augmented. Papers such
    as those of forgetting events, AUM, TDDS and DUAL take what the net says of augmented minibatches while the epoch is
    under way, which costs no pass over the data and mixes weights of different steps.

    With logits z, probabilities p, the label y as a one-hot vector e_y, and h what the last linear layer sees:

    Attributes:
        probability: [T, N] float32, p_y.
        error: [T, N] float32, ‖p − e_y‖₂.
        margin: [T, N] float32, z_y − max_{j≠y} z_j.
        confidence: [T, N] float32, max_j p_j.
        entropy: [T, N] float32, −Σ_j p_j log p_j, in nats.
        gap: [T, N] float32, the largest p_j minus the second largest.
        correct: [T, N] uint8, whether y has the largest logit.
        gradient: [T, N] float32, norm of the gradient of the cross-entropy by weights and bias of the last layer:
            ‖p − e_y‖₂ √(1 + ‖h‖²).
        shift: [T − 1, N] float32, Σ_j |p_j log(p_j / q_j)|, q the probabilities one epoch before.
    """

    probability: Rows
    error: Rows
    margin: Rows
    confidence: Rows
    entropy: Rows
    gap: Rows
    correct: Rows
    gradient: Rows
    shift: Rows

    @property
    def epochs(self) -> int:
        """T."""
        return len(self.correct)

    def after(self, share: float) -> int:
        """The number, from 0, of the epoch that ends nearest to a share of the training."""
        return max(1, round(share * self.epochs)) - 1

    def save(self, folder: Path) -> None:
        """Write ``NAME.npy`` for each array."""
        for name in NAMES:
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> "Trace":
        """What ``save`` wrote, as memory maps.

        Raises:
            DecoctError: missing or damaged.
        """
        try:
            return cls(**{name: arrayfile.read(folder / f"{name}.npy") for name in NAMES})
        except (OSError, ValueError) as error:
            blame(error)
            raise DecoctError(f"the traces in {folder} are damaged: {error}; remove that folder") from error


NAMES = tuple(field.name for field in fields(Trace))
BEFORE = "log-probabilities"  # of the epoch before


@dataclass(frozen=True)
class Traces:
    """Training runs from different seeds."""

    runs: tuple[Trace, ...]

    @classmethod
    def load(cls, folders: Sequence[Path]) -> "Traces":
        """One run per folder.

        Raises:
            DecoctError: a trace is missing or damaged.
        """
        return cls(tuple(Trace.load(folder) for folder in folders))

    def mean(self, of: Callable[[Trace], Rows]) -> NDArray[np.float64]:
        """The mean over runs of something that each gives, such as ``lambda run: run.margin.mean(0)``."""
        total = sum(np.asarray(of(run), np.float64) for run in self.runs)
        return np.asarray(total / len(self.runs), np.float64)


def record(
    net: nn.Module, data: TrainingSet, recipe: Recipe, *, seed: int, machine: Machine = Machine(), batch: int = 0
) -> Trace:
    """Train ``net`` in place and record every image after each epoch; recording does not change the training.

    Memory is that of the training and of one block of images; traces, and the [N, C] log-probabilities that ``shift``
    compares with, lie in the room that ``machine.kept`` gives, and those behind a state are kept there.

    The net has a linear classifier. What is left of the recipe's steps after the last whole epoch is not traced. Looks
    are in float32, ``batch`` images at a time; 0 for as many as ``at_once`` says.

    Raises:
        DecoctError: the net has no linear classifier, there is one class, there is no whole epoch, or loss or logits
            are not finite.
    """
    looks = _Looks(net, data, recipe, machine, batch or at_once(*data.images.shape[-2:]))
    looks.watch(net, seed)
    return Trace(**{name: rows[1:] if name == "shift" else rows for name, rows in looks.rows.items()})


def per_example(logits: Tensor, labels: Tensor, features: Tensor, bias: bool = True) -> dict[str, Tensor]:
    """The values of ``Trace`` for each example at one moment, except ``shift``: [B] by name.

    Logits are [B, C] of at least two classes, features [B, d] what the last layer sees; without a bias, its gradient is
    ‖p − e_y‖₂ ‖h‖.
    """
    y, log_p = labels[:, None], logits.log_softmax(1)
    p = log_p.exp()
    others = p.scatter(1, y, 0.0)
    # 1 − p_y as the sum of the others: the difference would be 0 for every image that is learnt well.
    error = (others.square().sum(1) + others.sum(1).square()).sqrt()
    first, second = p.topk(2, 1).values.unbind(1)
    return {
        "probability": p.gather(1, y)[:, 0],
        "error": error,
        "margin": logits.gather(1, y)[:, 0] - logits.scatter(1, y, -torch.inf).amax(1),
        "confidence": first,
        "entropy": -(p * log_p).sum(1),
        "gap": first - second,
        "correct": logits.argmax(1) == labels,
        "gradient": error * (features.square().sum(1) + float(bias)).sqrt(),
    }


def shift(log_p: Tensor, before: Tensor) -> Tensor:
    """[B] Σ_j |p_j log(p_j / q_j)| between the log-probabilities [B, C] of two moments (TDDS)."""
    return (log_p.exp() * (log_p - before)).abs().sum(1)


class _Looks(Recorder):
    """Looks at every image; the first epoch's shift stays 0."""

    def __init__(self, net: nn.Module, data: TrainingSet, recipe: Recipe, machine: Machine, batch: int) -> None:
        self.layer = classifier(net)
        if self.layer.out_features < 2:
            raise DecoctError("traces of a training need at least two classes")
        super().__init__(data, recipe, machine)
        self.device, self.batch = torch.device(machine.device), batch
        self.scale = Images.of(data.images[:0], data.mean, data.std, machine.device, whitening=data.whitening)
        self.halving = Halving("looking at every image", machine.device)
        room, images = machine.kept.array, len(data.labels)
        self.rows = {n: room(n, (self.epochs, images), np.uint8 if n == "correct" else np.float32) for n in NAMES}
        self.carried = {BEFORE: room(BEFORE, (images, self.layer.out_features), np.float32)}

    def look(self, net: nn.Module, epoch: int) -> None:
        """Look at every image."""
        for at, logits, features in self._seen(net):
            if not logits.isfinite().all():
                raise DecoctError(f"the net's logits are not finite after epoch {epoch + 1}: lower lr")
            log_p, before = logits.log_softmax(1), self.carried[BEFORE][at]
            said = per_example(logits, self.data.labels[at].to(self.device), features, self.layer.bias is not None)
            if epoch > 0:
                said["shift"] = shift(log_p, torch.from_numpy(before).to(self.device))
            for name, values in said.items():
                self.rows[name][epoch, at] = values.cpu().numpy()
            before[:] = log_p.cpu().numpy()

    def _seen(self, net: nn.Module) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Rows, their logits and what the last layer saw, block by block."""
        entered: list[Tensor] = []
        handle = self.layer.register_forward_pre_hook(lambda module, args: entered.append(args[0]))
        images = self.data.images

        def forward(rows: range) -> tuple[slice, Tensor, Tensor]:
            at = slice(rows.start, rows.stop)
            x = self.scale.normalise(images[at].to(self.device).float())
            entered.clear()
            logits = net(as_input(x, net)).float()
            if len(entered) != 1 or entered[0].shape != (len(x), self.layer.in_features):
                raise DecoctError(f"{type(net).__name__}: its last linear layer does not get one vector an image")
            return at, logits, entered[0].float()

        try:
            for start in range(0, len(images), self.batch):
                yield from self.halving(forward, range(start, min(start + self.batch, len(images))))
        finally:
            handle.remove()
